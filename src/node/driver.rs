//! The driver of a node's protocol state: executes [`Effects`] in the order that they demand.
//!
//! Invariants:
//! - What must be durable first leaves only after a sync that covers it has returned.
//! - After a failed sync, or a failed engine, nothing leaves any more and the node stops.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annulus_base::time::Micros;
use annulus_base::{NodeId, Now};
use annulus_replica::effects::Effects;
use annulus_replica::message::{Message, Send};
use annulus_replica::record::Record;
use annulus_txn::member::{ClientId, Input, Member, Reply};
use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::NodeError;
use super::clock::Clock;
use crate::net::gossip::Gossip;
use crate::net::peers::{Handler, Peers};
use crate::net::wire::Envelope;
use crate::storage::log::{Checkpoint, Log, LogError, Position, Synced};
use crate::storage::records;
use crate::storage::versions::VersionStore;

/// Longest pause between two looks at the timers.
const LONGEST_PAUSE: Micros = 10_000;
/// Shortest pause between two looks at the timers: timers that are due together fire together.
const SHORTEST_PAUSE: Micros = 1_000;

/// How far the log is synced, told by its thread to the event loop.
#[derive(Debug, Default)]
pub struct SyncState {
    position: AtomicU64,
    failure: Mutex<Option<LogError>>,
    changed: Notify,
}

impl SyncState {
    /// For the log's thread: call it after each sync.
    pub fn report(&self, result: Result<Synced, LogError>) {
        match result {
            Ok(synced) => self.position.store(synced.position, Ordering::Release),
            Err(error) => {
                self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
            }
        }
        self.changed.notify_one();
    }

