//! One node's protocol state: its replica, its coordinator and its recoveries, behind one `step`.
//!
//! This is all that a driver needs: the node's event loop drives it with sockets and disks, the simulator
//! with virtual ones.
//!
//! Promises:
//! - A client request gets exactly one [`Reply`], at the latest when its patience ends.
//! - Messages to the own node never reach [`Effects`]: they are handled inside (once synced, where
//!   they wait for a sync).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Incarnation, Key, KeyRange, NodeId, Now, PartitionId, Timestamp, TxnId};
use annulus_replica::Replica;
use annulus_replica::effects::Effects;
use annulus_replica::message::{Inquired, Message, Outcome, RequestId, Send};
use annulus_replica::record::Record;
pub use annulus_replica::settings::Settings;
use annulus_replica::store::{Store, StoreResult};
use annulus_ring::Topology;

use crate::common::{self, Common};
use crate::coordinator::Coordinator;
use crate::counters::Counters;
use crate::interface::{Commit, Committed, Fate, Place, Seen, SeenRange, TxnError, When};
use crate::read::Told;
use crate::recoveries::{Concluded, Recoveries};
use crate::recovery::Ending;
use crate::repairer::Repairer;
use crate::standing::Standing;

/// Names a client request of the driver's; echoed in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// What a client may ask: [`crate::interface::Database`] without the futures.
#[derive(Clone, Debug)]
pub enum Request {
    /// Read keys at one instant.
    Read(Vec<Place>, When),
    /// Read ranges at one instant, each with the most keys to return.
    Scan(Vec<(PartitionId, KeyRange, u32)>, When),
    /// How ranges stand at a snapshot.
    Standing(Vec<(PartitionId, KeyRange)>, Timestamp),
    /// What in ranges is not settled at a snapshot; whether to hold writers back.
    Unsettled(Vec<(PartitionId, KeyRange)>, Timestamp, bool),
    /// Take soft locks for the transaction that began at the timestamp; `nowait`: or be refused at once.
    Lock {
        /// The transaction's priority.
        start: Timestamp,
        /// What to lock.
        keys: Vec<Place>,
        /// Refuse instead of waiting.
        nowait: bool,
    },
    /// Validate and apply.
    Commit {
        /// The transaction's priority.
        start: Timestamp,
        /// The id under which soft locks were taken.
        locked: Option<TxnId>,
        /// Reads and writes.
        commit: Commit,
    },
    /// What became of a transaction.
    Outcome(TxnRef),
}

/// The answer to a [`Request`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// In the order asked.
    Read(Result<Vec<Seen>, TxnError>),
    /// In the order asked.
    Scan(Result<Vec<SeenRange>, TxnError>),
    /// In the order asked.
    Standing(Result<Vec<Standing>, TxnError>),
    /// All that is not settled, or that it cannot be told.
    Unsettled(Result<Option<Vec<Place>>, TxnError>),
    /// The id of the locks, and the newest versions in the order asked.
    Lock(Result<(TxnId, Vec<Seen>), TxnError>),
    /// Committed, or why not.
    Commit(Result<Committed, TxnError>),
    /// What became of it.
    Outcome(Result<Fate, TxnError>),
}

/// What happens to a node.
#[derive(Debug)]
pub enum Input {
    /// A peer's message.
    Message(NodeId, Message),
    /// A client's request, to be answered within `patience` microseconds.
    Request(ClientId, Request, Micros),
    /// The client of a request went away; no reply is wanted any more. (A commit that is under way is
    /// still brought to its end.)
    Cancel(ClientId),
    /// Soft locks of a transaction that will not commit are dropped.
    Unlock(TxnId, Vec<Place>),
    /// Time has passed.
    Tick,
    /// The vote log is synced up to and including the n-th record appended since the start.
    Synced(u64),
    /// A member's low-water mark, from gossip.
    LowWater(NodeId, Timestamp),
    /// The oldest snapshot that a member is reading, from gossip: history is kept from there on.
    Snapshot(NodeId, Option<Timestamp>),
    /// The disk is nearly full (or has room again): only deletes are voted for.
    DiskFull(bool),
    /// The failure detector's opinion of a member, from gossip. Only a hint.
    Alive(NodeId, bool),
}

