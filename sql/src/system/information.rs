//! `information_schema`.

use std::sync::Arc;

use annulus_relation::catalog::{
    Action, ColumnId, ConstraintKind, Default as ColumnDefault, Deferral, Identity, Index, Sequence, Table, View,
    is_temporary,
};
use annulus_relation::value::{EnumType, Env};
use annulus_relation::{SqlType, Value};

use super::constraints::{column_keys, referred};
use super::functions::SystemCatalog;
use super::relations::{self, number, seen, table_of, text};
use super::tables::Fields;
use super::types::type_name;
use super::views::schema_name;
use super::{OWNER, definitions, live};
use crate::query::Scope;

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "information_schema_catalog_name" => catalog_name,
        "schemata" => schemata,
        "tables" => table_rows,
        "columns" => columns,
        "table_constraints" => table_constraints,
        "key_column_usage" => key_columns,
        "referential_constraints" => references,
        "constraint_column_usage" => constraint_columns,
        "check_constraints" => checks,
        "views" => views,
        "sequences" => sequences,
        _ => return None,
    })
}

/// All but what is of other sessions.
fn own<T>(scope: &Scope, mut all: Vec<Arc<T>>, schema: impl Fn(&T) -> u32) -> Vec<Arc<T>> {
    all.retain(|relation| !SystemCatalog(scope).is_other(schema(relation)));
    all
}

fn tables(scope: &Scope) -> Vec<Arc<Table>> {
    own(scope, relations::tables(scope), |table| table.schema)
}

fn all_views(scope: &Scope) -> Vec<Arc<View>> {
    own(scope, relations::all_views(scope), |view| view.schema)
}

fn all_sequences(scope: &Scope) -> Vec<Arc<Sequence>> {
    own(scope, relations::all_sequences(scope), |sequence| sequence.schema)
}

fn database(scope: &Scope) -> Value {
    text(&scope.database)
}

fn catalog_name(scope: &Scope) -> Vec<Fields> {
    vec![vec![("catalog_name", database(scope))]]
}

fn schemata(scope: &Scope) -> Vec<Fields> {
    let owner = live::role_name(scope, OWNER).unwrap_or(Value::Null);
    let own = scope.catalog.schemas().into_iter().map(|schema| schema.name.clone());
    let system = ["pg_catalog", "information_schema"].map(str::to_owned);
    let row = |name: String| {
        vec![("catalog_name", database(scope)), ("schema_name", text(name)), ("schema_owner", owner.clone())]
    };
    system.into_iter().chain(own).map(row).collect()
}

fn table_rows(scope: &Scope) -> Vec<Fields> {
    let row = |schema: u32, name: &str, kind: &str, writable: bool| {
        vec![
            ("table_catalog", database(scope)),
            ("table_schema", text(schema_name(scope, schema))),
            ("table_name", text(name)),
            ("table_type", text(kind)),
            ("is_insertable_into", Value::Bool(writable)),
            ("is_typed", Value::Bool(false)),
        ]
    };
    let row = |schema: u32, name: &str, kind: &str, writable: bool| {
        let is_temporary = is_temporary(&schema_name(scope, schema));
        row(schema, name, if is_temporary { "LOCAL TEMPORARY" } else { kind }, writable)
    };
    let mut rows: Vec<Fields> =
        tables(scope).iter().map(|table| row(table.schema, &table.name, "BASE TABLE", true)).collect();
    rows.extend(all_views(scope).iter().map(|view| row(view.schema, &view.name, "VIEW", false)));
    for shape in super::columns::shapes() {
        rows.push(vec![
            ("table_catalog", database(scope)),
            ("table_schema", text(shape.schema)),
            ("table_name", text(shape.name)),
            ("table_type", text(if shape.kind == "v" { "VIEW" } else { "BASE TABLE" })),
            ("is_insertable_into", Value::Bool(false)),
            ("is_typed", Value::Bool(false)),
        ]);
    }
    rows
}

/// The type's name as the standard has it.
fn data_type(ty: &SqlType) -> String {
    match ty {
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => "ARRAY".to_owned(),
        SqlType::Varchar(_) => "character varying".to_owned(),
        SqlType::Char(_) => "character".to_owned(),
        SqlType::Numeric(_) => "numeric".to_owned(),
        SqlType::Enum(_) => "USER-DEFINED".to_owned(),
        other => other.base_name(),
    }
}

/// The schema of a type.
fn type_schema(ty: &SqlType) -> &str {
    ty.enumeration().and_then(EnumType::known).map_or("pg_catalog", |known| &known.schema)
}

