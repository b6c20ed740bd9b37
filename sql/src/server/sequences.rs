//! Values of sequences that this node may give out.
//!
//! A node takes a range of values at a time, in a small transaction of its own, and gives them out without asking
//! anybody. Values are never given out twice; those of a range that is lost (a restart, `DISCARD SEQUENCES`, a
//! transaction rolled back) are never given out: gaps. The order of values says nothing about the order of
//! transactions on different nodes.
//!
//! A range is good for the sequence as it was when the range was taken: once a node knows of a sequence that was altered, or
//! restarted with its table, it takes another one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use annulus_relation::catalog::{Catalog, Home, ObjectId, Sequence, Version};

use super::shared::{lock, now};

/// A sequence of the cluster: its database's namespace and its number.
type Id = (u32, ObjectId);

/// Values that can be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The next value.
    pub next: i64,
    /// How far apart values are.
    pub increment: i64,
    /// How many values are left.
    pub left: u64,
}

impl Range {
    /// Whether another range begins where this one ends.
    fn is_before(&self, other: &Self) -> bool {
        let end = i128::from(self.next) + i128::from(self.increment) * i128::from(self.left);
        self.left > 0 && self.increment == other.increment && end == i128::from(other.next)
    }
}

/// The ranges of a node.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// With the version of the sequence that each is of.
    ranges: Mutex<HashMap<Id, (Range, Version)>>,
    /// The last snowflake's time and count.
    snowflake: AtomicI64,
}

const fn id(home: &Home, sequence: ObjectId) -> Id {
    (home.namespace.id().0, sequence)
}

/// What decides which values a sequence gives, besides how far it is.
fn values_of(sequence: &Sequence) -> (i64, i64, i64, i64, bool) {
    (sequence.increment, sequence.min, sequence.max, sequence.cache, sequence.cycle)
}

fn is_changed(within: &Catalog, sequence: ObjectId) -> bool {
    within.sequence_by_id(sequence).is_some() && within.sequence_version(sequence).is_none()
}

impl Sequences {
    /// The next value, if there is one left.
    pub fn take(&self, catalog: &Catalog, sequence: ObjectId) -> Option<i64> {
        let mut ranges = lock(&self.ranges);
        let (range, of) = ranges.get_mut(&id(catalog.home(), sequence))?;
        if *of != catalog.sequence_version(sequence) {
            return None;
        }
        range.left = range.left.checked_sub(1)?;
        let value = range.next;
        // The last value of a range may be the last of the type.
        range.next = value.saturating_add(range.increment);
        Some(value)
    }

    /// Whether so many values are left.
    pub fn has(&self, catalog: &Catalog, sequence: ObjectId, count: u64) -> bool {
        let is_enough = |(range, of): &(Range, _)| range.left >= count && *of == catalog.sequence_version(sequence);
        lock(&self.ranges).get(&id(catalog.home(), sequence)).is_some_and(is_enough)
    }

    /// Values to give out from now on: behind those that are left, if they follow upon these, else in place of them.
    pub fn give(&self, catalog: &Catalog, sequence: ObjectId, range: Range) {
        let of = catalog.sequence_version(sequence);
        let mut ranges = lock(&self.ranges);
        match ranges.get_mut(&id(catalog.home(), sequence)) {
            Some((known, version)) if *version == of && known.is_before(&range) => known.left += range.left,
            _ => drop(ranges.insert(id(catalog.home(), sequence), (range, of))),
        }
    }

    /// Whether there are ranges of sequences that the transaction has changed that sees this catalog.
    pub fn are_changed(&self, catalog: &Catalog) -> bool {
        let namespace = catalog.home().namespace.id().0;
        lock(&self.ranges).keys().any(|(of, sequence)| *of == namespace && is_changed(catalog, *sequence))
    }

    /// A transaction has committed that has changed sequences. What this node had taken of them before it began stays good
    /// if they give the same values as before, and what was taken as part of it in any case. `restarted` have begun anew. The
    /// catalogs are those before it, within it, and since.
    pub fn keep(&self, restarted: &[ObjectId], before: &Catalog, within: &Catalog, since: &Catalog) {
        let namespace = since.home().namespace.id().0;
        for ((of, sequence), (_, version)) in lock(&self.ranges).iter_mut() {
            let gives_the_same = || match (before.sequence_by_id(*sequence), since.sequence_by_id(*sequence)) {
                (Some(before), Some(since)) => values_of(before) == values_of(since) && !restarted.contains(sequence),
                _ => false,
            };
            let was_good = *version == before.sequence_version(*sequence) && gives_the_same();
            if *of == namespace && is_changed(within, *sequence) && (version.is_none() || was_good) {
                *version = since.sequence_version(*sequence);
            }
        }
    }

    /// Forgets the values of a sequence that was changed.
    pub fn forget(&self, home: &Home, sequence: ObjectId) {
        lock(&self.ranges).remove(&id(home, sequence));
    }

    /// Forgets all values of a database.
    pub fn forget_all(&self, home: &Home) {
        lock(&self.ranges).retain(|(namespace, _), _| *namespace != home.namespace.id().0);
    }

    /// The next id that no node ever gave out: milliseconds, 10 bits of the node's number, 12 bits that count. More
    /// than 4096 in a millisecond are dated ahead.
    pub fn snowflake(&self, node: u32) -> i64 {
        let least = (now() / 1_000) << 12;
        let next = |before: i64| (before + 1).max(least);
        let before = self.snowflake.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| Some(next(before)));
        let counted = next(before.unwrap_or(least));
        (counted >> 12) << 22 | i64::from(node & 0x3ff) << 12 | (counted & 0xfff)
    }
}
