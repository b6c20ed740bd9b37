//! Functions that give rows.

mod keywords;
mod records;
mod series;
mod texts;

use annulus_relation::value::Env;
use annulus_relation::{SqlResult, SqlType, Value};

use super::exec::Rows;

/// A function that gives rows, for arguments of certain types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RowsFunction {
    name: &'static str,
    /// The types of its arguments.
    pub params: Vec<SqlType>,
    /// Its columns' names and types.
    pub columns: Vec<(String, SqlType)>,
}

const KNOWN: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "unnest",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "json_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "json_object_keys",
    "jsonb_object_keys",
    "json_each",
    "json_each_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_path_query",
    "jsonb_path_query_tz",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "pg_get_keywords",
    "_pg_expandarray",
    "pg_partition_ancestors",
    "pg_options_to_table",
    "aclexplode",
];

/// Whether a function of that name gives rows.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Whether the query says which columns a function's rows have.
pub(super) fn gives_records(name: &str) -> bool {
    matches!(name, "json_to_record" | "json_to_recordset" | "jsonb_to_record" | "jsonb_to_recordset")
}

/// Whether a function's rows have the columns of its first argument's type.
pub(super) fn populates(name: &str) -> bool {
    name.starts_with("json") && (name.ends_with("_populate_record") || name.ends_with("_populate_recordset"))
}

/// A function that makes rows of some columns of a document, whose type is the first argument's after that.
pub(super) fn populating(name: &str, columns: Vec<(String, SqlType)>) -> Option<RowsFunction> {
    let name = KNOWN.iter().find(|known| **known == name)?;
    let document = if name.starts_with("jsonb") { SqlType::Jsonb } else { SqlType::Json };
    Some(RowsFunction { name, params: vec![document], columns })
}

/// The function of a name for arguments of these types, which it converts.
pub(super) fn find(name: &str, types: &[SqlType]) -> Option<RowsFunction> {
    let name = KNOWN.iter().find(|known| **known == name)?;
    let function = |params: Vec<SqlType>, columns: &[(&str, SqlType)]| {
        let columns = columns.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect();
        (params.len() == types.len()).then_some(RowsFunction { name, params, columns })
    };
    match *name {
        "generate_series" => {
            let params = series::parameters(types)?;
            let ty = params[0].clone();
            function(params, &[(name, ty)])
        }
        "generate_subscripts" => match types {
            [array, _] if array.element().is_some() => {
                function(vec![array.clone(), SqlType::Int4], &[(name, SqlType::Int4)])
            }
            _ => None,
        },
        "unnest" => {
            let element = |ty: &SqlType| ty.element().map(|element| ("unnest", element.base()));
            let columns = types.iter().map(element).collect::<Option<Vec<_>>>()?;
            (!columns.is_empty()).then(|| function(types.to_vec(), &columns)).flatten()
        }
        "_pg_expandarray" => match types {
            [array] => function(types.to_vec(), &[("x", array.element()?.clone()), ("n", SqlType::Int4)]),
            _ => None,
        },
        "regexp_matches" if matches!(types.len(), 2 | 3) => {
            function(types.iter().map(|_| SqlType::Text).collect(), &[(name, SqlType::Text.array())])
        }
        "regexp_split_to_table" | "string_to_table" => {
            function(types.iter().map(|_| SqlType::Text).collect(), &[(name, SqlType::Text)])
        }
        "json_array_elements" => function(vec![SqlType::Json], &[("value", SqlType::Json)]),
        "jsonb_array_elements" => function(vec![SqlType::Jsonb], &[("value", SqlType::Jsonb)]),
        "json_array_elements_text" => function(vec![SqlType::Json], &[("value", SqlType::Text)]),
        "jsonb_array_elements_text" => function(vec![SqlType::Jsonb], &[("value", SqlType::Text)]),
        "json_object_keys" => function(vec![SqlType::Json], &[(name, SqlType::Text)]),
        "jsonb_object_keys" => function(vec![SqlType::Jsonb], &[(name, SqlType::Text)]),
        "jsonb_path_query" | "jsonb_path_query_tz" => {
            let params = [SqlType::Jsonb, SqlType::Jsonpath, SqlType::Jsonb, SqlType::Bool];
            let params = params.get(..types.len()).filter(|params| params.len() > 1)?;
            function(params.to_vec(), &[(name, SqlType::Jsonb)])
        }
        "json_each" => function(vec![SqlType::Json], &[("key", SqlType::Text), ("value", SqlType::Json)]),
        "jsonb_each" => function(vec![SqlType::Jsonb], &[("key", SqlType::Text), ("value", SqlType::Jsonb)]),
        "json_each_text" => function(vec![SqlType::Json], &[("key", SqlType::Text), ("value", SqlType::Text)]),
        "jsonb_each_text" => function(vec![SqlType::Jsonb], &[("key", SqlType::Text), ("value", SqlType::Text)]),
        "json_to_record" | "json_to_recordset" if matches!(types, [SqlType::Json | SqlType::Unknown]) => {
            function(vec![SqlType::Json], &[])
        }
        "jsonb_to_record" | "jsonb_to_recordset" if matches!(types, [SqlType::Jsonb | SqlType::Unknown]) => {
            function(vec![SqlType::Jsonb], &[])
        }
        "pg_get_keywords" => function(
            Vec::new(),
            &[
                ("word", SqlType::Text),
                ("catcode", SqlType::InternalChar),
                ("barelabel", SqlType::Bool),
                ("catdesc", SqlType::Text),
                ("baredesc", SqlType::Text),
            ],
        ),
        // There are no partitioned tables.
        "pg_partition_ancestors" => function(vec![SqlType::Regclass], &[("relid", SqlType::Regclass)]),
        "pg_options_to_table" => function(
            vec![SqlType::Array(Box::new(SqlType::Text))],
            &[("option_name", SqlType::Text), ("option_value", SqlType::Text)],
        ),
        "aclexplode" => function(
            vec![SqlType::Array(Box::new(SqlType::Text))],
            &[
                ("grantor", SqlType::Oid),
                ("grantee", SqlType::Oid),
                ("privilege_type", SqlType::Text),
                ("is_grantable", SqlType::Bool),
            ],
        ),
        _ => None,
    }
}

