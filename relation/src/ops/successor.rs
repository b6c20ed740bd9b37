//! The copy of a table that is given a primary key, or loses it, or of which columns are given other types, or that is
//! given columns: where its rows go, and what is in them.
//!
//! Under a new primary key a row of the copy says which row it is of, by its identity, as one more column: number 0,
//! which no table has. So a row that was entered is told from another one with the same key, and once the copy is the
//! table, the column is passed over as that of a dropped one is. A row's identity is its hidden id, or a hash of its
//! key. Without a primary key the identity is where the copy is, so that says which row it is of. With more columns rows
//! keep their keys, and under other types they keep them apart, as hidden ids do: where a copy is says which row it is of,
//! too. Types may also make one key of two: then copies say so as under a new primary key, and whoever comes second is
//! refused, as by any other unique index over what becomes the same.

mod addition;
mod conversion;

use std::sync::Arc;

use annulus_txn::interface::Place;
use bytes::Bytes;

use self::addition::Addition;
use self::conversion::Conversion;
use super::physical::{Entry, Physical, ROW_ID, RowId, Tuple, row_fields, row_id};
use super::{Expressions, Surroundings, errors};
use crate::catalog::{Column, Home, Index, Rekeying, Table};
use crate::codec::Layout;
use crate::error::{SqlError, SqlResult};
use crate::value::{Row, SqlType, Value};

/// A table as it will be, prepared.
#[derive(Clone, Debug)]
pub(super) struct Successor {
    pub physical: Physical,
    /// Whether the rows that are copied stand under a primary key, not hidden ids.
    is_keyed: bool,
    /// The columns that rows leave behind, by position in the table as it is.
    left: Vec<usize>,
    /// Of which indexes two rows may want one key that have different ones in the table as it is, by position.
    contested: Vec<bool>,
    /// How a copy says which row it is of, if where it is does not.
    named: Option<Named>,
    difference: Difference,
}

/// The records of copies that say which row they are of.
#[derive(Clone, Debug)]
struct Named {
    /// A row and its identity.
    whole: Layout,
    /// The identity alone.
    id: Layout,
}

/// How rows become copies.
#[derive(Clone, Debug)]
enum Difference {
    /// They are the same, under another key.
    Key {
        /// The columns of the primary key, by position.
        key: Vec<usize>,
    },
    /// They are the same, under their identities instead of a key.
    Identity,
    /// Some of their values become those of other types.
    Types(Conversion),
    /// They have more values.
    Columns(Addition),
}

/// A row's copy.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    pub place: Place,
    pub record: Bytes,
    /// Its values.
    pub row: Row,
}

/// Where a copy is, and what is there.
pub(super) type Copy<'a> = (&'a Place, &'a Bytes);

/// Whose copy is made: that decides what is told if there can be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of<'a> {
    /// A new row.
    Inserted,
    /// A row that is being changed; with the copy that it had before.
    Changed(Option<Copy<'a>>),
    /// One that is there; with its copy, if it has one.
    Stored(Option<Copy<'a>>),
}

impl<'a> Of<'a> {
    /// Whether a column may not be NULL.
    const fn refuses_null(self, column: &Column) -> bool {
        match self {
            Self::Inserted | Self::Changed(_) => column.not_null.is_declared(),
            Self::Stored(_) => column.not_null.is_certain(),
        }
    }

    /// The copy that the row has.
    const fn copied(self) -> Option<Copy<'a>> {
        match self {
            Self::Inserted => None,
            Self::Changed(copy) | Self::Stored(copy) => copy,
        }
    }
}

impl Successor {
    /// The successor of a table, if it has one.
    pub(super) fn of(home: Home, table: &Arc<Table>) -> SqlResult<Option<Self>> {
        let Some(after) = table.successor().map(Arc::new) else { return Ok(None) };
        let physical = Physical::new(home, &after)?;
        let difference = match (table.rekeying(), table.retyping(), table.extension()) {
            (Some(rekeying), ..) if rekeying.keys.is_empty() => Difference::Identity,
            (Some(rekeying), ..) => {
                Difference::Key { key: Rekeying::columns(rekeying).filter_map(|id| physical.position(id)).collect() }
            }
            (None, Some(retyping), _) => Difference::Types(Conversion::new(table, retyping)),
            (None, None, Some(extension)) => Difference::Columns(Addition::new(extension)),
            (None, None, None) => return Ok(None),
        };
        let is_keyed = table.primary_columns().next().is_some();
        let leaves = |(position, column): (usize, &Column)| table.is_leaving(column.id).then_some(position);
        let left = table.columns.iter().enumerate().filter_map(leaves).collect();
        let is_contested = |(index, position): (&Index, usize)| match &difference {
            Difference::Key { .. } => position == 0,
            Difference::Types(_) => table.retyping().is_some_and(|retyping| retyping.may_merge(table, index)),
            Difference::Identity | Difference::Columns(_) => false,
        };
        let contested: Vec<bool> = table.indexes.iter().zip(0..).map(is_contested).collect();
        let named = match contested.first() {
            Some(true) => Some(Named {
                whole: Layout::of(&after)?.with(ROW_ID),
                id: Layout::new(table.id, vec![(ROW_ID, Value::Null)]),
            }),
            _ => None,
        };
        Ok(Some(Self { physical, is_keyed, left, contested, named, difference }))
    }