/// One node's protocol state.
#[derive(Debug)]
pub struct Member {
    common: Common,
    replica: Replica,
    coordinator: Coordinator,
    recoveries: Recoveries,
    repairer: Repairer,
    marks: Marks,
    /// Messages to the own node that wait for a sync, with the record they wait for.
    unsynced: VecDeque<(u64, Message)>,
    synced: u64,
}

/// What gossip told of the other members, and when to publish next.
#[derive(Debug, Default)]
struct Marks {
    due: Micros,
    low_water: BTreeMap<NodeId, Timestamp>,
    snapshots: BTreeMap<NodeId, Timestamp>,
}

impl Member {
    /// A member with an empty history. Then [`Member::replay`] every record of the log, in order, then
    /// [`Member::start`]. `seed` is for back-off times only.
    #[must_use]
    pub fn new(id: NodeId, incarnation: Incarnation, topology: Arc<Topology>, settings: Settings, seed: u64) -> Self {
        Self {
            replica: Replica::new(id, incarnation, Arc::clone(&topology), settings.clone()),
            common: Common::new(id, incarnation, topology, settings, seed),
            coordinator: Coordinator::default(),
            recoveries: Recoveries::default(),
            repairer: Repairer::default(),
            marks: Marks::default(),
            unsynced: VecDeque::new(),
            synced: 0,
        }
    }

    /// Takes back one record of the vote log. Decided versions go to the store again (it ignores those
    /// that it has).
    ///
    /// # Errors
    /// What the store says.
    pub fn replay(&mut self, record: Record, store: &mut dyn Store) -> StoreResult<()> {
        self.replica.replay(record, store)
    }

    /// Ends the replay: from here on the member answers.
    ///
    /// # Errors
    /// What the store says.
    pub fn start(&mut self, now: Now, store: &mut dyn Store) -> StoreResult<()> {
        self.common.now = now;
        self.replica.start(now, store)?;
        self.common.clock.observe(self.replica.floor());
        self.repairer.hurry(&self.common);
        Ok(())
    }

    /// A new clock reading, for a transaction that begins.
    pub fn begin(&mut self, now: Now) -> Timestamp {
        self.common.now = now;
        self.common.begin()
    }

    /// Advances by one event. See [`Effects`] for what the driver owes.
    ///
    /// # Errors
    /// [`annulus_replica::store::StoreError::Failed`]: the node must stop.
    pub fn step(
        &mut self,
        now: Now,
        input: Input,
        store: &mut dyn Store,
        out: &mut Effects,
        replies: &mut Vec<(ClientId, Reply)>,
    ) -> StoreResult<()> {
        self.common.now = now;
        match input {
            Input::Message(from, message) => {
                self.common.heard(from);
                self.message(from, message, store, out)?;
            }
            Input::Request(client, Request::Outcome(txn), patience) => self.ask_outcome(client, txn, patience),
            Input::Request(client, request, patience) => {
                self.coordinator.request(client, request, patience, &mut self.common);
            }
            Input::Cancel(client) => {
                self.coordinator.cancel(client, &mut self.common);
                self.recoveries.cancel(client);
            }
            Input::Unlock(txn, places) => {
                self.coordinator.unlocked(txn);
                let nodes = self.common.replicas(places.iter().map(|place| place.partition));
                self.common.broadcast(nodes.into_iter().collect(), Message::Unlock(txn));
            }
            Input::Tick => self.tick(store, out)?,
            Input::Synced(position) => self.on_synced(position, store, out)?,
            Input::LowWater(node, mark) => {
                let known = self.marks.low_water.entry(node).or_default();
                *known = mark.max(*known);
            }
            Input::Snapshot(node, oldest) => {
                match oldest {
                    Some(oldest) => self.marks.snapshots.insert(node, oldest),
                    None => self.marks.snapshots.remove(&node),
                };
            }
            Input::Alive(node, alive) => self.on_alive(node, alive, store, out)?,
            Input::DiskFull(full) => self.replica.set_disk_full(full),
        }
        self.settle(store, out)?;
        replies.append(&mut self.common.replies);
        Ok(())
    }

