//! Clusters forming under loss, repetition, delay, restarts and lost disks.

use std::collections::BTreeMap;

use annulus_base::rng::Rng;
use annulus_base::{Epoch, NamespaceId};

use super::*;
use crate::namespace::{Basis, Namespace};
use crate::topology::Topology;

fn settings(address: &str, members: &[&str]) -> Settings {
    Settings {
        address: address.to_owned(),
        weight: 100,
        zone: format!("zone of {address}"),
        initial_members: members.iter().map(|&member| member.to_owned()).collect(),
        namespaces: vec![Namespace::new(NamespaceId(1), "kv", Basis::ByKey { slots: 16 })],
    }
}

/// One node with its disk, which holds what was last saved.
struct Node {
    settings: Settings,
    disk: Option<Saved>,
    bootstrap: Bootstrap,
}

/// Nodes and the messages under way between them.
struct World {
    rng: Rng,
    now: Micros,
    nodes: BTreeMap<String, Node>,
    network: Vec<(String, Message)>,
    decided: Vec<TopologyRecord>,
    problems: Vec<(String, Problem)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let (nodes, network, decided, problems) = Default::default();
        Self { rng: Rng::new(seed), now: 0, nodes, network, decided, problems }
    }

    /// Three nodes that name each other.
    fn of_three(seed: u64) -> Self {
        let mut world = Self::new(seed);
        for address in ["c", "a", "b"] {
            world.start(settings(address, &["b", "c", "a"]));
        }
        world
    }

    fn start(&mut self, settings: Settings) {
        let bootstrap = Bootstrap::start(settings.clone(), None, self.nonce()).unwrap();
        self.nodes.insert(settings.address.clone(), Node { settings, disk: None, bootstrap });
    }

    fn nonce(&mut self) -> u128 {
        u128::from(self.rng.bits()) << 64 | u128::from(self.rng.bits())
    }

    fn restart(&mut self, address: &str) {
        let nonce = self.nonce();
        let node = self.nodes.get_mut(address).unwrap();
        node.bootstrap = Bootstrap::start(node.settings.clone(), node.disk.clone(), nonce).unwrap();
    }

    fn wipe(&mut self, address: &str) {
        self.nodes.get_mut(address).unwrap().disk = None;
        self.restart(address);
    }

    fn step(&mut self, address: &str, input: Input) {
        self.now += MILLISECOND;
        let Some(node) = self.nodes.get_mut(address) else { return };
        let effects = node.bootstrap.step(Now { steady: self.now, wall: 0 }, input);
        node.disk = effects.save.or(node.disk.take());
        self.network.extend(effects.send);
        self.decided.extend(effects.decided);
        self.problems.extend(effects.problems);
    }

    fn addresses(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// Delivers everything and lets everybody resend, until nothing changes.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.now += RESEND_EVERY;
            for address in self.addresses() {
                self.step(&address, Input::Tick);
            }
            for (to, message) in std::mem::take(&mut self.network) {
                self.step(&to, Input::Received(message));
            }
        }
    }

    /// One random event: a tick, or a message delivered, lost or doubled; rarely a restart.
    fn disturb(&mut self) {
        let addresses = self.addresses();
        let Some(address) = self.rng.pick(&addresses).cloned() else { return };
        match self.rng.below(12) {
            0 => self.restart(&address),
            1..=4 => {
                self.now += RESEND_EVERY;
                self.step(&address, Input::Tick);
            }
            _ if self.network.is_empty() => {}
            event => {
                let index = self.rng.below(self.network.len() as u64) as usize;
                let (to, message) = match event {
                    5 => self.network[index].clone(),
                    _ => self.network.swap_remove(index),
                };
                if event > 6 {
                    self.step(&to, Input::Received(message));
                }
            }
        }
    }

    fn all_decided(&self) -> bool {
        self.nodes.values().all(|node| node.bootstrap.decided().is_some())
    }

    fn assert_agreement(&self) {
        assert!(self.decided.windows(2).all(|pair| pair[0] == pair[1]), "two topologies: {:?}", self.decided);
    }
}

