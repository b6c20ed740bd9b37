//! Clockwise order: whom a node gossips with in each round.
//!
//! One partner is the nearest living successor on the cluster ring, so that every node is heard of by a
//! neighbour in every round. The other is a *finger*: a node at distance 2, 4, 8, ..., another one in each
//! round. As every distance is a sum of powers of two, news needs only about one turn of the fingers to
//! get everywhere.
//!
//! Source of the fingers: Stoica et al., "Chord" (2001).

use annulus_base::NodeId;
use annulus_ring::Topology;

/// The gossip partners of one node.
#[derive(Clone, Debug)]
pub struct Targets {
    /// All other nodes, clockwise.
    successors: Vec<NodeId>,
    /// Which finger comes next: it points at distance `2 << finger`.
    finger: u32,
}

impl Targets {
    /// The partners of `own`. `finger` is where the rotation begins; any number will do.
    #[must_use]
    pub fn new(topology: &Topology, own: NodeId, finger: u32) -> Self {
        Self { successors: topology.successors(own).collect(), finger }
    }

    /// Whom to gossip with in the next round: the nearest successor and one finger, each of them the first
    /// node from there on, clockwise, that is alive and connected. None, one or two distinct nodes.
    pub fn next_round(&mut self, alive: impl Fn(NodeId) -> bool, connected: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let reachable = |from: usize| {
            let (before, after) = self.successors.split_at(from);
            after.iter().chain(before).copied().find(|node| alive(*node) && connected(*node))
        };
        let mut targets: Vec<_> = reachable(0).into_iter().collect();
        if let Some(finger) = self.finger.checked_rem(self.fingers()) {
            targets.extend(reachable((2 << finger) - 1).filter(|node| !targets.contains(node)));
            self.finger = finger + 1;
        }
        targets
    }

    /// The number of distances 2, 4, 8, ... that do not go beyond the last successor.
    fn fingers(&self) -> u32 {
        self.successors.len().checked_ilog2().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::Epoch;
    use annulus_ring::{ClusterId, Member};

    use super::*;

    fn topology(count: u32) -> Topology {
        let member = |id| Member { id: NodeId(id), weight: 10, zone: "a".into(), peer_address: format!("n{id}") };
        Topology::new(Epoch(1), ClusterId(1), (1..=count).map(member).collect(), Vec::new()).unwrap()
    }

    /// The distances from node 1 that are chosen in each of some rounds.
    fn distances(count: u32, rounds: usize, reachable: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
        let topology = topology(count);
        let successors: Vec<_> = topology.successors(NodeId(1)).collect();
        let distance = |node| successors.iter().position(|other| *other == node).unwrap() + 1;
        let mut targets = Targets::new(&topology, NodeId(1), 0);
        let mut round = || targets.next_round(|_| true, |node| reachable(distance(node)));
        (0..rounds).map(|_| round().into_iter().map(distance).collect()).collect()
    }

    #[test]
    fn fingers_double_and_rotate() {
        assert_eq!(distances(10, 5, |_| true), [[1, 2], [1, 4], [1, 8], [1, 2], [1, 4]]);
    }

    #[test]
    fn small_rings() {
        assert_eq!(distances(3, 2, |_| true), [[1, 2], [1, 2]]);
        assert_eq!(distances(2, 2, |_| true), [[1], [1]]);
        assert_eq!(distances(1, 1, |_| true), [[0_usize; 0]]);
    }

    #[test]
    fn unreachable_nodes_are_passed_over_clockwise() {
        assert_eq!(distances(10, 3, |distance| ![1, 4, 5, 8, 9].contains(&distance)), [vec![2], vec![2, 6], vec![2]]);
        assert_eq!(distances(10, 1, |_| false), [[0_usize; 0]]);
    }

    #[test]
    fn the_dead_are_passed_over() {
        let topology = topology(5);
        let around: Vec<_> = topology.successors(NodeId(1)).collect();
        let mut targets = Targets::new(&topology, NodeId(1), 0);
        let round = targets.next_round(|node| node != around[0], |_| true);
        assert_eq!(round, [around[1]]);
    }

    #[test]
    fn any_start_of_the_rotation_will_do() {
        let topology = topology(6);
        for finger in [0, 1, 7, u32::MAX] {
            assert_eq!(Targets::new(&topology, NodeId(2), finger).next_round(|_| true, |_| true).len(), 2);
        }
    }
}
