//! Replica rings as values, those of one namespace, and the ones that were worked out since the start.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use annulus_base::NodeId;

use crate::dynamic::DynamicNamespace;

/// Most replicas of a partition.
pub(crate) const MAX_REPLICAS: usize = 5;
/// Most rings of dynamic namespaces that are remembered.
const MAX_REMEMBERED: usize = 1 << 16;

/// The nodes that hold a partition, head first. Few enough to be copied; derefs to a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaRing {
    nodes: [NodeId; MAX_REPLICAS],
    len: u8,
}

impl ReplicaRing {
    pub(crate) fn new(of: &[NodeId]) -> Self {
        let mut nodes = [NodeId::default(); MAX_REPLICAS];
        nodes[..of.len()].copy_from_slice(of);
        Self { nodes, len: of.len() as u8 }
    }
}

impl Deref for ReplicaRing {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.nodes[..usize::from(self.len)]
    }
}

impl IntoIterator for ReplicaRing {
    type Item = NodeId;
    type IntoIter = std::iter::Take<std::array::IntoIter<NodeId, MAX_REPLICAS>>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.into_iter().take(usize::from(self.len))
    }
}

/// The replica rings of one namespace, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Rings {
    pub(crate) replicas: usize,
    pub(crate) nodes: Vec<NodeId>,
}

impl Rings {
    pub(crate) fn of(&self, slot: u16) -> Option<ReplicaRing> {
        let start = usize::from(slot) * self.replicas;
        self.nodes.get(start..start + self.replicas).map(ReplicaRing::new)
    }

    fn count(&self) -> usize {
        self.nodes.len() / self.replicas
    }
}

/// The rings of the dynamic namespaces that were asked for.
///
/// Only a memory: what is not in it is worked out again, to the same result. Anybody may ask for any
/// namespace, so it forgets all once it holds too many.
#[derive(Debug, Default)]
pub(crate) struct DynamicRings(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    rings: BTreeMap<DynamicNamespace, Arc<Rings>>,
    count: usize,
}

impl DynamicRings {
    /// The ring of a slot, which `place` works out with all others of its namespace.
    pub(crate) fn of(
        &self,
        namespace: DynamicNamespace,
        slot: u16,
        place: impl FnOnce() -> Rings,
    ) -> Option<ReplicaRing> {
        if let Some(rings) = self.lock().rings.get(&namespace) {
            return rings.of(slot);
        }
        // Not under the lock: it takes a while.
        let rings = Arc::new(place());
        self.lock().remember(namespace, Arc::clone(&rings));
        rings.of(slot)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.lock().count
    }
}

impl Remembered {
    fn remember(&mut self, namespace: DynamicNamespace, rings: Arc<Rings>) {
        if self.rings.contains_key(&namespace) {
            return;
        }
        if self.count + rings.count() > MAX_REMEMBERED {
            *self = Self::default();
        }
        self.count += rings.count();
        self.rings.insert(namespace, rings);
    }
}
