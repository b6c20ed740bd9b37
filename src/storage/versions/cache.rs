//! The newest version of recently used keys.

use annulus_base::{Key, PartitionId};
use annulus_replica::store::{Stamp, Version};
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};

/// For each key in it: its newest version, or `None` if the key has none.
pub struct NewestCache(Cache<Place, Option<Version>, Bytes>);

#[derive(PartialEq, Eq, Hash)]
struct Place {
    partition: PartitionId,
    key: Key,
}

/// A [`Place`] that borrows its key; must hash the same.
#[derive(Hash)]
struct Lookup<'a> {
    partition: PartitionId,
    key: &'a Key,
}

impl Equivalent<Place> for Lookup<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.partition == place.partition && *self.key == place.key
    }
}

/// Weighs entries by the memory they take.
#[derive(Clone)]
struct Bytes;

impl Weighter<Place, Option<Version>> for Bytes {
    fn weight(&self, place: &Place, newest: &Option<Version>) -> u64 {
        /// The entry itself, the table's share and the allocations' headers.
        const OVERHEAD: usize = 256;
        let value = newest.as_ref().and_then(|version| version.value.as_ref());
        (OVERHEAD + place.key.as_bytes().len() + value.map_or(0, |value| value.len())) as u64
    }
}

impl NewestCache {
    /// An empty cache that takes about this much memory when full.
    pub fn new(capacity_bytes: u64) -> Self {
        const FIRST_ITEMS: usize = 256;
        Self(Cache::with_weighter(FIRST_ITEMS, capacity_bytes, Bytes))
    }

    /// The entry of a key, if it is known.
    pub fn get(&self, partition: PartitionId, key: &Key) -> Option<&Option<Version>> {
        self.0.get(&Lookup { partition, key })
    }

    /// The newest version of a key was read.
    pub fn put(&mut self, partition: PartitionId, key: Key, newest: Option<Version>) {
        self.0.insert(Place { partition, key }, newest);
    }

    /// A version was written; `stored_key` is `key` in memory of its own. Unless the key is cached it is
    /// unknown whether the version is the newest.
    pub fn applied(&mut self, partition: PartitionId, key: &Key, stored_key: Key, version: Version) {
        let newer = |cached: &Version| cached.stamp < version.stamp;
        if self.0.peek(&Lookup { partition, key }).is_some_and(|cached| cached.as_ref().is_none_or(newer)) {
            self.put(partition, stored_key, Some(version));
        }
    }

    /// A version was removed.
    pub fn removed(&mut self, partition: PartitionId, key: &Key, stamp: Stamp) {
        let lookup = Lookup { partition, key };
        if self.0.peek(&lookup).is_some_and(|cached| cached.as_ref().is_some_and(|version| version.stamp == stamp)) {
            self.0.remove(&lookup);
        }
    }

    /// Everything known of a key is void.
    pub fn forget(&mut self, partition: PartitionId, key: &Key) {
        self.0.remove(&Lookup { partition, key });
    }
}