impl RowsFunction {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The rows for arguments. NULLs give none.
    pub fn rows(&self, args: &[Value], env: &Env) -> SqlResult<Rows> {
        let lenient = matches!(self.name, "unnest" | "string_to_table") || self.name.ends_with("_record");
        if !lenient && args.iter().any(Value::is_null) {
            return Ok(Box::new(std::iter::empty()));
        }
        match self.name {
            "generate_series" => series::rows(args, &self.params[0], env),
            "generate_subscripts" => Ok(subscripts(args, i32::from(!self.params[0].is_vector()))),
            "unnest" => Ok(unnest(args)),
            "_pg_expandarray" => Ok(expanded(args)),
            "json_to_record" | "jsonb_to_record" | "json_populate_record" | "jsonb_populate_record" => {
                records::record(&args[0], &self.columns, env)
            }
            name if name.ends_with("_recordset") => records::records(self.name, &args[0], &self.columns, env),
            "pg_get_keywords" => Ok(keywords::rows()),
            "pg_partition_ancestors" | "aclexplode" | "pg_options_to_table" => Ok(Box::new(std::iter::empty())),
            name => texts::rows(name, args, &self.columns, env),
        }
    }
}

/// Rows with their number, from 1, behind them.
pub(super) fn numbered(rows: Rows) -> Rows {
    Box::new(rows.zip(1..).map(|(row, number)| {
        let mut row = row?;
        row.push(Value::Int8(number));
        Ok(row)
    }))
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        _ => &[],
    }
}

fn unnest(arrays: &[Value]) -> Rows {
    let arrays: Vec<Value> = arrays.to_vec();
    let longest = arrays.iter().map(|array| elements(array).len()).max().unwrap_or(0);
    Box::new((0..longest).map(move |place| {
        Ok(arrays.iter().map(|array| elements(array).get(place).cloned().unwrap_or(Value::Null)).collect())
    }))
}

fn expanded(args: &[Value]) -> Rows {
    let array = args[0].clone();
    let count = elements(&array).len();
    Box::new(
        (0..count).zip(1..).map(move |(place, number)| Ok(vec![elements(&array)[place].clone(), Value::Int4(number)])),
    )
}

/// The numbers of an array's elements, the first of which is given.
fn subscripts(args: &[Value], first: i32) -> Rows {
    let count = match args[1] {
        Value::Int4(1) => i32::try_from(elements(&args[0]).len()).unwrap_or(i32::MAX),
        _ => 0,
    };
    Box::new((0..count).map(move |place| Ok(vec![Value::Int4(place + first)])))
}
