//! Schemas, tables, columns and sequences.

use std::sync::Arc;

use annulus_relation::catalog::{
    ColumnId, Default as ColumnDefault, Identity, Index, KeyPart, PUBLIC, Sequence, Table, View, is_temporary,
};
use annulus_relation::{SqlType, Value};

use super::columns::shapes;
use super::tables::Fields;
use super::types::{self, Storage};
use super::{DATABASE_OWNER, INFORMATION_SCHEMA, OWNER, PG_CATALOG, definitions, part_oid};
use crate::query::{Relation, Scope};

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_namespace" => namespaces,
        "pg_class" => classes,
        "pg_attribute" => attributes,
        "pg_attrdef" => defaults,
        "pg_sequence" => sequences,
        _ => return None,
    })
}

pub(super) fn text(value: impl AsRef<str>) -> Value {
    Value::text(value.as_ref())
}

pub(super) fn number(value: usize) -> Value {
    Value::Int4(i32::try_from(value).unwrap_or(i32::MAX))
}

pub(super) fn tables(scope: &Scope) -> Vec<Arc<Table>> {
    let table = |relation| match relation {
        Relation::Table(table) => Some(table),
        _ => None,
    };
    scope.catalog.relations().into_iter().filter_map(table).collect()
}

/// A table by its number.
pub(super) fn table_of(scope: &Scope, id: u32) -> Option<Arc<Table>> {
    match scope.catalog.by_id(id)? {
        Relation::Table(table) => Some(table),
        _ => None,
    }
}

/// The indexes that can be seen: not the one over hidden row numbers.
pub(super) fn seen(table: &Table) -> impl Iterator<Item = &Index> {
    table.indexes.iter().filter(|index| !index.keys.is_empty())
}

fn namespaces(scope: &Scope) -> Vec<Fields> {
    let own = scope.catalog.schemas().into_iter().map(|schema| (schema.id, schema.name.clone()));
    let system = [(PG_CATALOG, "pg_catalog".to_owned()), (INFORMATION_SCHEMA, "information_schema".to_owned())];
    let row = |(oid, name): (u32, String)| {
        let mut row = vec![("oid", Value::Oid(oid)), ("nspname", text(name))];
        if oid == PUBLIC {
            // What PostgreSQL's tools know that they need not write down.
            let privileges = ["pg_database_owner=UC/pg_database_owner", "=U/pg_database_owner"];
            row.push(("nspacl", Value::Array(privileges.map(text).into())));
            row.push(("nspowner", Value::Oid(DATABASE_OWNER)));
        } else {
            row.push(("nspowner", Value::Oid(OWNER)));
        }
        row
    };
    system.into_iter().chain(own).map(row).collect()
}

