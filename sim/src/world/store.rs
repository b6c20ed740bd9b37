//! Versions in memory, with what a disk does to them: unsynced changes are lost at a crash, bits flip.

use std::collections::BTreeMap;

use annulus_base::rng::Rng;
use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_replica::store::{Limit, Placed, Stamp, Store, StoreError, StoreResult, Version};
use bytes::Bytes;

/// All versions of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    versions: BTreeMap<Stamp, Option<Bytes>>,
    corrupt: bool,
}

type Content = BTreeMap<PartitionId, BTreeMap<Key, Entry>>;

/// A change that is not synced yet.
#[derive(Clone, Debug)]
enum Change {
    Apply(Placed),
    Remove(PartitionId, Key, Stamp),
    Erase(PartitionId, Key),
}

impl Change {
    fn apply_to(self, content: &mut Content) {
        match self {
            Self::Apply(Placed { partition, key, version }) => {
                let entry = content.entry(partition).or_default().entry(key).or_default();
                entry.versions.entry(version.stamp).or_insert(version.value);
            }
            Self::Remove(partition, key, stamp) => {
                let Some(keys) = content.get_mut(&partition) else { return };
                if let Some(entry) = keys.get_mut(&key) {
                    entry.versions.remove(&stamp);
                    if entry.versions.is_empty() && !entry.corrupt {
                        keys.remove(&key);
                    }
                }
            }
            Self::Erase(partition, key) => {
                if let Some(keys) = content.get_mut(&partition) {
                    keys.remove(&key);
                }
            }
        }
    }
}

/// A node's store: what it shows, and what of it would survive a crash.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: Content,
    durable: Content,
    unsynced: Vec<Change>,
    /// Versions added since the world last looked.
    pub added: Vec<Placed>,
}

impl MemoryStore {
    fn change(&mut self, change: Change) {
        self.unsynced.push(change.clone());
        change.apply_to(&mut self.content);
    }

    /// Marks how much a sync that begins now will cover.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// A sync of the first `changes` unsynced changes has returned.
    pub fn synced(&mut self, changes: usize) {
        for change in self.unsynced.drain(..changes) {
            change.apply_to(&mut self.durable);
        }
    }

    /// Power is lost: of the unsynced changes a random prefix survives.
    pub fn crash(&mut self, rng: &mut Rng) {
        let kept = rng.between(0, self.unsynced.len() as u64) as usize;
        self.unsynced.truncate(kept);
        self.synced(kept);
        self.content = self.durable.clone();
        self.added.clear();
    }

    /// Flips a bit in the record of a random key: it fails its checksum from now on. Returns the key.
    pub fn flip_bit(&mut self, rng: &mut Rng) -> Option<(PartitionId, Key)> {
        let places: Vec<_> = self
            .durable
            .iter()
            .flat_map(|(partition, keys)| keys.keys().map(|key| (*partition, key.clone())))
            .collect();
        let (partition, key) = rng.pick(&places)?.clone();
        self.corrupt(partition, &key);
        Some((partition, key))
    }

    /// Flips a bit in the record of a key; returns whether there was one.
    pub fn corrupt(&mut self, partition: PartitionId, key: &Key) -> bool {
        let mut found = false;
        for content in [&mut self.durable, &mut self.content] {
            if let Some(entry) = content.get_mut(&partition).and_then(|keys| keys.get_mut(key)) {
                entry.corrupt = true;
                found = true;
            }
        }
        found
    }

    /// Everything stored of one partition, newest version first; `None` for the versions of a corrupt key.
    pub fn dump(
        &self,
        partition: PartitionId,
    ) -> impl Iterator<Item = (&Key, Option<&BTreeMap<Stamp, Option<Bytes>>>)> {
        let keys = self.content.get(&partition).into_iter().flatten();
        keys.map(|(key, entry)| (key, (!entry.corrupt).then_some(&entry.versions)))
    }

    fn readable<'a>(partition: PartitionId, key: &Key, entry: &'a Entry) -> StoreResult<&'a Entry> {
        if entry.corrupt { Err(StoreError::Corrupt { partition, key: key.clone() }) } else { Ok(entry) }
    }

    fn range(&self, partition: PartitionId, range: &KeyRange) -> impl Iterator<Item = (&Key, &Entry)> {
        let keys = self.content.get(&partition).filter(|_| range.start < range.end);
        keys.into_iter().flat_map(|keys| keys.range(range.start.clone()..range.end.clone()))
    }
}

fn newest(entry: &Entry, at: Timestamp) -> Option<Version> {
    let newest_first = entry.versions.iter().rev();
    let (stamp, value) = newest_first.into_iter().find(|(stamp, _)| stamp.ts <= at)?;
    Some(Version { stamp: *stamp, value: value.clone() })
}

