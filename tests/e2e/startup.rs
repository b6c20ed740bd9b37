//! How nodes start, and when they refuse to.

use std::process::Output;
use std::time::Duration;

use crate::cluster::{Cluster, Node, run};
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(15);

/// What a node that must not start says.
fn refusal(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = run(arguments);
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{arguments:?}: {text}");
    assert!(text.contains("annulus: "), "{arguments:?}: {text}");
    text
}

fn starts(dir: &std::path::Path, flags: &[&str]) -> String {
    let mut arguments = vec!["start".to_owned(), format!("--data-dir={}", dir.join("refused").display())];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    refusal(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_cannot_work_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let join = starts(dir.path(), &["--join=127.0.0.1:7400"]);
    assert!(join.contains("joining a running cluster is not possible yet"), "{join}");
    for listener in
        ["--listen-peer=0.0.0.0:1", "--listen-kv=192.168.1.1:1", "--listen-sql=[::]:1", "--listen-http=[::]:1"]
    {
        let open = starts(dir.path(), &[listener]);
        assert!(open.contains("--insecure") && open.contains("transport security comes later"), "{open}");
    }
    let two = starts(dir.path(), &["--initial-members=127.0.0.1:7400,127.0.0.1:7401"]);
    assert!(two.contains("replication factor") && two.contains('2') && two.contains('3'), "{two}");
    let four = "--initial-members=127.0.0.1:7400,127.0.0.1:1,127.0.0.1:2,127.0.0.1:3";
    let four = starts(dir.path(), &[four, "--replication-factor=5"]);
    assert!(four.contains("replication factor") && four.contains('4') && four.contains('5'), "{four}");
    let elsewhere = starts(dir.path(), &["--initial-members=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"]);
    assert!(elsewhere.contains("is not among --initial-members"), "{elsewhere}");
    assert!(!dir.path().join("refused").exists(), "nothing was made");
}

#[test]
fn a_single_node_works_and_keeps_its_place_to_itself() {
    let mut cluster = Cluster::start(1);
    cluster.nodes[0].client().must::<()>("SET k v");
    let mut intruder = Node::new(cluster.dir.path(), "intruder", &[]);
    intruder.dir.clone_from(&cluster.nodes[0].dir);
    intruder.spawn();
    assert_eq!(intruder.wait_end(PATIENCE).code(), Some(1));
    assert!(intruder.log().contains("is in use by process"), "{}", intruder.log());
    for (n, flag) in ["listen-peer", "listen-kv", "listen-sql", "listen-http"].into_iter().enumerate() {
        let mut late = Node::new(cluster.dir.path(), &format!("late{n}"), &[]);
        let taken = &cluster.nodes[0];
        match n {
            0 => late.peer = taken.peer,
            1 => late.kv = taken.kv,
            2 => late.sql = taken.sql,
            _ => late.http = taken.http,
        }
        late.spawn();
        assert_eq!(late.wait_end(PATIENCE).code(), Some(1));
        let expected = format!("another process uses this port; stop it, or choose another address with --{flag}");
        assert!(late.log().contains(&expected), "{}", late.log());
    }
    cluster.stop();
    cluster.nodes[0].spawn();
    cluster.nodes[0].wait_ready();
    assert_eq!(cluster.nodes[0].client().must::<String>("GET k"), "v");
    cluster.stop();
}

#[test]
fn a_cluster_waits_for_all_its_initial_members() {
    let mut cluster = Cluster::make(3, &[]);
    cluster.nodes[..2].iter_mut().for_each(Node::spawn);
    let missing = format!("127.0.0.1:{}", cluster.nodes[2].peer);
    until_true("both say whom they wait for", PATIENCE, || {
        cluster.nodes[..2].iter().all(|node| node.log().contains(&missing))
    });
    let (code, reason) = cluster.nodes[0].page("/ready").expect("its page");
    assert_eq!((code, reason.trim()), (503, "not ready: waiting for the other initial members"));
    cluster.nodes[2].spawn();
    cluster.wait_ready();
    cluster.nodes[2].client().must::<()>("SET k v");
    cluster.stop();
}

#[test]
fn a_node_that_lost_its_data_does_not_come_back_as_if_it_were_new() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[0].client().must::<()>("SET k v");
    cluster.nodes[2].kill();
    std::fs::remove_dir_all(&cluster.nodes[2].dir).expect("its data directory");
    cluster.nodes[2].spawn();
    assert_eq!(cluster.nodes[2].wait_end(PATIENCE).code(), Some(1));
    let log = cluster.nodes[2].log();
    assert!(log.contains("its data was lost, or data_dir points elsewhere"), "{log}");
    assert_eq!(cluster.nodes[1].client().must::<String>("GET k"), "v");
    cluster.nodes[1].client().must::<()>("SET k w");
    cluster.nodes[..2].iter_mut().for_each(Node::stop);
}