/// A schema, and what is said of the persistence of what is in it.
type Place = (u32, &'static str);

/// What all rows of `pg_class` have.
fn class((schema, persistence): Place, oid: u32, name: &str, kind: &'static str, columns: usize) -> Fields {
    vec![
        ("oid", Value::Oid(oid)),
        ("relname", text(name)),
        ("relnamespace", Value::Oid(schema)),
        ("relowner", Value::Oid(OWNER)),
        ("relpersistence", text(persistence)),
        ("relkind", text(kind)),
        ("relnatts", number(columns)),
        ("relreplident", text(if kind == "r" { "d" } else { "n" })),
        ("relispopulated", Value::Bool(true)),
    ]
}

fn classes(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for shape in shapes() {
        let schema = if shape.schema == "pg_catalog" { PG_CATALOG } else { INFORMATION_SCHEMA };
        rows.push(class((schema, "p"), shape.oid, shape.name, shape.kind, shape.columns.len()));
    }
    let schemas = scope.catalog.schemas();
    let temporary: Vec<u32> =
        schemas.iter().filter(|schema| is_temporary(&schema.name)).map(|schema| schema.id).collect();
    let place = |schema: u32| (schema, if temporary.contains(&schema) { "t" } else { "p" });
    for relation in scope.catalog.relations() {
        match relation {
            Relation::Table(table) => table_classes(scope, place(table.schema), &table, &mut rows),
            Relation::View(view) => {
                let mut row = class(place(view.schema), view.id, &view.name, "v", view.columns.len());
                row.push(("relhasrules", Value::Bool(true)));
                rows.push(row);
            }
            Relation::Sequence(sequence) => {
                rows.push(class(place(sequence.schema), sequence.id, &sequence.name, "S", 3));
            }
        }
    }
    rows
}

fn table_classes(scope: &Scope, place: Place, table: &Table, rows: &mut Vec<Fields>) {
    let known = scope.statistics.rows(table.id).map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
    let mut row = class(place, table.id, &table.name, "r", usize::from(table.next_column) - 1);
    row.extend([
        ("relam", Value::Oid(2)),
        ("relfilenode", Value::Oid(table.id)),
        ("reltuples", Value::Int8(known)),
        ("relhasindex", Value::Bool(seen(table).next().is_some())),
        ("relchecks", number(table.checks.len())),
        ("relhastriggers", Value::Bool(!table.foreign_keys.is_empty() || !table.referenced_by.is_empty())),
    ]);
    rows.push(row);
    for index in seen(table) {
        let mut row = class(place, index.id, &index.name, "i", index.keys.len() + index.include.len());
        row.extend([
            ("relam", Value::Oid(403)),
            ("relfilenode", Value::Oid(index.id)),
            ("reltuples", Value::Int8(known)),
        ]);
        rows.push(row);
    }
}

/// What all rows of `pg_attribute` have.
fn attribute(relation: u32, place: i32, name: &str, ty: &SqlType) -> Fields {
    let Storage { length, by_value, align, storage, collation } = types::storage(ty);
    vec![
        ("attrelid", Value::Oid(relation)),
        ("attname", text(name)),
        ("atttypid", Value::Oid(ty.oid())),
        ("attstattarget", Value::Int4(-1)),
        ("attlen", Value::Int4(length)),
        ("attnum", Value::Int4(place)),
        ("attndims", Value::Int4(i32::from(matches!(ty, SqlType::Array(_))))),
        ("attcacheoff", Value::Int4(-1)),
        ("atttypmod", Value::Int4(ty.typmod())),
        ("attbyval", Value::Bool(by_value)),
        ("attalign", text(align)),
        ("attstorage", text(storage)),
        ("attislocal", Value::Bool(true)),
        ("attcollation", Value::Oid(collation)),
    ]
}

fn attributes(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for shape in shapes() {
        for (column, place) in shape.columns.iter().zip(1..) {
            let mut row = attribute(shape.oid, place, column.name, &column.ty);
            row.push(("attnotnull", Value::Bool(column.not_null)));
            rows.push(row);
        }
    }
    for relation in scope.catalog.relations() {
        match relation {
            Relation::Table(table) => table_attributes(&table, &mut rows),
            Relation::View(view) => {
                for ((name, ty), place) in view.columns.iter().zip(1..) {
                    rows.push(attribute(view.id, place, name, ty));
                }
            }
            Relation::Sequence(sequence) => {
                let columns = [("last_value", SqlType::Int8), ("log_cnt", SqlType::Int8), ("is_called", SqlType::Bool)];
                for ((name, ty), place) in columns.iter().zip(1..) {
                    rows.push(attribute(sequence.id, place, name, ty));
                }
            }
        }
    }
    rows
}

/// A name, with a number behind it if it is taken.
fn free_name(taken: &[String], name: String) -> String {
    let is_free = |name: &String| !taken.contains(name);
    let numbered = (1..).map(|number: usize| format!("{name}{number}"));
    std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
}

/// The numbers of columns that a table had: tools demand that those of `pg_attribute` have no gaps.
fn dropped(table: &Table) -> impl Iterator<Item = ColumnId> + '_ {
    (1..table.next_column).filter(|id| table.columns.iter().all(|column| column.id != *id))
}

