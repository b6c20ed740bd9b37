//! The end of a statement: what its rows take and leave is checked, and buffered.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::PartitionId;
use annulus_base::limits::MAX_TXN_KEYS;
use annulus_base::time::Micros;
use annulus_txn::interface::{Database, Place};
use bytes::Bytes;

use super::{Change, Checks, Writer, too_many_keys};
use crate::catalog::ObjectId;
use crate::error::SqlResult;
use crate::failure::Outcome;
use crate::ops::deferral::{Deferrals, Violations};
use crate::ops::physical::{Entry, Physical};
use crate::ops::successor::{Copied, Copy, Of, Successor};
use crate::ops::{Expressions, errors, foreign, scan};
use crate::transaction::Transaction;
use crate::value::Row;

/// A place that a row takes.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Claim {
    pub table: ObjectId,
    /// The index, by position; 0 is the row itself.
    pub index: usize,
    /// Whether it is about the row's copy, in a table that is given a primary key.
    copy: bool,
    /// The values of its keys.
    pub keys: Row,
    value: Bytes,
    /// Whether nobody else may have it.
    exclusive: bool,
}

/// What a statement takes and leaves.
#[derive(Debug, Default)]
pub(in crate::ops) struct Footprint {
    pub taken: BTreeMap<Place, Claim>,
    /// With what an index entry held there.
    pub left: BTreeMap<Place, Option<Bytes>>,
}

/// The unique keys that a statement demanded nobody to have, without having read them.
#[derive(Clone, Debug, Default)]
pub struct Claims(pub(in crate::ops) Vec<(Place, Claim)>);

