//! Answers of a replica to those who compare and repair partitions.

use std::iter;

use annulus_base::limits::STRETCH_BYTES;
use annulus_base::{Key, KeyRange, Mutation, NodeId, PartitionId, Timestamp};

use crate::effects::Effects;
use crate::message::{Compare, Message, RequestId};
use crate::participant::Replica;
use crate::record::Record;
use crate::store::{Limit, Placed, Stamp, Store, StoreResult, Version};

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

/// Of a key's history, newest first: the version wanted, and the oldest tombstone above it.
fn covered(history: Vec<(Key, Version)>, wanted: Stamp) -> Vec<Version> {
    let mut covering = None;
    for (_, version) in history {
        if version.stamp == wanted {
            return iter::once(version).chain(covering).collect();
        }
        if version.value.is_none() {
            covering = Some(version);
        }
    }
    Vec::new()
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

/// A change of the store that waits for its record to be durable.
#[derive(Debug)]
pub(crate) enum Deferred {
    /// A damaged key is replaced by what the rest of the ring has.
    Heal { partition: PartitionId, key: Key, versions: Vec<Placed> },
    /// Tombstones go.
    Purge { partition: PartitionId, tombstones: Vec<(Key, Stamp)> },
}

impl Replica {
    /// Every version in a stretch, newest first within a key, until the key that uses `limit` up; `None` if a
    /// record is corrupt.
    ///
    /// # Errors
    /// What the store says.
    pub fn stretch(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        limit: Limit,
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
        if compare.is_of_damage() && self.is_write_locked(compare.partition, &compare.range) {
            // A version may be decided and not be here yet; the asker comes again.
            return Ok(());
        }
        let limit = Limit { versions: self.settings.sweep_versions * 4, bytes: 4 * STRETCH_BYTES };
        let Some(history) = self.stretch(compare.partition, &compare.range, limit, store)? else { return Ok(()) };
        let mut range = compare.range.clone();
        if limit.is_used_up_by(&history)
            && let Some((last, _)) = history.last()
        {
            range.end = last.successor().min(range.end);
        }
        let versions = retained(&history, compare.until, compare.horizon);
        let here: Vec<(Key, Stamp)> = versions.map(|(key, version)| (key.clone(), version.stamp)).collect();
        let digest = stretch_digest(here.iter().map(|(key, stamp)| (key, *stamp)));
        let same = range == compare.range && digest == compare.digest;
        // The asker must not let tombstones be purged that cover what is yet to be decided here.
        let same = same && !self.has_covering_tombstone(compare.partition, &history);
        let here = (!same).then_some(here);
        // What is said to be here must stay: on it may rest that a tombstone is purged elsewhere.
        out.send_durable(from, Message::Compared { id: compare.id, range, here });
        Ok(())
    }

    /// Hands over the versions wanted that are here, each with the tombstone that covers it: who asked may
    /// have purged both, and must not get the one without the other.
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
            let Some(history) = self.stretch(partition, &only(key), Limit::NONE, store)? else { continue };
            for version in covered(history, *stamp) {
                bytes += key.as_bytes().len() + version.value.as_ref().map_or(0, bytes::Bytes::len);
                fetched.push(Placed { partition, key: key.clone(), version });
            }
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
        self.add_recent(versions, store, out)?;
        out.send(from, Message::Repaired(id));
        Ok(())
    }

    /// Adds decided versions that nobody asked for: those of them that cannot have been purged. A message
    /// may be old, and what it carries may have been deleted and purged since it was sent.
    ///
    /// # Errors
    /// What the store says.
    pub fn add_recent(
        &mut self,
        mut versions: Vec<Placed>,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        versions.retain(|placed| placed.version.stamp.ts > self.purged);
        self.add_versions(versions, store, out)
    }

    /// Adds decided versions that this replica lacks, and has not purged.
    ///
    /// # Errors
    /// What the store says.
    pub fn add_versions(&mut self, versions: Vec<Placed>, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        if versions.is_empty() {
            return Ok(());
        }
        self.counters.repaired += versions.len() as u64;
        self.apply(versions.clone(), store)?;
        self.log(Record::Repaired(versions), out);
        Ok(())
    }

    /// Notes versions that are about to be added to the store.
    pub(crate) fn note(&mut self, versions: &[Placed]) {
        self.recent.note(versions);
        if !self.settings.mutations.has(Mutation::MarksKept) {
            self.changes.note(versions);
        }
    }

    /// Puts decided versions into the store.
    pub(crate) fn apply(&mut self, versions: Vec<Placed>, store: &mut dyn Store) -> StoreResult<()> {
        if !self.damaged.is_empty() {
            for placed in &versions {
                let place = (placed.partition, placed.key.clone());
                self.damaged.entry(place).and_modify(|decided| decided.push(placed.clone()));
            }
        }
        self.note_held(&versions);
        self.note(&versions);
        store.apply(versions)
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
        out: &mut Effects,
    ) -> StoreResult<()> {
        // First the log, so that a crash between erasing and applying loses nothing.
        self.log(Record::Repaired(versions.clone()), out);
        self.counters.repaired += versions.len() as u64;
        let heal = Deferred::Heal { partition, key: key.clone(), versions };
        self.deferred.push_back((self.appended(), heal));
        Ok(())
    }

    /// Changes the store after the record that says so has become durable.
    pub(crate) fn carry_out(&mut self, deferred: Deferred, store: &mut dyn Store) -> StoreResult<()> {
        match deferred {
            Deferred::Heal { partition, key, mut versions } => {
                // In order already: another answer was quicker.
                let Some(decided) = self.damaged.remove(&(partition, key.clone())) else { return Ok(()) };
                versions.extend(decided);
                self.note(&versions);
                store.erase(partition, &key)?;
                store.apply(versions)
            }
            Deferred::Purge { partition, tombstones } => {
                self.purges += 1;
                self.remove_purged(partition, &tombstones, store)
            }
        }
    }

    /// Removes tombstones with every older version of their keys, the oldest first.
    pub(crate) fn remove_purged(
        &mut self,
        partition: PartitionId,
        tombstones: &[(Key, Stamp)],
        store: &mut dyn Store,
    ) -> StoreResult<()> {
        for (key, tombstone) in tombstones {
            let Some(history) = self.stretch(partition, &only(key), Limit::NONE, store)? else { continue };
            let old = history.into_iter().rev().filter(|(_, version)| version.stamp <= *tombstone);
            let removed: Vec<_> = old.map(|(key, version)| (partition, key, version.stamp)).collect();
            store.remove(&removed)?;
        }
        self.review_held(partition, store)
    }

    /// Drops tombstones that every replica has, with everything below them. No replica had a version of their keys yet
    /// to be decided when it said so: its own tombstone would have to cover that, and may be damaged.
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
        let mut agreed = Vec::new();
        for (key, stamp) in tombstones {
            // History that somebody may still read stays; so does what covers a version yet to be decided.
            if stamp.ts > self.sweep.horizon() || self.is_write_locked(partition, &only(key)) {
                continue;
            }
            let Some(history) = self.stretch(partition, &only(key), Limit::NONE, store)? else { continue };
            let newest = history.first().map(|(_, version)| (version.stamp, version.value.is_none()));
            if newest == Some((*stamp, true)) {
                agreed.push((key.clone(), *stamp));
            }
        }
        if agreed.is_empty() {
            return Ok(());
        }
        self.note_purge(&agreed);
        self.log(Record::Purged { partition, tombstones: agreed.clone() }, out);
        self.deferred.push_back((self.appended(), Deferred::Purge { partition, tombstones: agreed }));
        Ok(())
    }

    /// Nothing is written any more at or below purged tombstones.
    pub(crate) fn note_purge(&mut self, tombstones: &[(Key, Stamp)]) {
        let highest = tombstones.iter().map(|(_, stamp)| stamp.ts).max().unwrap_or_default();
        self.purged = self.purged.max(highest);
        self.read_times.raise_floor(self.purged);
    }

    /// Whether a deleted key has a version here that is yet to be decided, and may be an older one.
    fn has_covering_tombstone(&self, partition: PartitionId, history: &[(Key, Version)]) -> bool {
        history.iter().any(|(key, version)| version.value.is_none() && self.is_write_locked(partition, &only(key)))
    }

    /// Whether a version of some key in a range may still be decided here.
    #[must_use]
    pub fn is_write_locked(&self, partition: PartitionId, range: &KeyRange) -> bool {
        let state = self.partitions.get(&partition);
        state.is_some_and(|state| state.locks.writers_in(range, None).next().is_some())
    }
}

/// The range that holds just one key.
#[must_use]
pub fn only(key: &Key) -> KeyRange {
    KeyRange { start: key.clone(), end: key.successor() }
}