fn column(scope: &Scope, schema: u32, table: &str, place: i32, name: &str, ty: &SqlType) -> Fields {
    let mut row = vec![
        ("table_catalog", database(scope)),
        ("table_schema", text(schema_name(scope, schema))),
        ("table_name", text(table)),
        ("column_name", text(name)),
        ("ordinal_position", Value::Int4(place)),
        ("data_type", text(data_type(ty))),
        ("udt_catalog", database(scope)),
        ("udt_schema", text(type_schema(ty))),
        ("udt_name", text(type_name(ty))),
        ("dtd_identifier", text(place.to_string())),
        ("is_self_referencing", Value::Bool(false)),
        ("is_identity", Value::Bool(false)),
        ("identity_cycle", Value::Bool(false)),
        ("is_generated", text("NEVER")),
        ("is_updatable", Value::Bool(true)),
    ];
    let precision = |digits: Option<u8>| {
        let digits = digits.unwrap_or(annulus_relation::value::MAX_TIME_PRECISION);
        ("datetime_precision", Value::Int4(digits.into()))
    };
    let length = |length: u32| Value::Int4(i32::try_from(length).unwrap_or(i32::MAX));
    let binary = |bits: i32, scale: Option<i32>| {
        let scale = scale.map(|scale| ("numeric_scale", Value::Int4(scale)));
        [("numeric_precision", Value::Int4(bits)), ("numeric_precision_radix", Value::Int4(2))].into_iter().chain(scale)
    };
    match ty {
        SqlType::Varchar(Some(n)) | SqlType::Char(n) => row.push(("character_maximum_length", length(*n))),
        SqlType::Int2 => row.extend(binary(16, Some(0))),
        SqlType::Int4 => row.extend(binary(32, Some(0))),
        SqlType::Int8 => row.extend(binary(64, Some(0))),
        SqlType::Float4 => row.extend(binary(24, None)),
        SqlType::Float8 => row.extend(binary(53, None)),
        SqlType::Numeric(limits) => {
            row.push(("numeric_precision_radix", Value::Int4(10)));
            if let Some((precision, scale)) = limits {
                row.push(("numeric_precision", Value::Int4((*precision).into())));
                row.push(("numeric_scale", Value::Int4((*scale).into())));
            }
        }
        SqlType::Date => row.push(("datetime_precision", Value::Int4(0))),
        SqlType::Time(digits) | SqlType::Timestamp(digits) | SqlType::Timestamptz(digits) => {
            row.push(precision(*digits))
        }
        SqlType::Interval(limits) => {
            row.push(precision(limits.and_then(|limits| limits.precision)));
            if let Some(fields) = limits.filter(|limits| limits.fields.is_some()) {
                row.push(("interval_type", text(fields.to_string().trim_start().to_ascii_uppercase())));
            }
        }
        _ => {}
    }
    if matches!(ty, SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Text) {
        let octets = match ty {
            SqlType::Varchar(Some(n)) | SqlType::Char(n) => n.saturating_mul(4).min(1 << 30),
            _ => 1 << 30,
        };
        row.push(("character_octet_length", length(octets)));
    }
    row
}

fn columns(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    let sequences = all_sequences(scope);
    for table in tables(scope) {
        for described in &table.columns {
            let mut row = column(scope, table.schema, &table.name, described.id.into(), &described.name, &described.ty);
            row.push(("is_nullable", Value::Bool(!described.not_null.is_declared())));
            match &described.default {
                None => {}
                Some(ColumnDefault::Expression(sql)) => {
                    row.push(("column_default", text(SystemCatalog(scope).expression(sql))));
                }
                Some(ColumnDefault::Generated(sql)) => {
                    set(&mut row, "is_generated", text("ALWAYS"));
                    row.push(("generation_expression", text(SystemCatalog(scope).expression(sql))));
                }
                Some(ColumnDefault::Identity(kind, sequence)) => {
                    set(&mut row, "is_identity", Value::Bool(true));
                    let kind = if *kind == Identity::Always { "ALWAYS" } else { "BY DEFAULT" };
                    row.push(("identity_generation", text(kind)));
                    if let Some(sequence) = sequences.iter().find(|known| known.id == *sequence) {
                        row.extend([
                            ("identity_start", text(sequence.start.to_string())),
                            ("identity_increment", text(sequence.increment.to_string())),
                            ("identity_maximum", text(sequence.max.to_string())),
                            ("identity_minimum", text(sequence.min.to_string())),
                        ]);
                        set(&mut row, "identity_cycle", Value::Bool(sequence.cycle));
                    }
                }
            }
            rows.push(row);
        }
    }
    for view in all_views(scope) {
        for ((name, ty), place) in view.columns.iter().zip(1..) {
            let mut row = column(scope, view.schema, &view.name, place, name, ty);
            row.push(("is_nullable", Value::Bool(true)));
            set(&mut row, "is_updatable", Value::Bool(false));
            rows.push(row);
        }
    }
    rows
}

