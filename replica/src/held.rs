//! Which partitions of namespaces made at run time have data here.
//!
//! Those of the founding are known to all; of these nobody has a list. So a replica remembers where it has
//! versions: whoever repairs partitions asks it. The store is what survives a restart.

use annulus_base::PartitionId;
use annulus_ring::DynamicNamespace;

use crate::participant::Replica;
use crate::store::{Placed, Store, StoreResult};

impl Replica {
    /// The partitions of dynamic namespaces that have (or recently had) versions here, in order.
    pub fn held(&self) -> impl Iterator<Item = PartitionId> {
        self.held.iter().copied()
    }

    /// Whether a partition is one of [`Replica::held`].
    #[must_use]
    pub fn holds(&self, partition: PartitionId) -> bool {
        self.held.contains(&partition)
    }

    /// Finds what an earlier incarnation stored.
    pub(crate) fn restore_held(&mut self, store: &mut dyn Store) -> StoreResult<()> {
        let mut from = PartitionId::new(DynamicNamespace::FIRST_ID, 0);
        while let Some(partition) = store.next_partition(from)? {
            self.held.insert(partition);
            let Some(next) = partition.successor() else { break };
            from = next;
        }
        Ok(())
    }

    /// Versions were added.
    pub(crate) fn note_held(&mut self, versions: &[Placed]) {
        let dynamic = versions.iter().map(|placed| placed.partition).filter(is_dynamic);
        self.held.extend(dynamic);
    }

    /// Versions were removed from a partition: they may have been its last.
    pub(crate) fn review_held(&mut self, partition: PartitionId, store: &mut dyn Store) -> StoreResult<()> {
        if self.held.contains(&partition) && store.next_partition(partition)? != Some(partition) {
            self.held.remove(&partition);
        }
        Ok(())
    }
}

fn is_dynamic(partition: &PartitionId) -> bool {
    partition.namespace >= DynamicNamespace::FIRST_ID
}
