//! What index entries say of their rows.

use annulus_base::Key;
use annulus_txn::interface::Place;
use bytes::Bytes;

use super::{Physical, ROW_ID, RowId, primary_columns};
use crate::catalog::ColumnId;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::value::{Row, Value};

impl Physical {
    /// The place of the row that an entry of an index is of.
    pub(in crate::ops) fn row_of_entry(&self, index: usize, key: &Key, value: &Bytes) -> SqlResult<Place> {
        let shape = &self.indexes[index];
        let stored = shape.layout.decode(key, value)?;
        let of = |id: ColumnId| shape.stored.iter().position(|stored| *stored == id).and_then(|at| stored.get(at));
        if self.has_row_id() {
            let Some(Value::Uuid(id)) = of(ROW_ID) else { return Err(damaged(key)) };
            return self.hidden_place(RowId(*id));
        }
        let primary = primary_columns(&self.table);
        let values: Option<Row> = primary.iter().map(|id| of(*id).cloned()).collect();
        self.row_place(&values.ok_or_else(|| damaged(key))?)
    }

    /// Whether entries of an index hold all of these columns, given by position.
    pub(in crate::ops) fn covers(&self, index: usize, columns: &[usize]) -> bool {
        let shape = &self.indexes[index];
        columns.iter().all(|column| {
            let column = &self.table.columns[*column];
            shape.stored.contains(&column.id) || shape.key_position(column.id).is_some()
        })
    }

    /// Columns, given by position, of the row of an entry that holds them all.
    pub(in crate::ops) fn columns_of_entry(
        &self,
        index: usize,
        key: &Key,
        value: &Bytes,
        columns: &[usize],
    ) -> SqlResult<Row> {
        let shape = &self.indexes[index];
        let stored = shape.layout.decode(key, value)?;
        let in_key = shape.decode_key(key);
        let of = |column: &usize| {
            let id = self.table.columns.get(*column)?.id;
            match shape.stored.iter().position(|stored| *stored == id) {
                Some(at) => stored.get(at).cloned(),
                None => in_key.as_ref()?.get(shape.key_position(id)?).cloned(),
            }
        };
        columns.iter().map(of).collect::<Option<Row>>().ok_or_else(|| damaged(key))
    }
}

fn damaged(key: &Key) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, format!("the index entry at {key} is damaged"))
        .hint("Drop the index and create it anew.")
}
