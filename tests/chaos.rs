//! A few cells of the fault suite on real processes, each from a fixed seed, and a short matrix, in containers where
//! Docker runs. `cargo xtask chaos` runs the others.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use annulus_check::workload::Kind;
use annulus_jepsen::cell::{self, Outcome, Plan};
use annulus_jepsen::cluster::local::Local;
use annulus_jepsen::cluster::{Cluster, Disk, Link, Node, Shape};
use annulus_jepsen::nemesis::Nemesis;
use annulus_jepsen::options::Options;
use annulus_jepsen::{Failure, Protocol, suite};
use clap::Parser as _;
use tempfile::TempDir;

/// The image of the program that is tested: no user's.
const IMAGE: &str = "annulus:verify";

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

#[test]
#[ignore = "takes minutes: `cargo xtask verify` runs it"]
fn a_short_matrix_passes() {
    let program = env!("CARGO_BIN_EXE_annulus");
    let report = concat!(env!("CARGO_TARGET_TMPDIR"), "/chaos");
    let place = if image_is_made(program) { ["--docker", "--image", IMAGE] } else { ["--local", "--program", program] };
    let options = ["chaos", "--minutes=6", "--seconds=8", "--clients=6", "--rate=100", "--seed=1", "--report", report];
    let ended = suite::run(&Options::parse_from(options.into_iter().chain(place))).expect("the suite runs");
    assert_eq!(ended, suite::Outcome::Passed, "{report}/index.html");
}

/// Makes an image of the program where containers can be had: where Docker runs, and for root.
fn image_is_made(program: &str) -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let runs = Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success());
    if !(is_root && runs) {
        return false;
    }
    let build = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/build.sh");
    let built = Command::new(build).env("BINARY", program).env("TAG", IMAGE).status().expect("docker/build.sh runs");
    assert!(built.success(), "docker/build.sh: {built}");
    true
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
