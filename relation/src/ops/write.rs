//! Writing rows: a statement's changes are collected, and carried out together at its end.
//!
//! A statement may leave a unique key with one row and take it with another. So nothing is written while rows come
//! in; [`Writer::finish`] knows all of them, and demands of a key that nobody has it only if no row of the statement
//! has left it. The rows that a foreign key's action changes are part of the same statement.

mod apply;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annulus_base::limits::MAX_TXN_KEYS;
use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place, TxnError};

pub use apply::Claims;
pub(super) use apply::Footprint;

use super::deferral::{Deferrals, Pending};
use super::physical::{Physical, RowId, Tuple};
use super::{Expressions, Surroundings, errors, foreign};
use crate::catalog::{Default, ObjectId, Table};
use crate::codec;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::Transaction;
use crate::value::{Row, SqlType, Value};

/// When it is found out that a unique key exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// At the end of the statement: keys are read.
    AtStatement,
    /// At commit, without reading: for a transaction of one statement. The commit's conflict is told apart from
    /// others by [`super::explain`].
    AtCommit,
}

/// A row that a statement changes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub table: ObjectId,
    /// As it was before the statement; `None` for a new row.
    pub old: Option<Tuple>,
    /// As it will be; `None` for a deleted row.
    pub new: Option<Tuple>,
    /// Whether another row may have its primary key, and gives way to it unseen.
    pub overwrites: bool,
}

/// The writes of one statement.
pub struct Writer<'a, E> {
    pub(super) around: Surroundings<'a, E>,
    checks: Checks,
    pub(super) tables: BTreeMap<ObjectId, Arc<Physical>>,
    /// Changed and deleted rows, by where they were before the statement.
    pub(super) changed: BTreeMap<Place, Change>,
    /// New rows.
    pub(super) inserted: Vec<Change>,
    /// Where the rows were that the statement itself changed, in its order.
    updated: Vec<Place>,
    proposed: Proposed,
}

/// The unique keys that a statement's rows take: worked out when somebody asks.
#[derive(Debug, Default)]
struct Proposed {
    places: BTreeSet<Place>,
    /// How many of the inserted and of the updated rows are in `places`.
    inserted: usize,
    updated: usize,
}

impl<'a, E: Expressions> Writer<'a, E> {
    /// The writes of a statement that has written nothing yet.
    #[must_use]
    pub fn new(around: Surroundings<'a, E>, checks: Checks) -> Self {
        Self {
            around,
            checks,
            tables: BTreeMap::new(),
            changed: BTreeMap::new(),
            inserted: Vec::new(),
            updated: Vec::new(),
            proposed: Proposed::default(),
        }
    }

    /// A table, prepared.
    ///
    /// # Errors
    /// `XX001` if the descriptor is damaged or missing.
    pub fn physical(&mut self, table: ObjectId) -> SqlResult<Arc<Physical>> {
        if let Some(known) = self.tables.get(&table) {
            return Ok(Arc::clone(known));
        }
        let missing = || SqlError::new(SqlState::DATA_CORRUPTED, format!("the catalog has no table {table}"));
        let descriptor = self.around.catalog.table_by_id(table).ok_or_else(missing)?;
        let physical = Arc::new(Physical::new(*self.around.catalog.home(), descriptor)?);
        self.tables.insert(table, Arc::clone(&physical));
        Ok(physical)
    }

    /// Uses a table that was prepared before, from this statement's catalog.
    pub fn adopt(&mut self, physical: &Arc<Physical>) {
        self.tables.insert(physical.table().id, Arc::clone(physical));
    }

    /// Inserts a row; `id` identifies it where the table has no primary key. Generated columns are computed here.
    /// Returns the row as it will be stored.
    ///
    /// # Errors
    /// `23502` and `23514` if the row is refused, `54000` if a key is too long or there are too many rows.
    pub fn insert(&mut self, table: ObjectId, row: Row, id: Option<RowId>) -> SqlResult<Row> {
        let physical = self.physical(table)?;
        self.store(&physical, row, id, false)
    }

    /// Stores a row, whether or not there is one with its primary key: nothing is read, and whoever comes later wins. For
    /// tables that have nothing but rows ([`Physical::is_rows_only`]). Otherwise as [`Writer::insert`].
    ///
    /// # Errors
    /// As [`Writer::insert`]; `XX000` for other tables.
    pub fn overwrite(&mut self, table: ObjectId, row: Row) -> SqlResult<Row> {
        let physical = self.physical(table)?;
        if !physical.is_rows_only() {
            let message = format!("rows of \"{}\" cannot be overwritten unseen", physical.table().name);
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
        }
        self.store(&physical, row, None, true)
    }

