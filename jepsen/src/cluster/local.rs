//! A cluster of processes on loopback: always possible. Peers reach each other through a network of our own only.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::network::{Network, Place};
use super::process::Process;
use super::{Cluster, Disk, LOOK, Link, Node, Shape, is_ready, tail};
use crate::Failure;

pub use super::process::Programs;

/// How long a cluster may take to form on a busy machine.
const START: Duration = Duration::from_secs(30);
/// How long a node may take to stop in order before it is killed.
const STOP: Duration = Duration::from_secs(20);
/// How often a cluster is tried when somebody else takes one of its ports.
const TRIES: usize = 5;
/// How many lines of a log are shown.
const TAIL: usize = 20;

/// The processes and their network.
pub struct Local {
    shape: Shape,
    nodes: Vec<Process>,
    network: Network,
    _dir: TempDir,
}

impl Local {
    /// A cluster that serves. Its nodes write their logs to `logs`.
    ///
    /// # Errors
    /// If a program is missing, or the cluster does not form.
    pub fn start(programs: impl Into<Programs>, shape: Shape, logs: &Path, seed: u64) -> Result<Self, Failure> {
        let programs = programs.into();
        if let Some(missing) =
            [Some(&programs.node), programs.next.as_ref()].into_iter().flatten().find(|it| !it.is_file())
        {
            let remedy = "cargo build --release --package annulus";
            return Err(Failure::Missing { program: missing.clone(), remedy });
        }
        fs::create_dir_all(logs).map_err(Failure::at(logs))?;
        for _ in 0..TRIES {
            if let Some(cluster) = Self::attempt(&programs, shape, logs, seed)? {
                return Ok(cluster);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "others keep taking the ports of the cluster").into())
    }

    /// `None` if somebody else took a port.
    fn attempt(programs: &Programs, shape: Shape, logs: &Path, seed: u64) -> Result<Option<Self>, Failure> {
        let dir = tempfile::Builder::new().prefix("annulus-jepsen-").tempdir()?;
        let disks = Disk::of_all(shape, dir.path())?;
        let mut nodes: Vec<Process> = disks.into_iter().map(|disk| Process::new(programs, disk, logs)).collect();
        let places: Vec<Place> = nodes.iter().map(|node| node.place).collect();
        let members: Vec<String> = places.iter().map(|place| format!("127.0.0.1:{}", place.public)).collect();
        for node in &mut nodes {
            node.arguments.push(format!("--initial-members={}", members.join(",")));
            node.arguments.push(format!("--replication-factor={}", shape.replicas));
        }
        let network = match Network::start(&places, seed) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            network => network?,
        };
        let mut cluster = Self { shape, nodes, network, _dir: dir };
        for node in 0..shape.nodes {
            cluster.start(node)?;
        }
        Ok(cluster.comes_up()?.then_some(cluster))
    }

    /// False if a port was taken.
    fn comes_up(&mut self) -> Result<bool, Failure> {
        let end = Instant::now() + START;
        for node in 0..self.shape.nodes {
            while !is_ready(self.nodes[node].page()) {
                let is_over = Instant::now() > end || !self.nodes[node].is_running();
                if is_over && self.log(node).contains("another process uses this port") {
                    return Ok(false);
                }
                if is_over {
                    let log = tail(&self.log(node), TAIL);
                    return Err(Failure::NotReady { node: node + 1, seconds: START.as_secs(), log });
                }
                sleep(LOOK);
            }
        }
        Ok(true)
    }

    /// Signals a node; one that has ended by itself (it refuses a damaged disk) is beyond signals.
    fn signal(&self, node: Node, signal: Signal) -> Result<(), Failure> {
        let Some(child) = &self.nodes[node].child else { return Ok(()) };
        match kill_process(Pid::from_child(child), signal) {
            Err(Errno::SRCH) => Ok(()),
            done => Ok(done.map_err(io::Error::from)?),
        }
    }
}

impl Cluster for Local {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| (Ipv4Addr::LOCALHOST, node.kv).into()).collect()
    }

    fn sql_addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| (Ipv4Addr::LOCALHOST, node.sql).into()).collect()
    }

    fn pages(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Process::page).collect()
    }

    fn is_running(&mut self, node: Node) -> bool {
        self.nodes[node].is_running()
    }

    fn start(&mut self, node: Node) -> Result<(), Failure> {
        let process = self.nodes[node].spawn()?;
        self.network.introduce(node, Some(process));
        Ok(())
    }

    fn stop(&mut self, node: Node) -> Result<(), Failure> {
        self.signal(node, Signal::TERM)?;
        let end = Instant::now() + STOP;
        while self.nodes[node].is_running() && Instant::now() < end {
            sleep(LOOK);
        }
        self.kill(node)
    }

    fn kill(&mut self, node: Node) -> Result<(), Failure> {
        self.network.introduce(node, None);
        Ok(self.nodes[node].kill()?)
    }

    fn pause(&mut self, node: Node) -> Result<(), Failure> {
        self.signal(node, Signal::STOP)
    }

    fn resume(&mut self, node: Node) -> Result<(), Failure> {
        self.signal(node, Signal::CONT)
    }

    fn link(&mut self, from: Node, to: Node, link: Link) -> Result<(), Failure> {
        self.network.set(from, to, link);
        Ok(())
    }

    fn disk(&mut self, node: Node) -> &mut Disk {
        &mut self.nodes[node].disk
    }

    fn upgrade(&mut self, node: Node) -> Result<(), Failure> {
        self.nodes[node].upgrade()
    }

    fn log(&self, node: Node) -> String {
        let bytes = fs::read(&self.nodes[node].log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