fn set(row: &mut Fields, name: &'static str, value: Value) {
    row.retain(|(known, _)| *known != name);
    row.push((name, value));
}

/// The constraints that an index enforces.
fn keys(table: &Table) -> impl Iterator<Item = (&Index, &'static str)> {
    seen(table).filter_map(|index| match index.constraint {
        Some(ConstraintKind::PrimaryKey) => Some((index, "PRIMARY KEY")),
        Some(ConstraintKind::Unique) => Some((index, "UNIQUE")),
        None => None,
    })
}

fn constraint(scope: &Scope, table: &Table, name: &str) -> Fields {
    let schema = schema_name(scope, table.schema);
    vec![
        ("constraint_catalog", database(scope)),
        ("constraint_schema", text(&schema)),
        ("constraint_name", text(name)),
        ("table_catalog", database(scope)),
        ("table_schema", text(&schema)),
        ("table_name", text(&table.name)),
    ]
}

fn table_constraints(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for table in tables(scope) {
        let keys = keys(&table).map(|(index, kind)| (index.name.clone(), kind));
        let foreign = table.foreign_keys.iter().map(|key| (key.name.clone(), "FOREIGN KEY"));
        let deferral = |name: &str| {
            let key = table.foreign_keys.iter().find(|key| key.name == name);
            key.map_or(Deferral::Never, |key| key.standing.deferral())
        };
        let checks = table.checks.iter().map(|check| (check.name.clone(), "CHECK"));
        let not_null = table.columns.iter().filter(|column| column.not_null.is_declared());
        let not_null = not_null.map(|column| (not_null_name(&table, column.id), "CHECK"));
        for (name, kind) in keys.chain(foreign).chain(checks).chain(not_null).collect::<Vec<_>>() {
            let mut row = constraint(scope, &table, &name);
            row.extend([
                ("constraint_type", text(kind)),
                ("is_deferrable", Value::Bool(deferral(&name) != Deferral::Never)),
                ("initially_deferred", Value::Bool(deferral(&name) == Deferral::Usual)),
                ("enforced", Value::Bool(true)),
            ]);
            if kind == "UNIQUE" {
                row.push(("nulls_distinct", Value::Bool(true)));
            }
            rows.push(row);
        }
    }
    rows
}

/// What PostgreSQL calls `NOT NULL` there.
fn not_null_name(table: &Table, column: ColumnId) -> String {
    format!("{}_{}_{column}_not_null", table.schema, table.id)
}

fn name_of(table: &Table, id: ColumnId) -> Value {
    table.columns.iter().find(|column| column.id == id).map_or(Value::Null, |column| text(&column.name))
}

fn key_columns(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for table in &tables(scope) {
        for (index, _) in keys(table) {
            for (place, id) in column_keys(index).enumerate() {
                let mut row = constraint(scope, table, &index.name);
                row.extend([("column_name", name_of(table, id)), ("ordinal_position", number(place + 1))]);
                rows.push(row);
            }
        }
        for key in &table.foreign_keys {
            let parent = table_of(scope, key.parent);
            let target = parent.as_deref().and_then(|parent| referred(parent, &key.parent_columns));
            for (place, (id, other)) in key.columns.iter().zip(&key.parent_columns).enumerate() {
                let mut row = constraint(scope, table, &key.name);
                let position = target.and_then(|index| column_keys(index).position(|id| id == *other));
                row.extend([("column_name", name_of(table, *id)), ("ordinal_position", number(place + 1))]);
                row.extend(position.map(|place| ("position_in_unique_constraint", number(place + 1))));
                rows.push(row);
            }
        }
    }
    rows
}

