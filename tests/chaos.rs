//! A few cells of the fault suite on real processes, each from a fixed seed. `cargo xtask chaos` runs the others.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use annulus_check::workload::Kind;
use annulus_jepsen::cell::{self, Outcome, Plan};
use annulus_jepsen::cluster::local::Local;
use annulus_jepsen::cluster::{Cluster, Disk, Link, Node, Shape};
use annulus_jepsen::nemesis::Nemesis;
use annulus_jepsen::{Failure, Protocol};
use tempfile::TempDir;

fn start(nodes: usize, logs: &TempDir, seed: u64) -> Local {
    let shape = Shape { nodes, replicas: 3, small_disks: false };
    Local::start(Path::new(env!("CARGO_BIN_EXE_annulus")), shape, logs.path(), seed).expect("a cluster")
}

fn logs() -> TempDir {
    tempfile::tempdir().expect("a directory for logs")
}

fn run(cluster: &mut dyn Cluster, workload: Kind, nemesis: Nemesis, seed: u64) -> Outcome {
    let length = Duration::from_secs(8);
    let protocol = Protocol::Resp;
    let plan = Plan { workload, protocol, nemesis, seed, length, clients: 6, rate: 100 };
    let outcome = cell::run(plan, cluster).expect("the cell runs");
    assert!(!outcome.costs.is_empty(), "there was a fault");
    outcome
}

fn passes(workload: Kind, nemesis: Nemesis, seed: u64) {
    let logs = logs();
    let outcome = run(&mut start(3, &logs, seed), workload, nemesis, seed);
    assert!(outcome.passed(), "{}\n{}", outcome.complaints().join("\n"), outcome.record.notes.join("\n"));
}

#[test]
fn lists_stay_serializable_while_a_node_is_killed() {
    passes(Kind::ListAppend, Nemesis::KillOne, 11);
}

#[test]
fn money_is_conserved_while_the_network_is_cut() {
    passes(Kind::Bank, Nemesis::Halves, 12);
}

#[test]
fn a_node_whose_syncs_fail_stops_and_loses_nothing() {
    passes(Kind::Set, Nemesis::FailSync, 14);
}

/// What a suite that finds nothing is worth: three nodes that know nothing of each other are no cluster.
#[test]
fn nodes_that_do_not_know_each_other_are_found_out() {
    let logs = [logs(), logs(), logs()];
    let mut strangers = Strangers(logs.iter().map(|logs| start(1, logs, 13)).collect());
    let outcome = run(&mut strangers, Kind::Register, Nemesis::Nothing, 13);
    let found = outcome.verdicts.iter().filter(|(_, verdict)| verdict.violation().is_some());
    let found: Vec<_> = found.map(|(checker, _)| *checker).collect();
    assert!(found.contains(&"linearizable") && found.contains(&"serializable"), "{found:?}");
    assert!(!outcome.passed());
}

/// Clusters of one node each, shown as one.
struct Strangers(Vec<Local>);

impl Cluster for Strangers {
    fn shape(&self) -> Shape {
        Shape { nodes: self.0.len(), ..self.0[0].shape() }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().flat_map(Local::addresses).collect()
    }

    fn sql_addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().flat_map(Local::sql_addresses).collect()
    }

    fn pages(&self) -> Vec<SocketAddr> {
        self.0.iter().flat_map(Local::pages).collect()
    }

    fn is_running(&mut self, node: Node) -> bool {
        self.0[node].is_running(0)
    }

    fn start(&mut self, node: Node) -> Result<(), Failure> {
        self.0[node].start(0)
    }

    fn stop(&mut self, node: Node) -> Result<(), Failure> {
        self.0[node].stop(0)
    }

    fn kill(&mut self, node: Node) -> Result<(), Failure> {
        self.0[node].kill(0)
    }

    fn pause(&mut self, node: Node) -> Result<(), Failure> {
        self.0[node].pause(0)
    }

    fn resume(&mut self, node: Node) -> Result<(), Failure> {
        self.0[node].resume(0)
    }

    fn link(&mut self, _: Node, _: Node, _: Link) -> Result<(), Failure> {
        Ok(())
    }

    fn disk(&mut self, node: Node) -> &mut Disk {
        self.0[node].disk(0)
    }

    fn log(&self, node: Node) -> String {
        self.0[node].log(0)
    }
}
