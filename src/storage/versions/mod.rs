//! Committed versions in a storage engine, with the newest ones cached.
//!
//! Promises:
//! - What is read passed its checksum, or was written by this process. A record that fails it is
//!   [`StoreError::Corrupt`] and can be removed ([`Store::erase`]) and written anew.
//! - The cache, where it has an entry for a key, holds its newest version (or that there is none).
//!   It only ever learns from the engine and from what is written through this store; so each partition
//!   has one `VersionStore`, while several may share an engine.
//! - Under a key that is not whole, which is a prefix of others, nothing is found and nothing erased.
//!
//! Scans and histories jump over versions that do not matter once there are more than a few.

mod cache;
pub(crate) mod codec;

#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;

use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_replica::store::{Limit, Placed, Stamp, Store, StoreError, StoreResult, Version};
use bytes::Bytes;

use super::engine::{Change, Engine, EngineError, Entry, Order, Snapshot, Space};
use cache::NewestCache;
use codec::{Damage, Located};

/// Versions of one key stepped over before seeking the next one that matters.
const STEPS: usize = 8;

/// The store of decided versions over an engine.
pub struct VersionStore {
    engine: Arc<dyn Engine>,
    cache: NewestCache,
}

impl VersionStore {
    /// A store over an engine, with a cache of about `cache_bytes`.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, cache_bytes: u64) -> Self {
        Self { engine, cache: NewestCache::new(cache_bytes) }
    }

    /// Reads the engine, not the cache.
    fn seek(&self, partition: PartitionId, key: &Key, at: Timestamp) -> StoreResult<Option<Version>> {
        let (start, end) = (codec::first_at(partition, key, at), codec::behind(partition, key));
        let bounds = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
        let Some((place, record)) = self.engine.first(Space::Versions, bounds).map_err(failed)? else {
            return Ok(None);
        };
        let located = locate(&place)?;
        if located.key != *key {
            return Ok(None);
        }
        let value = codec::decode(&place, &record).map_err(|damage| blame(damage, partition, key))?;
        Ok(Some(Version { stamp: located.stamp, value }))
    }

    fn newest(&mut self, partition: PartitionId, key: &Key) -> StoreResult<Option<Version>> {
        let mut newest = self.seek(partition, key, Timestamp::MAX)?;
        // The engine's bytes may keep a whole block in memory.
        if let Some(value) = newest.as_mut().and_then(|version| version.value.as_mut()) {
            *value = Bytes::copy_from_slice(value);
        }
        self.cache.put(partition, Key(Bytes::copy_from_slice(key.as_bytes())), newest.clone());
        Ok(newest)
    }

    fn write(&mut self, batch: Vec<Change>) -> StoreResult<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.engine.write(batch).map_err(failed)
    }
}

impl Store for VersionStore {
    fn read(&mut self, partition: PartitionId, key: &Key, at: Timestamp) -> StoreResult<Option<Version>> {
        let newest = match self.cache.get(partition, key) {
            Some(cached) => cached.clone(),
            None => self.newest(partition, key)?,
        };
        match newest {
            Some(version) if version.stamp.ts > at => self.seek(partition, key, at),
            other => Ok(other),
        }
    }

    /// What the cache does not have is found in one walk over its stretch, and not put there: it would wash hot keys out.
    fn newest_of(&mut self, partition: PartitionId, keys: &[&Key]) -> StoreResult<Vec<Option<Version>>> {
        let cached: Vec<_> = keys.iter().map(|key| self.cache.get(partition, key).cloned()).collect();
        let unknown: Vec<&Key> =
            keys.iter().zip(&cached).filter(|(_, cached)| cached.is_none()).map(|(key, _)| *key).collect();
        let snapshot = self.engine.snapshot();
        let mut walked = walk_to(&*snapshot, partition, &unknown)?.into_iter();
        Ok(cached.into_iter().map(|cached| cached.unwrap_or_else(|| walked.next().flatten())).collect())
    }

