//! Prepare and decide: the vote, the locks it holds, and what becomes of them.

use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::limits::MAX_TXN_KEYS;
use annulus_base::{Key, KeyRange, Mutation, NodeId, Now, PartitionId, Timestamp};

use crate::effects::Effects;
use crate::locks::Against;
use crate::message::{Check, Holder, Message, No, Outcome, Part, Prepare, Refusal, Vote};
use crate::participant::{Entry, Replica};
use crate::record::Record;
use crate::store::{Limit, MANY, Placed, Stamp, Store, StoreResult, Version};

/// Why there is no YES: a NO for good, or no vote at all.
enum NotYes {
    No(No),
    NotNow(Refusal),
}

/// What was found of some keys, which are in order.
#[derive(Default)]
struct Known<'p> {
    keys: Vec<&'p Key>,
    found: Vec<Option<Version>>,
}

impl Known<'_> {
    /// The newest version of a key, if the key is among these.
    fn of(&self, key: &Key) -> Option<&Option<Version>> {
        self.found.get(self.keys.binary_search(&key).ok()?)
    }
}

type Examined = Result<(), NotYes>;

fn no<T>(reason: No) -> Result<T, NotYes> {
    Err(NotYes::No(reason))
}

impl Replica {
    pub(crate) fn prepare(
        &mut self,
        now: Now,
        from: NodeId,
        prepare: Arc<Prepare>,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let txn = prepare.txn;
        if let Some(known) = self.known_vote(&txn) {
            // A YES found here may not be synced yet, and a NO relies on the fence as it did at first.
            out.send_durable(from, Message::Vote(txn.id, known));
            return Ok(());
        }
        if self.may_be_forgotten(&txn) {
            out.send(from, Message::Vote(txn.id, Vote::Forgotten));
            return Ok(());
        }
        if let Err(refusal) = self.within_drift(now, txn.ts) {
            out.send(from, Message::Vote(txn.id, Vote::NotNow(refusal)));
            return Ok(());
        }
        if self.disk_full && prepare.parts.iter().flat_map(|part| &part.writes).any(|(_, value)| value.is_some()) {
            out.send(from, Message::Vote(txn.id, Vote::NotNow(Refusal::DiskFull)));
            return Ok(());
        }
        match self.examine(now, &prepare, store)? {
            Ok(()) => {
                self.counters.votes_yes += 1;
                self.vote_yes(now, from, prepare, out);
            }
            Err(NotYes::No(reason)) => {
                self.counters.votes_no += 1;
                let entry = self.entries.entry(txn.id).or_insert_with(|| Entry::new(txn, now));
                entry.refused = true;
                self.forgettable.push_back(txn);
                self.answer(now, from, Message::Vote(txn.id, Vote::No(reason)), txn.ts, out);
            }
            Err(NotYes::NotNow(refusal)) => out.send(from, Message::Vote(txn.id, Vote::NotNow(refusal))),
        }
        Ok(())
    }

    /// The vote (or decision) given before: it never changes.
    fn known_vote(&self, txn: &TxnRef) -> Option<Vote> {
        if let Some(outcome) = self.outcome(txn.id) {
            return Some(Vote::Decided(outcome));
        }
        let entry = self.entries.get(&txn.id)?;
        if entry.vote.is_some() {
            return Some(Vote::Yes);
        }
        let promised_away = entry.promised > annulus_base::Ballot::COORDINATOR;
        let remembered = entry.refused && !self.settings.mutations.has(Mutation::NoVoteForgotten);
        let unrefused = self.settings.mutations.has(Mutation::RecoverWithoutRefusal);
        (remembered || (promised_away && !unrefused)).then_some(Vote::No(No::Refused))
    }

    fn vote_yes(&mut self, now: Now, from: NodeId, prepare: Arc<Prepare>, out: &mut Effects) {
        let txn = prepare.txn;
        self.highest = self.highest.max(txn.ts);
        for part in &prepare.parts {
            self.partition(part.partition).locks.prepare(txn.id, part);
        }
        let entry = self.entries.entry(txn.id).or_insert_with(|| Entry::new(txn, now));
        entry.since = now.steady;
        entry.refused = false;
        entry.vote = Some(Arc::clone(&prepare));
        self.timers.insert((now.steady + self.settings.lock_timeout, txn.id));
        self.extend_fence(now, txn.ts, out);
        self.log(Record::Vote(prepare), out);
        let vote = Message::Vote(txn.id, Vote::Yes);
        if self.settings.mutations.has(Mutation::VoteBeforeSync) {
            out.send(from, vote);
        } else {
            out.send_durable(from, vote);
        }
    }

