//! The keys that were given versions lately: what is not settled at a snapshot (`unsettled`), and whether a write may have been
//! overtaken (`votes`).
//!
//! Bounded: of what is forgotten the highest timestamp is known, so that an answer is complete or not given.

use std::collections::VecDeque;

use annulus_base::{Key, PartitionId, Timestamp};

use crate::store::Placed;

/// Versions remembered.
const MOST_RECENT: usize = 1 << 13;
/// So many keys are compared with each that is written.
const FEW: usize = 16;

/// A version that was added.
#[derive(Debug)]
struct Written {
    partition: PartitionId,
    ts: Timestamp,
    key: Key,
    /// The highest timestamp of this one and all before it.
    highest: Timestamp,
}

/// The keys that were given versions lately.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// In the order in which they were added, which is about that of their timestamps.
    written: VecDeque<Written>,
    /// The highest timestamp of what is not remembered.
    forgotten: Timestamp,
}

impl Recent {
    /// Whatever an earlier incarnation has voted for is not above this.
    pub(crate) fn start(&mut self, floor: Timestamp) {
        self.forgotten = self.forgotten.max(floor);
    }

    /// Versions are added.
    pub(crate) fn note(&mut self, versions: &[Placed]) {
        for placed in versions {
            let ts = placed.version.stamp.ts;
            let highest = self.written.back().map_or(ts, |last| last.highest.max(ts));
            let written = Written { partition: placed.partition, ts, key: placed.key.clone(), highest };
            self.written.push_back(written);
        }
        while self.written.len() > MOST_RECENT {
            let Some(oldest) = self.written.pop_front() else { return };
            self.forgotten = self.forgotten.max(oldest.ts);
        }
    }

    /// The keys of a partition that were given versions above `at`, the last ones first; `None` if not all are remembered.
    pub(crate) fn above(&self, partition: PartitionId, at: Timestamp) -> Option<impl Iterator<Item = &Key>> {
        let since = self.written.iter().rev().take_while(move |written| written.highest > at);
        let above = since.filter(move |written| written.partition == partition && written.ts > at);
        (at >= self.forgotten).then(|| above.map(|written| &written.key))
    }

    /// The same keys if they are few.
    pub(crate) fn few_above(&self, partition: PartitionId, at: Timestamp) -> Option<Vec<&Key>> {
        let keys: Vec<&Key> = self.above(partition, at)?.take(FEW + 1).collect();
        (keys.len() <= FEW).then_some(keys)
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::TxnId;

    use super::*;
    use crate::store::{Stamp, Version};

    fn placed(name: u32, ts: u64) -> Placed {
        let stamp = Stamp { ts: Timestamp(ts), txn: TxnId::default() };
        let key = Key::new(1, 1, 0, &name.to_be_bytes());
        Placed { partition: PartitionId::default(), key, version: Version { stamp, value: None } }
    }

    #[test]
    fn what_is_written_above_is_remembered_or_nothing_is_told() {
        let mut recent = Recent::default();
        recent.start(Timestamp(5));
        let above = |recent: &Recent, at: u64| {
            recent.above(PartitionId::default(), Timestamp(at)).map(|keys| keys.cloned().collect::<Vec<Key>>())
        };
        assert_eq!(above(&recent, 4), None);
        assert_eq!(above(&recent, 5), Some(Vec::new()));
        recent.note(&[placed(1, 7), placed(2, 9), placed(3, 8)]);
        assert_eq!(above(&recent, 7), Some(vec![placed(3, 8).key, placed(2, 9).key]));
        assert_eq!(above(&recent, 9), Some(Vec::new()));
        let few = |at: u64| recent.few_above(PartitionId::default(), Timestamp(at)).map(|keys| keys.len());
        assert_eq!((few(4), few(6), few(9)), (None, Some(3), Some(0)));
        for n in 0..MOST_RECENT as u32 {
            recent.note(&[placed(n, 10)]);
        }
        assert_eq!(above(&recent, 8), None);
        assert_eq!(above(&recent, 9).map(|keys| keys.len()), Some(MOST_RECENT));
        assert_eq!(recent.few_above(PartitionId::default(), Timestamp(9)), None);
    }
}
