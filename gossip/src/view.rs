//! What one node knows of all others, and what follows from all of it together.

use std::collections::BTreeMap;

use annulus_base::{Epoch, NodeId, Timestamp};
use annulus_ring::Topology;

use crate::facts::Facts;

/// The facts of every member, this node included. Never larger than the membership.
#[derive(Clone, Debug)]
pub struct View {
    epoch: Epoch,
    facts: BTreeMap<NodeId, Option<Facts>>,
}

impl View {
    /// Nothing known yet of any member.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let unknown = topology.members().iter().map(|member| (member.id, None));
        Self { epoch: topology.epoch(), facts: unknown.collect() }
    }

    /// Merges what arrived about a node; see [`Facts::merge`]. Strangers are passed over.
    pub fn learn(&mut self, node: NodeId, arrived: Facts) {
        match self.facts.get_mut(&node) {
            Some(Some(known)) => known.merge(arrived),
            Some(unknown) => *unknown = Some(arrived),
            None => {}
        }
    }

    /// What is known of a node.
    #[must_use]
    pub fn facts(&self, node: NodeId) -> Option<&Facts> {
        self.facts.get(&node)?.as_ref()
    }

    /// The minimum of the low-water marks over all members: what is decided at or below may be forgotten.
    /// `None` while any member's mark is unknown, or was set in an epoch later than the topology's, which
    /// must be adopted first. Whoever stores the minimum must not let it fall when the topology changes.
    #[must_use]
    pub fn low_water(&self) -> Option<Timestamp> {
        let mark = |facts: &Option<Facts>| facts.as_ref()?.mark.filter(|mark| mark.epoch <= self.epoch);
        self.facts.values().map(|facts| Some(mark(facts)?.low_water)).min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::{Epoch, Incarnation};
    use annulus_ring::{ClusterId, Member};

    use super::*;
    use crate::facts::Mark;

    fn topology() -> Topology {
        let member = |id| Member { id: NodeId(id), weight: 100, zone: "a".into(), peer_address: format!("n{id}") };
        Topology::new(Epoch(2), ClusterId(1), (1..=3).map(member).collect(), Vec::new()).unwrap()
    }

    fn marked(epoch: u64, low_water: u64) -> Facts {
        let mark = Some(Mark { epoch: Epoch(epoch), low_water: Timestamp(low_water) });
        Facts { incarnation: Incarnation(1), mark, ..Facts::default() }
    }

    #[test]
    fn the_minimum_is_unknown_until_all_members_are_known() {
        let mut view = View::new(&topology());
        view.learn(NodeId(1), marked(2, 30));
        view.learn(NodeId(2), marked(2, 20));
        view.learn(NodeId(9), marked(2, 5));
        assert_eq!(view.low_water(), None);
        view.learn(NodeId(3), Facts { mark: None, ..marked(2, 0) });
        assert_eq!(view.low_water(), None);
        view.learn(NodeId(3), marked(1, 40));
        assert_eq!(view.low_water(), Some(Timestamp(20)), "strangers do not count");
    }

    #[test]
    fn the_minimum_follows_the_slowest_and_never_falls() {
        let mut view = View::new(&topology());
        (1..=3).for_each(|node| view.learn(NodeId(node), marked(2, 10 * u64::from(node))));
        view.learn(NodeId(1), marked(2, 25));
        assert_eq!(view.low_water(), Some(Timestamp(20)));
        view.learn(NodeId(2), marked(2, 1));
        assert_eq!(view.low_water(), Some(Timestamp(20)));
    }

    #[test]
    fn marks_of_a_later_epoch_wait_for_it() {
        let mut view = View::new(&topology());
        (1..=3).for_each(|node| view.learn(NodeId(node), marked(2, 10)));
        view.learn(NodeId(3), marked(3, 11));
        assert_eq!(view.low_water(), None);
    }

    #[test]
    fn what_was_learned_is_found() {
        let mut view = View::new(&topology());
        view.learn(NodeId(2), marked(2, 1));
        view.learn(NodeId(2), Facts { incarnation: Incarnation(2), load: Some(5), ..Facts::default() });
        assert_eq!(view.facts(NodeId(2)).and_then(|facts| facts.load), Some(5));
        assert_eq!(view.facts(NodeId(1)), None);
        view.learn(NodeId(9), marked(2, 1));
        assert_eq!(view.facts(NodeId(9)), None, "a stranger");
    }
}
