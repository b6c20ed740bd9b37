//! Giving a table with rows a primary key, or taking it away, or giving columns of it other types, or giving it columns:
//! a pass over its rows which makes the copies that writers have not made, in steps, each a transaction of its own, that
//! can be resumed and repeated.
//!
//! A row has its copy since a step, or a writer, has made it; from then on writers keep it up. So when the pass is over
//! every row has one, and no two rows have one key: whoever comes second finds the place taken by another row.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::PartitionId;
use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::fill::{Position, rows};
use super::physical::{Entry, Physical, Tuple};
use super::successor::{Copied, Of, Successor};
use super::{Expressions, Surroundings, errors, scan};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::failure::Outcome;
use crate::transaction::Transaction;
use crate::value::Value;

/// Most bytes that a step writes: a transaction cannot write more than a few times that.
const MOST_BYTES: usize = 4 << 20;

/// What a step knows of the copies of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Probably there are none: a commit's conflict tells otherwise. For the first try of a step.
    Missing,
    /// Some may have been made: they are looked for.
    Perhaps,
}

/// What is at the place of a row's copy.
enum Looked {
    /// A copy.
    There(Place, Bytes),
    /// Nothing: this is to be there.
    Missing(Copied),
}

/// Makes the copies of up to `limit` rows, as part of `transaction`. Returns where to go on (`None`: once this step has
/// committed all rows have their copies) and how many rows were looked at.
///
/// # Errors
/// `23505` if two rows have one key, `23502` if a key has a NULL, what a conversion fails with, and every error of the
/// reads.
pub async fn rekey<D: Database, E: Expressions>(
    transaction: &mut Transaction<D>,
    around: Surroundings<'_, E>,
    physical: &Physical,
    (from, known): (&Position, Copies),
    limit: u32,
    patience: Micros,
) -> Outcome<(Option<Position>, u64)> {
    let missing = || SqlError::new(SqlState::INTERNAL_ERROR, "a table that has no successor");
    let successor = physical.successor.as_deref().ok_or_else(missing)?;
    let (tuples, mut next) = rows(transaction, around, physical, from, limit, patience).await?;
    let copy = |tuple: &Tuple| successor.copy(around, &tuple.place, &tuple.values, Of::Stored(None));
    let place = |tuple: &Tuple| match successor.place(&tuple.place, &tuple.values, around.expressions)? {
        Some(place) => Ok(place),
        // That says why there is none.
        None => copy(tuple).map(|copied| copied.place),
    };
    let found = match known {
        Copies::Missing => vec![None; tuples.len()],
        Copies::Perhaps => {
            let places: Vec<Place> = tuples.iter().map(place).collect::<SqlResult<_>>()?;
            let found = scan::get(transaction, around.catalog, physical, &places, patience).await?;
            places.into_iter().zip(found).map(|(place, found)| Some((place, found?))).collect()
        }
    };
    around.expressions.expect(physical.table(), found.iter().filter(|found| found.is_none()).count())?;
    let looked = |(tuple, found): (&Tuple, Option<_>)| match found {
        Some((place, record)) => Ok(Looked::There(place, record)),
        None => copy(tuple).map(Looked::Missing),
    };
    let copies: Vec<Looked> = tuples.iter().zip(found).map(looked).collect::<SqlResult<_>>()?;
    let mut writes: BTreeMap<Place, Bytes> = BTreeMap::new();
    let mut contested: Vec<Entry> = Vec::new();
    let (mut bytes, mut looked_at) = (0, 0);
    for (tuple, looked) in tuples.iter().zip(copies) {
        if bytes > MOST_BYTES {
            next = Some(Position { slot: from.slot, key: tuple.place.key.as_bytes().to_vec() });
            break;
        }
        looked_at += 1;
        let Copied { place, record, row } = match looked {
            Looked::There(place, found) if successor.is_of(&place, &found, &tuple.place)? => continue,
            Looked::There(..) => return Err(duplicate(around, successor, &copy(tuple)?.row).into()),
            Looked::Missing(copied) => copied,
        };
        for entry in successor.entries(&place, &row, around.expressions)? {
            bytes += entry.value.len();
            let taken = writes.insert(entry.place.clone(), entry.value.clone()).is_some();
            if entry.exclusive && successor.is_contested(entry.index) {
                if taken {
                    return Err(not_unique(around, successor, &entry).into());
                }
                contested.push(entry);
            }
        }
        bytes += record.len();
        if known == Copies::Missing {
            transaction.expect_absent(place.clone());
        }
        if writes.insert(place, record).is_some() {
            return Err(duplicate(around, successor, &row).into());
        }
    }
    let places: Vec<Place> = contested.iter().map(|entry| entry.place.clone()).collect();
    match known {
        Copies::Missing => places.into_iter().for_each(|place| transaction.expect_absent(place)),
        Copies::Perhaps => {
            // A row without a copy has entered nothing: what is there is another one's.
            let found = scan::get(transaction, around.catalog, physical, &places, patience).await?;
            if let Some((entry, _)) = contested.iter().zip(found).find(|(_, found)| found.is_some()) {
                return Err(not_unique(around, successor, entry).into());
            }
        }
    }
    let partitions: BTreeSet<PartitionId> = writes.keys().map(|place| place.partition).collect();
    for partition in partitions {
        around.catalog.expect_table(transaction, physical.table().id, partition);
    }
    writes.into_iter().for_each(|(place, value)| transaction.put(place, value));
    Ok((next, looked_at))
}

fn not_unique<E>(around: Surroundings<'_, E>, successor: &Successor, entry: &Entry) -> SqlError {
    let after = &successor.physical;
    errors::not_unique(around.catalog, after.table(), &after.indexes[entry.index].index, &entry.keys)
}

fn duplicate<E>(around: Surroundings<'_, E>, successor: &Successor, row: &[Value]) -> SqlError {
    let after = &successor.physical;
    let keys = after.primary_values(row);
    errors::not_unique(around.catalog, after.table(), &after.indexes[0].index, &keys)
}
