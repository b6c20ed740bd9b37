//! What serves while some nodes are away: a majority goes on, a minority refuses.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster::{Cluster, Node, START};
use crate::load::{Load, verify};
use crate::wait::{until, until_true};

/// How long a majority may take to go on after it has lost a node.
const GO_ON: Duration = Duration::from_secs(10);
/// What nodes are told, and what a busy machine may add.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(3);

#[test]
fn a_majority_serves_and_a_minority_refuses() {
    let mut cluster = Cluster::start_with(3, &["--request-timeout=2s"]);
    cluster.nodes[0].client().must::<()>("SET k first");
    cluster.nodes[0].kill();
    let mut client = cluster.nodes[2].client();
    until("a majority writes", GO_ON, || client.ask::<()>("SET k second").ok());
    assert_eq!(cluster.nodes[1].client().must::<String>("GET k"), "second");

    cluster.nodes[1].kill();
    let reason = until("the last node says that it is not ready", GO_ON, || {
        cluster.nodes[2].page("/ready").filter(|(code, _)| *code == 503)
    });
    assert!(reason.1.contains("no majority"), "{}", reason.1);
    for command in ["GET k", "SET k third", "MGET k l", "DEL k", "INCR n", "WATCH k", "APPEND k x"] {
        let begun = Instant::now();
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let refusal = client.refused(&words);
        assert!(refusal.starts_with("UNAVAILABLE "), "{command}: {refusal}");
        assert!(begun.elapsed() < REQUEST_TIMEOUT + SLACK, "{command} took {:?}", begun.elapsed());
    }
    assert_eq!(client.must::<String>("PING"), "PONG");

    cluster.nodes[..2].iter_mut().for_each(Node::spawn);
    cluster.wait_ready();
    for node in &cluster.nodes {
        let mut client = node.client();
        let found: (String, Option<String>) = client.must("MGET k n");
        assert_eq!(found, ("second".to_owned(), None), "what was refused was not done");
        client.must::<()>("SET k second")
    }
    cluster.stop();
}

#[test]
fn a_stopped_node_stops_nobody_and_catches_up() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.kv_ports()[1..], 3);
    load.wait_progress(50, GO_ON);
    cluster.nodes[0].signal(Signal::STOP);
    load.wait_progress(150, GO_ON);
    let members = |node: &Node| node.page("/metrics").map(|(_, text)| text).unwrap_or_default();
    until_true("the others notice", START, || members(&cluster.nodes[1]).contains("annulus_members_alive 2"));
    load.wait_progress(50, GO_ON);
    cluster.nodes[0].signal(Signal::CONT);
    load.wait_progress(50, GO_ON);
    let journal = load.finish();
    cluster.wait_ready();
    until_true("all see each other", START, || {
        cluster.nodes.iter().all(|node| members(node).contains("annulus_members_alive 3"))
    });
    verify(&cluster.kv_ports(), &journal);
    cluster.stop();
}