    /// Moves everything that the step set in motion inside this node, until only effects are left.
    fn settle(&mut self, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        loop {
            for txn in
                std::mem::take(&mut out.overdue).into_iter().chain(std::mem::take(&mut self.coordinator.taken_over))
            {
                self.recover(txn, None);
            }
            let own = self.take_own(out);
            if own.is_empty() {
                return Ok(());
            }
            for message in own {
                self.message(self.common.id, message, store, out)?;
            }
        }
    }

    /// Takes out what is addressed to this node itself; the rest stays in the effects.
    fn take_own(&mut self, out: &mut Effects) -> Vec<Message> {
        let id = self.common.id;
        let mut own = Vec::new();
        out.at_once.append(&mut self.common.sends);
        divert(&mut out.at_once, id, |message| own.push(message));
        let position = self.replica.appended();
        let unsynced = &mut self.unsynced;
        divert(&mut out.after_sync, id, |message| unsynced.push_back((position, message)));
        while let Some((_, message)) = self.unsynced.pop_front_if(|(at, _)| *at <= self.synced) {
            own.push(message);
        }
        own
    }

    fn message(&mut self, from: NodeId, message: Message, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        let common = &mut self.common;
        let stale = |id: &RequestId| id.incarnation != common.incarnation.0;
        match message {
            Message::ReadAnswer(id, _)
            | Message::LockAnswer(id, _)
            | Message::Repaired(id)
            | Message::Fetched(id, _)
            | Message::Marks(id, _)
            | Message::Unsettled(id, _)
                if stale(&id) => {}
            Message::Compared { id, .. } if stale(&id) => {}
            Message::ReadAnswer(id, answer) => self.coordinator.read_answer(from, id, answer, common),
            Message::Marks(id, marks) => self.coordinator.told(from, id, Told::Marks(marks), common),
            Message::Unsettled(id, told) => self.coordinator.told(from, id, Told::Unsettled(told), common),
            Message::LockAnswer(id, answer) => self.coordinator.lock_answer(from, id, answer, common),
            Message::Repaired(id) => self.coordinator.repaired(from, id, common),
            Message::Vote(txn, vote) => self.coordinator.voted(from, txn, vote, common),
            Message::Accepted(txn, ballot, answer) => {
                self.coordinator.accepted(from, txn, ballot, answer.clone(), common);
                let ending = self.recoveries.accepted(from, txn, ballot, answer, common);
                self.concluded(ending);
            }
            Message::Recovered(txn, ballot, answer) => {
                let ending = self.recoveries.recovered(from, txn, ballot, answer, common);
                self.concluded(ending);
            }
            Message::Inquired(txn, word) => {
                let ending = self.recoveries.inquired(txn, word, common);
                self.concluded(ending);
            }
            Message::Inquire(txn) => {
                let word = self.word(txn);
                self.common.send(from, Message::Inquired(txn.id, word));
            }
            Message::Compared { id, range, here } => {
                let (_, tag) = common::split(id);
                let replica = &mut self.replica;
                self.repairer.compared(from, tag, &range, here, replica, store, out, common)?;
            }
            Message::Fetched(id, versions) => {
                let (_, tag) = common::split(id);
                self.repairer.fetched(tag, versions, &mut self.replica, store, out)?;
            }
            Message::Held(partitions) => self.repairer.hear(from, &partitions, &self.replica, common),
            Message::Repair(id, versions) => {
                self.repairer.pull(from, &versions, &self.replica, common);
                self.replica.step(common.now, from, Message::Repair(id, versions), store, out)?;
            }
            Message::Decide { txn, outcome, writes } => {
                let now = self.common.now;
                self.replica.step(now, from, Message::Decide { txn, outcome, writes }, store, out)?;
                let ending = self.recoveries.decided(txn.id, outcome);
                self.concluded(ending);
            }
            request => self.replica.step(self.common.now, from, request, store, out)?,
        }
        Ok(())
    }

