//! The replica's state, and the dispatch of messages to the parts that answer them.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Ballot, Epoch, Incarnation, Key, Mutation, NodeId, Now, PartitionId, Timestamp, TxnId};
use annulus_ring::Topology;

use crate::changes::Changes;
use crate::counters::Counters;
use crate::effects::Effects;
use crate::fence::Fence;
use crate::locks::Locks;
use crate::message::{Holder, Message, Outcome, Prepare, Refusal};
use crate::queue::Waiting;
use crate::reads::Parked;
use crate::readtimes::ReadTimes;
use crate::recent::Recent;
use crate::record::Record;
use crate::repair::Deferred;
use crate::settings::Settings;
use crate::store::{Placed, Store, StoreError, StoreResult};
use crate::sweep::Sweep;
use crate::unsettled::Holds;

/// What is known of an undecided transaction.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) txn: TxnRef,
    /// The durable YES vote: its locks are held.
    pub(crate) vote: Option<Arc<Prepare>>,
    /// Voted NO, or promised to a recoverer without a vote: never YES any more.
    pub(crate) refused: bool,
    pub(crate) promised: Ballot,
    pub(crate) accepted: Option<(Ballot, Outcome)>,
    /// When it prepared here (steady clock).
    pub(crate) since: Micros,
}

impl Entry {
    pub(crate) fn new(txn: TxnRef, now: Now) -> Self {
        Self { txn, vote: None, refused: false, promised: Ballot::COORDINATOR, accepted: None, since: now.steady }
    }
}

/// A partition's locks and whoever waits for them.
#[derive(Debug, Default)]
pub(crate) struct PartitionState {
    pub(crate) locks: Locks,
    /// Reads that wait for prepared write locks.
    pub(crate) parked: Vec<Parked>,
    /// Lock requests that wait, by priority.
    pub(crate) queue: BTreeMap<TxnId, Waiting>,
}

impl PartitionState {
    fn is_idle(&self) -> bool {
        self.locks.is_empty() && self.parked.is_empty() && self.queue.is_empty()
    }
}

/// The low-water mark and the forgetting minimum, as logged and as durable.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pub(crate) low_water: Timestamp,
    pub(crate) durable_low_water: Timestamp,
    pub(crate) forgotten: Timestamp,
    pub(crate) durable_forgotten: Timestamp,
    unsynced: VecDeque<(u64, Timestamp, Timestamp)>,
}

impl Marks {
    pub(crate) fn restore(&mut self, low_water: Timestamp, forgotten: Timestamp) {
        self.low_water = self.low_water.max(low_water);
        self.forgotten = self.forgotten.max(forgotten);
        self.durable_low_water = self.low_water;
        self.durable_forgotten = self.forgotten;
    }

    fn synced(&mut self, position: u64) {
        while let Some((_, low_water, forgotten)) = self.unsynced.pop_front_if(|(at, ..)| *at <= position) {
            self.durable_low_water = low_water;
            self.durable_forgotten = forgotten;
        }
    }
}

/// The participant's state machine. See the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Replica {
    pub(crate) id: NodeId,
    pub(crate) topology: Arc<Topology>,
    pub(crate) settings: Settings,
    pub(crate) entries: BTreeMap<TxnId, Entry>,
    pub(crate) decided: BTreeMap<TxnId, (TxnRef, Outcome)>,
    /// Decided and refused transactions in the order in which they may be forgotten.
    pub(crate) forgettable: VecDeque<TxnRef>,
    pub(crate) partitions: BTreeMap<PartitionId, PartitionState>,
    /// Which partitions a transaction has soft locks or queue places in.
    pub(crate) soft: BTreeMap<TxnId, BTreeSet<PartitionId>>,
    /// When prepared transactions become overdue (steady clock).
    pub(crate) timers: BTreeSet<(Micros, TxnId)>,
    /// When the next waiter loses patience or the next lease lapses, at the earliest (steady clock).
    pub(crate) wake_at: Option<Micros>,
    pub(crate) read_times: ReadTimes,
    pub(crate) fence: Fence,
    pub(crate) marks: Marks,
    /// The highest timestamp voted on: the clock that drift is measured against never goes back.
    pub(crate) highest: Timestamp,
    /// Only deletes are voted YES.
    pub(crate) disk_full: bool,
    pub(crate) counters: Counters,
    /// Tombstones up to here may have been purged: nothing is written at or below.
    pub(crate) purged: Timestamp,
    /// Keys whose stored record is corrupt: not answered for until repaired. Each with the versions that
    /// were decided since, which the others may not have had when they were asked for theirs.
    pub(crate) damaged: BTreeMap<(PartitionId, Key), Vec<Placed>>,
    /// Changes of the store that wait for their records to be durable.
    pub(crate) deferred: VecDeque<(u64, Deferred)>,
    /// How often something was purged since the start.
    pub(crate) purges: u64,
    pub(crate) sweep: Sweep,
    pub(crate) changes: Changes,
    pub(crate) recent: Recent,
    pub(crate) holds: Holds,
    /// Partitions of dynamic namespaces that have versions here.
    pub(crate) held: BTreeSet<PartitionId>,
    appended: u64,
    synced: u64,
}

