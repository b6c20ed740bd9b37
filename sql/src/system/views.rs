//! Views that people read: tables, indexes, views, sequences.

use annulus_relation::Value;

use super::relations::{all_sequences, all_views, seen, tables, text};
use super::tables::Fields;
use super::{OWNER, definitions, live};
use crate::query::Scope;

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_tables" => table_rows,
        "pg_indexes" => indexes,
        "pg_views" => views,
        "pg_sequences" => sequences,
        "pg_stat_user_tables" | "pg_stat_all_tables" => statistics,
        _ => return None,
    })
}

/// The name of a schema.
pub(super) fn schema_name(scope: &Scope, id: u32) -> String {
    match id {
        super::PG_CATALOG => "pg_catalog".to_owned(),
        super::INFORMATION_SCHEMA => "information_schema".to_owned(),
        id => scope.catalog.schema(id).map_or_else(|| id.to_string(), |schema| schema.name.clone()),
    }
}

fn owner(scope: &Scope) -> Value {
    live::role_name(scope, OWNER).unwrap_or(Value::Null)
}

fn table_rows(scope: &Scope) -> Vec<Fields> {
    let owner = owner(scope);
    let row = |table: &std::sync::Arc<annulus_relation::catalog::Table>| {
        vec![
            ("schemaname", text(schema_name(scope, table.schema))),
            ("tablename", text(&table.name)),
            ("tableowner", owner.clone()),
            ("hasindexes", Value::Bool(seen(table).next().is_some())),
            ("hasrules", Value::Bool(false)),
            ("hastriggers", Value::Bool(!table.foreign_keys.is_empty() || !table.referenced_by.is_empty())),
            ("rowsecurity", Value::Bool(false)),
        ]
    };
    tables(scope).iter().map(row).collect()
}

fn indexes(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for table in tables(scope) {
        let schema = schema_name(scope, table.schema);
        for index in seen(&table) {
            rows.push(vec![
                ("schemaname", text(&schema)),
                ("tablename", text(&table.name)),
                ("indexname", text(&index.name)),
                ("indexdef", text(definitions::index(&schema, &table, index, false))),
            ]);
        }
    }
    rows
}

fn views(scope: &Scope) -> Vec<Fields> {
    let owner = owner(scope);
    let row = |view: &std::sync::Arc<annulus_relation::catalog::View>| {
        vec![
            ("schemaname", text(schema_name(scope, view.schema))),
            ("viewname", text(&view.name)),
            ("viewowner", owner.clone()),
            ("definition", text(definitions::view(view))),
        ]
    };
    all_views(scope).iter().map(row).collect()
}

fn sequences(scope: &Scope) -> Vec<Fields> {
    let owner = owner(scope);
    let row = |sequence: &std::sync::Arc<annulus_relation::catalog::Sequence>| {
        let last = scope.system.sequence(sequence.id).filter(|(_, called)| *called);
        vec![
            ("schemaname", text(schema_name(scope, sequence.schema))),
            ("sequencename", text(&sequence.name)),
            ("sequenceowner", owner.clone()),
            ("data_type", Value::Oid(sequence.ty.oid())),
            ("start_value", Value::Int8(sequence.start)),
            ("min_value", Value::Int8(sequence.min)),
            ("max_value", Value::Int8(sequence.max)),
            ("increment_by", Value::Int8(sequence.increment)),
            ("cycle", Value::Bool(sequence.cycle)),
            ("cache_size", Value::Int8(sequence.cache)),
            ("last_value", last.map_or(Value::Null, |(last, _)| Value::Int8(last))),
        ]
    };
    all_sequences(scope).iter().map(row).collect()
}

fn statistics(scope: &Scope) -> Vec<Fields> {
    let row = |table: &std::sync::Arc<annulus_relation::catalog::Table>| {
        let rows = scope
            .statistics
            .rows(table.id)
            .map_or(Value::Null, |rows| Value::Int8(i64::try_from(rows).unwrap_or(i64::MAX)));
        vec![
            ("relid", Value::Oid(table.id)),
            ("schemaname", text(schema_name(scope, table.schema))),
            ("relname", text(&table.name)),
            ("n_live_tup", rows),
        ]
    };
    tables(scope).iter().map(row).collect()
}
