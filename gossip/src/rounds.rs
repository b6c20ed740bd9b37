//! How many rounds news takes: a simulation of gossip in the order of [`Targets`].
//!
//! All nodes act at once in every round, and an exchange tells both sides what the other knew when the
//! round began, as push-pull gossip does. The nodes begin their fingers anywhere, as they do when they are
//! started at different times.

use std::collections::BTreeSet;

use annulus_base::rng::Rng;
use annulus_base::{Epoch, NodeId};
use annulus_ring::{ClusterId, MAX_MEMBERS, MIN_WEIGHT, Member, Topology};

use crate::order::Targets;

/// A cluster to spread news in.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The number of nodes.
    pub nodes: u32,
    /// How many of them are dead, in percent.
    pub dead: u64,
    /// How many of the connections are broken, in percent.
    pub broken: u64,
    /// Which of them, and in which order the fingers turn.
    pub seed: u64,
}

/// Rounds until every node of a healthy cluster (of 1 to [`MAX_MEMBERS`] nodes) knows the news of every
/// other one.
#[must_use]
pub fn to_convergence(nodes: u32, seed: u64) -> u32 {
    let nodes = nodes.clamp(1, MAX_MEMBERS as u32);
    let rounds = Scenario { nodes, dead: 0, broken: 0, seed }.run(nodes);
    rounds.expect("the successors alone carry news all around in as many rounds as there are nodes")
}

impl Scenario {
    /// Rounds until every living node knows the news of every other living one; `None` if that takes more
    /// than `most`, or the scenario makes no cluster.
    #[must_use]
    pub fn run(self, most: u32) -> Option<u32> {
        let mut cluster = Cluster::new(self)?;
        (0..=most).find(|_| {
            let done = cluster.converged();
            cluster.round();
            done
        })
    }
}

struct Cluster {
    targets: Vec<Targets>,
    alive: Vec<bool>,
    /// Pairs of nodes, the smaller index first, that cannot talk to each other.
    broken: BTreeSet<(usize, usize)>,
    /// `known[a][b]`: `a` has the news of `b`.
    known: Vec<Vec<bool>>,
}

impl Cluster {
    fn new(scenario: Scenario) -> Option<Self> {
        let mut rng = Rng::new(scenario.seed);
        let nodes = 1..=scenario.nodes;
        let member =
            |id| Member { id: NodeId(id), weight: MIN_WEIGHT, zone: "zone".into(), peer_address: id.to_string() };
        let topology = Topology::new(Epoch(1), ClusterId(1), nodes.clone().map(member).collect(), Vec::new()).ok()?;
        let targets = nodes.map(|id| Targets::new(&topology, NodeId(id), rng.bits() as u32)).collect();
        let count = scenario.nodes as usize;
        let alive = (0..count).map(|_| rng.below(100) >= scenario.dead).collect();
        let pairs = (0..count).flat_map(|a| (0..a).map(move |b| (b, a)));
        let broken = pairs.filter(|_| rng.below(100) < scenario.broken).collect();
        let known = (0..count).map(|a| (0..count).map(|b| a == b).collect()).collect();
        Some(Self { targets, alive, broken, known })
    }

    fn converged(&self) -> bool {
        let complete = |known: &Vec<bool>| known.iter().zip(&self.alive).all(|(known, alive)| *known || !alive);
        self.known.iter().zip(&self.alive).all(|(known, alive)| !alive || complete(known))
    }

    fn round(&mut self) {
        let before = self.known.clone();
        for a in (0..self.targets.len()).filter(|a| self.alive[*a]) {
            let index = |node: NodeId| node.0 as usize - 1;
            let alive = |node| self.alive[index(node)];
            let connected = |node| !self.broken.contains(&(a.min(index(node)), a.max(index(node))));
            for b in self.targets[a].next_round(alive, connected) {
                let b = index(b);
                learn(&mut self.known[a], &before[b]);
                learn(&mut self.known[b], &before[a]);
            }
        }
    }
}

fn learn(known: &mut [bool], told: &[bool]) {
    known.iter_mut().zip(told).for_each(|(known, told)| *known |= told);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most rounds that any of some seeds took; `None` if one of them cut the cluster in two.
    fn slowest(nodes: u32, dead: u64, broken: u64) -> Option<u32> {
        let runs = (0..30).map(|seed| Scenario { nodes, dead, broken, seed }.run(nodes));
        runs.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    #[test]
    fn news_reaches_all_in_logarithmically_many_rounds() {
        for nodes in [1_u32, 2, 3, 4, 7, 10, 30, 100] {
            let slowest = slowest(nodes, 0, 0);
            println!("{nodes} nodes: {slowest:?} rounds to convergence");
            assert!(slowest <= Some(nodes.next_power_of_two().ilog2()), "{nodes} nodes: {slowest:?}");
        }
    }

    #[test]
    fn the_dead_and_broken_connections_cost_at_most_one_round_more() {
        for (dead, broken) in [(10, 0), (30, 0), (10, 10), (30, 20)] {
            for nodes in [10_u32, 30, 100] {
                let slowest = slowest(nodes, dead, broken);
                println!("{nodes} nodes, {dead} % dead, {broken} % of connections broken: {slowest:?} rounds");
                let most = nodes.next_power_of_two().ilog2() + 1;
                assert!(slowest.is_some_and(|rounds| rounds <= most), "{nodes} nodes: {slowest:?}");
            }
        }
    }

    #[test]
    fn what_cannot_converge_is_said() {
        let split = Scenario { nodes: 3, dead: 0, broken: 100, seed: 1 };
        assert_eq!(split.run(50), None);
        assert_eq!(Scenario { nodes: 0, ..split }.run(50), None);
        assert_eq!(to_convergence(1, 1), 0);
    }
}
