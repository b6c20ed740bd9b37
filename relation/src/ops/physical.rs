//! A table as keys: where its rows and index entries are, and what is in them.

mod entries;
mod shape;

use std::sync::Arc;

use annulus_base::limits::MAX_KEY_LEN;
use annulus_base::{Key, Timestamp};
use annulus_txn::interface::Place;
use bytes::{BufMut, Bytes, BytesMut};

pub(super) use shape::IndexShape;

use super::successor::Successor;
use super::{Expressions, errors};
use crate::catalog::{ColumnId, Home, KeyPart, Table};
use crate::codec::Layout;
use crate::codec::key::{self, KeyOrder};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::value::{Row, SqlType, Value};

/// The number that the hidden row id has among the columns of an index entry.
pub const ROW_ID: ColumnId = 0;

/// What identifies a row of a table without a primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowId(pub(super) [u8; 16]);

impl RowId {
    /// The id of the `counter`th row that a transaction inserts: no two transactions of a node begin at one time.
    #[must_use]
    pub fn new(start: Timestamp, node: u32, counter: u32) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&start.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&node.to_be_bytes());
        bytes[12..].copy_from_slice(&counter.to_be_bytes());
        Self(bytes)
    }

    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// A stored row.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuple {
    /// Where it is; this is what identifies it.
    pub place: Place,
    /// Its values: all columns in their order, or those asked for.
    pub values: Row,
}

impl Tuple {
    /// Its hidden id, if its table has no primary key.
    #[must_use]
    pub fn row_id(&self) -> Option<RowId> {
        row_id(&self.place.key)
    }
}

/// A table, prepared for reading and writing.
#[derive(Clone, Debug)]
pub struct Physical {
    pub(super) home: Home,
    pub(super) table: Arc<Table>,
    layout: Layout,
    pub(super) indexes: Vec<IndexShape>,
    /// The copy that every write keeps up, while the table is given a primary key, or columns other types.
    pub(super) successor: Option<Box<Successor>>,
}

/// An index entry: where it is, what it holds, and the values of its keys.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub place: Place,
    pub value: Bytes,
    /// Which index, by position.
    pub index: usize,
    pub keys: Row,
    /// Whether nobody else may have this place.
    pub exclusive: bool,
}