impl Replica {
    /// A replica without history. [`Replica::replay`] the log before the first step.
    #[must_use]
    pub fn new(id: NodeId, incarnation: Incarnation, topology: Arc<Topology>, settings: Settings) -> Self {
        let read_times = ReadTimes::new(settings.read_times);
        Self {
            id,
            topology,
            settings,
            entries: BTreeMap::new(),
            decided: BTreeMap::new(),
            forgettable: VecDeque::new(),
            partitions: BTreeMap::new(),
            soft: BTreeMap::new(),
            timers: BTreeSet::new(),
            read_times,
            fence: Fence::default(),
            marks: Marks::default(),
            highest: Timestamp::ZERO,
            disk_full: false,
            counters: Counters::default(),
            purged: Timestamp::ZERO,
            wake_at: None,
            damaged: BTreeMap::new(),
            deferred: VecDeque::new(),
            purges: 0,
            sweep: Sweep::default(),
            changes: Changes::new(incarnation),
            recent: Recent::default(),
            holds: Holds::default(),
            held: BTreeSet::new(),
            appended: 0,
            synced: 0,
        }
    }

    /// Answers one message of a peer (or of the own node).
    ///
    /// # Errors
    /// [`StoreError::Failed`]: the node must stop. Corrupt records are handled inside.
    pub fn step(
        &mut self,
        now: Now,
        from: NodeId,
        message: Message,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        match message {
            Message::Read(read) => self.read(now, from, read, store, out),
            Message::Lock(lock) => self.lock(now, from, lock, store, out),
            Message::Unlock(txn) => self.unlock(now, txn, store, out),
            Message::Prepare(prepare) => match self.held_back(from, prepare) {
                Some(prepare) => self.prepare(now, from, prepare, store, out),
                None => Ok(()),
            },
            Message::Accept { txn, ballot, outcome } => {
                self.accept(now, from, txn, ballot, outcome, out);
                Ok(())
            }
            Message::Recover { txn, ballot } => {
                self.recover(now, from, txn, ballot, out);
                Ok(())
            }
            Message::Decide { txn, outcome, writes } => self.decide(now, txn, outcome, writes, store, out),
            Message::Repair(id, versions) => self.repair(from, id, versions, store, out),
            Message::Compare(compare) => self.compare(from, &compare, store, out),
            Message::Fetch(id, partition, wanted) => self.fetch(from, id, partition, &wanted, store, out),
            Message::Purge(partition, tombstones) => self.purge(partition, &tombstones, store, out),
            // These belong to the coordinator or the repairer, never to a replica.
            Message::ReadAnswer(..)
            | Message::LockAnswer(..)
            | Message::Vote(..)
            | Message::Accepted(..)
            | Message::Recovered(..)
            | Message::Inquire(..)
            | Message::Inquired(..)
            | Message::Repaired(..)
            | Message::Compared { .. }
            | Message::Fetched(..)
            | Message::Held(..)
            | Message::Marks(..)
            | Message::Unsettled(..) => Ok(()),
        }
    }

    /// Lets time pass: overdue locks are reported, leases lapse, impatient waiters are refused, and a
    /// bounded amount of garbage is collected.
    ///
    /// # Errors
    /// As [`Replica::step`].
    pub fn tick(&mut self, now: Now, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        self.report_overdue(now, out);
        self.lapse(now, store, out)?;
        self.forget(now);
        self.collect_garbage(now, store)
    }

    /// All records up to the `position`-th since the start are durable.
    ///
    /// # Errors
    /// What the store says.
    pub fn synced(&mut self, position: u64, store: &mut dyn Store) -> StoreResult<()> {
        self.synced = position;
        self.fence.synced(position);
        self.marks.synced(position);
        while let Some((_, deferred)) = self.deferred.pop_front_if(|(at, _)| *at <= position) {
            self.carry_out(deferred, store)?;
        }
        Ok(())
    }

