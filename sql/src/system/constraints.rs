//! Indexes and constraints.

use annulus_relation::Value;
use annulus_relation::catalog::{
    Action, Check, ColumnId, ConstraintKind, Deferral, ForeignKey, Index, KeyPart, Table, Unique,
};

use super::relations::{number, seen, table_of, tables, text};
use super::tables::Fields;
use super::{definitions, part_oid, types};
use crate::query::Scope;

/// What fills a table, if it is one of these.
pub(super) fn maker(name: &str) -> Option<fn(&Scope) -> Vec<Fields>> {
    Some(match name {
        "pg_index" => indexes,
        "pg_constraint" => constraints,
        _ => return None,
    })
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
    let ready = index.state.is_complete();
    let mut row = vec![
        ("indexrelid", Value::Oid(index.id)),
        ("indrelid", Value::Oid(table.id)),
        ("indnatts", number(index.keys.len() + index.include.len())),
        ("indnkeyatts", number(index.keys.len())),
        ("indisunique", Value::Bool(index.is_unique())),
        ("indnullsnotdistinct", Value::Bool(index.unique == Unique::WithNulls)),
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

/// The numbers of a table's constraints.
pub(crate) fn constraint_oids(table: &Table) -> impl Iterator<Item = u32> {
    table.constraint_names().map(|name| constraint_oid(table, name))
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
    for table in &tables(scope) {
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
            rows.push(foreign_row(table, key, table_of(scope, key.parent).as_deref()));
        }
    }
    rows
}

/// The key of a table that consists of some columns.
pub(super) fn referred<'t>(parent: &'t Table, columns: &[ColumnId]) -> Option<&'t Index> {
    seen(parent).find(|index| {
        let keys: Vec<ColumnId> = column_keys(index).collect();
        index.is_unique() && keys.len() == columns.len() && keys.iter().all(|id| columns.contains(id))
    })
}

/// The columns among an index's keys.
pub(super) fn column_keys(index: &Index) -> impl Iterator<Item = ColumnId> + '_ {
    index.keys.iter().filter_map(|key| match key.part {
        KeyPart::Column(id) => Some(id),
        KeyPart::Expression(..) => None,
    })
}

fn check_row(table: &Table, check: &Check) -> Fields {
    let mut row = constraint(table, &check.name, "c", check.standing.is_validated());
    let used = definitions::columns_of(table, &check.expression);
    row.push(("conkey", small(used.into_iter().map(place))));
    row.push(("conbin", text(&check.expression)));
    row
}

fn foreign_row(table: &Table, key: &ForeignKey, parent: Option<&Table>) -> Fields {
    let action = |action: &Action| match action {
        Action::NoAction => "a",
        Action::Restrict => "r",
        Action::Cascade => "c",
        Action::SetNull | Action::SetNullOf(_) => "n",
        Action::SetDefault | Action::SetDefaultOf(_) => "d",
    };
    let target = parent.and_then(|parent| referred(parent, &key.parent_columns));
    let mut row = constraint(table, &key.name, "f", key.standing.is_validated());
    let deferral = key.standing.deferral();
    row.extend([
        ("condeferrable", Value::Bool(deferral != Deferral::Never)),
        ("condeferred", Value::Bool(deferral == Deferral::Usual)),
        ("conindid", Value::Oid(target.map_or(0, |index| index.id))),
        ("confrelid", Value::Oid(key.parent)),
        ("confupdtype", text(action(&key.on_update))),
        ("confdeltype", text(action(&key.on_delete))),
        ("confmatchtype", text("s")),
        ("conkey", small(key.columns.iter().map(|id| place(*id)))),
        ("confkey", small(key.parent_columns.iter().map(|id| place(*id)))),
    ]);
    row.extend(key.on_delete.columns().map(|set| ("confdelsetcols", small(set.iter().map(|id| place(*id))))));
    row
}
