//! Answers of a replica to those who compare and repair partitions.

use annulus_base::{Key, KeyRange, NodeId, PartitionId, Timestamp};

use crate::effects::Effects;
use crate::message::{Compare, Message, RequestId};
use crate::participant::Replica;
use crate::record::Record;
use crate::store::{Placed, Stamp, Store, StoreResult, Version};

/// Value bytes that one [`Message::Fetched`] carries at most, so that it fits into a frame.
const MAX_FETCHED_BYTES: usize = 4 << 20;

/// The versions that every replica should have: none above `until`, and of those at or below `horizon`
/// only the newest. `history` is in key order, newest first within a key.
pub fn retained(
    history: &[(Key, Version)],
    until: Timestamp,
    horizon: Timestamp,
) -> impl Iterator<Item = &(Key, Version)> {
    let mut settled: Option<&Key> = None;
    history.iter().filter(move |(key, version)| {
        if version.stamp.ts > until || settled == Some(key) {
            return false;
        }
        if version.stamp.ts <= horizon {
            settled = Some(key);
        }
        true
    })
}

/// A digest over keys and stamps.
pub fn stretch_digest<'a>(versions: impl Iterator<Item = (&'a Key, Stamp)>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (key, stamp) in versions {
        hasher.update(&(key.as_bytes().len() as u64).to_le_bytes());
        hasher.update(key.as_bytes());
        hasher.update(&stamp.ts.0.to_le_bytes());
        hasher.update(&stamp.txn.start.0.to_le_bytes());
        hasher.update(&stamp.txn.node.0.to_le_bytes());
        hasher.update(&stamp.txn.incarnation.0.to_le_bytes());
        hasher.update(&stamp.txn.sequence.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Replica {
    /// Every version in a stretch, newest first within a key, at least `limit` of them unless it ends
    /// before; `None` if a record is corrupt.
    ///
    /// # Errors
    /// What the store says.
    pub fn stretch(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        limit: usize,
        store: &mut dyn Store,
    ) -> StoreResult<Option<Vec<(Key, Version)>>> {
        let history = store.history(partition, range, limit);
        self.readable(history)
    }

    pub(crate) fn compare(
        &mut self,
        from: NodeId,
        compare: &Compare,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let limit = self.settings.sweep_versions.saturating_mul(4);
        let Some(history) = self.stretch(compare.partition, &compare.range, limit, store)? else { return Ok(()) };
        let mut range = compare.range.clone();
        if history.len() >= limit
            && let Some((last, _)) = history.last()
        {
            range.end = last.successor().min(range.end);
        }
        let versions = retained(&history, compare.until, compare.horizon);
        let here: Vec<(Key, Stamp)> = versions.map(|(key, version)| (key.clone(), version.stamp)).collect();
        let digest = stretch_digest(here.iter().map(|(key, stamp)| (key, *stamp)));
        let same = range == compare.range && digest == compare.digest;
        let here = (!same).then_some(here);
        out.send(from, Message::Compared { id: compare.id, range, here });
        Ok(())
    }

    pub(crate) fn fetch(
        &mut self,
        from: NodeId,
        id: RequestId,
        partition: PartitionId,
        wanted: &[(Key, Stamp)],
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let mut fetched = Vec::new();
        let mut bytes = 0;
        for (key, stamp) in wanted {
            let Some(history) = self.stretch(partition, &only(key), usize::MAX, store)? else { continue };
            let version = history.into_iter().map(|(_, version)| version).find(|version| version.stamp == *stamp);
            let Some(version) = version else { continue };
            bytes += key.as_bytes().len() + version.value.as_ref().map_or(0, bytes::Bytes::len);
            fetched.push(Placed { partition, key: key.clone(), version });
            if bytes > MAX_FETCHED_BYTES {
                break;
            }
        }
        out.send(from, Message::Fetched(id, fetched));
        Ok(())
    }

    pub(crate) fn repair(
        &mut self,
        from: NodeId,
        id: RequestId,
        versions: Vec<Placed>,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        self.add_versions(versions, store, out)?;
        out.send(from, Message::Repaired(id));
        Ok(())
    }

    /// Adds decided versions that this replica lacks.
    ///
    /// # Errors
    /// What the store says.
    pub fn add_versions(&mut self, versions: Vec<Placed>, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        if versions.is_empty() {
            return Ok(());
        }
        self.counters.repaired += versions.len() as u64;
        store.apply(versions.clone())?;
        self.log(Record::Repaired(versions), out);
        Ok(())
    }

    /// Replaces a damaged key's record by what the rest of the replica ring has.
    ///
    /// # Errors
    /// What the store says.
    pub fn heal(
        &mut self,
        partition: PartitionId,
        key: &Key,
        versions: Vec<Placed>,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        store.erase(partition, key)?;
        self.add_versions(versions, store, out)?;
        self.damaged.remove(&(partition, key.clone()));
        Ok(())
    }

    /// Drops tombstones that every replica has, with everything below them.
    ///
    /// # Errors
    /// What the store says.
    pub fn purge(
        &mut self,
        partition: PartitionId,
        tombstones: &[(Key, Stamp)],
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let mut removed = Vec::new();
        let mut floor = self.purged;
        for (key, stamp) in tombstones {
            let Some(history) = self.stretch(partition, &only(key), usize::MAX, store)? else { continue };
            let newest = history.first().map(|(_, version)| (version.stamp, version.value.is_none()));
            if newest == Some((*stamp, true)) {
                floor = floor.max(stamp.ts);
                removed.extend(history.into_iter().map(|(key, version)| (partition, key, version.stamp)));
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        if floor > self.purged {
            self.purged = floor;
            self.read_times.raise_floor(floor);
            self.log(Record::Floor(floor), out);
        }
        store.remove(&removed)
    }
}

/// The range that holds just one key.
#[must_use]
pub fn only(key: &Key) -> KeyRange {
    KeyRange { start: key.clone(), end: key.successor() }
}
