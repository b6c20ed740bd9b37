//! An index, prepared: how its keys become fields, and what its entries hold.

use annulus_base::Key;
use bytes::BytesMut;

use super::{ROW_ID, row_fields};
use crate::catalog::{ColumnId, Index, KeyPart, Table};
use crate::codec::key::{self, KeyOrder};
use crate::codec::{Layout, check_type, is_exact};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::value::{Row, SqlType, Value};

/// An index, prepared.
#[derive(Clone, Debug)]
pub(in crate::ops) struct IndexShape {
    pub index: Index,
    /// The types and orders of its keys.
    fields: Vec<(SqlType, KeyOrder)>,
    /// The columns stored in an entry: those of the primary key, and what can be read from entries only.
    pub stored: Vec<ColumnId>,
    pub layout: Layout,
}

impl IndexShape {
    pub(super) fn new(table: &Table, index: &Index, primary: &[ColumnId]) -> Self {
        let fields = index.keys.iter().map(|key| (type_of(table, &key.part), KeyOrder::from(key))).collect();
        let mut stored = if primary.is_empty() { vec![ROW_ID] } else { primary.to_vec() };
        let inexact = index.keys.iter().filter_map(|key| match key.part {
            KeyPart::Column(id) => table.columns.iter().find(|column| column.id == id && !is_exact(&column.ty)),
            KeyPart::Expression(..) => None,
        });
        for id in index.include.iter().copied().chain(inexact.map(|column| column.id)) {
            if !stored.contains(&id) {
                stored.push(id);
            }
        }
        let layout = Layout::new(table.id, stored.iter().map(|id| (*id, Value::Null)).collect());
        Self { index: index.clone(), fields, stored, layout }
    }

    /// The encoded values of the first keys.
    pub(in crate::ops) fn fields(&self, keys: &[Value]) -> SqlResult<BytesMut> {
        let mut out = BytesMut::new();
        for (position, value) in keys.iter().enumerate() {
            self.put_field(&mut out, position, value)?;
        }
        Ok(out)
    }

    /// Appends the value of the key at a position.
    pub(in crate::ops) fn put_field(&self, out: &mut BytesMut, position: usize, value: &Value) -> SqlResult<()> {
        let unknown = || SqlError::new(SqlState::INTERNAL_ERROR, "a value for a key that the index has not");
        let (ty, order) = self.fields.get(position).ok_or_else(unknown)?;
        check_type(value, ty)?;
        key::put(out, value, *order)
    }

    /// How many of the bytes of fields are the first one, by which partitions are chosen.
    pub(in crate::ops) fn first_field_len(&self, keys: &[Value]) -> SqlResult<usize> {
        Ok(self.fields(keys.get(..1).unwrap_or_default())?.len())
    }

    /// Whether the key at a position has its largest values first.
    pub(in crate::ops) fn is_descending(&self, position: usize) -> bool {
        self.fields.get(position).is_some_and(|(_, order)| order.descending)
    }

    /// Where a column is among the keys.
    pub(in crate::ops) fn key_position(&self, column: ColumnId) -> Option<usize> {
        self.index.keys.iter().position(|key| key.part == KeyPart::Column(column))
    }

    /// The values of the keys in an entry's key.
    pub(super) fn decode_key(&self, key: &Key) -> Option<Row> {
        let mut rest = row_fields(key);
        let mut values = Row::new();
        for (ty, order) in &self.fields {
            let (value, left) = key::take(rest, ty, *order)?;
            values.push(value);
            rest = left;
        }
        Some(values)
    }
}

fn type_of(table: &Table, part: &KeyPart) -> SqlType {
    match part {
        KeyPart::Column(id) => {
            let column = table.columns.iter().find(|column| column.id == *id);
            column.map_or(SqlType::Unknown, |column| column.ty.clone())
        }
        KeyPart::Expression(_, ty) => ty.clone(),
    }
}
