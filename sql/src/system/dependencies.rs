//! What depends on what, and what is said about objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use annulus_relation::Value;
use annulus_relation::catalog::{
    Column, ColumnId, Default as ColumnDefault, Enumeration, KeyPart, Schema, Sequence, Table, View,
};

use super::constraints::{column_keys, constraint_oid, referred};
use super::definitions::columns_of;
use super::functions::SystemCatalog;
use super::part_oid;
use super::relations::{all_sequences, all_views, default_oid, seen, table_of, tables, text};
use super::statics::extension_remarks;
use super::tables::Fields;
use crate::ddl::sequence_in;
use crate::query::{Relation, Scope};

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_depend" => dependencies,
        "pg_description" => descriptions,
        "pg_rewrite" => rules,
        _ => return None,
    })
}

/// Tables of the system as classes of objects.
const CLASS: u32 = 1259;
const TYPE: u32 = 1247;
const NAMESPACE: u32 = 2615;
const EXTENSION: u32 = 3079;
const DEFAULT: u32 = 2604;
const CONSTRAINT: u32 = 2606;
const RULE: u32 = 2618;

/// Of what class something is, its number, and the column that is meant, or 0.
#[derive(PartialEq, Eq)]
struct Object(u32, u32, i32);

/// What is said about a relation, its columns, indexes and constraints.
fn remarks(relation: &Relation) -> Vec<(Object, String)> {
    let mut all = Vec::new();
    let mut add = |object: Object, comment: &Option<String>| {
        all.extend(comment.clone().map(|comment| (object, comment)));
    };
    match relation {
        Relation::Table(table) => {
            add(Object(CLASS, table.id, 0), &table.comment);
            for column in &table.columns {
                add(Object(CLASS, table.id, column.id.into()), &column.comment);
            }
            table.indexes.iter().for_each(|index| add(Object(CLASS, index.id, 0), &index.comment));
            for (constraint, remark) in &table.remarks {
                add(Object(CONSTRAINT, constraint_oid(table, constraint), 0), &Some(remark.clone()));
            }
        }
        Relation::View(view) => add(Object(CLASS, view.id, 0), &view.comment),
        Relation::Sequence(sequence) => add(Object(CLASS, sequence.id, 0), &sequence.comment),
    }
    all
}

fn descriptions(scope: &Scope) -> Vec<Fields> {
    let of_schema = |schema: Arc<Schema>| schema.comment.clone().map(|said| (Object(NAMESPACE, schema.id, 0), said));
    let schemas = scope.catalog.schemas().into_iter().filter_map(of_schema);
    let relations = scope.catalog.relations().into_iter().flat_map(|relation| remarks(&relation));
    let row = |(Object(class, object, column), comment)| {
        vec![
            ("objoid", Value::Oid(object)),
            ("classoid", Value::Oid(class)),
            ("objsubid", Value::Int4(column)),
            ("description", text(comment)),
        ]
    };
    let of_type = |ty: Arc<Enumeration>| ty.comment.clone().map(|said| (Object(TYPE, ty.id, 0), said));
    let types = scope.catalog.types().into_iter().filter_map(of_type);
    let extensions = extension_remarks().map(|(oid, said)| (Object(EXTENSION, oid, 0), said));
    schemas.chain(relations).chain(types).chain(extensions).map(row).collect()
}

/// What is said about something with a number, or about a column of it.
pub(super) fn remark(scope: &Scope, oid: u32, column: i32) -> Option<String> {
    let catalog = &scope.catalog;
    if let Some(schema) = catalog.schema(oid) {
        return schema.comment.clone().filter(|_| column == 0);
    }
    if let Some(ty) = catalog.types().into_iter().find(|ty| ty.id == oid) {
        return ty.comment.clone().filter(|_| column == 0);
    }
    let part = || catalog.indexed(oid).or_else(|| catalog.constrained(oid)).map(Relation::Table);
    let relation = catalog.by_id(oid).or_else(part)?;
    remarks(&relation)
        .into_iter()
        .find(|(Object(_, id, place), _)| (*id, *place) == (oid, column))
        .map(|(_, said)| said)
}

/// `a`: goes with the other; `i`: is a part of it; `n`: cannot be without it.
fn dependency(of: &Object, on: &Object, kind: &'static str) -> Fields {
    vec![
        ("classid", Value::Oid(of.0)),
        ("objid", Value::Oid(of.1)),
        ("objsubid", Value::Int4(of.2)),
        ("refclassid", Value::Oid(on.0)),
        ("refobjid", Value::Oid(on.1)),
        ("refobjsubid", Value::Int4(on.2)),
        ("deptype", text(kind)),
    ]
}