    /// How many records have been appended since the start.
    #[must_use]
    pub const fn appended(&self) -> u64 {
        self.appended
    }

    /// Appends a record to the log.
    pub(crate) fn log(&mut self, record: Record, out: &mut Effects) {
        out.records.push(record);
        self.appended += 1;
    }

    /// Sends an answer that relies on timestamp `on`: not before the fence durably covers it.
    pub(crate) fn answer(&mut self, now: Now, to: NodeId, message: Message, on: Timestamp, out: &mut Effects) {
        let covered = on <= self.fence.durable();
        self.extend_fence(now, on, out);
        if covered {
            out.send(to, message);
        } else {
            out.send_durable(to, message);
        }
    }

    pub(crate) fn extend_fence(&mut self, now: Now, on: Timestamp, out: &mut Effects) {
        let wall = Timestamp::from_micros(now.wall);
        let drift = self.settings.max_clock_drift;
        let logged = self.fence.logged();
        if on <= logged && wall.plus(drift / 4) <= logged {
            return;
        }
        let fence = on.max(wall.plus(drift / 4 * 3));
        if fence > logged {
            self.log(Record::Fence(fence), out);
            self.fence.extend(fence, self.appended);
        }
    }

    /// Extends the fence where it lags behind `ts`, so that an idle node does not hold its mark back.
    pub fn cover(&mut self, now: Now, ts: Timestamp, out: &mut Effects) {
        let exempt = self.settings.mutations.has(Mutation::LowWaterAboveFence);
        if ts > self.fence.logged() && !exempt {
            self.extend_fence(now, ts, out);
        }
    }

    /// Raises the node's low-water mark and its forgetting minimum; both count once synced.
    /// `low_water` must not exceed [`Replica::low_water_limit`].
    pub fn raise_marks(&mut self, low_water: Timestamp, forgotten: Timestamp, out: &mut Effects) {
        let low_water = low_water.max(self.marks.low_water);
        let forgotten = forgotten.max(self.marks.forgotten);
        if (low_water, forgotten) == (self.marks.low_water, self.marks.forgotten) {
            return;
        }
        self.marks.low_water = low_water;
        self.marks.forgotten = forgotten;
        self.log(Record::Marks { low_water, forgotten }, out);
        self.marks.unsynced.push_back((self.appended, low_water, forgotten));
    }

    /// The highest low-water mark that this replica can promise: below its undecided votes and not
    /// above its durable fence.
    #[must_use]
    pub fn low_water_limit(&self) -> Timestamp {
        let undecided = self.entries.values().filter(|entry| entry.vote.is_some()).map(|entry| entry.txn.ts.previous());
        let fence = if self.settings.mutations.has(Mutation::LowWaterAboveFence) {
            Timestamp::MAX
        } else {
            self.fence.durable()
        };
        undecided.fold(fence, Timestamp::min)
    }

    /// The durable low-water mark, to be published.
    #[must_use]
    #[expect(clippy::misnamed_getters, reason = "only what is durable may be published")]
    pub const fn low_water(&self) -> Timestamp {
        self.marks.durable_low_water
    }

    /// The smallest timestamp that every clock reading of this incarnation must exceed.
    #[must_use]
    pub const fn floor(&self) -> Timestamp {
        self.fence.floor()
    }

