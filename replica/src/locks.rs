//! Locks of one partition: prepared ones, on which safety rests, and soft ones, which only order contenders.
//!
//! Invariants:
//! - A prepared write lock excludes every other prepared lock on the key; prepared read locks (of keys
//!   and ranges) exclude prepared write locks of others.
//! - A soft lock never delays or refuses an older transaction.

use std::collections::BTreeMap;

use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, TxnId};

use crate::message::{Check, Part};

/// A revocable, leased claim on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft {
    /// Who claims it.
    pub txn: TxnId,
    /// Since when (steady clock).
    pub since: Micros,
    /// When it lapses (steady clock).
    pub until: Micros,
}

#[derive(Debug, Default)]
struct KeyLocks {
    writer: Option<TxnId>,
    readers: Vec<TxnId>,
    soft: Option<Soft>,
}

impl KeyLocks {
    fn is_free(&self) -> bool {
        self.writer.is_none() && self.readers.is_empty() && self.soft.is_none()
    }
}

/// Which prepared locks stand in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// A reader is stopped by writers.
    Writers,
    /// A writer is stopped by writers and readers.
    All,
}

/// The locks of one partition.
#[derive(Debug, Default)]
pub struct Locks {
    keys: BTreeMap<Key, KeyLocks>,
    ranges: Vec<(KeyRange, TxnId)>,
}

