//! Rows as bytes.
//!
//! A row is a version, a checksum over the table's number and the content, and the content: for each value a
//! variable-length integer of the column's number and the type's tag, and the value. Values stand in the order of
//! column numbers. What is not there is the column's `missing` value, so a column can be added without touching a
//! row; what is there of a column that was dropped is passed over. What was stored before a column's type was made
//! wider is of the narrower type, and becomes one of the wider when it is read.

use annulus_base::Key;
use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{self, TAG_BITS};
use super::varint;
use crate::catalog::{ColumnId, ObjectId, Table};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::value::{Row, SqlType, Value};

/// The version of the format that is written.
const VERSION: u8 = 1;
/// Version and checksum.
const HEADER: usize = 5;
/// A column's number is at most this wide; anything wider is damaged.
const MAX_HEAD: u64 = (ColumnId::MAX as u64) << TAG_BITS | ((1 << TAG_BITS) - 1);

/// Which columns a row has, and in which order its values are given and wanted.
#[derive(Clone, Debug)]
pub struct Layout {
    table: ObjectId,
    columns: Vec<Field>,
    /// Positions in `columns`, in the order of column numbers.
    by_id: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Field {
    id: ColumnId,
    missing: Value,
    /// The column's type, if there may be values of a narrower one.
    wide: Option<SqlType>,
}

/// A value of a type that was made wider.
fn widened(value: Value, wide: Option<&SqlType>) -> Value {
    match (value, wide) {
        (Value::Int2(value), Some(SqlType::Int4)) => Value::Int4(value.into()),
        (Value::Int2(value), Some(SqlType::Int8)) => Value::Int8(value.into()),
        (Value::Int4(value), Some(SqlType::Int8)) => Value::Int8(value.into()),
        (Value::Float4(value), Some(SqlType::Float8)) => Value::Float8(value.into()),
        (value, _) => value,
    }
}

impl Layout {
    /// All columns of a table, in their order.
    ///
    /// # Errors
    /// `XX001` if the descriptor is damaged.
    pub fn of(table: &Table) -> SqlResult<Self> {
        let all: Vec<usize> = (0..table.columns.len()).collect();
        Self::of_some(table, &all)
    }

    /// Some columns of a table, given by position: only their values are decoded.
    ///
    /// # Errors
    /// `XX001` if the descriptor is damaged.
    pub fn of_some(table: &Table, positions: &[usize]) -> SqlResult<Self> {
        let fields = positions.iter().filter_map(|position| table.columns.get(*position)).map(|column| {
            let missing = column.missing.as_deref().map(decode_value).transpose()?.unwrap_or(Value::Null);
            let wide = matches!(column.ty, SqlType::Int4 | SqlType::Int8 | SqlType::Float8).then(|| column.ty.clone());
            Ok(Field { id: column.id, missing: widened(missing, wide.as_ref()), wide })
        });
        Ok(Self::of_fields(table.id, fields.collect::<SqlResult<Vec<_>>>()?))
    }

    /// Columns given by number, each with the value that it has where none is stored.
    #[must_use]
    pub fn new(table: ObjectId, columns: Vec<(ColumnId, Value)>) -> Self {
        let field = |(id, missing)| Field { id, missing, wide: None };
        Self::of_fields(table, columns.into_iter().map(field).collect())
    }

    fn of_fields(table: ObjectId, columns: Vec<Field>) -> Self {
        let mut by_id: Vec<usize> = (0..columns.len()).collect();
        by_id.sort_by_key(|position| columns[*position].id);
        Self { table, columns, by_id }
    }

    /// The same columns, and behind them one more that is NULL where nothing is stored.
    #[must_use]
    pub fn with(&self, column: ColumnId) -> Self {
        let more = Field { id: column, missing: Value::Null, wide: None };
        Self::of_fields(self.table, self.columns.iter().cloned().chain([more]).collect())
    }

    /// The bytes of a row, whose values are in the order of the layout's columns.
    #[must_use]
    pub fn encode(&self, row: &[Value]) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER + row.len() * 8);
        out.put_u8(VERSION);
        out.put_u32(0);
        for position in &self.by_id {
            let (Some(value), Field { id, missing, .. }) = (row.get(*position), &self.columns[*position]) else {
                continue;
            };
            // NULL needs to be said only where it is not what is missing.
            if !(value.is_null() && missing.is_null()) {
                varint::put(&mut out, u64::from(*id) << TAG_BITS | u64::from(payload::tag_of(value)));
                payload::put(&mut out, value);
            }
        }
        let sum = checksum(self.table, &out[HEADER..]);
        out[1..HEADER].copy_from_slice(&sum.to_be_bytes());
        out.freeze()
    }

    /// A row's values, in the order of the layout's columns.
    ///
    /// # Errors
    /// `XX001` if the bytes are no row of this table.
    pub fn decode(&self, key: &Key, bytes: &Bytes) -> SqlResult<Row> {
        self.try_decode(bytes).map_err(|what| {
            let message = format!("the record at {key} of table {} is damaged: {what}", self.table);
            SqlError::new(SqlState::DATA_CORRUPTED, message)
                .hint("Do not write to the table; restore it from a backup or read it at an earlier time.")
        })
    }

    fn try_decode(&self, bytes: &Bytes) -> Result<Row, &'static str> {
        let (header, content) = bytes.split_first_chunk::<HEADER>().ok_or("it is cut short")?;
        let [version, sum @ ..] = *header;
        if version != VERSION {
            return Err("its format is not known to this version of the program");
        }
        if u32::from_be_bytes(sum) != checksum(self.table, content) {
            return Err("its checksum is wrong");
        }
        self.decode_content(content, bytes).ok_or("its content is malformed")
    }

    fn decode_content(&self, mut input: &[u8], whole: &Bytes) -> Option<Row> {
        let mut row: Row = self.columns.iter().map(|field| field.missing.clone()).collect();
        let mut wanted = self.by_id.iter().copied().peekable();
        while !input.is_empty() {
            let head = varint::take(&mut input).filter(|head| *head <= MAX_HEAD)?;
            let (id, tag) = ((head >> TAG_BITS) as ColumnId, (head & ((1 << TAG_BITS) - 1)) as u8);
            while wanted.next_if(|position| self.columns[*position].id < id).is_some() {}
            match wanted.next_if(|position| self.columns[*position].id == id) {
                Some(position) => {
                    let value = payload::take(tag, &mut input, whole)?;
                    row[position] = widened(value, self.columns[position].wide.as_ref());
                }
                None => payload::skip(tag, &mut input, whole)?,
            }
        }
        Some(row)
    }
}

fn checksum(table: ObjectId, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&table.to_be_bytes()), content)
}

/// The bytes of a single value, as [`crate::catalog::Column::missing`] holds it.
#[must_use]
pub fn encode_value(value: &Value) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(payload::tag_of(value));
    payload::put(&mut out, value);
    out.to_vec()
}

/// The value of [`encode_value`]d bytes.
///
/// # Errors
/// `XX001` if they are damaged.
pub fn decode_value(bytes: &[u8]) -> SqlResult<Value> {
    let whole = Bytes::copy_from_slice(bytes);
    let value = whole.split_first().and_then(|(tag, mut rest)| {
        let value = payload::take(*tag, &mut rest, &whole)?;
        rest.is_empty().then_some(value)
    });
    value.ok_or_else(|| SqlError::new(SqlState::DATA_CORRUPTED, "a value stored in the catalog is damaged"))
}

#[cfg(test)]
#[path = "row/tests.rs"]
mod tests;