    /// Looks for a reason against the transaction, in the order: place, locks, staleness, timestamp.
    fn examine(&mut self, now: Now, prepare: &Prepare, store: &mut dyn Store) -> StoreResult<Examined> {
        for part in &prepare.parts {
            match self.placed(prepare.epoch, part.partition) {
                Ok(()) => {}
                Err(Refusal::Epoch(epoch)) => return Ok(no(No::Epoch(epoch))),
                Err(refusal) => return Ok(Err(NotYes::NotNow(refusal))),
            }
        }
        for part in &prepare.parts {
            if let Some(holder) = self.lock_against(now, prepare, part) {
                return Ok(no(No::Locked(holder)));
            }
        }
        let mut lowest = self.floor_of_writes();
        for part in &prepare.parts {
            match self.examine_part(prepare.txn.ts, part, store)? {
                Ok(above) => lowest = lowest.max(above),
                Err(against) => return Ok(Err(against)),
            }
        }
        if prepare.txn.ts <= lowest {
            return Ok(no(No::TooLow(lowest.next())));
        }
        Ok(Ok(()))
    }

    /// Every prepared timestamp must be above this.
    fn floor_of_writes(&self) -> Timestamp {
        if self.settings.mutations.has(Mutation::LowWaterAboveFence) {
            return self.fence.floor();
        }
        self.fence.floor().max(self.marks.low_water)
    }

    /// A lock of another transaction that stands against this part.
    fn lock_against(&self, now: Now, prepare: &Prepare, part: &Part) -> Option<Holder> {
        let locks = &self.partitions.get(&part.partition)?.locks;
        let own = Some(prepare.txn.id);
        for check in &part.checks {
            let held = match check {
                Check::Key(key, _) | Check::Absent(key) => {
                    locks.prepared(key, own, Against::Writers).map(|txn| (key, txn))
                }
                Check::Range(range, _) | Check::Unchanged(range, _) => locks.writers_in(range, own).next(),
            };
            if let Some((key, txn)) = held {
                return Some(self.holder(now, key, txn));
            }
        }
        for (key, _) in &part.writes {
            if let Some(txn) = locks.prepared(key, own, Against::All) {
                return Some(self.holder(now, key, txn));
            }
            let soft = locks.soft(key, prepare.txn.id, now.steady);
            if let Some(soft) = soft.filter(|soft| !prepare.locked && soft.txn < prepare.txn.id) {
                let held_for = now.steady.saturating_sub(soft.since);
                return Some(Holder { key: key.clone(), txn: soft.txn, held_for, prepared: false });
            }
        }
        None
    }

    /// Validates reads; returns the timestamp that the transaction's must exceed.
    fn examine_part(
        &mut self,
        ts: Timestamp,
        part: &Part,
        store: &mut dyn Store,
    ) -> StoreResult<Result<Timestamp, NotYes>> {
        let partition = part.partition;
        let overtaken = self.overtaken(ts, part);
        let Some(known) = self.known(part, &overtaken, store)? else {
            return Ok(Err(NotYes::NotNow(Refusal::Corrupt)));
        };
        let mut above = Timestamp::ZERO;
        for check in &part.checks {
            match self.examine_check(partition, check, &known, store)? {
                Ok(seen) => above = above.max(seen),
                Err(against) => return Ok(Err(against)),
            }
        }
        if self.settings.mutations.has(Mutation::TimestampBelowReads) {
            above = Timestamp::ZERO;
        }
        for key in overtaken {
            let Some(latest) = self.latest(partition, key, &known, store)? else {
                return Ok(Err(NotYes::NotNow(Refusal::Corrupt)));
            };
            above = above.max(latest.map_or(Timestamp::ZERO, |version| version.stamp.ts));
        }
        Ok(Ok(above.max(self.read_times.highest_of(partition, part.writes.iter().map(|(key, _)| key)))))
    }