#[test]
fn three_nodes_agree_on_the_same_genesis() {
    let mut world = World::of_three(1);
    world.settle();
    assert!(world.all_decided());
    world.assert_agreement();
    assert_eq!(world.decided.len(), 3);
    assert!(world.problems.is_empty());
    for (address, id) in [("a", 1), ("b", 2), ("c", 3)] {
        let (own, record) = world.nodes[address].bootstrap.decided().unwrap();
        assert_eq!(own, NodeId(id));
        let topology = Topology::from_record(record.clone()).unwrap();
        assert_eq!(topology.epoch(), Epoch(1));
        assert_eq!(topology.member(own).unwrap().zone, format!("zone of {address}"));
    }
}

#[test]
fn a_single_node_decides_by_itself() {
    let mut world = World::new(2);
    world.start(settings("a", &["a"]));
    world.step("a", Input::Tick);
    assert!(world.all_decided());
    assert!(world.network.is_empty());
}

#[test]
fn nothing_is_decided_before_all_are_there() {
    let mut world = World::new(3);
    world.start(settings("a", &["a", "b", "c"]));
    world.start(settings("b", &["a", "b", "c"]));
    world.settle();
    assert!(world.decided.is_empty());
    assert_eq!(world.nodes["a"].bootstrap.waiting_for().collect::<Vec<_>>(), ["c"]);
    world.start(settings("c", &["a", "b", "c"]));
    world.settle();
    assert!(world.all_decided());
}

