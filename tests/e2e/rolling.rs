//! Nodes are restarted one after the other while clients work: they see nothing but reconnects.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::load::{Load, verify};

const GO_ON: Duration = Duration::from_secs(10);

#[test]
fn a_rolling_restart_shows_clients_nothing_but_reconnects() {
    let mut cluster = Cluster::start(3);
    let load = Load::start(&cluster.kv_ports(), 4);
    load.wait_progress(100, GO_ON);
    for node in &mut cluster.nodes {
        node.stop();
        load.wait_progress(30, GO_ON);
        node.spawn();
        node.wait_ready();
        load.wait_progress(30, GO_ON);
    }
    let journal = load.finish();
    verify(&cluster.kv_ports(), &journal);
    assert!(journal.errors.is_empty(), "{}", journal.summary());
    assert_eq!(journal.unknown, 0, "{}", journal.summary());
    cluster.stop();
}