    fn examine_check(
        &mut self,
        partition: PartitionId,
        check: &Check,
        known: &Known<'_>,
        store: &mut dyn Store,
    ) -> StoreResult<Result<Timestamp, NotYes>> {
        match check {
            Check::Key(key, seen) => {
                let Some(latest) = self.latest(partition, key, known, store)? else {
                    return Ok(Err(NotYes::NotNow(Refusal::Corrupt)));
                };
                let latest = latest.map_or(Stamp::NONE, |version| version.stamp);
                // Where tombstones were purged, a version that is missing may have been superseded by one.
                let superseded = latest != *seen && seen.ts <= self.purged;
                if latest > *seen || superseded {
                    return Ok(no(No::Stale(key.clone())));
                }
                Ok(Ok(seen.ts))
            }
            Check::Absent(key) => {
                let Some(latest) = self.latest(partition, key, known, store)? else {
                    return Ok(Err(NotYes::NotNow(Refusal::Corrupt)));
                };
                let unchecked = self.settings.mutations.has(Mutation::RangesUnchecked);
                match latest {
                    Some(version) if version.value.is_some() && !unchecked => Ok(no(No::Stale(key.clone()))),
                    latest => Ok(Ok(latest.map_or(Timestamp::ZERO, |version| version.stamp.ts))),
                }
            }
            Check::Range(range, rows) => {
                let found = store.scan(partition, range, Timestamp::MAX, Limit::NONE);
                let Some(found) = self.readable(found)? else {
                    return Ok(Err(NotYes::NotNow(Refusal::Corrupt)));
                };
                let highest = found.iter().map(|(_, version)| version.stamp.ts).max().unwrap_or_default();
                let mut present = found.iter().filter(|(_, version)| version.value.is_some());
                let unchecked = self.settings.mutations.has(Mutation::RangesUnchecked);
                if !unchecked && let Some(key) = first_difference(&mut present, rows) {
                    return Ok(no(No::Stale(key)));
                }
                Ok(Ok(highest))
            }
            Check::Unchanged(range, since) => self.examine_unchanged(partition, range, *since, store),
        }
    }

    /// Whether something in a range was given a version above a snapshot, or may have been.
    fn examine_unchanged(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        since: Timestamp,
        store: &mut dyn Store,
    ) -> StoreResult<Result<Timestamp, NotYes>> {
        let unchecked = self.settings.mutations.has(Mutation::RangesUnchecked);
        if unchecked || self.changes.mark(partition, range, since).is_some() {
            return Ok(Ok(since));
        }
        if let Some(mut written) = self.recent.above(partition, since) {
            let changed = written.find(|key| range.contains(key));
            return Ok(changed.map_or(Ok(since), |key| no(No::Stale(key.clone()))));
        }
        // More was written meanwhile than is remembered, and what was deleted may be purged.
        let few = Limit { versions: MAX_TXN_KEYS, ..Limit::NONE };
        let Some(found) = self.readable(store.scan(partition, range, Timestamp::MAX, few))? else {
            return Ok(Err(NotYes::NotNow(Refusal::Corrupt)));
        };
        let may_be_purged = since < self.purged;
        let cannot_be_told = (may_be_purged || found.len() >= MAX_TXN_KEYS).then_some(&range.start);
        let changed = found.iter().find(|(_, version)| version.stamp.ts > since).map(|(key, _)| key);
        Ok(changed.or(cannot_be_told).map_or(Ok(since), |key| no(No::Stale(key.clone()))))
    }

    /// The newest version, if there is one; `None` if the record is corrupt.
    fn latest(
        &mut self,
        partition: PartitionId,
        key: &Key,
        known: &Known<'_>,
        store: &mut dyn Store,
    ) -> StoreResult<Option<Option<Version>>> {
        match known.of(key) {
            Some(found) => Ok(Some(found.clone())),
            None => self.readable(store.read(partition, key, Timestamp::MAX)),
        }
    }

