//! A few cells of the fault suite on real processes, each from a fixed seed. `cargo xtask chaos` runs the others.

use std::path::Path;
use std::time::Duration;

use annulus_check::workload::Kind as Shared;
use annulus_jepsen::cell::{self, Plan};
use annulus_jepsen::cluster::Shape;
use annulus_jepsen::cluster::local::Local;
use annulus_jepsen::nemesis::Nemesis;
use annulus_jepsen::workload::Kind;

const SHAPE: Shape = Shape { nodes: 3, replicas: 3, small_disks: false };

fn passes(workload: Shared, nemesis: Nemesis, seed: u64) {
    let logs = tempfile::tempdir().expect("a directory for logs");
    let program = Path::new(env!("CARGO_BIN_EXE_annulus"));
    let mut cluster = Local::start(program, SHAPE, logs.path(), seed).expect("a cluster");
    let length = Duration::from_secs(8);
    let plan = Plan { workload: Kind::Shared(workload), nemesis, seed, length, clients: 6, rate: 150 };
    let outcome = cell::run(plan, &mut cluster).expect("the cell runs");
    assert!(!outcome.costs.is_empty(), "there was a fault");
    assert!(outcome.passed(), "{}\n{}", outcome.complaints().join("\n"), outcome.record.notes.join("\n"));
}

#[test]
fn lists_stay_serializable_while_a_node_is_killed() {
    passes(Shared::ListAppend, Nemesis::KillOne, 11);
}

#[test]
fn money_is_conserved_while_the_network_is_cut() {
    passes(Shared::Bank, Nemesis::Halves, 12);
}
