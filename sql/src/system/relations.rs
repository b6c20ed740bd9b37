//! Schemas, tables, columns, indexes, constraints, sequences and what is said about them.

use std::sync::Arc;

use annulus_relation::catalog::{
    Action, Check, ColumnId, ConstraintKind, Default as ColumnDefault, ForeignKey, Identity, Index, IndexState,
    KeyPart, Sequence, Table, View,
};
use annulus_relation::{SqlType, Value};

use super::columns::shapes;
use super::tables::Fields;
use super::types::{self, Storage};
use super::{INFORMATION_SCHEMA, OWNER, PG_CATALOG, definitions, part_oid};
use crate::query::{Relation, Scope};

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_namespace" => namespaces,
        "pg_class" => classes,
        "pg_attribute" => attributes,
        "pg_attrdef" => defaults,
        "pg_index" => indexes,
        "pg_constraint" => constraints,
        "pg_sequence" => sequences,
        "pg_description" => descriptions,
        "pg_depend" => dependencies,
        _ => return None,
    })
}

pub(super) fn text(value: impl AsRef<str>) -> Value {
    Value::text(value.as_ref())
}

fn number(value: usize) -> Value {
    Value::Int4(i32::try_from(value).unwrap_or(i32::MAX))
}

pub(super) fn tables(scope: &Scope) -> Vec<Arc<Table>> {
    let table = |relation| match relation {
        Relation::Table(table) => Some(table),
        _ => None,
    };
    scope.catalog.relations().into_iter().filter_map(table).collect()
}

/// The indexes that can be seen: not the one over hidden row numbers.
pub(super) fn seen(table: &Table) -> impl Iterator<Item = &Index> {
    table.indexes.iter().filter(|index| !index.keys.is_empty())
}

fn namespaces(scope: &Scope) -> Vec<Fields> {
    let own = scope.catalog.schemas().into_iter().map(|schema| (schema.id, schema.name.clone()));
    let system = [(PG_CATALOG, "pg_catalog".to_owned()), (INFORMATION_SCHEMA, "information_schema".to_owned())];
    let row = |(oid, name): (u32, String)| {
        vec![("oid", Value::Oid(oid)), ("nspname", text(name)), ("nspowner", Value::Oid(OWNER))]
    };
    system.into_iter().chain(own).map(row).collect()
}

/// What all rows of `pg_class` have.
fn class(oid: u32, name: &str, schema: u32, kind: &'static str, columns: usize) -> Fields {
    vec![
        ("oid", Value::Oid(oid)),
        ("relname", text(name)),
        ("relnamespace", Value::Oid(schema)),
        ("relowner", Value::Oid(OWNER)),
        ("relpersistence", text("p")),
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
        rows.push(class(shape.oid, shape.name, schema, shape.kind, shape.columns.len()));
    }
    for relation in scope.catalog.relations() {
        match relation {
            Relation::Table(table) => table_classes(scope, &table, &mut rows),
            Relation::View(view) => {
                let mut row = class(view.id, &view.name, view.schema, "v", view.columns.len());
                row.push(("relhasrules", Value::Bool(true)));
                rows.push(row);
            }
            Relation::Sequence(sequence) => rows.push(class(sequence.id, &sequence.name, sequence.schema, "S", 3)),
        }
    }
    rows
}