    /// The disk is nearly full (or has room again): writes other than deletes are not voted on.
    pub fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// What has happened here since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The outcome of a transaction, if this replica knows it.
    #[must_use]
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        self.decided.get(&txn).map(|(_, outcome)| *outcome)
    }

    /// The YES vote for an undecided transaction.
    #[must_use]
    pub fn vote(&self, txn: TxnId) -> Option<&Arc<Prepare>> {
        self.entries.get(&txn)?.vote.as_ref()
    }

    /// Transactions prepared here and undecided, with their age in microseconds.
    #[must_use]
    pub fn undecided(&self, now: Now) -> Vec<(TxnRef, Micros)> {
        let prepared = self.entries.values().filter(|entry| entry.vote.is_some());
        prepared.map(|entry| (entry.txn, now.steady.saturating_sub(entry.since))).collect()
    }

    /// Transactions heard of and not decided.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.entries.len()
    }

    /// The locked keys of each partition.
    #[must_use]
    pub fn locked_keys(&self) -> BTreeMap<PartitionId, Vec<Key>> {
        let locked = self.partitions.iter().filter(|(_, state)| !state.locks.is_empty());
        locked.map(|(partition, state)| (*partition, state.locks.keys().cloned().collect())).collect()
    }

    /// Keys whose stored record is corrupt and waits for repair.
    pub fn damaged(&self) -> impl Iterator<Item = &(PartitionId, Key)> {
        self.damaged.keys()
    }

    /// Whether a key's stored record is corrupt.
    #[must_use]
    pub fn is_damaged(&self, place: &(PartitionId, Key)) -> bool {
        self.damaged.contains_key(place)
    }

    /// How often something was purged since the start: a version that was asked for before the last time
    /// may have been purged since, and is not taken back.
    #[must_use]
    pub const fn purges(&self) -> u64 {
        self.purges
    }

    /// Tombstones up to here may have been purged.
    #[must_use]
    pub const fn purged(&self) -> Timestamp {
        self.purged
    }

    /// When [`Replica::tick`] is wanted at the latest, on the steady clock.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Micros> {
        let timer = self.timers.first().map(|(at, _)| *at);
        [timer, self.wake_at, Some(self.sweep.due())].into_iter().flatten().min()
    }

    /// Asks for a tick at that time.
    pub(crate) fn wake_by(&mut self, at: Micros) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// Whether a request of that epoch and partition belongs here.
    pub(crate) fn placed(&self, epoch: Epoch, partition: PartitionId) -> Result<(), Refusal> {
        if epoch != self.topology.epoch() {
            return Err(Refusal::Epoch(self.topology.epoch()));
        }
        let ring = self.topology.replicas(partition).unwrap_or_default();
        if ring.contains(&self.id) { Ok(()) } else { Err(Refusal::NotMine) }
    }

    /// Refuses timestamps that are too far ahead of this node's clock.
    pub(crate) fn within_drift(&self, now: Now, asked: Timestamp) -> Result<(), Refusal> {
        let here = Timestamp::from_micros(now.wall).max(self.highest);
        if asked > here.plus(self.settings.max_clock_drift) {
            return Err(Refusal::ClockDrift { asked, here });
        }
        Ok(())
    }

    /// Turns a corrupt record into `None`, remembering that the key is damaged.
    pub(crate) fn readable<T>(&mut self, result: StoreResult<T>) -> StoreResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::Corrupt { partition, key }) => {
                if let btree_map::Entry::Vacant(place) = self.damaged.entry((partition, key)) {
                    place.insert(Vec::new());
                    self.counters.corrupt += 1;
                }
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }

    pub(crate) fn holder(&self, now: Now, key: &Key, txn: TxnId) -> Holder {
        let since = self.entries.get(&txn).map_or(now.steady, |entry| entry.since);
        Holder { key: key.clone(), txn, held_for: now.steady.saturating_sub(since), prepared: true }
    }

    pub(crate) fn partition(&mut self, partition: PartitionId) -> &mut PartitionState {
        self.partitions.entry(partition).or_default()
    }

    pub(crate) fn drop_if_idle(&mut self, partition: PartitionId) {
        if self.partitions.get(&partition).is_some_and(PartitionState::is_idle) {
            self.partitions.remove(&partition);
        }
    }

    fn report_overdue(&mut self, now: Now, out: &mut Effects) {
        while let Some((at, txn)) = self.timers.first().copied() {
            if at > now.steady {
                break;
            }
            self.timers.pop_first();
            if let Some(entry) = self.entries.get(&txn).filter(|entry| entry.vote.is_some()) {
                out.overdue.push(entry.txn);
                self.timers.insert((now.steady + self.settings.lock_timeout, txn));
            }
        }
    }

    /// Drops decisions and refusals that nobody can ask about any more.
    fn forget(&mut self, now: Now) {
        let kept = Timestamp::from_micros(now.wall).minus(self.settings.outcome_retention);
        let limit = self.marks.durable_forgotten.min(kept);
        while let Some(txn) = self.forgettable.pop_front_if(|txn| txn.ts <= limit) {
            self.decided.remove(&txn.id);
            if self.entries.get(&txn.id).is_some_and(|entry| entry.vote.is_none()) {
                self.entries.remove(&txn.id);
            }
        }
    }

    /// Whether a transaction that is unknown here may have been decided and forgotten.
    pub(crate) fn may_be_forgotten(&self, txn: &TxnRef) -> bool {
        txn.ts <= self.marks.durable_forgotten && !self.settings.mutations.has(Mutation::ForgottenAnswered)
    }
}