impl Physical {
    /// Prepares a table of a database.
    ///
    /// # Errors
    /// `XX001` if the descriptor is damaged.
    pub fn new(home: Home, table: &Arc<Table>) -> SqlResult<Self> {
        if table.indexes.is_empty() {
            let message = format!("the descriptor of table \"{}\" has no primary index", table.name);
            return Err(SqlError::new(SqlState::DATA_CORRUPTED, message));
        }
        let primary = primary_columns(table);
        let indexes = table.indexes.iter().map(|index| IndexShape::new(table, index, &primary)).collect();
        let successor = Successor::of(home, table)?.map(Box::new);
        Ok(Self { home, table: Arc::clone(table), layout: Layout::of(table)?, indexes, successor })
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Whether rows are identified by a hidden id.
    #[must_use]
    pub fn has_row_id(&self) -> bool {
        self.table.indexes[0].keys.is_empty()
    }

    /// Whether rows are all that there is of the table, each at the place of its primary key: no index has entries, and no
    /// copies are being made.
    #[must_use]
    pub fn is_rows_only(&self) -> bool {
        !self.has_row_id() && self.indexes.len() == 1 && self.successor.is_none()
    }

    /// The value of a column in a row.
    pub(super) fn column<'a>(&self, row: &'a [Value], id: ColumnId) -> Option<&'a Value> {
        row.get(self.position(id)?)
    }

    /// The position of a column.
    pub(super) fn position(&self, id: ColumnId) -> Option<usize> {
        self.table.columns.iter().position(|column| column.id == id)
    }

    /// The place of a row with these values of the primary key.
    ///
    /// # Errors
    /// `54000` if the key is too long.
    pub fn row_place(&self, primary: &[Value]) -> SqlResult<Place> {
        self.key_place(0, primary)
    }

    /// The place of a row with a hidden id.
    ///
    /// # Errors
    /// Never; as [`Physical::row_place`].
    pub fn hidden_place(&self, id: RowId) -> SqlResult<Place> {
        let mut fields = BytesMut::new();
        key::put(&mut fields, &Value::Uuid(id.0), KeyOrder::default())?;
        let len = fields.len();
        self.place(0, &fields, len)
    }

    /// The place of a whole row, whose hidden id is given if it has one.
    pub(super) fn place_of(&self, row: &[Value], id: Option<RowId>) -> SqlResult<Place> {
        match (self.has_row_id(), id) {
            (true, Some(id)) => self.hidden_place(id),
            (true, None) => Err(SqlError::new(SqlState::INTERNAL_ERROR, "a row without an id")),
            (false, _) => self.row_place(&self.primary_values(row)),
        }
    }

    pub(super) fn primary_values(&self, row: &[Value]) -> Row {
        let columns = self.table.indexes[0].keys.iter().map(|key| match &key.part {
            KeyPart::Column(id) => self.column(row, *id).cloned().unwrap_or(Value::Null),
            KeyPart::Expression(..) => Value::Null,
        });
        columns.collect()
    }

    /// A place of an index by its fields, of which the first `hashed` bytes are the first field.
    fn place(&self, index: usize, fields: &[u8], hashed: usize) -> SqlResult<Place> {
        let shape = &self.indexes[index];
        if fields.len() > MAX_KEY_LEN {
            return Err(errors::key_too_long(&shape.index, fields.len()));
        }
        let partition = self.home.partition_of(self.hash_number(index), &fields[..hashed]);
        Ok(Place { partition, key: self.key(index, fields) })
    }

    /// What is hashed with the first field: the table's number for rows, the index's for entries.
    pub(super) fn hash_number(&self, index: usize) -> u32 {
        if index == 0 { self.table.id } else { self.indexes[index].index.id }
    }

    /// A key, or the beginning of keys, of an index.
    pub(super) fn key(&self, index: usize, fields: &[u8]) -> Key {
        let mut out = BytesMut::with_capacity(12 + fields.len());
        out.put_u32(self.table.generation);
        out.put_u32(self.table.id);
        out.put_u32(self.indexes[index].index.id);
        out.put_slice(fields);
        Key(out.freeze())
    }

    /// The bytes of a row.
    pub(super) fn encode(&self, row: &[Value]) -> Bytes {
        self.layout.encode(row)
    }

    /// The row of a record that was read at its place.
    ///
    /// # Errors
    /// `XX001` if it is damaged.
    pub fn decode(&self, place: Place, record: &Bytes) -> SqlResult<Tuple> {
        let values = self.layout.decode(&place.key, record)?;
        Ok(Tuple { place, values })
    }

    /// The values of an index's keys for a row.
    pub(super) fn key_values<E: Expressions>(&self, index: usize, row: &[Value], expressions: &E) -> SqlResult<Row> {
        let value = |part: &KeyPart| match part {
            KeyPart::Column(id) => Ok(self.column(row, *id).cloned().unwrap_or(Value::Null)),
            KeyPart::Expression(text, ty) => expressions.eval(&self.table, text, ty, row),
        };
        self.indexes[index].index.keys.iter().map(|key| value(&key.part)).collect()
    }

    /// Whether a row is in an index, by the index's predicate.
    pub(super) fn is_indexed<E: Expressions>(&self, index: usize, row: &[Value], expressions: &E) -> SqlResult<bool> {
        match &self.indexes[index].index.predicate {
            None => Ok(true),
            Some(text) => Ok(expressions.eval(&self.table, text, &SqlType::Bool, row)? == Value::Bool(true)),
        }
    }

    /// The entry of a row, which is at `place`, in a secondary index; `None` if the row is not in it.
    pub(super) fn entry<E: Expressions>(
        &self,
        index: usize,
        place: &Place,
        row: &[Value],
        expressions: &E,
    ) -> SqlResult<Option<Entry>> {
        if !self.is_indexed(index, row, expressions)? {
            return Ok(None);
        }
        let shape = &self.indexes[index];
        let keys = self.key_values(index, row, expressions)?;
        let mut fields = shape.fields(&keys)?;
        let hashed = shape.first_field_len(&keys)?;
        // Where NULLs differ from each other such an entry is told from others by the row's own key.
        let exclusive = shape.index.unique.claims(&keys);
        if !exclusive {
            fields.put_slice(row_fields(&place.key));
        }
        let stored: Row = shape.stored.iter().map(|id| self.stored_value(row, *id, place)).collect();
        let value = shape.layout.encode(&stored);
        Ok(Some(Entry { place: self.place(index, &fields, hashed)?, value, index, keys, exclusive }))
    }

    /// All index entries that a row demands.
    ///
    /// # Errors
    /// What the evaluation of an index expression fails with, and `54000` for a key that is too long.
    pub fn entries<E: Expressions>(&self, row: &Tuple, expressions: &E) -> SqlResult<Vec<(Place, Bytes)>> {
        let mut all = Vec::new();
        for index in 1..self.indexes.len() {
            let entry = self.entry(index, &row.place, &row.values, expressions)?;
            all.extend(entry.map(|entry| (entry.place, entry.value)));
        }
        Ok(all)
    }

    /// The place that a row takes in a unique secondary index, if nobody else may have it.
    pub(super) fn unique_place<E: Expressions>(
        &self,
        index: usize,
        row: &[Value],
        expressions: &E,
    ) -> SqlResult<Option<Place>> {
        if !self.is_indexed(index, row, expressions)? {
            return Ok(None);
        }
        let keys = self.key_values(index, row, expressions)?;
        let claims = self.indexes[index].index.unique.claims(&keys);
        if claims { self.key_place(index, &keys).map(Some) } else { Ok(None) }
    }

    /// The place of the only row, or entry, with these keys in a unique index.
    pub(super) fn key_place(&self, index: usize, keys: &[Value]) -> SqlResult<Place> {
        let shape = &self.indexes[index];
        self.place(index, &shape.fields(keys)?, shape.first_field_len(keys)?)
    }

    fn stored_value(&self, row: &[Value], id: ColumnId, place: &Place) -> Value {
        if id == ROW_ID {
            return row_id(&place.key).map_or(Value::Null, |id| Value::Uuid(id.0));
        }
        self.column(row, id).cloned().unwrap_or(Value::Null)
    }

    /// Whether an index may be read.
    #[must_use]
    pub fn is_readable(&self, index: usize) -> bool {
        self.table.indexes.get(index).is_some_and(|index| index.state.is_complete())
    }
}

/// The columns of the primary key; none where rows have a hidden id.
fn primary_columns(table: &Table) -> Vec<ColumnId> {
    table.primary_columns().collect()
}

/// What stands behind generation, object and index.
pub(super) fn row_fields(key: &Key) -> &[u8] {
    key.as_bytes().get(annulus_base::key::PREFIX_LEN..).unwrap_or_default()
}

/// The hidden id in a row's key.
pub(super) fn row_id(key: &Key) -> Option<RowId> {
    match key::take(row_fields(key), &SqlType::Uuid, KeyOrder::default())? {
        (Value::Uuid(id), []) => Some(RowId(id)),
        _ => None,
    }
}