fn dropped_attribute(table: &Table, id: ColumnId) -> Fields {
    vec![
        ("attrelid", Value::Oid(table.id)),
        ("attname", text(format!("........pg.dropped.{id}........"))),
        ("attlen", Value::Int4(-1)),
        ("attnum", Value::Int4(id.into())),
        ("attcacheoff", Value::Int4(-1)),
        ("atttypmod", Value::Int4(-1)),
        ("attalign", text("i")),
        ("attstorage", text("p")),
        ("attisdropped", Value::Bool(true)),
        ("attislocal", Value::Bool(true)),
    ]
}

fn table_attributes(table: &Table, rows: &mut Vec<Fields>) {
    for column in &table.columns {
        let mut row = attribute(table.id, column.id.into(), &column.name, &column.ty);
        row.push(("attnotnull", Value::Bool(column.not_null.is_declared())));
        row.push(("atthasmissing", Value::Bool(column.missing.is_some())));
        match &column.default {
            None => {}
            Some(ColumnDefault::Expression(_)) => row.push(("atthasdef", Value::Bool(true))),
            Some(ColumnDefault::Generated(_)) => {
                row.push(("atthasdef", Value::Bool(true)));
                row.push(("attgenerated", text("s")));
            }
            Some(ColumnDefault::Identity(Identity::Always, _)) => row.push(("attidentity", text("a"))),
            Some(ColumnDefault::Identity(Identity::ByDefault, _)) => row.push(("attidentity", text("d"))),
        }
        rows.push(row);
    }
    rows.extend(dropped(table).map(|id| dropped_attribute(table, id)));
    for index in seen(table) {
        let included = index.include.iter().map(|id| KeyPart::Column(*id));
        let parts = index.keys.iter().map(|key| key.part.clone()).chain(included);
        let mut names: Vec<String> = Vec::new();
        for (part, place) in parts.zip(1..) {
            let column = |id: &ColumnId| table.columns.iter().find(|column| column.id == *id);
            let (name, ty) = match &part {
                KeyPart::Column(id) => match column(id) {
                    Some(column) => (column.name.clone(), column.ty.clone()),
                    None => continue,
                },
                KeyPart::Expression(sql, ty) => (definitions::title(sql).to_owned(), ty.clone()),
            };
            let name = free_name(&names, name);
            rows.push(attribute(index.id, place, &name, &ty));
            names.push(name);
        }
    }
}

/// The number of a column's default.
pub(super) fn default_oid(table: &Table, column: ColumnId) -> u32 {
    part_oid(table.id, &format!("default {column}"))
}

fn defaults(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for table in tables(scope) {
        for column in &table.columns {
            if let Some(ColumnDefault::Expression(sql) | ColumnDefault::Generated(sql)) = &column.default {
                rows.push(vec![
                    ("oid", Value::Oid(default_oid(&table, column.id))),
                    ("adrelid", Value::Oid(table.id)),
                    ("adnum", Value::Int4(column.id.into())),
                    ("adbin", text(sql)),
                ]);
            }
        }
    }
    rows
}

pub(super) fn all_sequences(scope: &Scope) -> Vec<Arc<Sequence>> {
    let sequence = |relation| match relation {
        Relation::Sequence(sequence) => Some(sequence),
        _ => None,
    };
    scope.catalog.relations().into_iter().filter_map(sequence).collect()
}

pub(super) fn all_views(scope: &Scope) -> Vec<Arc<View>> {
    let view = |relation| match relation {
        Relation::View(view) => Some(view),
        _ => None,
    };
    scope.catalog.relations().into_iter().filter_map(view).collect()
}

fn sequences(scope: &Scope) -> Vec<Fields> {
    let row = |sequence: Arc<Sequence>| {
        vec![
            ("seqrelid", Value::Oid(sequence.id)),
            ("seqtypid", Value::Oid(sequence.ty.oid())),
            ("seqstart", Value::Int8(sequence.start)),
            ("seqincrement", Value::Int8(sequence.increment)),
            ("seqmax", Value::Int8(sequence.max)),
            ("seqmin", Value::Int8(sequence.min)),
            ("seqcache", Value::Int8(sequence.cache)),
            ("seqcycle", Value::Bool(sequence.cycle)),
        ]
    };
    all_sequences(scope).into_iter().map(row).collect()
}