    fn store(&mut self, physical: &Physical, row: Row, id: Option<RowId>, overwrites: bool) -> SqlResult<Row> {
        let row = self.completed(physical, row)?;
        let place = physical.place_of(&row, id)?;
        let new = Tuple { place, values: row.clone() };
        self.inserted.push(Change { table: physical.table().id, old: None, new: Some(new), overwrites });
        self.check_size()?;
        Ok(row)
    }

    /// A row as an insertion would store it, whether or not it comes to that.
    ///
    /// # Errors
    /// `23502` and `23514` if the row is refused.
    pub fn complete(&mut self, table: ObjectId, row: Row) -> SqlResult<Row> {
        let physical = self.physical(table)?;
        self.completed(&physical, row)
    }

    /// Changes a row; `None` if this statement has changed it before, which then stands. Generated columns are
    /// computed here. Returns the row as it will be stored.
    ///
    /// # Errors
    /// As [`Writer::insert`].
    pub fn update(&mut self, table: ObjectId, old: Tuple, row: Row) -> SqlResult<Option<Row>> {
        if self.changed.contains_key(&old.place) {
            return Ok(None);
        }
        let physical = self.physical(table)?;
        check_whole(physical.table(), &old.values)?;
        let new = self.moved(&physical, &old, row)?;
        let row = new.values.clone();
        self.updated.push(old.place.clone());
        self.changed.insert(old.place.clone(), Change { table, old: Some(old), new: Some(new), overwrites: false });
        self.check_size()?;
        Ok(Some(row))
    }

    /// Deletes a row; says whether this statement had not changed it before.
    ///
    /// # Errors
    /// `54000` if there are too many rows.
    pub fn delete(&mut self, table: ObjectId, old: Tuple) -> SqlResult<bool> {
        if self.changed.contains_key(&old.place) {
            return Ok(false);
        }
        check_whole(self.physical(table)?.table(), &old.values)?;
        self.changed.insert(old.place.clone(), Change { table, old: Some(old), new: None, overwrites: false });
        self.check_size()?;
        Ok(true)
    }

    /// Whether this statement has inserted or changed a row that has the unique key of `row` in one of the
    /// indexes, given by position.
    ///
    /// # Errors
    /// What the evaluation of an index expression fails with.
    pub fn has_proposed(&mut self, table: ObjectId, indexes: &[usize], row: &[Value]) -> SqlResult<bool> {
        self.work_out_proposed()?;
        let physical = self.physical(table)?;
        let places = unique_places(&physical, indexes, row, self.around.expressions)?;
        Ok(places.iter().any(|place| self.proposed.places.contains(place)))
    }

    /// Takes the rows in that came since somebody asked.
    fn work_out_proposed(&mut self) -> SqlResult<()> {
        let Proposed { places, inserted, updated } = &mut self.proposed;
        let changed = self.updated[*updated..].iter().filter_map(|place| self.changed.get(place));
        for change in self.inserted[*inserted..].iter().chain(changed) {
            let (Some(new), Some(physical)) = (&change.new, self.tables.get(&change.table)) else { continue };
            let all: Vec<usize> = (0..physical.indexes.len()).collect();
            places.extend(unique_places(physical, &all, &new.values, self.around.expressions)?);
        }
        (*inserted, *updated) = (self.inserted.len(), self.updated.len());
        Ok(())
    }

    /// Carries the statement out in `transaction`: foreign keys act, constraints are checked, rows and entries
    /// buffered. What is left to the end of the transaction is added to `pending`: by the claims a conflict at commit is
    /// told apart, see [`super::explain`], and the violations of what `deferrals` defers are to be looked at again, see
    /// [`super::check_deferred`]. The claims are there also if the statement fails afterwards: it may have failed for what
    /// would not have come to pass but for a key that somebody else has.
    ///
    /// # Errors
    /// The violation of a constraint, `54000` if those deferred are too many, and every [`TxnError`] of what has to be
    /// read.
    pub async fn finish<D: Database>(
        mut self,
        transaction: &mut Transaction<D>,
        deferrals: &Deferrals,
        pending: &mut Pending,
        patience: Micros,
    ) -> Outcome<()> {
        let mut violations = foreign::act(&mut self, transaction, deferrals, patience).await?;
        apply::apply(&self, &mut pending.claims, &mut violations, transaction, deferrals, patience).await?;
        Ok(pending.note(violations)?)
    }

