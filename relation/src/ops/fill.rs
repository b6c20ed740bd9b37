//! Filling a new index, and checking a new constraint, with the rows that were there before: in steps, each a
//! transaction of its own, that can be resumed.
//!
//! Meanwhile every writer keeps the index up and the constraint, so each row is entered or checked once. A step
//! validates the rows that it read: it conflicts with whoever changes one of them, and is tried again.

use std::collections::BTreeSet;

use annulus_base::limits::MAX_TXN_KEYS;
use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, PartitionId};
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::physical::{Entry, Physical, Tuple};
use super::scan::{Bounds, spans_of};
use super::{Expressions, Surroundings, errors, foreign};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::{Span, Transaction};
use crate::value::{SqlType, Value};

/// How far a pass over a table's rows is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub slot: u16,
    /// The first key in it that was not looked at; empty at its start.
    pub key: Vec<u8>,
}

/// What is checked of rows that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// A check, by position.
    Check(usize),
    /// A foreign key, by position.
    ForeignKey(usize),
    /// That a column, by position, has no NULL.
    NotNull(usize),
}

/// Reads up to `limit` rows from a position on; also where to go on, `None` at the end.
pub(super) async fn rows<D: Database, E>(
    transaction: &mut Transaction<D>,
    around: Surroundings<'_, E>,
    physical: &Physical,
    from: &Position,
    limit: u32,
    patience: Micros,
) -> Outcome<(Vec<Tuple>, Option<Position>)> {
    let spans = spans_of(physical, 0, &Bounds::all())?;
    let Some(span) = spans.get(usize::from(from.slot)) else { return Ok((Vec::new(), None)) };
    let (partition, range) = (span.partition, span.range.clone());
    let reached = Key(Bytes::copy_from_slice(&from.key));
    // Rows that were truncated, or written again, meanwhile have other keys: then from the beginning.
    let start = if range.contains(&reached) { reached } else { range.start };
    let span = Span { partition, range: KeyRange { start, end: range.end } };
    around.catalog.expect_table(transaction, physical.table.id, partition);
    let stretch = transaction.scan(&span, limit.min(MAX_TXN_KEYS as u32 / 4), patience).await?;
    let decode = |(key, record): (Key, Bytes)| physical.decode(Place { partition, key }, &record);
    let tuples = stretch.rows.into_iter().map(decode).collect::<SqlResult<_>>()?;
    let next = match stretch.next {
        Some(next) => Some(Position { slot: from.slot, key: next.as_bytes().to_vec() }),
        None if usize::from(from.slot) + 1 < spans.len() => Some(Position { slot: from.slot + 1, key: Vec::new() }),
        None => None,
    };
    Ok((tuples, next))
}

/// Enters up to `limit` rows into the index at a position, as part of `transaction`. Returns where to go on (`None`:
/// the index is complete once this step has committed) and how many rows were looked at.
///
/// # Errors
/// `23505` if two rows have one key of a unique index, and every error of the reads.
pub async fn fill<D: Database, E: Expressions>(
    transaction: &mut Transaction<D>,
    around: Surroundings<'_, E>,
    physical: &Physical,
    index: usize,
    from: &Position,
    limit: u32,
    patience: Micros,
) -> Outcome<(Option<Position>, u64)> {
    let (tuples, next) = rows(transaction, around, physical, from, limit, patience).await?;
    let mut entries: Vec<Entry> = Vec::new();
    for tuple in &tuples {
        entries.extend(physical.entry(index, &tuple.place, &tuple.values, around.expressions)?);
    }
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.place.cmp(&b.place));
    let not_unique = |entry: &Entry| {
        errors::not_unique(around.catalog, physical.table(), &physical.indexes[entry.index].index, &entry.keys)
    };
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].place == pair[1].place) {
        return Err(not_unique(pair[0]).into());
    }
    let exclusive: Vec<&Entry> = entries.iter().filter(|entry| entry.exclusive).collect();
    let places: Vec<Place> = exclusive.iter().map(|entry| entry.place.clone()).collect();
    let found = super::scan::get(transaction, around.catalog, physical, &places, patience).await?;
    for (entry, found) in exclusive.iter().zip(found) {
        // What a writer has entered for this very row is the same.
        if found.is_some_and(|found| found != entry.value) {
            return Err(not_unique(entry).into());
        }
    }
    let partitions: BTreeSet<PartitionId> = entries.iter().map(|entry| entry.place.partition).collect();
    for partition in partitions {
        around.catalog.expect_table(transaction, physical.table.id, partition);
    }
    for entry in entries {
        transaction.put(entry.place, entry.value);
    }
    Ok((next, tuples.len() as u64))
}

/// Checks up to `limit` rows that were there before a constraint. Returns where to go on; `None`: all rows keep it,
/// once this step has committed.
///
/// # Errors
/// `23514`, `23503` or `23502` if a row does not keep it, and every error of the reads.
pub async fn validate<D: Database, E: Expressions>(
    transaction: &mut Transaction<D>,
    around: Surroundings<'_, E>,
    physical: &Physical,
    what: Validation,
    from: &Position,
    limit: u32,
    patience: Micros,
) -> Outcome<Option<Position>> {
    let (tuples, next) = rows(transaction, around, physical, from, limit, patience).await?;
    let (catalog, table) = (around.catalog, physical.table());
    let unknown = || SqlError::new(SqlState::INTERNAL_ERROR, "a constraint that does not exist");
    match what {
        Validation::Check(position) => {
            let check = table.checks.get(position).ok_or_else(unknown)?;
            for tuple in &tuples {
                let value = around.expressions.eval(table, &check.expression, &SqlType::Bool, &tuple.values)?;
                if value == Value::Bool(false) {
                    return Err(errors::check_violated_by_some(catalog, table, check).into());
                }
            }
        }
        Validation::NotNull(position) => {
            let column = table.columns.get(position).ok_or_else(unknown)?;
            if tuples.iter().any(|tuple| tuple.values[position].is_null()) {
                return Err(errors::contains_nulls(catalog, table, &column.name).into());
            }
        }
        Validation::ForeignKey(position) => {
            let key = table.foreign_keys.get(position).ok_or_else(unknown)?;
            foreign::validate(catalog, physical, key, &tuples, transaction, patience).await?;
        }
    }
    Ok(next)
}