    /// Where the copy of a row that is at `origin` is; `None` if it can have none, because of what is in its key.
    pub(super) fn place<E: Expressions>(
        &self,
        origin: &Place,
        row: &[Value],
        expressions: &E,
    ) -> SqlResult<Option<Place>> {
        match &self.difference {
            Difference::Key { key } => {
                let row = self.kept(row);
                match self.null_in(key, &row) {
                    Some(_) => Ok(None),
                    None => self.physical.row_place(&self.physical.primary_values(&row)).map(Some),
                }
            }
            Difference::Identity => self.physical.hidden_place(self.identity(origin)).map(Some),
            Difference::Types(conversion) => {
                let key: Vec<_> = self.physical.table.primary_columns().collect();
                // A row that does not fit has no copy.
                let Ok(row) = conversion.of_some(row, &|id| key.contains(&id), expressions) else { return Ok(None) };
                self.moved(origin, &row).map(Some)
            }
            Difference::Columns(_) => self.moved(origin, row).map(Some),
        }
    }

    /// A row without the columns that it leaves behind.
    fn kept(&self, row: &[Value]) -> Row {
        let stays = |position: &usize| !self.left.contains(position);
        row.iter().enumerate().filter(|(position, _)| stays(position)).map(|(_, value)| value.clone()).collect()
    }

    /// The name of a column of the key that is NULL in a row.
    fn null_in(&self, key: &[usize], row: &[Value]) -> Option<&str> {
        let null = key.iter().find(|position| row.get(**position).is_none_or(Value::is_null))?;
        Some(&self.physical.table.columns[*null].name)
    }

    /// Where a row stands with the same key, or hidden id.
    fn moved(&self, origin: &Place, row: &[Value]) -> SqlResult<Place> {
        match row_id(&origin.key).filter(|_| self.physical.has_row_id()) {
            Some(id) => self.physical.hidden_place(id),
            None => self.physical.row_place(&self.physical.primary_values(row)),
        }
    }

    /// The copy of the row that is at `origin`.
    ///
    /// # Errors
    /// `23502` if there is a NULL where there must be none, `23514` if a check is against it, `54000` if a key is too
    /// long, and what a conversion fails with.
    pub(super) fn copy<E: Expressions>(
        &self,
        around: Surroundings<'_, E>,
        origin: &Place,
        row: &[Value],
        of: Of<'_>,
    ) -> SqlResult<Copied> {
        let table = &self.physical.table;
        match &self.difference {
            Difference::Key { key } => {
                let row = self.kept(row);
                if let Some(column) = self.null_in(key, &row) {
                    return Err(of_null(around, table, column, &row, of));
                }
                Ok(self.copied(self.physical.row_place(&self.physical.primary_values(&row))?, row, origin))
            }
            Difference::Identity => {
                let place = self.physical.hidden_place(self.identity(origin))?;
                Ok(self.copied(place, self.kept(row), origin))
            }
            Difference::Types(conversion) => {
                let row = conversion.of_all(row, around.expressions)?;
                check(around, table, &row, of, conversion.changed())?;
                Ok(self.copied(self.moved(origin, &row)?, row, origin))
            }
            Difference::Columns(addition) => {
                let before = row.len();
                let row = addition.whole(&self.physical, row, of, around.expressions)?;
                check(around, table, &row, of, before..row.len())?;
                Ok(self.copied(self.moved(origin, &row)?, row, origin))
            }
        }
    }

    /// Whether what is at a copy's place is the copy of the row at `origin`.
    pub(super) fn is_of(&self, copy: &Place, record: &Bytes, origin: &Place) -> SqlResult<bool> {
        match &self.named {
            Some(Named { id, .. }) => {
                Ok(id.decode(&copy.key, record)?.first() == Some(&Value::Uuid(self.identity(origin).0)))
            }
            None => Ok(true),
        }
    }

