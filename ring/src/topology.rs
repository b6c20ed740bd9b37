//! A valid topology with its placement worked out.

use std::collections::BTreeMap;

use annulus_base::{Epoch, NamespaceId, NodeId, PartitionId};

use crate::error::TopologyError;
use crate::namespace::Namespace;
use crate::placement::Placement;
use crate::record::{ClusterId, Member, TopologyRecord};
use crate::token::{TokenRing, clockwise};

/// The decided membership of an epoch and the placement that follows from it. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    record: TopologyRecord,
    rings: BTreeMap<NamespaceId, Rings>,
    clockwise: Vec<NodeId>,
    /// In the order of the members, in units of 2^-64.
    shares: Vec<u128>,
}

/// The replica rings of one namespace, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rings {
    replicas: usize,
    nodes: Vec<NodeId>,
}

impl Rings {
    fn of(&self, slot: u16) -> Option<&[NodeId]> {
        let start = usize::from(slot) * self.replicas;
        self.nodes.get(start..start + self.replicas)
    }
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
            let replicas = usize::from(namespace.replication_factor).min(record.members.len());
            let placement = Placement::new(&record.members, &tokens, namespace.slots(), replicas);
            let nodes = placement.rings(namespace);
            (namespace.id, Rings { replicas, nodes })
        });
        let (rings, shares) = (rings.collect(), tokens.shares());
        Ok(Self { rings, shares, clockwise: clockwise(&record.members), record })
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

    /// The namespaces, in the order of their ids.
    #[must_use]
    pub fn namespaces(&self) -> &[Namespace] {
        &self.record.namespaces
    }

    /// The namespace with that number.
    #[must_use]
    pub fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        let index = self.record.namespaces.binary_search_by_key(&id, |namespace| namespace.id).ok()?;
        Some(&self.record.namespaces[index])
    }

    /// The namespace with that name.
    #[must_use]
    pub fn namespace_by_name(&self, name: &str) -> Option<&Namespace> {
        self.record.namespaces.iter().find(|namespace| namespace.name == name)
    }

    /// The replica ring of a partition, head first; `None` for a namespace or slot that does not exist.
    #[must_use]
    pub fn replicas(&self, partition: PartitionId) -> Option<&[NodeId]> {
        self.rings.get(&partition.namespace)?.of(partition.slot)
    }

    /// Every partition, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.record.namespaces.iter().flat_map(Namespace::partitions)
    }

    /// The partitions that a node holds a replica of, in order. Looks at all partitions.
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
mod properties;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod samples;
