//! The copy of a table that is given a primary key: where its rows go, and what is in them.
//!
//! A row of the copy says which row it is of, by the hidden id, as one more column: number 0, which no table has. So
//! a row that was entered is told from another one with the same key, and once the copy is the table, the column is
//! passed over as that of a dropped one is.

use std::sync::Arc;

use annulus_txn::interface::Place;
use bytes::Bytes;

use super::physical::{Entry, Physical, ROW_ID, Tuple, row_id};
use super::{Expressions, errors};
use crate::catalog::{Catalog, Home, Table};
use crate::codec::Layout;
use crate::error::SqlResult;
use crate::value::{Row, Value};

/// A table as it will be, prepared.
#[derive(Clone, Debug)]
pub(super) struct Successor {
    pub physical: Physical,
    /// The columns of the primary key, by position.
    key: Vec<usize>,
    /// A row and the hidden id that it has yet.
    whole: Layout,
    /// The hidden id alone.
    id: Layout,
}

impl Successor {
    /// The successor of a table, if it has one.
    pub(super) fn of(home: Home, table: &Table) -> SqlResult<Option<Self>> {
        let Some(after) = table.successor().map(Arc::new) else { return Ok(None) };
        let physical = Physical::new(home, &after)?;
        let rekeying = table.rekeying().into_iter();
        let key = rekeying.flat_map(crate::catalog::Rekeying::columns).filter_map(|id| physical.position(id)).collect();
        let whole = Layout::of(&after)?.with(ROW_ID);
        let id = Layout::new(table.id, vec![(ROW_ID, Value::Null)]);
        Ok(Some(Self { physical, key, whole, id }))
    }

    /// Where the copy of a row is; `None` if it can have none, because of a NULL in the key.
    pub(super) fn place(&self, row: &[Value]) -> SqlResult<Option<Place>> {
        match self.null_in(row) {
            Some(_) => Ok(None),
            None => self.physical.row_place(&self.physical.primary_values(row)).map(Some),
        }
    }

    /// The name of a column of the key that is NULL in a row.
    pub(super) fn null_in(&self, row: &[Value]) -> Option<&str> {
        let null = self.key.iter().find(|position| row.get(**position).is_none_or(Value::is_null))?;
        Some(&self.physical.table.columns[*null].name)
    }

    /// Where the copy of a row that is being written goes.
    ///
    /// # Errors
    /// `23502` if there is a NULL in the key, `54000` if the key is too long.
    pub(super) fn place_of_new(&self, catalog: &Catalog, row: &[Value]) -> SqlResult<Place> {
        match self.null_in(row) {
            Some(column) => Err(errors::not_null_violation(catalog, &self.physical.table, column, row)),
            None => self.physical.row_place(&self.physical.primary_values(row)),
        }
    }

    /// The copy of the row that is at `origin`.
    pub(super) fn record(&self, origin: &Place, row: &[Value]) -> Bytes {
        let mut whole: Row = row.to_vec();
        whole.push(hidden(origin));
        self.whole.encode(&whole)
    }

    /// Whether what is at a copy's place is the copy of the row at `origin`.
    pub(super) fn is_of(&self, copy: &Place, record: &Bytes, origin: &Place) -> SqlResult<bool> {
        Ok(self.id.decode(&copy.key, record)?.first() == Some(&hidden(origin)))
    }

    /// The index entries of a copy.
    pub(super) fn entries<E: Expressions>(
        &self,
        copy: &Place,
        row: &[Value],
        expressions: &E,
    ) -> SqlResult<Vec<Entry>> {
        let indexes = 1..self.physical.indexes.len();
        let entries = indexes.map(|index| self.physical.entry(index, copy, row, expressions).transpose());
        entries.flatten().collect()
    }
}

impl Physical {
    /// What is kept of a row in the copy of a table that is given a primary key, once the row has been entered there:
    /// its copy, and the index entries of that. Nothing if it can have no copy.
    ///
    /// # Errors
    /// As [`Physical::entries`].
    pub fn copies<E: Expressions>(&self, row: &Tuple, expressions: &E) -> SqlResult<Vec<(Place, Bytes)>> {
        let Some(successor) = &self.successor else { return Ok(Vec::new()) };
        let Some(copy) = successor.place(&row.values)? else { return Ok(Vec::new()) };
        let entries = successor.entries(&copy, &row.values, expressions)?;
        let record = successor.record(&row.place, &row.values);
        let entries = entries.into_iter().map(|entry| (entry.place, entry.value));
        Ok(std::iter::once((copy, record)).chain(entries).collect())
    }
}

/// The hidden id of the row at a place.
fn hidden(origin: &Place) -> Value {
    row_id(&origin.key).map_or(Value::Null, |id| Value::Uuid(id.0))
}
