//! One node's protocol state: its replica, its coordinator and its recoveries, behind one `step`.
//!
//! This is all that a driver needs: the node's event loop drives it with sockets and disks, the simulator
//! with virtual ones.
//!
//! Promises:
//! - A client request gets exactly one [`Reply`], at the latest when its patience ends.
//! - Messages to the own node never reach [`Effects`]: they are handled inside (once synced, where
//!   they wait for a sync).

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{Incarnation, Key, KeyRange, NodeId, Now, PartitionId, Timestamp, TxnId};
use annulus_replica::effects::Effects;
use annulus_replica::message::Message;
use annulus_replica::record::Record;
pub use annulus_replica::settings::Settings;
use annulus_replica::store::{Store, StoreResult};
use annulus_ring::Topology;

use crate::interface::{Commit, Committed, Fate, Place, Seen, SeenRange, TxnError, When};

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
    /// The failure detector's opinion of a member, from gossip. Only a hint.
    Alive(NodeId, bool),
}

/// One node's protocol state.
pub struct Member {
    _id: NodeId,
    _incarnation: Incarnation,
    _topology: Arc<Topology>,
    _settings: Settings,
}

impl Member {
    /// A member with an empty history. Then [`Member::replay`] every record of the log, in order, then
    /// [`Member::start`].
    #[must_use]
    pub fn new(id: NodeId, incarnation: Incarnation, topology: Arc<Topology>, settings: Settings, seed: u64) -> Self {
        let _ = seed;
        Self { _id: id, _incarnation: incarnation, _topology: topology, _settings: settings }
    }

    /// Takes back one record of the vote log. Decided versions go to the store again (it ignores those
    /// that it has).
    ///
    /// # Errors
    /// What the store says.
    pub fn replay(&mut self, record: Record, store: &mut dyn Store) -> StoreResult<()> {
        let _ = (record, store);
        Ok(())
    }

    /// Ends the replay: from here on the member answers.
    pub fn start(&mut self, now: Now) {
        let _ = now;
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
        let _ = (now, input, store, out, replies);
        Ok(())
    }

    /// When [`Input::Tick`] is wanted at the latest, on the steady clock.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Micros> {
        None
    }

    /// The records that, replayed over a store which holds every version decided so far, give this
    /// state: what a trimmed log begins with.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<Record> {
        Vec::new()
    }

    /// The low-water mark to gossip: durable already.
    #[must_use]
    pub fn low_water(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// For status pages: transactions prepared here and undecided, with their age in microseconds.
    #[must_use]
    pub fn undecided(&self, now: Now) -> Vec<(TxnRef, Micros)> {
        let _ = now;
        Vec::new()
    }

    /// For status pages: how many keys are locked here (soft or prepared).
    #[must_use]
    pub fn locked_keys(&self) -> BTreeMap<PartitionId, Vec<Key>> {
        BTreeMap::new()
    }
}