    /// What this node knows of a transaction that it coordinated.
    fn word(&self, txn: TxnRef) -> Inquired {
        let known = self.replica.outcome(txn.id).or_else(|| self.coordinator.outcome(txn.id));
        match known {
            Some(outcome) => Inquired::Decided(outcome),
            None if self.coordinator.is_active(txn.id) => Inquired::Active,
            None => Inquired::Unknown,
        }
    }

    fn recover(&mut self, txn: TxnRef, waiter: Option<(ClientId, Micros)>) {
        let vote = self.replica.vote(txn.id).cloned();
        self.recoveries.start(txn, vote, waiter, &mut self.common);
    }

    /// Tells whoever waited for a recovery.
    fn concluded(&mut self, concluded: Option<Concluded>) {
        let Some(Concluded { txn, ending, waiters }) = concluded else { return };
        let (outcome, fate) = match ending {
            Ending::Decided(Outcome::Commit) => (Some(Outcome::Commit), Fate::Committed),
            Ending::Decided(Outcome::Abort) => (Some(Outcome::Abort), Fate::Aborted),
            Ending::Forgotten => (None, Fate::Forgotten),
        };
        match outcome {
            Some(Outcome::Commit) => self.common.counters.recovered_commits += 1,
            Some(Outcome::Abort) => self.common.counters.recovered_aborts += 1,
            None => {}
        }
        self.common.replies.extend(waiters.into_iter().map(|client| (client, Reply::Outcome(Ok(fate)))));
        self.coordinator.recovered(txn, outcome, &mut self.common);
    }

    fn ask_outcome(&mut self, client: ClientId, txn: TxnRef, patience: Micros) {
        let known = self.replica.outcome(txn.id).or_else(|| self.coordinator.outcome(txn.id));
        match known {
            Some(outcome) => {
                let fate = if outcome == Outcome::Commit { Fate::Committed } else { Fate::Aborted };
                self.common.replies.push((client, Reply::Outcome(Ok(fate))));
            }
            None if self.common.ring(txn.anchor).is_empty() => {
                let error = TxnError::Limit(format!("partition {} does not exist", txn.anchor));
                self.common.replies.push((client, Reply::Outcome(Err(error))));
            }
            None => {
                let deadline = self.common.now.steady.saturating_add(patience);
                self.recover(txn, Some((client, deadline)));
            }
        }
    }

    /// The last record whose sync a message of this node to itself waits for; 0 if none does.
    #[must_use]
    pub fn awaited_record(&self) -> u64 {
        self.unsynced.back().map_or(0, |(position, _)| *position)
    }

    fn on_synced(&mut self, position: u64, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        self.synced = self.synced.max(position);
        self.replica.synced(position, store)?;
        while let Some((_, message)) = self.unsynced.pop_front_if(|(at, _)| *at <= position) {
            self.message(self.common.id, message, store, out)?;
        }
        Ok(())
    }

    fn on_alive(&mut self, node: NodeId, alive: bool, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        if !alive {
            self.common.dead.insert(node);
            self.replica.drop_locks_of(self.common.now, node, store, out)?;
            // What it coordinated will not be decided by it.
            for (txn, _) in self.replica.undecided(self.common.now) {
                if txn.id.node == node {
                    self.recover(txn, None);
                }
            }
        } else if self.common.dead.remove(&node) {
            self.repairer.hurry(&self.common);
        }
        Ok(())
    }