fn references(scope: &Scope) -> Vec<Fields> {
    let rule = |action: &Action| match action {
        Action::NoAction => "NO ACTION",
        Action::Restrict => "RESTRICT",
        Action::Cascade => "CASCADE",
        Action::SetNull | Action::SetNullOf(_) => "SET NULL",
        Action::SetDefault | Action::SetDefaultOf(_) => "SET DEFAULT",
    };
    let mut rows = Vec::new();
    for table in &tables(scope) {
        for key in &table.foreign_keys {
            let parent = table_of(scope, key.parent);
            let mut row = constraint(scope, table, &key.name);
            row.retain(|(name, _)| name.starts_with("constraint_"));
            if let Some((parent, index)) =
                parent.as_deref().and_then(|parent| Some((parent, referred(parent, &key.parent_columns)?)))
            {
                row.extend([
                    ("unique_constraint_catalog", database(scope)),
                    ("unique_constraint_schema", text(schema_name(scope, parent.schema))),
                    ("unique_constraint_name", text(&index.name)),
                ]);
            }
            row.extend([
                ("match_option", text("NONE")),
                ("update_rule", text(rule(&key.on_update))),
                ("delete_rule", text(rule(&key.on_delete))),
            ]);
            rows.push(row);
        }
    }
    rows
}

fn constraint_columns(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    let mut add = |owner: &Table, name: &str, table: &Table, id: ColumnId| {
        let mut row = constraint(scope, owner, name);
        set(&mut row, "table_schema", text(schema_name(scope, table.schema)));
        set(&mut row, "table_name", text(&table.name));
        row.push(("column_name", name_of(table, id)));
        rows.push(row);
    };
    for table in &tables(scope) {
        for (index, _) in keys(table) {
            column_keys(index).for_each(|id| add(table, &index.name, table, id));
        }
        for check in &table.checks {
            let used = definitions::columns_of(table, &check.expression);
            used.into_iter().for_each(|id| add(table, &check.name, table, id));
        }
        for key in &table.foreign_keys {
            if let Some(parent) = table_of(scope, key.parent) {
                key.parent_columns.iter().for_each(|id| add(table, &key.name, &parent, *id));
            }
        }
    }
    rows
}

fn checks(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for table in tables(scope) {
        let own =
            table.checks.iter().map(|check| (check.name.clone(), SystemCatalog(scope).expression(&check.expression)));
        let not_null = table.columns.iter().filter(|column| column.not_null.is_declared());
        let not_null =
            not_null.map(|column| (not_null_name(&table, column.id), format!("{} IS NOT NULL", column.name)));
        for (name, clause) in own.chain(not_null) {
            let mut row = constraint(scope, &table, &name);
            row.retain(|(name, _)| name.starts_with("constraint_"));
            row.push(("check_clause", text(clause)));
            rows.push(row);
        }
    }
    rows
}

fn views(scope: &Scope) -> Vec<Fields> {
    let row = |view: &Arc<View>| {
        vec![
            ("table_catalog", database(scope)),
            ("table_schema", text(schema_name(scope, view.schema))),
            ("table_name", text(&view.name)),
            ("view_definition", text(definitions::view(view))),
            ("check_option", text("NONE")),
            ("is_updatable", Value::Bool(false)),
            ("is_insertable_into", Value::Bool(false)),
            ("is_trigger_updatable", Value::Bool(false)),
            ("is_trigger_deletable", Value::Bool(false)),
            ("is_trigger_insertable_into", Value::Bool(false)),
        ]
    };
    all_views(scope).iter().map(row).collect()
}

fn sequences(scope: &Scope) -> Vec<Fields> {
    let row = |sequence: &Arc<Sequence>| {
        let bits = match sequence.ty {
            SqlType::Int2 => 16,
            SqlType::Int4 => 32,
            _ => 64,
        };
        let shown =
            |value: i64| text(annulus_relation::value::print(&Value::Int8(value), &SqlType::Int8, &Env::default()));
        vec![
            ("sequence_catalog", database(scope)),
            ("sequence_schema", text(schema_name(scope, sequence.schema))),
            ("sequence_name", text(&sequence.name)),
            ("data_type", text(sequence.ty.name())),
            ("numeric_precision", Value::Int4(bits)),
            ("numeric_precision_radix", Value::Int4(2)),
            ("numeric_scale", Value::Int4(0)),
            ("start_value", shown(sequence.start)),
            ("minimum_value", shown(sequence.min)),
            ("maximum_value", shown(sequence.max)),
            ("increment", shown(sequence.increment)),
            ("cycle_option", Value::Bool(sequence.cycle)),
        ]
    };
    let tables = tables(scope);
    let columns = tables.iter().flat_map(|table| &table.columns);
    let of_identity: Vec<u32> = columns
        .filter_map(|column| match column.default {
            Some(ColumnDefault::Identity(_, sequence)) => Some(sequence),
            _ => None,
        })
        .collect();
    // The sequences of identity columns are part of these.
    all_sequences(scope).iter().filter(|sequence| !of_identity.contains(&sequence.id)).map(row).collect()
}