impl Store for MemoryStore {
    fn read(&mut self, partition: PartitionId, key: &Key, at: Timestamp) -> StoreResult<Option<Version>> {
        assert!(key.is_whole(), "partition {partition} was asked for what is no key: {key}");
        let Some(entry) = self.content.get(&partition).and_then(|keys| keys.get(key)) else { return Ok(None) };
        Ok(newest(Self::readable(partition, key, entry)?, at))
    }

    fn scan(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        at: Timestamp,
        mut limit: Limit,
    ) -> StoreResult<Vec<(Key, Version)>> {
        let mut found = Vec::new();
        for (key, entry) in self.range(partition, range) {
            if limit.is_used_up() {
                break;
            }
            if let Some(version) = newest(Self::readable(partition, key, entry)?, at) {
                limit.take(key, &version);
                found.push((key.clone(), version));
            }
        }
        Ok(found)
    }

    fn history(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        mut limit: Limit,
    ) -> StoreResult<Vec<(Key, Version)>> {
        let mut found = Vec::new();
        for (key, entry) in self.range(partition, range) {
            if limit.is_used_up() {
                break;
            }
            for (stamp, value) in Self::readable(partition, key, entry)?.versions.iter().rev() {
                let version = Version { stamp: *stamp, value: value.clone() };
                limit.take(key, &version);
                found.push((key.clone(), version));
            }
        }
        Ok(found)
    }

    fn next_partition(&mut self, from: PartitionId) -> StoreResult<Option<PartitionId>> {
        let filled = self.content.range(from..).find(|(_, keys)| !keys.is_empty());
        Ok(filled.map(|(partition, _)| *partition))
    }

    fn apply(&mut self, versions: Vec<Placed>) -> StoreResult<()> {
        for placed in versions {
            assert!(placed.key.is_whole(), "something that is no key was written: {}", placed.key);
            let entry = self.content.get(&placed.partition).and_then(|keys| keys.get(&placed.key));
            if entry.is_some_and(|entry| entry.versions.contains_key(&placed.version.stamp)) {
                continue;
            }
            self.added.push(placed.clone());
            self.change(Change::Apply(placed));
        }
        Ok(())
    }

    fn remove(&mut self, versions: &[(PartitionId, Key, Stamp)]) -> StoreResult<()> {
        for (partition, key, stamp) in versions {
            self.change(Change::Remove(*partition, key.clone(), *stamp));
        }
        Ok(())
    }

    fn erase(&mut self, partition: PartitionId, key: &Key) -> StoreResult<()> {
        self.change(Change::Erase(partition, key.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annulus_base::TxnId;

    const P: PartitionId = PartitionId { namespace: annulus_base::NamespaceId(1), slot: 0 };

    fn placed(key: &str, ts: u64) -> Placed {
        let stamp = Stamp { ts: Timestamp(ts), txn: TxnId::default() };
        let value = Some(Bytes::from(ts.to_string()));
        Placed { partition: P, key: Key::new(0, 0, 0, key.as_bytes()), version: Version { stamp, value } }
    }

    #[test]
    fn a_crash_loses_unsynced_changes_only() {
        let mut store = MemoryStore::default();
        store.apply(vec![placed("a", 1)]).unwrap();
        store.synced(store.unsynced());
        store.apply(vec![placed("a", 2)]).unwrap();
        let key = placed("a", 0).key;
        let mut seen = Vec::new();
        for seed in 0..20 {
            store.crash(&mut Rng::new(seed));
            seen.push(store.read(P, &key, Timestamp::MAX).unwrap().map(|version| version.stamp.ts.0));
        }
        assert!(seen.iter().all(|ts| matches!(ts, Some(1 | 2))));
    }

    #[test]
    fn a_corrupt_key_is_never_served_until_erased() {
        let mut store = MemoryStore::default();
        store.apply(vec![placed("a", 1)]).unwrap();
        store.synced(1);
        let (partition, key) = store.flip_bit(&mut Rng::new(0)).unwrap();
        assert!(store.read(partition, &key, Timestamp::MAX).is_err());
        assert!(store.scan(partition, &KeyRange::of_index(0, 0, 0), Timestamp::MAX, Limit::NONE).is_err());
        store.erase(partition, &key).unwrap();
        assert_eq!(store.read(partition, &key, Timestamp::MAX), Ok(None));
        store.apply(vec![placed("a", 1)]).unwrap();
        assert!(store.read(partition, &key, Timestamp::MAX).unwrap().is_some());
    }
}