    fn scan(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        at: Timestamp,
        mut limit: Limit,
    ) -> StoreResult<Vec<(Key, Version)>> {
        let mut found: Vec<(Key, Version)> = Vec::new();
        let snapshot = self.engine.snapshot();
        let mut walk = Walk::new(&*snapshot, partition, range);
        while !limit.is_used_up() {
            let Some(step) = walk.next().transpose()? else { break };
            if found.last().is_some_and(|(key, _)| *key == step.located.key) {
                walk.pass(|| codec::behind(partition, &step.located.key));
            } else if step.located.stamp.ts > at {
                walk.pass(|| codec::first_at(partition, &step.located.key, at));
            } else {
                let (key, version) = step.decode()?;
                limit.take(&key, &version);
                found.push((key, version));
                walk.skipped = 0;
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
        let mut found: Vec<(Key, Version)> = Vec::new();
        let snapshot = self.engine.snapshot();
        for step in Walk::new(&*snapshot, partition, range) {
            let step = step?;
            if limit.is_used_up() && found.last().is_none_or(|(key, _)| *key != step.located.key) {
                break;
            }
            let (key, version) = step.decode()?;
            limit.take(&key, &version);
            found.push((key, version));
        }
        Ok(found)
    }

    fn next_partition(&mut self, from: PartitionId) -> StoreResult<Option<PartitionId>> {
        let start = codec::start(from);
        let first = self.engine.first(Space::Versions, (Bound::Included(&start[..]), Bound::Unbounded));
        let place = first.map_err(failed)?.map(|(place, _)| place);
        place.map(|place| codec::partition_of(&place).ok_or_else(|| unknown(&place))).transpose()
    }

    fn apply(&mut self, versions: Vec<Placed>) -> StoreResult<()> {
        let mut batch = Vec::with_capacity(versions.len());
        for Placed { partition, key, version } in versions {
            let place = codec::place(partition, &key, version.stamp);
            let record = codec::encode(&place, version.value.as_ref());
            let stored = Version { stamp: version.stamp, value: version.value.map(|_| codec::value_of(&record)) };
            self.cache.applied(partition, &key, codec::key_of(&place), stored);
            batch.push(Change { space: Space::Versions, key: place, value: Some(record) });
        }
        self.write(batch)
    }

    fn remove(&mut self, versions: &[(PartitionId, Key, Stamp)]) -> StoreResult<()> {
        let mut batch = Vec::with_capacity(versions.len());
        for (partition, key, stamp) in versions {
            self.cache.removed(*partition, key, *stamp);
            batch.push(Change { space: Space::Versions, key: codec::place(*partition, key, *stamp), value: None });
        }
        self.write(batch)
    }

    fn erase(&mut self, partition: PartitionId, key: &Key) -> StoreResult<()> {
        self.cache.forget(partition, key);
        let (start, end) = (codec::first_at(partition, key, Timestamp::MAX), codec::behind(partition, key));
        let snapshot = self.engine.snapshot();
        let bounds = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
        let of_key = |entry: &Result<Entry, EngineError>| {
            entry.as_ref().map_or(true, |(place, _)| codec::locate(place).is_some_and(|located| located.key == *key))
        };
        let delete = |entry: Result<Entry, EngineError>| {
            entry.map(|(key, _)| Change { space: Space::Versions, key, value: None })
        };
        let entries = snapshot.range(Space::Versions, bounds, Order::Forward);
        let batch = entries.filter(of_key).map(delete).collect::<Result<_, _>>();
        self.write(batch.map_err(failed)?)
    }
}

/// The newest version of each of these keys, which are in order.
fn walk_to(snapshot: &dyn Snapshot, partition: PartitionId, keys: &[&Key]) -> StoreResult<Vec<Option<Version>>> {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let range = KeyRange { start: Key::clone(first), end: last.successor() };
    let mut walk = Walk::new(snapshot, partition, &range);
    let mut step = walk.next().transpose()?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let mut jumped = false;
        while step.as_ref().is_some_and(|step| step.located.key < **key) {
            jumped |= walk.pass(|| codec::first_at(partition, key, Timestamp::MAX));
            step = walk.next().transpose()?;
        }
        // Where the last key was far away, the next one will be: few steps are tried.
        walk.skipped = if jumped { STEPS - 1 } else { 0 };
        let newest = step.take_if(|step| step.located.key == **key).map(Step::decode).transpose()?;
        if newest.is_some() {
            step = walk.next().transpose()?;
        }
        found.push(newest.map(|(_, version)| version));
    }
    Ok(found)
}

/// All stored versions of the keys in a range, in order.
struct Walk<'a> {
    snapshot: &'a dyn Snapshot,
    partition: PartitionId,
    range: &'a KeyRange,
    entries: super::engine::Entries<'a>,
    end: Bytes,
    /// Steps since the last version that mattered.
    skipped: usize,
}