    /// The copy of the row at `origin`, with its values as they will be.
    fn copied(&self, place: Place, mut row: Row, origin: &Place) -> Copied {
        let record = match &self.named {
            Some(Named { whole, .. }) => {
                row.push(Value::Uuid(self.identity(origin).0));
                let record = whole.encode(&row);
                row.pop();
                record
            }
            None => self.physical.encode(&row),
        };
        Copied { place, record, row }
    }

    /// Whether two rows may want one place among the entries of an index, by position; 0: for their copies.
    pub(super) fn is_contested(&self, index: usize) -> bool {
        self.contested.get(index).is_some_and(|is_contested| *is_contested)
    }

    /// A row's values in its copy, which it has.
    pub(super) fn row<E: Expressions>(
        &self,
        row: &[Value],
        (copy, record): Copy<'_>,
        expressions: &E,
    ) -> SqlResult<Row> {
        match &self.difference {
            Difference::Key { .. } | Difference::Identity => Ok(self.kept(row)),
            Difference::Types(conversion) => conversion.of_all(row, expressions),
            Difference::Columns(_) => Ok(self.physical.decode(copy.clone(), record)?.values),
        }
    }

    /// What the row at a place is called in its copy: 128 bits of a hash of its key are no other row's.
    fn identity(&self, origin: &Place) -> RowId {
        let own = row_id(&origin.key).filter(|_| !self.is_keyed);
        own.unwrap_or_else(|| {
            let mut id = [0; 16];
            blake3::Hasher::new().update(row_fields(&origin.key)).finalize_xof().fill(&mut id);
            RowId(id)
        })
    }

    /// The index entries of a copy with these values.
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

/// Refuses a row that its table does not allow, some of whose values, by position, were none of its before. Of rows that
/// are there nothing is demanded that is still to be looked at.
fn check<E: Expressions>(
    around: Surroundings<'_, E>,
    after: &Table,
    row: &[Value],
    of: Of<'_>,
    mut changed: impl Iterator<Item = usize>,
) -> SqlResult<()> {
    let null =
        changed.find(|at| after.columns.get(*at).is_some_and(|column| of.refuses_null(column)) && row[*at].is_null());
    if let Some(at) = null {
        return Err(of_null(around, after, &after.columns[at].name, row, of));
    }
    let is_stored = matches!(of, Of::Stored(_));
    for check in after.checks.iter().filter(|check| !is_stored || check.standing.is_validated()) {
        if around.expressions.eval(after, &check.expression, &SqlType::Bool, row)? == Value::Bool(false) {
            return Err(match of {
                Of::Stored(_) => errors::check_violated_by_some(around.catalog, after, check),
                Of::Inserted | Of::Changed(_) => errors::check_violation(around.catalog, after, check, row),
            });
        }
    }
    Ok(())
}

/// `23502`
fn of_null<E>(around: Surroundings<'_, E>, table: &Table, column: &str, row: &[Value], of: Of<'_>) -> SqlError {
    match of {
        Of::Stored(_) => errors::contains_nulls(around.catalog, table, column),
        Of::Inserted | Of::Changed(_) => errors::not_null_violation(around.catalog, table, column, row),
    }
}

impl Physical {
    /// What is kept of a row in the copy of a table that has a successor, once the row has been entered there: its
    /// copy, and the index entries of that. Nothing if it can have no copy. `stored` tells what is at a place: what a row
    /// was given with columns is known from there only.
    ///
    /// # Errors
    /// As [`Physical::entries`].
    pub fn copies<E: Expressions>(
        &self,
        around: Surroundings<'_, E>,
        row: &Tuple,
        stored: impl Fn(&Place) -> Option<Bytes>,
    ) -> SqlResult<Vec<(Place, Bytes)>> {
        let Some(successor) = &self.successor else { return Ok(Vec::new()) };
        let Some(place) = successor.place(&row.place, &row.values, around.expressions)? else { return Ok(Vec::new()) };
        let found = stored(&place);
        if found.is_none() && matches!(successor.difference, Difference::Columns(_)) {
            return Ok(Vec::new());
        }
        let of = Of::Stored(found.as_ref().map(|record| (&place, record)));
        let Copied { place, record, row } = successor.copy(around, &row.place, &row.values, of)?;
        let entries = successor.entries(&place, &row, around.expressions)?;
        let entries = entries.into_iter().map(|entry| (entry.place, entry.value));
        Ok(std::iter::once((place, record)).chain(entries).collect())
    }
}
