//! Nodes that are killed or stopped, one or all at once: nothing acknowledged is lost, nothing stays stuck.

use std::time::Duration;

use annulus_base::rng::Rng;

use crate::cluster::{Cluster, Node};
use crate::load::{Load, verify};

/// How long a majority may take to go on after it has lost a node.
const GO_ON: Duration = Duration::from_secs(10);
const KILLS: u64 = 6;

#[test]
fn a_node_killed_at_any_moment_loses_nothing() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.kv_ports(), 4);
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let mut rng = Rng::new(seed);
    for _ in 0..KILLS {
        load.wait_progress(rng.below(100), GO_ON);
        let node = &mut cluster.nodes[rng.below(3) as usize];
        node.kill();
        load.wait_progress(50, GO_ON);
        node.spawn();
        node.wait_ready();
    }
    load.wait_progress(50, GO_ON);
    let journal = load.finish();
    cluster.wait_ready();
    verify(&cluster.kv_ports(), &journal);
    cluster.stop();
}

#[test]
fn all_nodes_killed_or_stopped_at_once_keep_everything_with_fjall() {
    all_at_once("fjall");
}

#[test]
fn all_nodes_killed_or_stopped_at_once_keep_everything_with_sled() {
    all_at_once("sled");
}

#[test]
fn all_nodes_killed_or_stopped_at_once_keep_everything_with_memory() {
    all_at_once("memory");
}

fn all_at_once(engine: &str) {
    let mut cluster = Cluster::start_with(3, &[&format!("--engine={engine}")]);
    let load = Load::start(&cluster.kv_ports(), 3);
    load.wait_progress(150, GO_ON);
    cluster.nodes.iter_mut().for_each(Node::kill);
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.wait_ready();
    load.wait_progress(150, GO_ON);
    cluster.stop();
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.wait_ready();
    load.wait_progress(50, GO_ON);
    let journal = load.finish();
    verify(&cluster.kv_ports(), &journal);
    cluster.stop();
}