struct Step {
    partition: PartitionId,
    located: Located,
    place: Bytes,
    record: Bytes,
}

impl Step {
    fn decode(self) -> StoreResult<(Key, Version)> {
        let value = codec::decode(&self.place, &self.record);
        let value = value.map_err(|damage| blame(damage, self.partition, &self.located.key))?;
        Ok((self.located.key, Version { stamp: self.located.stamp, value }))
    }
}

impl<'a> Walk<'a> {
    fn new(snapshot: &'a dyn Snapshot, partition: PartitionId, range: &'a KeyRange) -> Self {
        let (start, end) = codec::range(partition, range);
        let entries = snapshot.range(Space::Versions, (Bound::Included(&start), Bound::Excluded(&end)), Order::Forward);
        Self { snapshot, partition, range, entries, end, skipped: 0 }
    }

    /// The last step did not matter, nothing before `target` does. Tells whether it jumped there.
    fn pass(&mut self, target: impl Fn() -> Bytes) -> bool {
        self.skipped += 1;
        let jumps = self.skipped > STEPS;
        if jumps {
            let target = target();
            let bounds = (Bound::Included(&target[..]), Bound::Excluded(&self.end[..]));
            self.entries = self.snapshot.range(Space::Versions, bounds, Order::Forward);
            self.skipped = 0;
        }
        jumps
    }
}

impl Iterator for Walk<'_> {
    type Item = StoreResult<Step>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (place, record) = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(failed(error))),
            };
            let located = match locate(&place) {
                Ok(located) => located,
                Err(error) => return Some(Err(error)),
            };
            // Builds before the first release stored such; to jump over it would jump over the keys it is a prefix of.
            if !located.key.is_whole() {
                continue;
            }
            // The bounds in the engine are wider than the range where its ends are not whole keys.
            if located.key < self.range.start {
                let partition = self.partition;
                self.pass(|| codec::behind(partition, &located.key));
            } else if located.key < self.range.end {
                return Some(Ok(Step { partition: self.partition, located, place, record }));
            } else {
                return None;
            }
        }
    }
}

fn locate(place: &Bytes) -> StoreResult<Located> {
    codec::locate(place).ok_or_else(|| unknown(place))
}

fn unknown(place: &Bytes) -> StoreError {
    StoreError::Failed(format!("it holds a key that is no version's: {}", place.escape_ascii()))
}

fn blame(damage: Damage, partition: PartitionId, key: &Key) -> StoreError {
    match damage {
        Damage::Corrupt => StoreError::Corrupt { partition, key: key.clone() },
        Damage::Format(version) => StoreError::Failed(format!(
            "key {key} in partition {partition} has format version {version}; start the release that wrote it"
        )),
    }
}

fn failed(error: EngineError) -> StoreError {
    StoreError::Failed(error.to_string())
}
