//! To be filled.

use annulus_base::{Epoch, NamespaceId, NodeId, PartitionId};

/// The decided membership of an epoch and the placement that follows from it.
#[derive(Debug)]
pub struct Topology;

impl Topology {
    /// The number of this topology.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(1)
    }

    /// The replica ring of a partition, head first; `None` for a namespace or slot that does not exist.
    #[must_use]
    pub fn replicas(&self, partition: PartitionId) -> Option<&[NodeId]> {
        let _ = partition;
        None
    }

    /// The namespace with that number.
    #[must_use]
    pub fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        let _ = id;
        None
    }
}

/// A namespace's placement rule.
#[derive(Debug)]
pub struct Namespace;

impl Namespace {
    /// The partition that a user key belongs to.
    #[must_use]
    pub fn partition_of(&self, user_key: &[u8]) -> PartitionId {
        let _ = user_key;
        PartitionId::default()
    }
}