fn table_classes(scope: &Scope, table: &Table, rows: &mut Vec<Fields>) {
    let known = scope.statistics.rows(table.id).map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
    let mut row = class(table.id, &table.name, table.schema, "r", table.columns.len());
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
        let mut row = class(index.id, &index.name, table.schema, "i", index.keys.len() + index.include.len());
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

fn table_attributes(table: &Table, rows: &mut Vec<Fields>) {
    for column in &table.columns {
        let mut row = attribute(table.id, column.id.into(), &column.name, &column.ty);
        row.push(("attnotnull", Value::Bool(column.not_null)));
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
    for index in seen(table) {
        let included = index.include.iter().map(|id| KeyPart::Column(*id));
        let parts = index.keys.iter().map(|key| key.part.clone()).chain(included);
        for (part, place) in parts.zip(1..) {
            let column = |id: &ColumnId| table.columns.iter().find(|column| column.id == *id);
            let (name, ty) = match &part {
                KeyPart::Column(id) => match column(id) {
                    Some(column) => (column.name.clone(), column.ty.clone()),
                    None => continue,
                },
                KeyPart::Expression(_, ty) if place == 1 => ("expr".to_owned(), ty.clone()),
                KeyPart::Expression(_, ty) => (format!("expr{}", place - 1), ty.clone()),
            };
            rows.push(attribute(index.id, place, &name, &ty));
        }
    }
}

fn defaults(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    for table in tables(scope) {
        for column in &table.columns {
            if let Some(ColumnDefault::Expression(sql) | ColumnDefault::Generated(sql)) = &column.default {
                rows.push(vec![
                    ("oid", Value::Oid(part_oid(table.id, &format!("default {}", column.id)))),
                    ("adrelid", Value::Oid(table.id)),
                    ("adnum", Value::Int4(column.id.into())),
                    ("adbin", text(sql)),
                ]);
            }
        }
    }
    rows
}

fn small(values: impl Iterator<Item = i16>) -> Value {
    Value::Array(values.map(Value::Int2).collect())
}

/// A column's number as `conkey` and `indkey` have it.
fn place(id: ColumnId) -> i16 {
    i16::try_from(id).unwrap_or(i16::MAX)
}

fn indexes(scope: &Scope) -> Vec<Fields> {
    tables(scope)
        .iter()
        .flat_map(|table| seen(table).map(|index| index_row(table, index)).collect::<Vec<_>>())
        .collect()
}

fn index_row(table: &Table, index: &Index) -> Fields {
    let key = |part: &KeyPart| match part {
        KeyPart::Column(id) => place(*id),
        KeyPart::Expression(..) => 0,
    };
    let expressions: Vec<&str> = index
        .keys
        .iter()
        .filter_map(|key| match &key.part {
            KeyPart::Expression(sql, _) => Some(sql.as_str()),
            KeyPart::Column(_) => None,
        })
        .collect();
    let keys = index.keys.iter().map(|part| key(&part.part)).chain(index.include.iter().map(|id| place(*id)));
    let options = index.keys.iter().map(|key| i16::from(key.descending) | i16::from(key.nulls_first) << 1);
    let nothing = |_: &_| Value::Oid(0);
    let collation = |part: &KeyPart| match part {
        KeyPart::Column(id) => {
            let column = table.columns.iter().find(|column| column.id == *id);
            column.map_or(0, |column| types::storage(&column.ty).collation)
        }
        KeyPart::Expression(_, ty) => types::storage(ty).collation,
    };
    let ready = matches!(index.state, IndexState::Ready);
    let mut row = vec![
        ("indexrelid", Value::Oid(index.id)),
        ("indrelid", Value::Oid(table.id)),
        ("indnatts", number(index.keys.len() + index.include.len())),
        ("indnkeyatts", number(index.keys.len())),
        ("indisunique", Value::Bool(index.unique)),
        ("indisprimary", Value::Bool(index.constraint == Some(ConstraintKind::PrimaryKey))),
        ("indimmediate", Value::Bool(true)),
        ("indisvalid", Value::Bool(ready)),
        ("indisready", Value::Bool(true)),
        ("indislive", Value::Bool(true)),
        ("indkey", small(keys)),
        ("indcollation", Value::Array(index.keys.iter().map(|key| Value::Oid(collation(&key.part))).collect())),
        ("indclass", Value::Array(index.keys.iter().map(nothing).collect())),
        ("indoption", small(options)),
    ];
    if !expressions.is_empty() {
        row.push(("indexprs", text(expressions.join(", "))));
    }
    row.extend(index.predicate.as_ref().map(|predicate| ("indpred", text(predicate))));
    row
}

/// The number of a constraint.
pub(super) fn constraint_oid(table: &Table, name: &str) -> u32 {
    part_oid(table.id, &format!("constraint {name}"))
}

fn constraint(table: &Table, name: &str, kind: &'static str, validated: bool) -> Fields {
    vec![
        ("oid", Value::Oid(constraint_oid(table, name))),
        ("conname", text(name)),
        ("connamespace", Value::Oid(table.schema)),
        ("contype", text(kind)),
        ("convalidated", Value::Bool(validated)),
        ("conrelid", Value::Oid(table.id)),
        ("conislocal", Value::Bool(true)),
        ("connoinherit", Value::Bool(kind != "c")),
    ]
}

fn constraints(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    let all = tables(scope);
    for table in &all {
        for index in seen(table) {
            let kind = match index.constraint {
                Some(ConstraintKind::PrimaryKey) => "p",
                Some(ConstraintKind::Unique) => "u",
                None => continue,
            };
            let mut row = constraint(table, &index.name, kind, true);
            row.push(("conindid", Value::Oid(index.id)));
            row.push(("conkey", small(column_keys(index).map(place))));
            rows.push(row);
        }
        rows.extend(table.checks.iter().map(|check| check_row(table, check)));
        for key in &table.foreign_keys {
            let parent = all.iter().find(|parent| parent.id == key.parent);
            rows.push(foreign_row(table, key, parent.map(AsRef::as_ref)));
        }
    }
    rows
}

/// The columns among an index's keys.
pub(super) fn column_keys(index: &Index) -> impl Iterator<Item = ColumnId> + '_ {
    index.keys.iter().filter_map(|key| match key.part {
        KeyPart::Column(id) => Some(id),
        KeyPart::Expression(..) => None,
    })
}

fn check_row(table: &Table, check: &Check) -> Fields {
    let mut row = constraint(table, &check.name, "c", check.validated);
    let used = definitions::columns_of(table, &check.expression);
    row.push(("conkey", small(used.into_iter().map(place))));
    row.push(("conbin", text(&check.expression)));
    row
}

fn foreign_row(table: &Table, key: &ForeignKey, parent: Option<&Table>) -> Fields {
    let action = |action: Action| match action {
        Action::NoAction => "a",
        Action::Restrict => "r",
        Action::Cascade => "c",
        Action::SetNull => "n",
        Action::SetDefault => "d",
    };
    let target = parent.and_then(|parent| {
        seen(parent).find(|index| index.unique && column_keys(index).eq(key.parent_columns.iter().copied()))
    });
    let mut row = constraint(table, &key.name, "f", key.validated);
    row.extend([
        ("conindid", Value::Oid(target.map_or(0, |index| index.id))),
        ("confrelid", Value::Oid(key.parent)),
        ("confupdtype", text(action(key.on_update))),
        ("confdeltype", text(action(key.on_delete))),
        ("confmatchtype", text("s")),
        ("conkey", small(key.columns.iter().map(|id| place(*id)))),
        ("confkey", small(key.parent_columns.iter().map(|id| place(*id)))),
    ]);
    row
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

/// `pg_class` as a class of described objects.
pub(super) const CLASS: u32 = 1259;
const NAMESPACE: u32 = 2615;

fn descriptions(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    let mut add = |object: u32, class: u32, column: i32, comment: &Option<String>| {
        if let Some(comment) = comment {
            rows.push(vec![
                ("objoid", Value::Oid(object)),
                ("classoid", Value::Oid(class)),
                ("objsubid", Value::Int4(column)),
                ("description", text(comment)),
            ]);
        }
    };
    for schema in scope.catalog.schemas() {
        add(schema.id, NAMESPACE, 0, &schema.comment);
    }
    for relation in scope.catalog.relations() {
        match relation {
            Relation::Table(table) => {
                add(table.id, CLASS, 0, &table.comment);
                table.columns.iter().for_each(|column| add(table.id, CLASS, column.id.into(), &column.comment));
                table.indexes.iter().for_each(|index| add(index.id, CLASS, 0, &index.comment));
            }
            Relation::View(view) => add(view.id, CLASS, 0, &view.comment),
            Relation::Sequence(sequence) => add(sequence.id, CLASS, 0, &sequence.comment),
        }
    }
    rows
}

fn dependencies(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    let all = tables(scope);
    for sequence in all_sequences(scope) {
        let Some((owner, column)) = sequence.owner else { continue };
        let table = all.iter().find(|table| table.id == owner);
        let identity = table
            .and_then(|table| table.columns.iter().find(|c| c.id == column))
            .is_some_and(|column| matches!(column.default, Some(ColumnDefault::Identity(..))));
        rows.push(vec![
            ("classid", Value::Oid(CLASS)),
            ("objid", Value::Oid(sequence.id)),
            ("refclassid", Value::Oid(CLASS)),
            ("refobjid", Value::Oid(owner)),
            ("refobjsubid", Value::Int4(column.into())),
            ("deptype", text(if identity { "i" } else { "a" })),
        ]);
    }
    rows
}
