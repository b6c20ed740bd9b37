//! A valid topology with its placement worked out.

use std::collections::BTreeMap;

use annulus_base::{Epoch, NamespaceId, NodeId, PartitionId};

use crate::dynamic::DynamicNamespace;
use crate::error::TopologyError;
use crate::namespace::{DEFAULT_REPLICATION_FACTOR, Namespace};
use crate::placement::Placement;
use crate::record::{ClusterId, Member, TopologyRecord};
use crate::rings::{DynamicRings, ReplicaRing, Rings};
use crate::token::{TokenRing, clockwise};

/// The decided membership of an epoch and the placement that follows from it. Immutable.
#[derive(Debug)]
pub struct Topology {
    record: TopologyRecord,
    tokens: TokenRing,
    /// Of the namespaces of the record.
    rings: BTreeMap<NamespaceId, Rings>,
    dynamic: DynamicRings,
    clockwise: Vec<NodeId>,
    /// In the order of the members, in units of 2^-64.
    shares: Vec<u128>,
}

/// All else follows from the record.
impl PartialEq for Topology {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for Topology {}

/// The rings of one namespace.
fn place(
    members: &[Member],
    tokens: &TokenRing,
    partitions: impl ExactSizeIterator<Item = PartitionId>,
    factor: u8,
) -> Rings {
    let replicas = usize::from(factor).min(members.len());
    let placement = Placement::new(members, tokens, partitions.len() as u64, replicas);
    Rings { replicas, nodes: placement.rings(partitions) }
}

impl Topology {
    /// Checks members and namespaces (given in any order) and places every partition. A single member
    /// is accepted whatever the replication factors: it then keeps one replica of everything.
    ///
    /// # Errors
    /// [`TopologyError`] says which rule is broken.
    pub fn new(
        epoch: Epoch,
        cluster: ClusterId,
        members: Vec<Member>,
        namespaces: Vec<Namespace>,
    ) -> Result<Self, TopologyError> {
        Self::from_record(TopologyRecord { epoch, cluster, members, namespaces })
    }

    /// The topology of a record.
    ///
    /// # Errors
    /// [`TopologyError`] says which rule is broken.
    pub fn from_record(record: TopologyRecord) -> Result<Self, TopologyError> {
        let record = record.into_valid()?;
        let tokens = TokenRing::new(&record.members);
        let rings = record.namespaces.iter().map(|namespace| {
            (namespace.id, place(&record.members, &tokens, namespace.partitions(), namespace.replication_factor))
        });
        let (rings, shares, clockwise) = (rings.collect(), tokens.shares(), clockwise(&record.members));
        Ok(Self { rings, shares, clockwise, tokens, dynamic: DynamicRings::default(), record })
    }

    /// The topology of [`Topology::encode`]d bytes.
    ///
    /// # Errors
    /// [`TopologyError::Malformed`], or the rule that the decoded record breaks.
    pub fn decode(bytes: &[u8]) -> Result<Self, TopologyError> {
        Self::from_record(TopologyRecord::decode(bytes)?)
    }

    /// The bytes of its record, the same for equal topologies.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.record.encode()
    }

    /// What it was decided as, in the order of ids.
    #[must_use]
    pub const fn record(&self) -> &TopologyRecord {
        &self.record
    }

    /// The number of this topology.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.record.epoch
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.record.cluster
    }

    /// The nodes, in the order of their ids.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.record.members
    }

    /// The member with that id.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.index(node).map(|index| &self.record.members[index])
    }

    /// Replicas of each partition of what is made at run time and does not say otherwise: as many as of the cluster's
    /// own records.
    #[must_use]
    pub fn replication_factor(&self) -> u8 {
        self.namespace(NamespaceId::SYSTEM).map_or(DEFAULT_REPLICATION_FACTOR, |system| system.replication_factor)
    }

    /// The namespaces of the founding, in the order of their ids.
    #[must_use]
    pub fn namespaces(&self) -> &[Namespace] {
        &self.record.namespaces
    }

    /// The namespace of the founding with that number.
    #[must_use]
    pub fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        let index = self.record.namespaces.binary_search_by_key(&id, |namespace| namespace.id).ok()?;
        Some(&self.record.namespaces[index])
    }

    /// The namespace of the founding with that name.
    #[must_use]
    pub fn namespace_by_name(&self, name: &str) -> Option<&Namespace> {
        self.record.namespaces.iter().find(|namespace| namespace.name == name)
    }

    /// The replica ring of a partition, head first; `None` for a namespace or slot that does not exist. Partitions
    /// of dynamic namespaces all exist, whether anything was ever written there or not.
    #[must_use]
    pub fn replicas(&self, partition: PartitionId) -> Option<ReplicaRing> {
        let Some(dynamic) = DynamicNamespace::from_id(partition.namespace) else {
            return self.rings.get(&partition.namespace)?.of(partition.slot);
        };
        if partition.slot >= dynamic.slots() {
            return None;
        }
        let (members, factor) = (&self.record.members, dynamic.replication_factor());
        self.dynamic.of(dynamic, partition.slot, || place(members, &self.tokens, dynamic.partitions(), factor))
    }

    /// Every partition of the namespaces of the founding, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.record.namespaces.iter().flat_map(Namespace::partitions)
    }

    /// Those of [`Topology::partitions`] that a node holds a replica of, in order. Looks at all of them.
    pub fn partitions_of(&self, node: NodeId) -> impl Iterator<Item = PartitionId> {
        self.partitions().filter(move |partition| self.replicas(*partition).is_some_and(|ring| ring.contains(&node)))
    }

    /// The other nodes in clockwise order on the cluster ring, the nearest first. Empty for a stranger.
    pub fn successors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let at = self.clockwise.iter().position(|other| *other == node);
        let (before, after) = match at {
            Some(at) => (&self.clockwise[..at], &self.clockwise[at + 1..]),
            None => (&[][..], &[][..]),
        };
        after.iter().chain(before).copied()
    }

    /// The part of the token space that a node owns, 0 to 1; `None` for a stranger.
    #[must_use]
    pub fn share(&self, node: NodeId) -> Option<f64> {
        self.index(node).map(|index| self.shares[index] as f64 / 2_f64.powi(64))
    }

    fn index(&self, node: NodeId) -> Option<usize> {
        self.record.members.binary_search_by_key(&node, |member| member.id).ok()
    }
}

#[cfg(test)]
mod balance;
#[cfg(test)]
mod dynamic;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod samples;
