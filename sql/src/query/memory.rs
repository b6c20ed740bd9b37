//! How much memory rows take, and a share of the queries' memory for rows that sessions keep.

use annulus_relation::{Row, SqlResult, Value};
use datafusion::execution::memory_pool::MemoryReservation;

use super::error::from_datafusion;

/// A part of the memory that all queries together may keep; given back when it is dropped.
pub(crate) struct MemoryShare(MemoryReservation);

impl MemoryShare {
    pub(super) fn new(consumer: MemoryReservation) -> Self {
        Self(consumer)
    }

    /// Takes so many bytes more.
    ///
    /// # Errors
    /// `53200` if there is no more.
    pub fn grow(&mut self, bytes: usize) -> SqlResult<()> {
        self.0.try_grow(bytes).map_err(from_datafusion)
    }

    /// Gives so many bytes back.
    pub fn shrink(&mut self, bytes: usize) {
        self.0.shrink(bytes.min(self.0.size()));
    }
}

/// About how many bytes a row has.
pub(crate) fn row_size(row: &Row) -> usize {
    size_of::<Row>() + row.iter().map(|value| size_of::<Value>() + heap(value)).sum::<usize>()
}

/// About how many bytes a value has elsewhere.
pub(super) fn heap(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        Value::Numeric(_) => 32,
        Value::Array(values) => values.iter().map(|value| size_of::<Value>() + heap(value)).sum(),
        _ => 0,
    }
}