    /// The keys written that may have a version at or above `ts`. Most writes come with the latest timestamp of all, so
    /// that nothing has to be looked up of what is overwritten.
    fn overtaken<'p>(&self, ts: Timestamp, part: &'p Part) -> Vec<&'p Key> {
        if self.settings.mutations.has(Mutation::OvertakenUnchecked) {
            return Vec::new();
        }
        let written = part.writes.iter().map(|(key, _)| key);
        match self.recent.few_above(part.partition, ts.previous()) {
            Some(keys) if keys.is_empty() => Vec::new(),
            Some(keys) => written.filter(|key| keys.contains(key)).collect(),
            None => written.collect(),
        }
    }

    /// The newest versions of a part's checked and overtaken keys if they are many, looked up together; `None` if a record
    /// is corrupt.
    fn known<'p>(
        &mut self,
        part: &'p Part,
        overtaken: &[&'p Key],
        store: &mut dyn Store,
    ) -> StoreResult<Option<Known<'p>>> {
        if part.checks.len() + overtaken.len() < MANY {
            return Ok(Some(Known::default()));
        }
        let checked = part.checks.iter().filter_map(|check| match check {
            Check::Key(key, _) | Check::Absent(key) => Some(key),
            Check::Range(..) | Check::Unchanged(..) => None,
        });
        let mut keys: Vec<&Key> = checked.chain(overtaken.iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        let found = store.newest_of(part.partition, &keys);
        Ok(self.readable(found)?.map(|found| Known { keys, found }))
    }

    /// Takes note of a decision: applies its versions, raises read timestamps, frees its locks.
    pub(crate) fn decide(
        &mut self,
        now: Now,
        txn: TxnRef,
        outcome: Outcome,
        writes: Vec<Placed>,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        if let Some(known) = self.outcome(txn.id) {
            assert_eq!(known, outcome, "transaction {} was decided both ways", txn.id);
            return Ok(());
        }
        let entry = self.entries.remove(&txn.id);
        let vote = entry.and_then(|entry| entry.vote);
        // So late that the versions may have been superseded and purged: repair knows better.
        let too_late = txn.ts <= self.purged;
        let writes = if outcome == Outcome::Commit && vote.is_none() && !too_late { writes } else { Vec::new() };
        self.apply_decision(txn, outcome, vote.as_deref(), &writes, store)?;
        self.log(Record::Decision { txn, outcome, writes }, out);
        self.note_decision(txn, outcome);
        self.release(now, &txn, vote.as_deref(), store, out)
    }

    pub(crate) fn note_decision(&mut self, txn: TxnRef, outcome: Outcome) {
        self.decided.insert(txn.id, (txn, outcome));
        self.forgettable.push_back(txn);
    }

    /// Turns a decision's writes into versions.
    pub(crate) fn apply_decision(
        &mut self,
        txn: TxnRef,
        outcome: Outcome,
        vote: Option<&Prepare>,
        writes: &[Placed],
        store: &mut dyn Store,
    ) -> StoreResult<()> {
        if outcome == Outcome::Abort {
            return Ok(());
        }
        let Some(vote) = vote else {
            return if writes.is_empty() { Ok(()) } else { self.apply(writes.to_vec(), store) };
        };
        for part in &vote.parts {
            // What is written too has a version from now on, which no later write may be below either.
            let sorted = part.writes.is_sorted_by(|(one, _), (other, _)| one < other);
            let written = |key: &Key| sorted && part.writes.binary_search_by(|(write, _)| write.cmp(key)).is_ok();
            for check in &part.checks {
                match check {
                    Check::Key(key, _) | Check::Absent(key) if written(key) => {}
                    Check::Key(key, _) | Check::Absent(key) => self.read_times.raise(part.partition, key, txn.ts),
                    Check::Range(range, _) | Check::Unchanged(range, _) => {
                        self.read_times.raise_range(part.partition, range, txn.ts);
                    }
                }
            }
        }
        self.apply(vote.versions(), store)
    }

    /// Frees everything a decided transaction holds, and serves whoever waited for it.
    fn release(
        &mut self,
        now: Now,
        txn: &TxnRef,
        vote: Option<&Prepare>,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        for part in vote.map(|vote| vote.parts.as_slice()).unwrap_or_default() {
            self.partition(part.partition).locks.release(txn.id, part);
        }
        let mut touched = self.drop_soft_locks(txn.id);
        touched.extend(vote.into_iter().flat_map(|vote| vote.parts.iter().map(|part| part.partition)));
        for partition in touched {
            self.wake(now, partition, store, out)?;
        }
        Ok(())
    }
}

/// The first key at which what is present differs from what was seen.
fn first_difference<'a>(present: &mut impl Iterator<Item = &'a (Key, Version)>, rows: &[(Key, Stamp)]) -> Option<Key> {
    let mut rows = rows.iter();
    loop {
        match (present.next(), rows.next()) {
            (None, None) => return None,
            (Some((key, version)), Some((seen, stamp))) if key == seen && version.stamp == *stamp => {}
            (Some((key, _)), Some((seen, _))) => return Some(key.min(seen).clone()),
            (Some((key, _)), None) | (None, Some((key, _))) => return Some(key.clone()),
        }
    }
}