#[test]
fn two_clusters_with_the_same_addresses_have_different_ids() {
    let ids = [4, 5].map(|seed| {
        let mut world = World::of_three(seed);
        world.settle();
        world.decided[0].cluster
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn loss_repetition_and_restarts_never_split_the_decision() {
    for seed in 0..400 {
        let mut world = World::of_three(seed);
        for _ in 0..world.rng.below(200) {
            world.disturb();
        }
        world.settle();
        assert!(world.all_decided(), "seed {seed}");
        world.assert_agreement();
    }
}

#[test]
fn a_lost_disk_never_splits_the_decision() {
    let mut formed = 0;
    for seed in 0..400 {
        let mut world = World::of_three(seed);
        for _ in 0..world.rng.below(60) {
            world.disturb();
        }
        world.wipe("b");
        for _ in 0..world.rng.below(60) {
            world.disturb();
        }
        world.settle();
        world.assert_agreement();
        // Whoever cannot go on was told why.
        assert!(world.all_decided() || !world.problems.is_empty(), "seed {seed}");
        formed += u32::from(world.all_decided());
    }
    assert!((1..400).contains(&formed), "both ends must occur: {formed}");
}

#[test]
fn a_disk_lost_after_the_decision_is_noticed_for_good() {
    for seed in 0..20 {
        let mut world = World::of_three(seed);
        world.settle();
        assert!(world.all_decided());
        assert!(world.nodes.values().all(|node| node.bootstrap.forgot().is_none()));
        world.wipe("b");
        world.settle();
        assert!(world.nodes["b"].bootstrap.forgot().is_some());
        assert!(world.nodes["b"].bootstrap.decided().is_none());
        world.restart("a");
        world.settle();
        assert!(world.nodes["a"].bootstrap.forgot().is_none());
    }
}

#[test]
fn the_word_of_one_that_decided_is_enough() {
    let mut world = World::of_three(6);
    world.settle();
    let behind = world.nodes.get_mut("c").unwrap();
    behind.disk.as_mut().unwrap().decided = false;
    world.restart("c");
    world.nodes.remove("a");
    world.settle();
    assert!(world.nodes["c"].bootstrap.decided().is_some());
}

#[test]
fn a_decision_survives_a_restart_whatever_the_settings() {
    let mut world = World::of_three(7);
    world.settle();
    world.nodes.get_mut("a").unwrap().settings = settings("x", &[]);
    world.restart("a");
    world.step("a", Input::Tick);
    assert_eq!(world.decided.len(), 4);
    world.assert_agreement();

    let behind = world.nodes.get_mut("c").unwrap();
    behind.disk.as_mut().unwrap().decided = false;
    world.restart("c");
    world.nodes.remove("b");
    world.settle();
    assert!(world.all_decided(), "a answers those that are behind");
}

#[test]
fn settings_may_change_until_something_is_confirmed() {
    let mut world = World::new(8);
    world.start(settings("a", &["a", "b", "x"]));
    world.settle();
    world.nodes.get_mut("a").unwrap().settings = settings("a", &["a", "b", "c"]);
    world.restart("a");
    world.start(settings("b", &["a", "b", "c"]));
    world.start(settings("c", &["a", "b", "c"]));
    world.settle();
    assert!(world.all_decided());

    let mut confirmed = world.nodes["a"].disk.clone().unwrap();
    confirmed.decided = false;
    let other = settings("a", &["a", "b", "d"]);
    assert_eq!(Bootstrap::start(other, Some(confirmed), 1).err(), Some(BootstrapError::SettingsChanged));
}

#[test]
fn different_lists_are_told_once_and_form_nothing() {
    let mut world = World::new(9);
    world.start(settings("a", &["a", "b", "c"]));
    world.start(settings("b", &["a", "b", "c"]));
    world.start(settings("c", &["a", "c", "d"]));
    world.settle();
    assert!(world.decided.is_empty());
    let expected = [("a", Problem::OtherSettings), ("b", Problem::Stranger), ("c", Problem::OtherSettings)];
    for (address, problem) in expected {
        assert!(world.problems.contains(&(address.to_owned(), problem)), "{address}: {:?}", world.problems);
    }
    assert_eq!(world.problems.len(), 3, "each is told once: {:?}", world.problems);
}

#[test]
fn two_nodes_with_one_address_are_noticed() {
    let mut world = World::of_three(10);
    let mut twin = Bootstrap::start(settings("a", &["a", "b", "c"]), None, 77).unwrap();
    let effects = twin.step(Now::default(), Input::Tick);
    world.step("a", Input::Received(effects.send[0].1.clone()));
    assert_eq!(world.problems, [("a".to_owned(), Problem::SameAddress)]);
}

#[test]
fn a_member_with_an_impossible_weight_is_noticed() {
    let mut world = World::of_three(11);
    world.step("b", Input::Tick);
    let (_, mut message) = world.network.remove(0);
    message.identity.weight = 0;
    world.step("a", Input::Received(message.clone()));
    message.identity.address = "c".to_owned();
    world.step("a", Input::Received(message));
    assert!(matches!(world.problems[..], [(_, Problem::Invalid(_))]), "{:?}", world.problems);
}

#[test]
fn impossible_settings_are_refused_at_once() {
    let start = |settings| Bootstrap::start(settings, None, 1).err();
    assert_eq!(start(settings("x", &["a", "b", "c"])), Some(BootstrapError::NotAMember("x".into())));
    assert_eq!(start(settings("a", &["a", "b", "a"])), Some(BootstrapError::NamedTwice("a".into())));
    assert!(matches!(start(settings("a", &["a", "b"])), Some(BootstrapError::Topology(_))));
}

#[test]
fn nothing_is_sent_before_it_is_saved() {
    let mut world = World::of_three(12);
    for _ in 0..60 {
        world.disturb();
        for (_, message) in &world.network {
            let disk = world.nodes[&message.identity.address].disk.as_ref().unwrap();
            assert_eq!(disk.identity, message.identity);
            assert!(message.confirmed.is_none() || message.confirmed == disk.confirmed.as_ref().map(Digest::of));
        }
    }
}