impl Claims {
    /// Takes the claims of another statement of the same transaction in.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The keys' places.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().map(|(place, _)| place)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Buffers what a statement writes, if no constraint is against it. What was demanded of unique keys is among `claims`
/// whether or not that is so.
pub(super) async fn apply<D: Database, E: Expressions>(
    writer: &Writer<'_, E>,
    claims: &mut Claims,
    violations: &mut Violations,
    transaction: &mut Transaction<D>,
    deferrals: &Deferrals,
    patience: Micros,
) -> Outcome<()> {
    let held = held(writer, transaction, patience).await?;
    let footprint = footprint(writer, &held)?;
    if footprint.taken.len() + footprint.left.len() > MAX_TXN_KEYS {
        return Err(too_many_keys().into());
    }
    claims.extend(check_unique(writer, &footprint, transaction, patience).await?);
    for violation in foreign::check_parents(writer, &footprint, transaction, deferrals, patience).await? {
        violations.note(violation);
    }
    let savepoint = transaction.savepoint();
    write(writer, footprint, transaction);
    if let Err(error) = transaction.check_size() {
        transaction.rollback_to(savepoint);
        return Err(error.into());
    }
    Ok(())
}

/// Buffers what changes: entries that stay as they are need no write.
fn write<D: Database, E>(writer: &Writer<'_, E>, footprint: Footprint, transaction: &mut Transaction<D>) {
    let Footprint { taken, left } = footprint;
    let old = writer.changed.values().filter_map(|change| Some((change.table, change.old.as_ref()?.place.partition)));
    let new = taken.iter().map(|(place, claim)| (claim.table, place.partition));
    let touched: BTreeSet<(ObjectId, PartitionId)> = old.chain(new).collect();
    for (table, partition) in touched {
        writer.around.catalog.expect_table(transaction, table, partition);
    }
    for place in left.keys().filter(|place| !taken.contains_key(*place)) {
        transaction.delete(place.clone());
    }
    for (place, claim) in taken {
        let stays = left.get(&place).is_some_and(|old| old.as_ref() == Some(&claim.value));
        if !stays {
            transaction.put(place, claim.value);
        }
    }
}

/// What is at the places that changed rows have only if they were entered into what is not complete yet: else another
/// row may be there, which must stay.
type Held = BTreeMap<Place, Bytes>;

async fn held<D: Database, E: Expressions>(
    writer: &Writer<'_, E>,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<Held> {
    let mut wanted: BTreeMap<ObjectId, Vec<Place>> = BTreeMap::new();
    for Change { table, old, .. } in writer.changed.values() {
        let (Some(old), Some(physical)) = (old, writer.tables.get(table)) else { continue };
        for index in (1..physical.indexes.len()).filter(|index| !physical.is_readable(*index)) {
            let entry = physical.entry(index, &old.place, &old.values, writer.around.expressions)?;
            let place = entry.filter(|entry| entry.exclusive).map(|entry| entry.place);
            wanted.entry(*table).or_default().extend(place);
        }
        if let Some(successor) = &physical.successor {
            let copy = successor.place(&old.place, &old.values, writer.around.expressions)?;
            wanted.entry(*table).or_default().extend(copy);
        }
    }
    let mut held = Held::new();
    for (table, places) in wanted {
        let Some(physical) = writer.tables.get(&table) else { continue };
        let found = scan::get(transaction, writer.around.catalog, physical, &places, patience).await?;
        held.extend(places.into_iter().zip(found).filter_map(|(place, found)| Some((place, found?))));
    }
    Ok(held)
}

/// All places that the statement's rows take and leave.
fn footprint<E: Expressions>(writer: &Writer<'_, E>, held: &Held) -> SqlResult<Footprint> {
    let mut footprint = Footprint::default();
    for change in writer.changed.values().chain(&writer.inserted) {
        let Some(physical) = writer.tables.get(&change.table) else { continue };
        footprint.leave(physical, change, held, writer)?;
        footprint.take(physical, change, writer)?;
        if let Some(successor) = &physical.successor {
            let copy = match &change.old {
                Some(old) => successor.place(&old.place, &old.values, writer.around.expressions)?,
                None => None,
            };
            let copy = copy.as_ref().and_then(|copy| Some((copy, held.get(copy)?)));
            footprint.leave_copy(successor, change, copy, writer)?;
            footprint.take_copy(physical, successor, change, copy, writer)?;
        }
    }
    Ok(footprint)
}

impl Footprint {
    fn leave<E: Expressions>(
        &mut self,
        physical: &Physical,
        change: &Change,
        held: &Held,
        writer: &Writer<'_, E>,
    ) -> SqlResult<()> {
        let Some(old) = &change.old else { return Ok(()) };
        for index in 1..physical.indexes.len() {
            let entry = physical.entry(index, &old.place, &old.values, writer.around.expressions)?;
            let certain = physical.is_readable(index);
            let own = |entry: &Entry| certain || !entry.exclusive || held.get(&entry.place) == Some(&entry.value);
            self.left.extend(entry.filter(own).map(|entry| (entry.place, Some(entry.value))));
        }
        self.left.insert(old.place.clone(), None);
        Ok(())
    }

    /// The copy of a row, if it was made.
    fn leave_copy<E: Expressions>(
        &mut self,
        successor: &Successor,
        change: &Change,
        copy: Option<Copy<'_>>,
        writer: &Writer<'_, E>,
    ) -> SqlResult<()> {
        let (Some(old), Some((copy, record))) = (&change.old, copy) else { return Ok(()) };
        let expressions = writer.around.expressions;
        if successor.is_of(copy, record, &old.place)? {
            let row = successor.row(&old.values, (copy, record), expressions)?;
            let entries = successor.entries(copy, &row, expressions)?;
            self.left.extend(entries.into_iter().map(|entry| (entry.place, Some(entry.value))));
            self.left.insert(copy.clone(), None);
        }
        Ok(())
    }

    fn take<E: Expressions>(&mut self, physical: &Physical, change: &Change, writer: &Writer<'_, E>) -> SqlResult<()> {
        let Some(new) = &change.new else { return Ok(()) };
        let primary = Claim {
            table: change.table,
            index: 0,
            copy: false,
            keys: physical.primary_values(&new.values),
            value: physical.encode(&new.values),
            exclusive: !physical.has_row_id() && !change.overwrites,
        };
        self.claim(new.place.clone(), primary, physical, writer)?;
        for index in 1..physical.indexes.len() {
            let entry = physical.entry(index, &new.place, &new.values, writer.around.expressions)?;
            let Some(entry) = entry else { continue };
            let (keys, value, exclusive) = (entry.keys, entry.value, entry.exclusive);
            let claim = Claim { table: change.table, index, copy: false, keys, value, exclusive };
            self.claim(entry.place, claim, physical, writer)?;
        }
        Ok(())
    }

