//! What the database in memory holds, and how it judges commits.

use std::collections::{BTreeMap, BTreeSet};

use crate::interface::{Commit, Committed, Fate, Place, RangeCheck, Seen, SeenRange, TxnError, Unchanged, When};
use crate::standing::Standing;
use annulus_base::id::TxnRef;
use annulus_base::limits::{MAX_TXN_BYTES, MAX_TXN_KEYS, MAX_VALUE_LEN};
use annulus_base::time::Micros;
use annulus_base::{Epoch, Incarnation, Key, KeyRange, NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::message::{Holder, Mark};
use annulus_replica::store::Stamp;
use annulus_ring::DEFAULT_REPLICATION_FACTOR;
use bytes::Bytes;

/// A version: its stamp and its value.
type Version = (Stamp, Option<Bytes>);

pub(super) struct State {
    clock: Timestamp,
    sequence: u32,
    /// Oldest first.
    versions: BTreeMap<Place, Vec<Version>>,
    locks: BTreeMap<Place, TxnId>,
    fates: BTreeMap<TxnId, Fate>,
    /// Most versions in a stretch of a range.
    pub(super) stretch: usize,
    pub(super) replication_factor: u8,
}

impl Default for State {
    fn default() -> Self {
        Self {
            clock: Timestamp::from_micros(1_000_000),
            sequence: 0,
            versions: BTreeMap::new(),
            locks: BTreeMap::new(),
            fates: BTreeMap::new(),
            stretch: usize::MAX,
            replication_factor: DEFAULT_REPLICATION_FACTOR,
        }
    }
}

impl State {
    pub(super) fn tick(&mut self) -> Timestamp {
        self.clock = self.clock.next();
        self.clock
    }

    pub(super) fn pass(&mut self, time: Micros) {
        self.clock = self.clock.plus(time);
    }

    pub(super) fn new_id(&mut self, start: Timestamp) -> TxnId {
        self.sequence += 1;
        TxnId { start, node: NodeId(1), incarnation: Incarnation(1), sequence: self.sequence }
    }

    pub(super) fn locks(&self) -> usize {
        self.locks.len()
    }

    pub(super) fn present(&self) -> Vec<(Place, Bytes)> {
        let newest = |(place, versions): (&Place, &Vec<Version>)| {
            let (_, value) = versions.last()?;
            Some((place.clone(), value.clone()?))
        };
        self.versions.iter().filter_map(newest).collect()
    }

    /// The timestamp to read at. Nothing is committed at or below it afterwards.
    fn instant(&mut self, when: When) -> Timestamp {
        match when {
            When::Latest => self.clock,
            When::At(at) => {
                self.clock = self.clock.max(at);
                at
            }
        }
    }

    fn seen(&self, place: &Place, at: Timestamp) -> Seen {
        let versions = self.versions.get(place).map(Vec::as_slice).unwrap_or_default();
        let found = versions.iter().rev().find(|(stamp, _)| stamp.ts <= at).cloned();
        let (stamp, value) = found.unwrap_or((Stamp::NONE, None));
        Seen { stamp, value }
    }

    pub(super) fn read(&mut self, keys: &[Place], when: When) -> Vec<Seen> {
        let at = self.instant(when);
        keys.iter().map(|place| self.seen(place, at)).collect()
    }

    /// All that has a version in a range, what is absent included.
    fn found(&self, partition: PartitionId, range: &KeyRange, at: Timestamp) -> Vec<(Key, Seen)> {
        if range.start >= range.end {
            return Vec::new();
        }
        let place = |key: &Key| Place { partition, key: key.clone() };
        let inside = self.versions.range(place(&range.start)..place(&range.end));
        let found = inside.map(|(place, _)| (place.key.clone(), self.seen(place, at)));
        found.filter(|(_, seen)| seen.stamp != Stamp::NONE).collect()
    }

    pub(super) fn scan(&mut self, ranges: Vec<(PartitionId, KeyRange, u32)>, when: When) -> Vec<SeenRange> {
        let at = self.instant(when);
        let stretch = |(partition, mut range, limit): (PartitionId, KeyRange, u32)| {
            let mut rows = self.found(partition, &range, at);
            let most = self.stretch.min(limit as usize);
            if rows.len() >= most {
                rows.truncate(most);
                range.end = rows.last().map_or_else(|| range.start.clone(), |(last, _)| last.successor());
            }
            rows.retain(|(_, seen)| seen.value.is_some());
            SeenRange { partition, range, rows }
        };
        ranges.into_iter().map(stretch).collect()
    }

    /// A mark counts the versions of a range: there is one replica.
    pub(super) fn standing(&mut self, ranges: &[(PartitionId, KeyRange)], at: Timestamp) -> Vec<Standing> {
        self.instant(When::At(at));
        let place = |partition: PartitionId, key: &Key| Place { partition, key: key.clone() };
        let standing = |(partition, range): &(PartitionId, KeyRange)| {
            let inside = self.versions.range(place(*partition, &range.start)..place(*partition, &range.end));
            let versions: Vec<&Version> = inside.flat_map(|(_, versions)| versions).collect();
            let known = versions.iter().all(|(stamp, _)| stamp.ts <= at);
            let mark = known.then_some(Mark { incarnation: Incarnation(1), number: versions.len() as u64 });
            Standing::new(Epoch(1), std::iter::once((NodeId(1), mark)))
        };
        ranges.iter().map(standing).collect()
    }

    /// What was written above a snapshot.
    pub(super) fn unsettled(&mut self, ranges: &[(PartitionId, KeyRange)], at: Timestamp) -> Vec<Place> {
        self.instant(When::At(at));
        let asked = |place: &Place| {
            ranges.iter().any(|(partition, range)| *partition == place.partition && range.contains(&place.key))
        };
        let newer = |versions: &[Version]| versions.last().is_some_and(|(stamp, _)| stamp.ts > at);
        let all = self.versions.iter().filter(|(place, versions)| asked(place) && newer(versions));
        all.map(|(place, _)| place.clone()).collect()
    }

    /// Takes soft locks, from younger holders too: these lose all of theirs.
    pub(super) fn lock(&mut self, own: TxnId, keys: &[Place]) -> Result<(TxnId, Vec<Seen>), TxnError> {
        keys.iter().try_for_each(|place| self.held_against(place, Some(own), own.start))?;
        for place in keys {
            if let Some(wounded) = self.locks.insert(place.clone(), own).filter(|holder| *holder != own) {
                self.unlock(wounded);
            }
        }
        Ok((own, keys.iter().map(|place| self.seen(place, Timestamp::MAX)).collect()))
    }

    pub(super) fn unlock(&mut self, txn: TxnId) {
        self.locks.retain(|_, holder| *holder != txn);
    }

    /// Refuses what an older transaction has locked.
    fn held_against(&self, place: &Place, own: Option<TxnId>, start: Timestamp) -> Result<(), TxnError> {
        match self.locks.get(place) {
            Some(holder) if Some(*holder) != own && holder.start <= start => {
                Err(TxnError::Locked(Holder { key: place.key.clone(), txn: *holder, held_for: 0, prepared: false }))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn commit(
        &mut self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: &Commit,
    ) -> Result<Committed, TxnError> {
        admit(commit)?;
        if locked.is_some_and(|own| !self.locks.values().any(|holder| *holder == own)) {
            return Err(TxnError::Wounded);
        }
        commit.writes.iter().try_for_each(|(place, _)| self.held_against(place, locked, start))?;
        for (place, stamp) in &commit.reads {
            if self.seen(place, Timestamp::MAX).stamp != *stamp {
                return Err(TxnError::Conflict(place.key.clone()));
            }
        }
        commit.ranges.iter().try_for_each(|check| self.unchanged(check))?;
        for Unchanged { partition, range, since } in &commit.unchanged {
            let now = self.found(*partition, range, Timestamp::MAX);
            if let Some((key, _)) = now.iter().find(|(_, seen)| seen.stamp.ts > *since) {
                return Err(TxnError::Conflict(key.clone()));
            }
        }
        let stamp = self.write(&commit.writes);
        if let Some(own) = locked {
            self.unlock(own);
        }
        self.fates.insert(stamp.txn, Fate::Committed);
        let anchor = commit.partitions().next().unwrap_or_default();
        Ok(Committed { txn: TxnRef { id: stamp.txn, ts: stamp.ts, anchor } })
    }

    fn unchanged(&self, check: &RangeCheck) -> Result<(), TxnError> {
        assert!(check.rows.iter().all(|(key, _)| check.range.contains(key)), "a row outside of its range: {check:?}");
        let mut now = self.found(check.partition, &check.range, Timestamp::MAX);
        now.retain(|(_, seen)| seen.value.is_some());
        let now = now.into_iter().map(|(key, seen)| (key, seen.stamp)).collect::<BTreeSet<_>>();
        let before = check.rows.iter().cloned().collect::<BTreeSet<_>>();
        match now.symmetric_difference(&before).next() {
            Some((key, _)) => Err(TxnError::Conflict(key.clone())),
            None => Ok(()),
        }
    }

    /// New versions, at one new timestamp.
    pub(super) fn write(&mut self, writes: &[(Place, Option<Bytes>)]) -> Stamp {
        let ts = self.tick();
        let stamp = Stamp { ts, txn: self.new_id(ts) };
        for (place, value) in writes {
            self.versions.entry(place.clone()).or_default().push((stamp, value.clone()));
        }
        stamp
    }

    pub(super) fn fate(&self, txn: &TxnRef) -> Fate {
        self.fates.get(&txn.id).copied().unwrap_or(Fate::Forgotten)
    }
}

/// Refuses what the real database refuses. What no correct caller asks for panics.
fn admit(commit: &Commit) -> Result<(), TxnError> {
    let written: BTreeSet<_> = commit.writes.iter().map(|(place, _)| place).collect();
    assert_eq!(written.len(), commit.writes.len(), "a key is written twice by one transaction");
    for check in &commit.ranges {
        assert!(check.rows.is_sorted_by(|a, b| a.0 < b.0), "the rows of a range are not in order: {check:?}");
    }
    let limit = |what: String| Err(TxnError::Limit(what));
    let size = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
    let keys =
        commit.reads.len() + commit.writes.len() + commit.ranges.iter().map(|range| range.rows.len()).sum::<usize>();
    let bytes: usize = commit.writes.iter().map(|(place, value)| place.key.as_bytes().len() + size(value)).sum();
    match commit {
        _ if keys > MAX_TXN_KEYS => limit(format!("{keys} keys in one transaction")),
        _ if bytes > MAX_TXN_BYTES => limit(format!("the transaction writes {bytes} bytes")),
        _ if commit.writes.iter().any(|(_, value)| size(value) > MAX_VALUE_LEN) => {
            limit("a value is too large".to_owned())
        }
        _ if commit.partitions().next().is_none() => limit("a transaction must read or write something".to_owned()),
        _ => Ok(()),
    }
}