    /// Whether rows can be given what they have in columns that their tables are being given: see
    /// [`Expressions::expect`].
    ///
    /// # Errors
    /// As that.
    pub fn expect(&self) -> SqlResult<()> {
        let tables = self.tables.values().map(|physical| &physical.table);
        tables.filter(|table| table.extension().is_some()).try_for_each(|table| {
            let changes = self.changed.values().chain(&self.inserted);
            self.around.expressions.expect(table, changes.filter(|change| change.table == table.id).count())
        })
    }

    /// The row after a change, at its new place. The hidden id stays.
    pub(super) fn moved(&self, physical: &Physical, old: &Tuple, row: Row) -> SqlResult<Tuple> {
        let row = self.completed(physical, row)?;
        let place = match physical.has_row_id() {
            true => old.place.clone(),
            false => physical.row_place(&physical.primary_values(&row))?,
        };
        Ok(Tuple { place, values: row })
    }

    /// The row with its generated columns, if nothing is against it.
    fn completed(&self, physical: &Physical, mut row: Row) -> SqlResult<Row> {
        let (table, expressions) = (physical.table(), self.around.expressions);
        check_whole(table, &row)?;
        for (position, column) in table.columns.iter().enumerate() {
            if let Some(Default::Generated(text)) = &column.default {
                row[position] = expressions.eval(table, text, &column.ty, &row)?;
            }
        }
        for (column, value) in table.columns.iter().zip(&row) {
            codec::check_type(value, &column.ty)?;
        }
        check_row(self.around, table, &row)?;
        Ok(row)
    }

    /// Refuses what no transaction can write, before it takes the memory.
    pub(super) fn check_size(&self) -> SqlResult<()> {
        check_changed(self.changed.len() + self.inserted.len())
    }
}

/// Refuses what no transaction can write, before it takes the memory.
///
/// # Errors
/// `54000` if one statement changes too many rows.
pub fn check_changed(rows: usize) -> SqlResult<()> {
    if rows > MAX_TXN_KEYS {
        let message = format!("a statement changes more than {MAX_TXN_KEYS} rows");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("Split it into smaller ones."));
    }
    Ok(())
}

/// The places of a row's unique keys in some indexes.
pub(super) fn unique_places<E: Expressions>(
    physical: &Physical,
    indexes: &[usize],
    row: &[Value],
    expressions: &E,
) -> SqlResult<Vec<Place>> {
    let mut places = Vec::new();
    for index in indexes {
        if *index == 0 {
            if !physical.has_row_id() {
                places.push(physical.row_place(&physical.primary_values(row))?);
            }
        } else if physical.indexes[*index].index.is_unique() {
            places.extend(physical.unique_place(*index, row, expressions)?);
        }
    }
    Ok(places)
}

/// Refuses a part of a row: its index entries would not be found.
fn check_whole(table: &Table, row: &[Value]) -> SqlResult<()> {
    if row.len() == table.columns.len() {
        return Ok(());
    }
    let message = format!("a row of \"{}\" has {} values", table.name, row.len());
    Err(SqlError::new(SqlState::INTERNAL_ERROR, message))
}

/// Refuses NULL where there must be none, and rows for which a check is false.
fn check_row<E: Expressions>(around: Surroundings<'_, E>, table: &Table, row: &[Value]) -> SqlResult<()> {
    let refused =
        table.columns.iter().zip(row).find(|(column, value)| column.not_null.is_declared() && value.is_null());
    if let Some((column, _)) = refused {
        return Err(errors::not_null_violation(around.catalog, table, &column.name, row));
    }
    for check in &table.checks {
        if around.expressions.eval(table, &check.expression, &SqlType::Bool, row)? == Value::Bool(false) {
            return Err(errors::check_violation(around.catalog, table, check, row));
        }
    }
    Ok(())
}

/// A limit of the transaction that would be exceeded.
pub(super) fn too_many_keys() -> TxnError {
    TxnError::Limit(format!("a statement writes more than {MAX_TXN_KEYS} rows and index entries; split it"))
}
