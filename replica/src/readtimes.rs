//! How late each key has been read: nothing may be written at or below.
//!
//! Bounded: what is forgotten raises the floor, which holds for every key.

use std::collections::BTreeMap;
use std::mem;

use annulus_base::{Key, KeyRange, PartitionId, Timestamp};

/// Ranges remembered per partition before the oldest half is folded into the floor.
const MAX_RANGES: usize = 128;

/// By hash: there are many, and each vote looks some up.
#[expect(
    clippy::disallowed_types,
    reason = "its order shows nowhere: keys are looked up, and the highest of all is the same in any"
)]
type Times = std::collections::HashMap<Key, Timestamp>;

/// Keys that were read in about the same time.
#[derive(Debug, Default)]
struct Generation {
    times: BTreeMap<PartitionId, Times>,
    keys: usize,
}

impl Generation {
    fn of(&self, partition: PartitionId, key: &Key) -> Option<Timestamp> {
        self.times.get(&partition)?.get(key).copied()
    }

    fn raise(&mut self, partition: PartitionId, key: &Key, ts: Timestamp) {
        let times = self.times.entry(partition).or_default();
        if let Some(time) = times.get_mut(key) {
            *time = ts.max(*time);
        } else {
            times.insert(key.clone(), ts);
            self.keys += 1;
        }
    }

    fn highest(&self) -> Timestamp {
        self.times.values().flat_map(Times::values).copied().max().unwrap_or_default()
    }
}

/// Read timestamps of the partitions of a node.
#[derive(Debug)]
pub struct ReadTimes {
    capacity: usize,
    floor: Timestamp,
    recent: Generation,
    older: Generation,
    ranges: BTreeMap<PartitionId, Vec<(KeyRange, Timestamp)>>,
}

impl ReadTimes {
    /// Remembers at most `capacity` keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(2),
            floor: Timestamp::ZERO,
            recent: Generation::default(),
            older: Generation::default(),
            ranges: BTreeMap::new(),
        }
    }

    /// Nothing at or below `floor` may be written to any key any more.
    pub fn raise_floor(&mut self, floor: Timestamp) {
        self.floor = self.floor.max(floor);
    }

    #[cfg(test)]
    const fn floor(&self) -> Timestamp {
        self.floor
    }

    /// `key` was read at `ts`.
    pub fn raise(&mut self, partition: PartitionId, key: &Key, ts: Timestamp) {
        if ts <= self.floor {
            return;
        }
        self.recent.raise(partition, key, ts);
        if self.recent.keys > self.capacity / 2 {
            let dropped = mem::replace(&mut self.older, mem::take(&mut self.recent));
            self.floor = self.floor.max(dropped.highest());
        }
    }

    /// Every key of `range` was read at `ts`.
    pub fn raise_range(&mut self, partition: PartitionId, range: &KeyRange, ts: Timestamp) {
        if ts <= self.floor {
            return;
        }
        let ranges = self.ranges.entry(partition).or_default();
        match ranges.iter_mut().find(|(known, _)| known == range) {
            Some((_, time)) => *time = ts.max(*time),
            None => ranges.push((range.clone(), ts)),
        }
        if ranges.len() > MAX_RANGES {
            ranges.sort_by_key(|(_, time)| *time);
            let dropped = ranges.drain(..MAX_RANGES / 2).map(|(_, time)| time);
            self.floor = dropped.fold(self.floor, Timestamp::max);
        }
    }

    /// A write to all of these keys must be above this.
    #[must_use]
    pub fn highest_of<'k>(&self, partition: PartitionId, keys: impl Iterator<Item = &'k Key> + Clone) -> Timestamp {
        let (Some(first), Some(last)) = (keys.clone().min(), keys.clone().max()) else {
            return Timestamp::ZERO;
        };
        // Most ranges are elsewhere: they are compared with the keys once, not with each key.
        let near = |range: &KeyRange| range.start <= *last && *first < range.end;
        let ranges = self.ranges.get(&partition).into_iter().flatten().filter(|(range, _)| near(range));
        let ranges: Vec<&(KeyRange, Timestamp)> = ranges.collect();
        let of = |key: &Key| {
            let point = self.recent.of(partition, key).max(self.older.of(partition, key)).unwrap_or_default();
            let range = ranges.iter().filter(|(range, _)| range.contains(key)).map(|(_, time)| *time).max();
            point.max(range.unwrap_or_default())
        };
        keys.map(of).fold(self.floor, Timestamp::max)
    }

    /// A write to `key` must be above this.
    #[cfg(test)]
    fn of(&self, partition: PartitionId, key: &Key) -> Timestamp {
        self.highest_of(partition, std::iter::once(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> Key {
        Key::new(1, 1, 0, &n.to_be_bytes())
    }

    #[test]
    fn what_is_forgotten_raises_the_floor() {
        let partition = PartitionId::default();
        let mut times = ReadTimes::new(10);
        for n in 0..100 {
            times.raise(partition, &key(n), Timestamp(u64::from(n) + 1));
        }
        for n in 0..100 {
            assert!(times.of(partition, &key(n)) > Timestamp(u64::from(n)), "{n}");
        }
        assert!(times.floor() < Timestamp(100));
    }

    #[test]
    fn ranges_count_for_their_keys() {
        let partition = PartitionId::default();
        let mut times = ReadTimes::new(10);
        times.raise_range(partition, &KeyRange { start: key(5), end: key(8) }, Timestamp(50));
        assert_eq!(times.of(partition, &key(5)), Timestamp(50));
        assert_eq!(times.of(partition, &key(8)), Timestamp::ZERO);
        for n in 0..1_000 {
            times.raise_range(partition, &KeyRange { start: key(n), end: key(n + 1) }, Timestamp(u64::from(n)));
        }
        assert!(times.of(partition, &key(3)) >= Timestamp(3));
        let mut times = ReadTimes::new(10);
        times.raise_range(partition, &KeyRange { start: key(5), end: key(8) }, Timestamp(50));
        times.raise(partition, &key(9), Timestamp(40));
        let highest = |keys: &[u32]| {
            let keys: Vec<Key> = keys.iter().map(|n| key(*n)).collect();
            times.highest_of(partition, keys.iter())
        };
        assert_eq!(highest(&[1, 4, 8]), Timestamp::ZERO);
        assert_eq!(highest(&[4, 9, 8]), Timestamp(40));
        assert_eq!(highest(&[9, 4, 7]), Timestamp(50));
        assert_eq!(highest(&[]), Timestamp::ZERO);
    }
}
