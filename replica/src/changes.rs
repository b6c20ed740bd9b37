//! When the content of each index last changed here: in one word, whether what somebody has read before is still so.
//!
//! A [`Mark`] given at a snapshot `s` promises: no version above `s` had been added to the index by then, and every
//! version added later changes the mark. With the promise of the snapshot itself (nothing more is prepared at or below
//! it) two equal marks of one replica, at `s` and at a later `t`, mean that this replica took part in no transaction
//! between them that wrote to the index. Where a majority says so, there was none.

use std::collections::BTreeMap;

use annulus_base::key::PREFIX_LEN;
use annulus_base::{Incarnation, Key, KeyRange, PartitionId, Timestamp};

use crate::message::Mark;
use crate::store::Placed;

/// Indexes remembered before all are forgotten, which changes every mark.
const MOST: usize = 1 << 16;

type Index = (PartitionId, [u8; PREFIX_LEN]);

/// The last change of an index.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    number: u64,
    /// The highest timestamp of all versions added so far.
    highest: Timestamp,
}

/// What was added to the indexes of a node since its start.
#[derive(Debug)]
pub(crate) struct Changes {
    incarnation: Incarnation,
    number: u64,
    last: BTreeMap<Index, Change>,
    /// Of indexes that are not remembered.
    others: Change,
}

impl Changes {
    pub(crate) const fn new(incarnation: Incarnation) -> Self {
        let others = Change { number: 0, highest: Timestamp::ZERO };
        Self { incarnation, number: 0, last: BTreeMap::new(), others }
    }

    /// Whatever an earlier incarnation has voted for is not above this.
    pub(crate) fn start(&mut self, floor: Timestamp) {
        self.others.highest = self.others.highest.max(floor);
        for change in self.last.values_mut() {
            change.highest = change.highest.max(floor);
        }
    }

    /// Versions are added.
    pub(crate) fn note(&mut self, versions: &[Placed]) {
        for placed in versions {
            let Some(prefix) = prefix(&placed.key) else { continue };
            if self.last.len() >= MOST {
                self.forget();
            }
            self.number += 1;
            let change = self.last.entry((placed.partition, prefix)).or_insert(self.others);
            change.number = self.number;
            change.highest = change.highest.max(placed.version.stamp.ts);
        }
    }

    fn forget(&mut self) {
        self.number += 1;
        let highest = self.last.values().map(|change| change.highest).max().unwrap_or_default();
        self.others = Change { number: self.number, highest: self.others.highest.max(highest) };
        self.last.clear();
    }

    /// The mark of a range at a snapshot; `None` if the range is not within one index, or if something was added above
    /// the snapshot.
    pub(crate) fn mark(&self, partition: PartitionId, range: &KeyRange, at: Timestamp) -> Option<Mark> {
        let prefix = prefix(&range.start)?;
        if range.end > after(&prefix)? {
            return None;
        }
        let change = self.last.get(&(partition, prefix)).unwrap_or(&self.others);
        (change.highest <= at).then_some(Mark { incarnation: self.incarnation, number: change.number })
    }
}

fn prefix(key: &Key) -> Option<[u8; PREFIX_LEN]> {
    key.as_bytes().get(..PREFIX_LEN)?.try_into().ok()
}

/// Behind all keys of an index; `None` if there is nothing.
fn after(prefix: &[u8; PREFIX_LEN]) -> Option<Key> {
    let mut end = *prefix;
    let last = end.iter().rposition(|byte| *byte != u8::MAX)?;
    end[last] += 1;
    Some(Key(end[..=last].to_vec().into()))
}

#[cfg(test)]
mod tests {
    use annulus_base::TxnId;

    use super::*;
    use crate::store::{Stamp, Version};

    fn placed(index: u32, name: &[u8], ts: u64) -> Placed {
        let stamp = Stamp { ts: Timestamp(ts), txn: TxnId::default() };
        Placed {
            partition: PartitionId::default(),
            key: Key::new(1, 1, index, name),
            version: Version { stamp, value: None },
        }
    }

    #[test]
    fn a_mark_changes_with_its_index_only() {
        let mut changes = Changes::new(Incarnation(7));
        changes.start(Timestamp(5));
        let mark = |changes: &Changes, index: u32, at: u64| {
            changes.mark(PartitionId::default(), &KeyRange::of_index(1, 1, index), Timestamp(at))
        };
        assert_eq!(mark(&changes, 0, 4), None);
        let before = (mark(&changes, 0, 5), mark(&changes, 1, 5));
        assert!(before.0.is_some() && before.1.is_some());
        changes.note(&[placed(0, b"a", 9)]);
        assert_eq!(mark(&changes, 0, 8), None);
        assert_ne!(mark(&changes, 0, 9), before.0);
        assert_eq!(mark(&changes, 1, 9), before.1);
        // What comes late, below, is a change, too.
        let nine = mark(&changes, 0, 9);
        changes.note(&[placed(0, b"b", 3)]);
        assert_ne!(mark(&changes, 0, 9), nine);
    }

    #[test]
    fn only_ranges_within_an_index_have_marks() {
        let changes = Changes::new(Incarnation(1));
        let mark = |start: Key, end: Key| changes.mark(PartitionId::default(), &KeyRange { start, end }, Timestamp(9));
        let index = KeyRange::of_index(1, 2, u32::MAX);
        assert!(mark(index.start.clone(), index.end.clone()).is_some());
        assert!(mark(Key::new(1, 2, 3, b"a"), Key::new(1, 2, 3, b"b")).is_some());
        assert_eq!(mark(index.start, Key::new(1, 3, 0, b"")), None);
        assert_eq!(mark(KeyRange::all().start, KeyRange::all().end), None);
    }

    #[test]
    fn what_is_forgotten_changes_every_mark() {
        let mut changes = Changes::new(Incarnation(1));
        changes.note(&[placed(0, b"a", 20)]);
        let mark = |changes: &Changes, index: u32, at: u64| {
            changes.mark(PartitionId::default(), &KeyRange::of_index(1, 1, index), Timestamp(at))
        };
        let before = (mark(&changes, 0, 20), mark(&changes, 5, 20));
        changes.forget();
        assert_eq!(mark(&changes, 5, 19), None);
        assert_ne!(mark(&changes, 0, 20), before.0);
        assert_ne!(mark(&changes, 5, 20), before.1);
    }
}
