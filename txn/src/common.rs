//! What all operations of one node share: who and when we are, and what goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annulus_base::rng::Rng;
use annulus_base::time::Micros;
use annulus_base::{Hlc, Incarnation, NodeId, Now, PartitionId, Timestamp, TxnId};
use annulus_replica::message::{Message, RequestId, Send};
use annulus_replica::settings::Settings;
use annulus_ring::{ReplicaRing, Topology};

use crate::counters::Counters;
use crate::member::{ClientId, Reply};

/// Bits of a request id that an operation uses for itself.
const TAG_BITS: u32 = 24;
/// A tag that no operation listens to.
pub(crate) const NO_TAG: u32 = (1 << TAG_BITS) - 1;

/// The operation and the tag that a request id names.
pub(crate) const fn split(id: RequestId) -> (u64, u32) {
    (id.sequence >> TAG_BITS, id.sequence as u32 & NO_TAG)
}

/// Shared state of a node's operations.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) topology: Arc<Topology>,
    pub(crate) settings: Settings,
    /// Members that the failure detector suspects. Only a hint.
    pub(crate) dead: BTreeSet<NodeId>,
    /// Since when members that were asked something have sent nothing at all (steady clock).
    silent_since: BTreeMap<NodeId, Micros>,
    pub(crate) clock: Hlc,
    /// No transaction that replicas have told of has a higher timestamp.
    pub(crate) voted: Timestamp,
    pub(crate) rng: Rng,
    pub(crate) now: Now,
    pub(crate) sends: Vec<Send>,
    pub(crate) replies: Vec<(ClientId, Reply)>,
    pub(crate) counters: Counters,
    sequence: u32,
}

impl Common {
    pub(crate) fn new(
        id: NodeId,
        incarnation: Incarnation,
        topology: Arc<Topology>,
        settings: Settings,
        seed: u64,
    ) -> Self {
        Self {
            id,
            incarnation,
            topology,
            settings,
            dead: BTreeSet::new(),
            silent_since: BTreeMap::new(),
            clock: Hlc::default(),
            voted: Timestamp::ZERO,
            rng: Rng::new(seed),
            now: Now::default(),
            sends: Vec::new(),
            replies: Vec::new(),
            counters: Counters::default(),
            sequence: 0,
        }
    }

    /// A fresh clock reading. A clock that was dragged too far ahead of the wall clock is let go: nothing
    /// rests on it, and peers would refuse its readings.
    pub(crate) fn timestamp(&mut self) -> Timestamp {
        let limit = Timestamp::from_micros(self.now.wall).plus(self.settings.max_clock_drift);
        if self.clock.last() > limit {
            self.clock = Hlc::default();
        }
        self.clock.tick(self.now)
    }

    /// A fresh reading for a transaction that begins: above all that replicas have told of, also where the clock
    /// itself was let go. So a snapshot of it holds whatever was acknowledged before they answered.
    pub(crate) fn begin(&mut self) -> Timestamp {
        let reading = self.timestamp();
        if reading <= self.voted {
            self.voted = self.voted.next();
        }
        reading.max(self.voted)
    }

    /// A new try of the transaction that began at `start`.
    pub(crate) fn new_txn(&mut self, start: Timestamp) -> TxnId {
        self.sequence += 1;
        TxnId { start, node: self.id, incarnation: self.incarnation, sequence: self.sequence }
    }

    /// Names part `tag` of operation `op`, so that the answer finds it.
    pub(crate) fn request_id(&self, op: u64, tag: u32) -> RequestId {
        RequestId { incarnation: self.incarnation.0, sequence: op << TAG_BITS | u64::from(tag) }
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.sends.push(Send { to: vec![to], message });
    }

    pub(crate) fn broadcast(&mut self, to: Vec<NodeId>, message: Message) {
        if !to.is_empty() {
            self.sends.push(Send { to, message });
        }
    }

    /// The replica ring of a partition; empty for one that does not exist.
    pub(crate) fn ring(&self, partition: PartitionId) -> ReplicaRing {
        self.topology.replicas(partition).unwrap_or_default()
    }

    /// The majority of a partition's replica ring.
    pub(crate) fn quorum(&self, partition: PartitionId) -> usize {
        quorum(self.ring(partition).len())
    }

    /// Others were asked something that they answer at once.
    pub(crate) fn asked(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        let now = self.now.steady;
        for node in nodes.into_iter().filter(|node| *node != self.id) {
            self.silent_since.entry(node).or_insert(now);
        }
    }

    /// Something has come from this node.
    pub(crate) fn heard(&mut self, from: NodeId) {
        self.silent_since.remove(&from);
    }

    /// Whether there is no point in waiting for this node: the failure detector takes it for dead or, sooner, it was asked
    /// and nothing has come from it since, for so long that a Prepare would have been sent again twice. Only a hint.
    pub(crate) fn is_suspect(&self, node: &NodeId) -> bool {
        let patience = self.settings.fast_path_patience + self.settings.resend_after;
        let is_silent = |since: &Micros| self.now.steady.saturating_sub(*since) >= patience;
        self.dead.contains(node) || self.silent_since.get(node).is_some_and(is_silent)
    }

    /// The replicas of a partition in the order to ask: this node first, suspects last.
    pub(crate) fn by_preference(&self, partition: PartitionId) -> Vec<NodeId> {
        let mut nodes = self.ring(partition).to_vec();
        nodes.sort_by_key(|node| (self.is_suspect(node), *node != self.id));
        nodes
    }

    /// The replicas of a partition with the dead last: the head, or whoever stands in for it, first. All coordinators should
    /// begin with the same one, so that the late are not passed over: each knows others.
    pub(crate) fn by_ring(&self, partition: PartitionId) -> Vec<NodeId> {
        let mut nodes = self.ring(partition).to_vec();
        nodes.sort_by_key(|node| self.dead.contains(node));
        nodes
    }

    /// All replicas of several partitions, each once.
    pub(crate) fn replicas(&self, partitions: impl IntoIterator<Item = PartitionId>) -> BTreeSet<NodeId> {
        partitions.into_iter().flat_map(|partition| self.ring(partition)).collect()
    }
}

/// How many of `n` replicas are a majority.
pub(crate) const fn quorum(n: usize) -> usize {
    n / 2 + 1
}

// Any two majorities share a replica.
const _: () = {
    let mut n = 1;
    while n <= 7 {
        assert!(2 * quorum(n) > n);
        n += 1;
    }
};
