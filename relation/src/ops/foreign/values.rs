//! The values by which children refer to parents. The two may be of different types.

use bytes::BytesMut;

use crate::catalog::{ColumnId, ForeignKey, Table};
use crate::codec::key::{self, KeyOrder};
use crate::error::SqlResult;
use crate::ops::physical::Physical;
use crate::value::{self, CastContext, Env, Row, SqlType, Value};

/// Whether a child's row refers to a parent that had these values.
pub(super) fn refers(
    parent: &Physical,
    child: &Physical,
    key: &ForeignKey,
    row: &[Value],
    old: &[Value],
) -> SqlResult<bool> {
    let own = columns(child, &key.columns, row);
    match as_child(parent, child, key, old) {
        Some(wanted) => Ok(!own.iter().any(Value::is_null) && encoded(&own)? == encoded(&wanted)?),
        None => Ok(false),
    }
}

/// A parent's values as ones of the child's types; `None` if no child can have them.
pub(super) fn as_child(parent: &Physical, child: &Physical, key: &ForeignKey, values: &[Value]) -> Option<Row> {
    let pairs = key.columns.iter().zip(&key.parent_columns).zip(values);
    let convert = |((id, parent_id), value): ((&ColumnId, &ColumnId), &Value)| {
        exactly(value, &type_of(parent.table(), *parent_id), &type_of(child.table(), *id))
    };
    pairs.map(convert).collect()
}

/// The equal value of another type, if there is one.
pub(super) fn exactly(value: &Value, from: &SqlType, to: &SqlType) -> Option<Value> {
    if from == to {
        return Some(value.clone());
    }
    let (env, explicit) = (Env::default(), CastContext::Explicit);
    let there = value::cast(value.clone(), from, to, explicit, &env).ok()?;
    let back = value::cast(there.clone(), to, from, explicit, &env).ok()?;
    value::compare(&back, value).is_eq().then_some(there)
}

pub(super) fn type_of(table: &Table, id: ColumnId) -> SqlType {
    table.columns.iter().find(|column| column.id == id).map_or(SqlType::Unknown, |column| column.ty.clone())
}

pub(super) fn columns(physical: &Physical, ids: &[ColumnId], row: &[Value]) -> Row {
    ids.iter().map(|id| physical.column(row, *id).cloned().unwrap_or(Value::Null)).collect()
}

/// Bytes that are equal where the values are.
pub(in crate::ops) fn encoded(values: &[Value]) -> SqlResult<Vec<u8>> {
    let mut out = BytesMut::new();
    values.iter().try_for_each(|value| key::put(&mut out, value, KeyOrder::default()))?;
    Ok(out.to_vec())
}