    fn tick(&mut self, store: &mut dyn Store, out: &mut Effects) -> StoreResult<()> {
        let now = self.common.now;
        self.replica.tick(now, store, out)?;
        self.coordinator.tick(&mut self.common);
        self.recoveries.tick(&mut self.common);
        self.repairer.tick(&mut self.replica, store, out, &mut self.common)?;
        if self.marks.due <= now.steady {
            self.marks.due = now.steady + self.common.settings.marks_interval;
            self.raise_marks(out);
        }
        Ok(())
    }

    /// Raises the low-water mark as far as everything here allows, and the forgetting minimum as far as
    /// all members allow.
    fn raise_marks(&mut self, out: &mut Effects) {
        // Behind the clock, so that the timestamps of slow clocks are not refused.
        let lag = 2 * self.common.settings.max_clock_drift;
        let mut low_water = Timestamp::from_micros(self.common.now.wall).minus(lag);
        for limit in [self.coordinator.oldest_try(), self.recoveries.oldest()].into_iter().flatten() {
            low_water = low_water.min(limit.previous());
        }
        self.replica.cover(self.common.now, low_water, out);
        low_water = low_water.min(self.replica.low_water_limit());
        self.marks.low_water.insert(self.common.id, self.replica.low_water());
        let members = self.common.topology.members();
        let known = members.iter().map(|member| self.marks.low_water.get(&member.id).copied().unwrap_or_default());
        let forgotten = known.min().unwrap_or_default();
        self.replica.raise_marks(low_water, forgotten, out);
        let own = self.coordinator.oldest_snapshot();
        self.replica.pin_history(self.marks.snapshots.values().copied().chain(own).min());
    }

    /// When [`Input::Tick`] is wanted at the latest, on the steady clock.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Micros> {
        let timers = [self.replica.next_wakeup(), self.coordinator.next_timer(), self.recoveries.next_timer()];
        let due = [self.repairer.next_timer(), self.marks.due];
        timers.into_iter().flatten().chain(due).min()
    }

    /// The records that, replayed over a store which holds every version decided so far, give this
    /// state: what a trimmed log begins with.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<Record> {
        self.replica.checkpoint()
    }

    /// The low-water mark to gossip: durable already.
    #[must_use]
    pub const fn low_water(&self) -> Timestamp {
        self.replica.low_water()
    }

    /// The oldest snapshot being read here, to gossip.
    #[must_use]
    pub fn oldest_snapshot(&self) -> Option<Timestamp> {
        self.coordinator.oldest_snapshot()
    }

    /// For status pages: transactions prepared here and undecided, with their age in microseconds.
    #[must_use]
    pub fn undecided(&self, now: Now) -> Vec<(TxnRef, Micros)> {
        self.replica.undecided(now)
    }

    /// For status pages: the locked keys of each partition here (soft or prepared).
    #[must_use]
    pub fn locked_keys(&self) -> BTreeMap<PartitionId, Vec<Key>> {
        self.replica.locked_keys()
    }

    /// What this node's coordinator and replica have done since the start.
    #[must_use]
    pub const fn counters(&self) -> (&Counters, &annulus_replica::counters::Counters) {
        (&self.common.counters, self.replica.counters())
    }

    /// For status pages: client requests at work.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.coordinator.busy()
    }

    /// Whether it has no more to do than one transaction.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.coordinator.busy() <= 1 && self.replica.transactions() <= 1
    }

    /// For status pages: the partitions of dynamic namespaces that have data here.
    pub fn held(&self) -> impl Iterator<Item = PartitionId> {
        self.replica.held()
    }

    /// For status pages: recoveries at work.
    #[must_use]
    pub fn recoveries(&self) -> usize {
        self.recoveries.len()
    }

    /// For status pages: stored keys that are corrupt and wait for repair.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.replica.damaged().count()
    }
}

/// Moves what is addressed to `own` out of `sends`.
fn divert(sends: &mut Vec<Send>, own: NodeId, mut take: impl FnMut(Message)) {
    sends.retain_mut(|send| {
        if let Some(at) = send.to.iter().position(|node| *node == own) {
            send.to.swap_remove(at);
            take(send.message.clone());
        }
        !send.to.is_empty()
    });
}