impl Locks {
    /// Whether nothing is locked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty()
    }

    /// The locked keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.keys()
    }

    /// Takes the prepared locks of a transaction's part. The caller has checked that none conflicts.
    pub fn prepare(&mut self, txn: TxnId, part: &Part) {
        for check in &part.checks {
            match check {
                Check::Key(key, _) | Check::Absent(key) => {
                    self.keys.entry(key.clone()).or_default().readers.push(txn);
                }
                Check::Range(range, _) | Check::Unchanged(range, _) => self.ranges.push((range.clone(), txn)),
            }
        }
        for (key, _) in &part.writes {
            let locks = self.keys.entry(key.clone()).or_default();
            assert!(locks.writer.is_none_or(|other| other == txn), "two prepared writers of {key}");
            locks.writer = Some(txn);
        }
    }

    /// Drops the prepared locks of a transaction's part.
    pub fn release(&mut self, txn: TxnId, part: &Part) {
        for check in &part.checks {
            if let Check::Key(key, _) | Check::Absent(key) = check {
                self.change(key, |locks| locks.readers.retain(|reader| *reader != txn));
            }
        }
        self.ranges.retain(|(_, reader)| *reader != txn);
        for (key, _) in &part.writes {
            self.change(key, |locks| locks.writer = locks.writer.filter(|writer| *writer != txn));
        }
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(&mut KeyLocks)) {
        if let Some(locks) = self.keys.get_mut(key) {
            change(locks);
            if locks.is_free() {
                self.keys.remove(key);
            }
        }
    }

    /// Another transaction's prepared lock on `key`, if one is in the way.
    #[must_use]
    pub fn prepared(&self, key: &Key, own: Option<TxnId>, against: Against) -> Option<TxnId> {
        let other = |txn: &TxnId| Some(*txn) != own;
        let locks = self.keys.get(key);
        let writer = locks.and_then(|locks| locks.writer).filter(other);
        if writer.is_some() || against == Against::Writers {
            return writer;
        }
        let reader = locks.and_then(|locks| locks.readers.iter().copied().find(other));
        reader
            .or_else(|| self.ranges.iter().find(|(range, txn)| other(txn) && range.contains(key)).map(|(_, txn)| *txn))
    }

    /// Other transactions' prepared writes inside `range`.
    pub fn writers_in(&self, range: &KeyRange, own: Option<TxnId>) -> impl Iterator<Item = (&Key, TxnId)> {
        let inside = (range.start < range.end).then(|| self.keys.range(&range.start..&range.end));
        inside.into_iter().flatten().filter_map(move |(key, locks)| {
            locks.writer.filter(|writer| Some(*writer) != own).map(|writer| (key, writer))
        })
    }

    /// The soft lock on `key`, if another transaction holds it and it has not lapsed.
    #[must_use]
    pub fn soft(&self, key: &Key, own: TxnId, now: Micros) -> Option<Soft> {
        self.keys.get(key).and_then(|locks| locks.soft).filter(|soft| soft.txn != own && soft.until > now)
    }

    /// Takes (or takes over) the soft lock on `key`.
    pub fn take_soft(&mut self, key: &Key, soft: Soft) {
        self.keys.entry(key.clone()).or_default().soft = Some(soft);
    }

    /// Whether `txn` holds a soft lock on any key.
    #[must_use]
    pub fn has_soft(&self, txn: TxnId) -> bool {
        self.keys.values().any(|locks| locks.soft.is_some_and(|soft| soft.txn == txn))
    }

    /// Drops the soft locks for which `drop` says so; returns whether there were any.
    pub fn drop_soft(&mut self, mut drop: impl FnMut(&Soft) -> bool) -> bool {
        let mut dropped = false;
        self.keys.retain(|_, locks| {
            if locks.soft.as_ref().is_some_and(&mut drop) {
                locks.soft = None;
                dropped = true;
            }
            !locks.is_free()
        });
        dropped
    }

    /// When the next soft lock lapses.
    #[must_use]
    pub fn next_lapse(&self) -> Option<Micros> {
        self.keys.values().filter_map(|locks| locks.soft).map(|soft| soft.until).min()
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::{PartitionId, Timestamp};

    use super::*;
    use crate::store::Stamp;

    fn txn(start: u64) -> TxnId {
        TxnId { start: Timestamp(start), ..TxnId::default() }
    }

    fn key(name: &str) -> Key {
        Key::new(1, 1, 0, name.as_bytes())
    }

    fn part(checks: Vec<Check>, writes: &[&str]) -> Part {
        let writes = writes.iter().map(|name| (key(name), None)).collect();
        Part { partition: PartitionId::default(), checks, writes }
    }

    #[test]
    fn readers_share_and_exclude_writers() {
        let mut locks = Locks::default();
        let read = part(vec![Check::Key(key("a"), Stamp::NONE)], &[]);
        locks.prepare(txn(1), &read);
        locks.prepare(txn(2), &read);
        assert_eq!(locks.prepared(&key("a"), Some(txn(3)), Against::Writers), None);
        assert_eq!(locks.prepared(&key("a"), Some(txn(3)), Against::All), Some(txn(1)));
        locks.release(txn(1), &read);
        assert_eq!(locks.prepared(&key("a"), Some(txn(2)), Against::All), None);
        locks.release(txn(2), &read);
        assert!(locks.is_empty());
    }

    #[test]
    fn a_range_read_excludes_writers_inside() {
        let mut locks = Locks::default();
        let range = KeyRange { start: key("b"), end: key("d") };
        let read = part(vec![Check::Range(range.clone(), vec![])], &[]);
        locks.prepare(txn(1), &read);
        assert_eq!(locks.prepared(&key("c"), None, Against::All), Some(txn(1)));
        assert_eq!(locks.prepared(&key("d"), None, Against::All), None);
        locks.release(txn(1), &read);
        let write = part(vec![], &["c"]);
        locks.prepare(txn(2), &write);
        assert_eq!(locks.writers_in(&range, None).count(), 1);
        assert_eq!(locks.writers_in(&range, Some(txn(2))).count(), 0);
    }

    #[test]
    fn soft_locks_lapse_and_leave_nothing_behind() {
        let mut locks = Locks::default();
        locks.take_soft(&key("a"), Soft { txn: txn(1), since: 0, until: 10 });
        assert_eq!(locks.soft(&key("a"), txn(2), 9).map(|soft| soft.txn), Some(txn(1)));
        assert_eq!(locks.soft(&key("a"), txn(2), 10), None);
        assert_eq!(locks.next_lapse(), Some(10));
        assert!(locks.drop_soft(|soft| soft.until <= 10));
        assert!(locks.is_empty());
    }
}
