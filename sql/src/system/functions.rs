//! Functions that ask the catalog, and names of objects.

use std::sync::Arc;

use annulus_relation::catalog::{Index, Table, is_temporary};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::ast::ObjectNamePart;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::columns::shape_of;
use super::constraints::constraint_oid;
use super::dependencies::remark;
use super::relations::{all_sequences, seen, table_of, text};
use super::shown::with_names;
use super::types::ARRAY_IN;
use super::views::schema_name;
use super::{PG_CATALOG, definitions, live, types};
use crate::bind::quote_name;
use crate::ddl::sequence_in;
use crate::names::{OWN, meant, searched};
use crate::parse::dialect::Postgres;
use crate::query::{Relation, Scope};

/// What the catalog answers for functions: the session passes on here what it does not answer itself.
pub struct SystemCatalog<'a>(pub &'a Scope);

impl SystemCatalog<'_> {
    /// A function that asks the catalog; `None` if this is none of them.
    #[must_use]
    pub fn call(&self, function: &str, args: &[Value]) -> Option<SqlResult<Value>> {
        let oid = match args.first() {
            Some(Value::Oid(oid)) => Some(*oid),
            _ => None,
        };
        let of = |value: Option<String>| Some(Ok(value.map_or(Value::Null, Value::text)));
        match function {
            "pg_table_is_visible" => Some(Ok(oid.map_or(Value::Null, |oid| self.is_visible(oid)))),
            "pg_type_is_visible" => Some(Ok(oid.map_or(Value::Null, |oid| self.is_visible_type(oid)))),
            "pg_function_is_visible"
            | "pg_operator_is_visible"
            | "pg_opclass_is_visible"
            | "pg_opfamily_is_visible"
            | "pg_collation_is_visible"
            | "pg_conversion_is_visible"
            | "pg_statistics_obj_is_visible"
            | "pg_ts_config_is_visible" => Some(Ok(Value::Bool(true))),
            "obj_description" => of(oid.and_then(|oid| remark(self.0, oid, 0))),
            "col_description" => of(oid.and_then(|oid| match args.get(1) {
                Some(Value::Int4(column)) => remark(self.0, oid, *column),
                _ => None,
            })),
            "pg_my_temp_schema" => Some(Ok(Value::Oid(self.own_schema().unwrap_or(0)))),
            "pg_is_other_temp_schema" => Some(Ok(oid.map_or(Value::Null, |oid| Value::Bool(self.is_other(oid))))),
            "shobj_description" => of(None),
            "pg_get_expr" => of(self.shown_expression(args)),
            "pg_get_indexdef" => of(oid.and_then(|oid| self.index_definition(oid, args))),
            "pg_get_constraintdef" => of(oid.and_then(|oid| self.constraint_definition(oid, args))),
            "pg_get_viewdef" => Some(self.view_definition(args)),
            "pg_get_ruledef"
            | "pg_get_triggerdef"
            | "pg_get_functiondef"
            | "pg_get_function_arguments"
            | "pg_get_function_identity_arguments"
            | "pg_get_function_result"
            | "pg_get_function_sqlbody"
            | "pg_get_partkeydef"
            | "pg_get_statisticsobjdef_columns" => of(None),
            "pg_get_serial_sequence" => Some(self.serial_sequence(args)),
            "pg_get_userbyid" => Some(Ok(oid.map_or(Value::Null, |oid| {
                live::role_name(self.0, oid).unwrap_or_else(|| text(format!("unknown (OID={oid})")))
            }))),
            "acldefault" => Some(Ok(self.default_privileges(args))),
            "pg_relation_size"
            | "pg_total_relation_size"
            | "pg_table_size"
            | "pg_indexes_size"
            | "pg_database_size"
            | "pg_tablespace_size" => Some(Ok(Value::Int8(0))),
            _ => None,
        }
    }

    /// The object that a name means (see [`crate::bind::SystemFunctions::object`]).
    ///
    /// # Errors
    ///
    /// If the text is no name.
    pub fn object(&self, kind: &SqlType, name: &str) -> SqlResult<Option<u32>> {
        let parts = name_parts(name)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(match (kind, parts.as_slice()) {
            (SqlType::Regclass, [name]) => self.path().iter().find_map(|schema| self.class(schema, name)),
            (SqlType::Regclass, [schema, name]) => self.class(meant(&self.0.search_path, schema), name),
            (SqlType::Regnamespace, [name]) => self.namespace(name),
            (SqlType::Regproc, [.., "array_in"]) => Some(ARRAY_IN),
            _ => None,
        })
    }

    /// An object's name as PostgreSQL prints it (see [`crate::bind::SystemFunctions::object_name`]).
    #[must_use]
    pub fn object_name(&self, kind: &SqlType, oid: u32) -> Option<String> {
        match kind {
            SqlType::Regclass => {
                let (schema, name) = self.named(oid)?;
                let found = self.path().iter().find_map(|schema| self.class(schema, &name));
                let name = quote_name(&name);
                Some(if found == Some(oid) {
                    name
                } else {
                    format!("{}.{name}", quote_name(&schema_name(self.0, schema)))
                })
            }
            SqlType::Regnamespace => {
                let name = schema_name(self.0, oid);
                self.namespace(&name).map(|_| quote_name(&name))
            }
            SqlType::Regtype => types::catalog_name(oid).map(str::to_owned),
            SqlType::Regproc if oid == ARRAY_IN => Some("array_in".to_owned()),
            _ => None,
        }
    }

    /// The schemas in which names are looked up.
    fn path(&self) -> Vec<String> {
        searched(&self.0.search_path).map(str::to_owned).collect()
    }

    /// The schema of the session's temporary relations, if there is one.
    fn own_schema(&self) -> Option<u32> {
        self.namespace(meant(&self.0.search_path, OWN))
    }

    /// Whether a schema is another session's.
    pub(super) fn is_other(&self, schema: u32) -> bool {
        is_temporary(&schema_name(self.0, schema)) && self.own_schema() != Some(schema)
    }

    fn namespace(&self, name: &str) -> Option<u32> {
        match name {
            "pg_catalog" => Some(PG_CATALOG),
            "information_schema" => Some(super::INFORMATION_SCHEMA),
            name => self.0.catalog.schemas().iter().find(|schema| schema.name == name).map(|schema| schema.id),
        }
    }

    /// The table, view, sequence or index of a name.
    fn class(&self, schema: &str, name: &str) -> Option<u32> {
        super::table(schema, name).map(super::Table::oid).or_else(|| self.0.catalog.number(schema, name))
    }

    /// An object's schema and name.
    fn named(&self, oid: u32) -> Option<(u32, String)> {
        if let Some(shape) = shape_of(oid) {
            return Some((self.namespace(shape.schema)?, shape.name.to_owned()));
        }
        if let Some(found) = self.0.catalog.by_id(oid) {
            return Some((found.schema(), found.name().to_owned()));
        }
        self.index(oid).map(|(table, index)| (table.schema, index.name))
    }

    fn index(&self, oid: u32) -> Option<(Arc<Table>, Index)> {
        let table = self.0.catalog.indexed(oid)?;
        let index = table.indexes.iter().find(|index| index.id == oid).cloned()?;
        Some((table, index))
    }

    fn is_visible(&self, oid: u32) -> Value {
        match self.named(oid) {
            None => Value::Null,
            Some((_, name)) => {
                Value::Bool(self.path().iter().find_map(|schema| self.class(schema, &name)) == Some(oid))
            }
        }
    }

    fn is_visible_type(&self, oid: u32) -> Value {
        let types = &self.0.env.types;
        let known = types.numbered(oid);
        Value::Bool(known.as_ref().and_then(SqlType::enumeration).is_none_or(|ty| types.is_visible(ty)))
    }

    fn shown_expression(&self, args: &[Value]) -> Option<String> {
        let Some(Value::Text(sql)) = args.first() else { return None };
        let shown = self.expression(sql);
        Some(if is_pretty(args) { definitions::pretty(&shown).to_owned() } else { shown })
    }

    /// An expression as it is kept, with the sequence and the types in it named as the search path finds them.
    pub(super) fn expression(&self, sql: &str) -> String {
        let sequence = sql.starts_with("nextval(").then(|| sequence_in(sql)).flatten();
        let oid = sequence.and_then(|name| self.object(&SqlType::Regclass, &name).ok().flatten());
        match oid.and_then(|oid| self.object_name(&SqlType::Regclass, oid)) {
            Some(name) => format!("nextval('{}'::regclass)", name.replace('\'', "''")),
            None => with_names(sql, &self.0.env.types),
        }
    }

    fn index_definition(&self, oid: u32, args: &[Value]) -> Option<String> {
        self.kept_index_definition(oid, args).map(|sql| with_names(&sql, &self.0.env.types))
    }

    fn kept_index_definition(&self, oid: u32, args: &[Value]) -> Option<String> {
        let (table, index) = self.index(oid)?;
        match args.get(1) {
            Some(Value::Int4(place)) if *place > 0 => {
                definitions::key_part(&table, &index, usize::try_from(place - 1).ok()?, is_pretty(args))
            }
            _ => Some(definitions::index(&schema_name(self.0, table.schema), &table, &index, is_pretty(args))),
        }
    }

    fn constraint_definition(&self, oid: u32, args: &[Value]) -> Option<String> {
        let table = self.0.catalog.constrained(oid)?;
        let is = |name: &str| constraint_oid(&table, name) == oid;
        if let Some(index) = seen(&table).find(|index| index.constraint.is_some() && is(&index.name)) {
            return Some(definitions::key(&table, index));
        }
        if let Some(check) = table.checks.iter().find(|check| is(&check.name)) {
            return Some(with_names(&definitions::check(check, is_pretty(args)), &self.0.env.types));
        }
        let key = table.foreign_keys.iter().find(|key| is(&key.name))?;
        let parent = table_of(self.0, key.parent)?;
        let name = self.object_name(&SqlType::Regclass, parent.id)?;
        Some(definitions::foreign_key(&table, key, &parent, &name))
    }

    /// The privileges that an object has whose own say nothing: all of them are its owner's.
    fn default_privileges(&self, args: &[Value]) -> Value {
        let [Value::Text(kind), Value::Oid(owner)] = args else { return Value::Null };
        let (public, own) = match &**kind {
            "r" => ("", "arwdDxt"),
            "s" => ("", "rwU"),
            "n" => ("", "UC"),
            "d" => ("Tc", "CTc"),
            "f" => ("X", "X"),
            "l" | "T" => ("U", "U"),
            "L" => ("", "rw"),
            "t" => ("", "C"),
            "F" | "S" => ("", "U"),
            _ => return Value::Array([].into()),
        };
        let owner = match live::role_name(self.0, *owner) {
            Some(Value::Text(name)) => quote_name(&name),
            _ => owner.to_string(),
        };
        let public = (!public.is_empty()).then(|| text(format!("={public}/{owner}")));
        Value::Array(public.into_iter().chain([text(format!("{owner}={own}/{owner}"))]).collect())
    }

    /// The query of a view, by its number or name.
    fn view_definition(&self, args: &[Value]) -> SqlResult<Value> {
        let oid = match args.first() {
            Some(Value::Oid(oid)) => Some(*oid),
            Some(Value::Text(name)) => Some(self.class_of(name)?),
            _ => None,
        };
        match oid.and_then(|oid| self.0.catalog.by_id(oid)) {
            Some(Relation::View(view)) => Ok(Value::text(definitions::view(&view))),
            _ => Ok(Value::Null),
        }
    }

    /// The number of a relation.
    fn class_of(&self, name: &str) -> SqlResult<u32> {
        self.object(&SqlType::Regclass, name)?.ok_or_else(|| {
            let message = format!("relation \"{name}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_TABLE, message)
        })
    }

    /// The sequence that a column's values come from.
    fn serial_sequence(&self, args: &[Value]) -> SqlResult<Value> {
        let [Value::Text(table), Value::Text(column)] = args else { return Ok(Value::Null) };
        let oid = self.class_of(table)?;
        let id = table_of(self.0, oid)
            .and_then(|table| table.columns.iter().find(|known| *known.name == **column).map(|column| column.id));
        let sequence =
            all_sequences(self.0).into_iter().find(|sequence| id.is_some_and(|id| sequence.owner == Some((oid, id))));
        Ok(sequence.map_or(Value::Null, |sequence| {
            let schema = quote_name(&schema_name(self.0, sequence.schema));
            text(format!("{schema}.{}", quote_name(&sequence.name)))
        }))
    }
}

/// Whether the last argument asks for a form that is good to read.
fn is_pretty(args: &[Value]) -> bool {
    args.last() == Some(&Value::Bool(true))
}

/// The parts of a name in a string, as `regclass` takes it: folded unless quoted.
fn name_parts(name: &str) -> SqlResult<Vec<String>> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let parsed = Parser::new(&Postgres).try_with_sql(name).and_then(|mut parser| {
        let name = parser.parse_object_name(false)?;
        parser.expect_token(&Token::EOF)?;
        Ok(name)
    });
    let part = |part: &ObjectNamePart| {
        let ident = part.as_ident().ok_or_else(invalid)?;
        Ok(if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
    };
    parsed.map_err(|_| invalid())?.0.iter().map(part).collect()
}