    /// The copy of a row, whether or not it was made before.
    fn take_copy<E: Expressions>(
        &mut self,
        physical: &Physical,
        successor: &Successor,
        change: &Change,
        before: Option<Copy<'_>>,
        writer: &Writer<'_, E>,
    ) -> SqlResult<()> {
        let (Some(new), table) = (&change.new, change.table) else { return Ok(()) };
        let of = if change.old.is_some() { Of::Changed(before) } else { Of::Inserted };
        let Copied { place: copy, record: value, row } = successor.copy(writer.around, &new.place, &new.values, of)?;
        let (keys, exclusive) = (successor.physical.primary_values(&row), successor.is_contested(0));
        for entry in successor.entries(&copy, &row, writer.around.expressions)? {
            let Entry { place, value, index, keys, exclusive } = entry;
            // Otherwise the index that there is tells whether it is nobody else's.
            let exclusive = exclusive && successor.is_contested(index);
            self.claim(place, Claim { table, index, copy: true, keys, value, exclusive }, physical, writer)?;
        }
        self.claim(copy, Claim { table, index: 0, copy: true, keys, value, exclusive }, physical, writer)
    }

    /// Two rows of the statement cannot take the same place.
    fn claim<E>(&mut self, place: Place, claim: Claim, physical: &Physical, writer: &Writer<'_, E>) -> SqlResult<()> {
        if let Some(other) = self.taken.insert(place, claim) {
            return Err(violation(writer, physical, &other));
        }
        Ok(())
    }
}

fn violation<E>(writer: &Writer<'_, E>, physical: &Physical, claim: &Claim) -> crate::SqlError {
    let successor = physical.successor.as_ref().filter(|_| claim.copy);
    let physical = successor.map_or(physical, |successor| &successor.physical);
    let index = &physical.indexes[claim.index].index;
    errors::unique_violation(writer.around.catalog, physical.table(), index, &claim.keys)
}

/// Unique keys that rows take, and no row of the statement has left, must be nobody's.
async fn check_unique<D: Database, E: Expressions>(
    writer: &Writer<'_, E>,
    footprint: &Footprint,
    transaction: &mut Transaction<D>,
    patience: Micros,
) -> Outcome<Claims> {
    let demanded =
        footprint.taken.iter().filter(|(place, claim)| claim.exclusive && !footprint.left.contains_key(*place));
    let mut unread: Vec<(Place, Claim)> = Vec::new();
    for (place, claim) in demanded {
        match transaction.peek(place) {
            // Written by an earlier statement of the transaction.
            Some(Some(_)) => return Err(writer.violation(claim)?.into()),
            Some(None) => {}
            None => unread.push((place.clone(), claim.clone())),
        }
    }
    for (place, claim) in &unread {
        writer.around.catalog.expect_table(transaction, claim.table, place.partition);
    }
    // Of copies only those are judged that were made: they are read in any case.
    let (blind, unread): (Vec<_>, Vec<_>) =
        unread.into_iter().partition(|(_, claim)| writer.checks == Checks::AtCommit && !claim.copy);
    blind.iter().for_each(|(place, _)| transaction.expect_absent(place.clone()));
    if !unread.is_empty() {
        let places: Vec<Place> = unread.iter().map(|(place, _)| place.clone()).collect();
        let found = transaction.get(&places, patience).await?;
        if let Some(((_, claim), _)) = unread.iter().zip(found).find(|(_, found)| found.is_some()) {
            return Err(writer.violation(claim)?.into());
        }
    }
    Ok(Claims(blind))
}

impl<E: Expressions> Writer<'_, E> {
    fn violation(&self, claim: &Claim) -> SqlResult<crate::SqlError> {
        let missing = || crate::SqlError::new(crate::error::SqlState::INTERNAL_ERROR, "a claim on an unknown table");
        let physical = self.tables.get(&claim.table).ok_or_else(missing)?;
        Ok(violation(self, physical, claim))
    }
}