fn dependencies(scope: &Scope) -> Vec<Fields> {
    let mut rows = Vec::new();
    let schema =
        |relation: u32, schema: u32| dependency(&Object(CLASS, relation, 0), &Object(NAMESPACE, schema, 0), "n");
    for sequence in all_sequences(scope) {
        rows.push(schema(sequence.id, sequence.schema));
        rows.extend(ownership(scope, &sequence));
    }
    for table in &tables(scope) {
        rows.push(schema(table.id, table.schema));
        rows.extend(of_indexes(table));
        rows.extend(of_constraints(scope, table));
        rows.extend(table.columns.iter().filter_map(|column| of_column(table, column)));
        for column in &table.columns {
            let Some(ColumnDefault::Expression(sql)) = &column.default else { continue };
            let default = Object(DEFAULT, default_oid(table, column.id), 0);
            rows.push(dependency(&default, &Object(CLASS, table.id, column.id.into()), "a"));
            if let Some(sequence) = sequence_in(sql)
                && let Ok(Some(oid)) = SystemCatalog(scope).object(&annulus_relation::SqlType::Regclass, &sequence)
            {
                rows.push(dependency(&default, &Object(CLASS, oid, 0), "n"));
            }
        }
    }
    let types = scope.catalog.types();
    for ty in &types {
        rows.push(dependency(&Object(TYPE, ty.id, 0), &Object(NAMESPACE, ty.schema, 0), "n"));
        rows.push(dependency(&Object(TYPE, ty.id + 1, 0), &Object(TYPE, ty.id, 0), "i"));
    }
    let class_of = |id: u32| if types.iter().any(|ty| ty.id == id) { TYPE } else { CLASS };
    for view in all_views(scope) {
        let (rule, own) = (Object(RULE, rule_oid(&view), 0), Object(CLASS, view.id, 0));
        rows.push(schema(view.id, view.schema));
        rows.push(dependency(&rule, &own, "i"));
        rows.extend(view.reads.iter().map(|read| dependency(&rule, &Object(class_of(*read), *read, 0), "n")));
    }
    rows
}

/// A column needs the enumeration that it is of.
fn of_column(table: &Table, column: &Column) -> Option<Fields> {
    column.ty.enumeration()?;
    Some(dependency(&Object(CLASS, table.id, column.id.into()), &Object(TYPE, column.ty.oid(), 0), "n"))
}

/// Columns of a table.
fn columns(table: &Table, ids: impl IntoIterator<Item = ColumnId>) -> impl Iterator<Item = Object> {
    ids.into_iter().map(|id| Object(CLASS, table.id, id.into()))
}

/// What indexes need: the constraint that they belong to, or their columns, and the table if its columns do not say all.
fn of_indexes(table: &Table) -> Vec<Fields> {
    let mut rows = Vec::new();
    for index in seen(table) {
        let own = Object(CLASS, index.id, 0);
        if index.constraint.is_some() {
            let constraint = Object(CONSTRAINT, constraint_oid(table, &index.name), 0);
            rows.push(dependency(&own, &constraint, "i"));
            continue;
        }
        let expressions = index.keys.iter().filter_map(|key| match &key.part {
            KeyPart::Expression(sql, _) => Some(sql),
            KeyPart::Column(_) => None,
        });
        let used = expressions.chain(&index.predicate).flat_map(|sql| columns_of(table, sql));
        let used: BTreeSet<ColumnId> = column_keys(index).chain(index.include.iter().copied()).chain(used).collect();
        rows.extend(columns(table, used).map(|column| dependency(&own, &column, "a")));
        if column_keys(index).next().is_none() {
            rows.push(dependency(&own, &Object(CLASS, table.id, 0), "a"));
        }
    }
    rows
}

/// What constraints need: their columns, and for foreign keys those that they refer to, with the key of these.
fn of_constraints(scope: &Scope, table: &Table) -> Vec<Fields> {
    let mut rows = Vec::new();
    let own = |name: &str| Object(CONSTRAINT, constraint_oid(table, name), 0);
    for index in seen(table).filter(|index| index.constraint.is_some()) {
        let used: BTreeSet<ColumnId> = column_keys(index).chain(index.include.iter().copied()).collect();
        rows.extend(columns(table, used).map(|column| dependency(&own(&index.name), &column, "a")));
    }
    for check in &table.checks {
        for column in columns(table, columns_of(table, &check.expression)) {
            rows.extend(["a", "n"].map(|kind| dependency(&own(&check.name), &column, kind)));
        }
    }
    for key in &table.foreign_keys {
        let own = own(&key.name);
        rows.extend(columns(table, key.columns.iter().copied()).map(|column| dependency(&own, &column, "a")));
        let Some(parent) = table_of(scope, key.parent) else { continue };
        rows.extend(columns(&parent, key.parent_columns.iter().copied()).map(|column| dependency(&own, &column, "n")));
        let index = referred(&parent, &key.parent_columns);
        rows.extend(index.map(|index| dependency(&own, &Object(CLASS, index.id, 0), "n")));
    }
    rows
}

/// A sequence and the column that it belongs to.
fn ownership(scope: &Scope, sequence: &Sequence) -> Option<Fields> {
    let (owner, column) = sequence.owner?;
    let identity = table_of(scope, owner)
        .and_then(|table| table.columns.iter().find(|known| known.id == column).cloned())
        .is_some_and(|column| matches!(column.default, Some(ColumnDefault::Identity(..))));
    let own = Object(CLASS, sequence.id, 0);
    Some(dependency(&own, &Object(CLASS, owner, column.into()), if identity { "i" } else { "a" }))
}

fn rule_oid(view: &View) -> u32 {
    part_oid(view.id, "rule")
}

/// The rules that make views.
fn rules(scope: &Scope) -> Vec<Fields> {
    let row = |view: Arc<View>| {
        vec![
            ("oid", Value::Oid(rule_oid(&view))),
            ("rulename", text("_RETURN")),
            ("ev_class", Value::Oid(view.id)),
            ("ev_type", text("1")),
            ("ev_enabled", text("O")),
            ("is_instead", Value::Bool(true)),
        ]
    };
    all_views(scope).into_iter().map(row).collect()
}
