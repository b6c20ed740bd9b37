//! A simulated node: a [`Member`] with its log, its store and its clocks, driven as [`Effects`] demands.
//!
//! A node is *up* while it has a process. A crash takes the process and whatever was not synced; what is
//! durable stays: the log, the store, the incarnation.

use std::collections::VecDeque;
use std::sync::Arc;

use annulus_base::time::Micros;
use annulus_base::{Incarnation, NodeId, Timestamp};
use annulus_replica::effects::Effects;
use annulus_replica::message::Send;
use annulus_replica::store::StoreResult;
use annulus_ring::Topology;
use annulus_txn::member::{ClientId, Input, Member, Reply, Settings};

use super::clock::Clock;
use super::log::Log;
use super::store::MemoryStore;

/// A checkpoint under way.
#[derive(Debug)]
struct Checkpoint {
    records: Vec<annulus_replica::record::Record>,
    upto: u64,
    changes: usize,
}

/// What dies with a crash.
struct Process {
    member: Member,
    /// Messages that wait until so many records are durable.
    held: VecDeque<(u64, Send)>,
    syncing: bool,
    checkpoint: Option<Checkpoint>,
}

/// One node.
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its clocks.
    pub clock: Clock,
    /// Decided versions.
    pub store: MemoryStore,
    /// The vote log.
    pub log: Log,
    incarnation: Incarnation,
    process: Option<Process>,
}

impl Node {
    /// A node that was never started.
    #[must_use]
    pub fn new(id: NodeId, clock: Clock) -> Self {
        let (store, log) = (MemoryStore::default(), Log::default());
        Self { id, clock, store, log, incarnation: Incarnation(0), process: None }
    }

    /// Starts the next incarnation: replays the log.
    ///
    /// # Errors
    /// What the member says.
    pub fn start(&mut self, time: Micros, topology: Arc<Topology>, settings: Settings, seed: u64) -> StoreResult<()> {
        self.incarnation.0 += 1;
        let mut member = Member::new(self.id, self.incarnation, topology, settings, seed);
        for record in self.log.records() {
            member.replay(record.clone(), &mut self.store)?;
        }
        member.start(self.clock.now(time), &mut self.store)?;
        self.process = Some(Process { member, held: VecDeque::new(), syncing: false, checkpoint: None });
        Ok(())
    }

    /// The process ends. (What becomes of the disk is said to [`Node::log`] and [`Node::store`].)
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// The running (or last) incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The running member, `None` while the node is down.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        self.process.as_ref().map(|process| &process.member)
    }

    /// A clock reading for a transaction that begins here; `None` while the node is down.
    pub fn begin(&mut self, time: Micros) -> Option<Timestamp> {
        let now = self.clock.now(time);
        self.process.as_mut().map(|process| process.member.begin(now))
    }

    /// Lets the member take a step. Does nothing while the node is down.
    ///
    /// # Errors
    /// What the member says: the node must stop.
    pub fn step(
        &mut self,
        time: Micros,
        input: Input,
        out: &mut Effects,
        replies: &mut Vec<(ClientId, Reply)>,
    ) -> StoreResult<()> {
        let now = self.clock.now(time);
        match &mut self.process {
            Some(process) => process.member.step(now, input, &mut self.store, out, replies),
            None => Ok(()),
        }
    }

    /// Keeps messages back until everything appended so far is durable; returns those that need not wait.
    #[must_use]
    pub fn hold(&mut self, messages: Vec<Send>) -> Vec<Send> {
        if self.log.durable() == self.log.appended() {
            return messages;
        }
        if let Some(process) = &mut self.process {
            let need = self.log.appended();
            process.held.extend(messages.into_iter().map(|message| (need, message)));
        }
        Vec::new()
    }

    /// Begins a sync if one is wanted and none is under way; returns how many records it will cover.
    pub fn begin_sync(&mut self) -> Option<u64> {
        let process = self.process.as_mut()?;
        if process.syncing || self.log.durable() == self.log.appended() {
            return None;
        }
        process.syncing = true;
        Some(self.log.appended())
    }

    /// A sync returned: gives the messages that may leave now.
    pub fn end_sync(&mut self, upto: u64) -> Vec<Send> {
        self.log.synced(upto);
        if let Some(process) = &mut self.process {
            process.syncing = false;
        }
        self.release()
    }

    /// Takes the messages that wait for nothing any more.
    pub fn release(&mut self) -> Vec<Send> {
        let durable = self.log.durable();
        let Some(process) = &mut self.process else { return Vec::new() };
        let ready = process.held.iter().take_while(|(need, _)| *need <= durable).count();
        process.held.drain(..ready).map(|(_, message)| message).collect()
    }

    /// Begins a checkpoint: the store is being synced, and the records that the log will begin with are
    /// being written. Returns whether one was begun.
    pub fn begin_checkpoint(&mut self) -> bool {
        let Some(process) = self.process.as_mut().filter(|process| process.checkpoint.is_none()) else { return false };
        let (upto, changes) = (self.log.appended(), self.store.unsynced());
        process.checkpoint = Some(Checkpoint { records: process.member.checkpoint(), upto, changes });
        true
    }

    /// The checkpoint is durable: the log is trimmed. Returns whether one was under way.
    pub fn end_checkpoint(&mut self) -> bool {
        let Some(checkpoint) = self.process.as_mut().and_then(|process| process.checkpoint.take()) else {
            return false;
        };
        self.store.synced(checkpoint.changes);
        self.log.trim(checkpoint.records, checkpoint.upto);
        true
    }

    /// When the member wants its next tick, in virtual time.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Micros> {
        self.member()?.next_wakeup().map(|steady| self.clock.time_of(steady))
    }
}