    fn failed(&self) -> Option<LogError> {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// A handle to the node's protocol state and everything that it drives. Clones are the same one.
#[derive(Clone)]
pub struct Driver(Rc<Inner>);

struct Inner {
    state: RefCell<State>,
    peers: Peers,
    clock: Clock,
    sync: Arc<SyncState>,
    gossip: RefCell<Option<Gossip>>,
    stop: CancellationToken,
    failure: RefCell<Option<NodeError>>,
    failed: CancellationToken,
    /// Somebody waits for records to be synced.
    sync_wanted: Notify,
    disk_full: Cell<bool>,
    unreachable: RefCell<BTreeSet<NodeId>>,
}

struct State {
    member: Member,
    log: Log,
    store: VersionStore,
    effects: Effects,
    replies: Vec<(ClientId, Reply)>,
    clients: BTreeMap<ClientId, oneshot::Sender<Reply>>,
    next_client: u64,
    /// Messages that wait for the log, in order.
    unsynced: VecDeque<(Position, Send)>,
    /// Which log position the member's n-th record has.
    positions: VecDeque<(Position, u64)>,
    /// Records that the member has appended.
    records: u64,
    /// The last record whose sync a message waits for.
    awaited: u64,
    /// How many records the log's thread was told to sync.
    submitted: u64,
    bytes: u64,
    bytes_since_checkpoint: u64,
    checkpoints: u64,
    checkpoint: Option<Instant>,
    encoded: Vec<u8>,
}

impl State {
    /// Whether a message waits for a sync that the log has not been told of.
    fn is_sync_awaited(&self) -> bool {
        self.awaited.max(self.member.awaited_record()) > self.submitted
    }

    /// Has all records synced.
    fn submit(&mut self) {
        if self.records > self.submitted {
            self.submitted = self.records;
            self.log.submit();
        }
    }
}

impl Driver {
    /// Drives `member`, which has been replayed and started.
    #[must_use]
    pub fn new(
        member: Member,
        log: Log,
        store: VersionStore,
        peers: Peers,
        clock: Clock,
        sync: Arc<SyncState>,
        stop: CancellationToken,
    ) -> Self {
        let state = State {
            member,
            log,
            store,
            effects: Effects::default(),
            replies: Vec::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            unsynced: VecDeque::new(),
            positions: VecDeque::new(),
            records: 0,
            awaited: 0,
            submitted: 0,
            bytes: 0,
            bytes_since_checkpoint: 0,
            checkpoints: 0,
            checkpoint: None,
            encoded: Vec::new(),
        };
        Self(Rc::new(Inner {
            state: RefCell::new(state),
            peers,
            clock,
            sync,
            gossip: RefCell::default(),
            stop,
            failure: RefCell::default(),
            failed: CancellationToken::new(),
            sync_wanted: Notify::new(),
            disk_full: Cell::new(false),
            unreachable: RefCell::default(),
        }))
    }

    /// Gossip messages go there from now on.
    pub fn attach_gossip(&self, gossip: Gossip) {
        *self.0.gossip.borrow_mut() = Some(gossip);
    }

    /// What the clocks say.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0.clock.now()
    }

    /// Looks at the protocol state.
    pub fn with_member<T>(&self, look: impl FnOnce(&mut Member, Now) -> T) -> T {
        let now = self.now();
        look(&mut self.0.state.borrow_mut().member, now)
    }

    /// Looks at the log.
    pub fn with_log<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.0.state.borrow().log)
    }

    /// The connections to the other members.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// Whether writes are refused because the disk is nearly full.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        self.0.disk_full.get()
    }

    /// Refuses writes (or no longer), because the disk is nearly full (or has room again).
    pub fn set_disk_full(&self, full: bool) {
        self.0.disk_full.set(full);
        self.step(Input::DiskFull(full));
    }

    /// A member can be reached now, or no longer.
    pub fn set_reachable(&self, node: NodeId, reachable: bool) {
        let mut unreachable = self.0.unreachable.borrow_mut();
        if reachable {
            unreachable.remove(&node)
        } else {
            unreachable.insert(node)
        };
        drop(unreachable);
        self.step(Input::Alive(node, reachable));
    }

    /// The members that cannot be reached now.
    #[must_use]
    pub fn unreachable(&self) -> Ref<'_, BTreeSet<NodeId>> {
        self.0.unreachable.borrow()
    }

    /// Bytes appended to the log since the last checkpoint began.
    #[must_use]
    pub fn bytes_since_checkpoint(&self) -> u64 {
        self.0.state.borrow().bytes_since_checkpoint
    }

    /// Advances the protocol by one event.
    pub fn step(&self, input: Input) {
        let mut state = self.0.state.borrow_mut();
        self.advance(&mut state, input);
        self.finish(&state);
    }

    /// Starts a client's request; the reply comes through the receiver.
    pub fn request(
        &self,
        request: annulus_txn::member::Request,
        patience: Micros,
    ) -> (ClientId, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.state.borrow_mut();
        state.next_client += 1;
        let client = ClientId(state.next_client);
        state.clients.insert(client, sender);
        self.advance(&mut state, Input::Request(client, request, patience));
        self.finish(&state);
        (client, receiver)
    }

    /// The client of a request does not wait any more.
    pub fn cancel(&self, client: ClientId) {
        let waiting = self.0.state.borrow_mut().clients.remove(&client).is_some();
        if waiting {
            self.step(Input::Cancel(client));
        }
    }

    fn advance(&self, state: &mut State, input: Input) {
        if self.0.failure.borrow().is_some() {
            return;
        }
        let now = self.now();
        let State { member, store, effects, replies, .. } = &mut *state;
        if let Err(error) = member.step(now, input, store, effects, replies) {
            self.fail(NodeError::Store(error));
            return;
        }
        self.execute(state);
    }

    /// Executes what a step asked for.
    fn execute(&self, state: &mut State) {
        let State {
            log, effects, encoded, unsynced, positions, records, awaited, bytes, bytes_since_checkpoint, ..
        } = state;
        for record in effects.records.drain(..) {
            encoded.clear();
            let kind = match records::encode(&record, encoded) {
                Ok(kind) => kind,
                Err(error) => return self.fail(NodeError::Record(error)),
            };
            let position = log.append(kind, records::VERSION, encoded);
            *bytes += encoded.len() as u64;
            *bytes_since_checkpoint += encoded.len() as u64;
            *records += 1;
            positions.push_back((position, *records));
        }
        for send in effects.at_once.drain(..) {
            self.send(send);
        }
        if !effects.after_sync.is_empty() {
            let last = positions.back().map_or_else(|| log.synced(), |(position, _)| *position);
            if last <= log.synced() {
                effects.after_sync.drain(..).for_each(|send| self.send(send));
            } else {
                unsynced.extend(effects.after_sync.drain(..).map(|send| (last, send)));
                *awaited = *records;
            }
        }
        for (client, reply) in state.replies.drain(..) {
            if let Some(waiting) = state.clients.remove(&client) {
                // A client that is gone does not need its reply.
                let _ = waiting.send(reply);
            }
        }
    }

    /// Has the records synced that somebody waits for, and with them all that came before. Others (mostly
    /// decisions, which recovery would find again) wait for company, at most until the next look at the timers.
    fn finish(&self, state: &State) {
        if state.is_sync_awaited() {
            // First whatever is ready has its turn: messages just sent must be on their way, since the others sync at the same
            // time, and what is yet to be appended shares the sync.
            self.0.sync_wanted.notify_one();
        }
    }

    /// Has records synced, a few of a quiet node on this thread where that is quicker. Never ends.
    pub async fn follow_wanted_syncs(self) {
        loop {
            self.0.sync_wanted.notified().await;
            let mut state = self.0.state.borrow_mut();
            if state.is_sync_awaited() {
                if state.member.is_quiet() && state.log.sync_here() {
                    state.submitted = state.records;
                } else {
                    state.submit();
                }
            }
        }
    }

    fn send(&self, send: Send) {
        let Send { to, message } = send;
        if let Err(error) = self.0.peers.send(&to, &Envelope::Transaction(message)) {
            tracing::error!(%error, "a message was not sent");
        }
    }

    /// Stops the node: it cannot go on safely.
    pub fn fail(&self, error: NodeError) {
        tracing::error!(%error, "stopping: this node cannot go on safely");
        self.0.failure.borrow_mut().get_or_insert(error);
        self.0.failed.cancel();
        self.0.stop.cancel();
    }

    /// Ends when the node has stopped by itself: nothing is answered any more.
    pub async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Why the node stopped by itself, if it did.
    #[must_use]
    pub fn take_failure(&self) -> Option<NodeError> {
        self.0.failure.borrow_mut().take()
    }

    /// Passes on what the log's thread reports. Ends with the log.
    pub async fn follow_syncs(self) {
        loop {
            self.0.sync.changed.notified().await;
            if let Some(error) = self.0.sync.failed() {
                return self.fail(NodeError::Log(error));
            }
            self.synced(self.0.sync.position.load(Ordering::Acquire));
        }
    }

    fn synced(&self, position: Position) {
        let mut state = self.0.state.borrow_mut();
        while let Some((_, send)) = state.unsynced.pop_front_if(|(at, _)| *at <= position) {
            self.send(send);
        }
        let mut records = None;
        while let Some((_, count)) = state.positions.pop_front_if(|(at, _)| *at <= position) {
            records = Some(count);
        }
        if let Some(records) = records {
            self.advance(&mut state, Input::Synced(records));
            self.finish(&state);
        }
    }

    /// Lets the protocol's timers fire. Never ends.
    pub async fn follow_timers(self) {
        loop {
            let now = self.now().steady;
            let due = self.0.state.borrow().member.next_wakeup().unwrap_or(Micros::MAX);
            if due <= now {
                self.step(Input::Tick);
            }
            self.0.state.borrow_mut().submit();
            let pause = due.saturating_sub(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
    }

    /// Begins a checkpoint of the log with what is still needed of it.
    ///
    /// # Errors
    /// [`NodeError::Record`].
    pub fn begin_checkpoint(&self) -> Result<Checkpoint, NodeError> {
        let mut state = self.0.state.borrow_mut();
        let mut live = Vec::new();
        for record in state.member.checkpoint() {
            let mut encoded = Vec::new();
            let kind = records::encode(&record, &mut encoded).map_err(NodeError::Record)?;
            live.push((kind, records::VERSION, encoded));
        }
        state.bytes_since_checkpoint = 0;
        Ok(state.log.begin_checkpoint(live))
    }

    /// Ends a checkpoint: everything before it is dropped from the log. The engine is synced.
    ///
    /// # Errors
    /// [`NodeError::Log`].
    pub fn finish_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), NodeError> {
        let mut state = self.0.state.borrow_mut();
        state.log.finish_checkpoint(checkpoint)?;
        state.checkpoints += 1;
        state.checkpoint = Some(Instant::now());
        Ok(())
    }

    /// Records and bytes appended to the log since the start.
    #[must_use]
    pub fn appended(&self) -> (u64, u64) {
        let state = self.0.state.borrow();
        (state.records, state.bytes)
    }

    /// Records that wait for a sync.
    #[must_use]
    pub fn unsynced_records(&self) -> u64 {
        self.0.state.borrow().positions.len() as u64
    }

    /// Checkpoints finished since the start.
    #[must_use]
    pub fn checkpoints(&self) -> u64 {
        self.0.state.borrow().checkpoints
    }

    /// How long ago the last checkpoint was finished.
    #[must_use]
    pub fn checkpoint_age(&self) -> Option<Duration> {
        self.0.state.borrow().checkpoint.map(|at| at.elapsed())
    }

    /// Takes records back from the log into a member that has not started yet.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn replay(member: &mut Member, record: Record, store: &mut VersionStore) -> Result<(), NodeError> {
        member.replay(record, store).map_err(NodeError::Store)
    }
}

impl Handler for Driver {
    fn messages(&self, from: NodeId, batch: &mut Vec<Message>) {
        let mut state = self.0.state.borrow_mut();
        for message in batch.drain(..) {
            self.advance(&mut state, Input::Message(from, message));
        }
        self.finish(&state);
    }

    fn gossip(&self, from: NodeId, message: Bytes) {
        let gossip = self.0.gossip.borrow().clone();
        if let Some(gossip) = gossip {
            gossip.receive(from, &message);
        }
    }
}
