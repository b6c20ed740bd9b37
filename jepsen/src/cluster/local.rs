//! A cluster of processes on loopback: always possible. Peers reach each other through a network of our own only.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::network::{Network, Place};
use super::{Cluster, LOOK, Link, Node, Shape, is_ready, ports, tail};
use crate::Failure;

/// How long a cluster may take to form on a busy machine.
const START: Duration = Duration::from_secs(30);
/// How long a node may take to stop in order before it is killed.
const STOP: Duration = Duration::from_secs(20);
/// How often a cluster is tried when somebody else takes one of its ports.
const TRIES: usize = 5;
/// A small disk: enough for an empty node, and full soon.
const SMALL_DISK: &CStr = c"size=192m";
/// What nodes are told: small files, since many clusters follow each other, and little patience, so that a fault of
/// seconds shows what happens.
const FLAGS: [&str; 3] = ["--log-segment-size=4MiB", "--cache-size=32MiB", "--request-timeout=2s"];
/// How many lines of a log are shown.
const TAIL: usize = 20;

/// The processes and their network.
pub struct Local {
    shape: Shape,
    nodes: Vec<Process>,
    network: Network,
    _dir: TempDir,
}

struct Process {
    /// What holds its data, and is its small disk if it has one.
    disk: PathBuf,
    has_small_disk: bool,
    log: PathBuf,
    place: Place,
    kv: u16,
    http: u16,
    program: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Local {
    /// A cluster that serves. Its nodes write their logs to `logs`.
    ///
    /// # Errors
    /// If the program is missing, or the cluster does not form.
    pub fn start(program: &Path, shape: Shape, logs: &Path, seed: u64) -> Result<Self, Failure> {
        if !program.is_file() {
            let remedy = "cargo build --release --package annulus";
            return Err(Failure::Missing { program: program.to_owned(), remedy });
        }
        fs::create_dir_all(logs).map_err(Failure::at(logs))?;
        for _ in 0..TRIES {
            if let Some(cluster) = Self::attempt(program, shape, logs, seed)? {
                return Ok(cluster);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "others keep taking the ports of the cluster").into())
    }

    /// `None` if somebody else took a port.
    fn attempt(program: &Path, shape: Shape, logs: &Path, seed: u64) -> Result<Option<Self>, Failure> {
        let dir = tempfile::Builder::new().prefix("annulus-jepsen-").tempdir()?;
        let nodes = (1..=shape.nodes).map(|number| Process::new(program, &dir.path().join(format!("n{number}")), logs));
        let mut nodes: Vec<Process> = nodes.collect();
        let places: Vec<Place> = nodes.iter().map(|node| node.place).collect();
        let members: Vec<String> = places.iter().map(|place| format!("127.0.0.1:{}", place.public)).collect();
        for node in &mut nodes {
            node.arguments.push(format!("--initial-members={}", members.join(",")));
            node.arguments.push(format!("--replication-factor={}", shape.replicas));
            node.prepare(shape.small_disks)?;
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

    fn signal(&self, node: Node, signal: Signal) -> Result<(), Failure> {
        if let Some(child) = &self.nodes[node].child {
            kill_process(Pid::from_child(child), signal).map_err(io::Error::from)?;
        }
        Ok(())
    }
}

impl Cluster for Local {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| (Ipv4Addr::LOCALHOST, node.kv).into()).collect()
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

    fn fill_disk(&mut self, node: Node) -> Result<(), Failure> {
        self.nodes[node].fill_disk()
    }

    fn free_disk(&mut self, node: Node) -> Result<(), Failure> {
        let filler = self.nodes[node].filler();
        match fs::remove_file(&filler) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::File { path: filler, source: error }),
            _ => Ok(()),
        }
    }

    fn take_disk(&mut self, node: Node) -> Result<(), Failure> {
        let node = &self.nodes[node];
        fs::rename(node.data(), node.taken()).map_err(Failure::at(&node.data()))
    }

    fn return_disk(&mut self, node: Node) -> Result<(), Failure> {
        if !self.nodes[node].taken().exists() {
            return Ok(());
        }
        self.kill(node)?;
        let node = &self.nodes[node];
        if node.data().exists() {
            fs::remove_dir_all(node.data()).map_err(Failure::at(&node.data()))?;
        }
        fs::rename(node.taken(), node.data()).map_err(Failure::at(&node.taken()))
    }

    fn log(&self, node: Node) -> String {
        let bytes = fs::read(&self.nodes[node].log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Process {
    fn new(program: &Path, disk: &Path, logs: &Path) -> Self {
        let [public, private, kv, sql, http] = ports::free();
        let name = disk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut arguments = vec!["start".to_owned(), "--stop-with-parent".to_owned(), format!("--node-name={name}")];
        arguments.push(format!("--data-dir={}", disk.join("data").display()));
        arguments.push(format!("--advertise-peer=127.0.0.1:{public}"));
        for (flag, port) in [("peer", private), ("kv", kv), ("sql", sql), ("http", http)] {
            arguments.push(format!("--listen-{flag}=127.0.0.1:{port}"));
        }
        arguments.extend(FLAGS.map(str::to_owned));
        Self {
            disk: disk.to_owned(),
            has_small_disk: false,
            log: logs.join(format!("{name}.log")),
            place: Place { public, private },
            kv,
            http,
            program: program.to_owned(),
            arguments,
            child: None,
        }
    }

    /// Makes its directory, and a small disk there if wanted.
    fn prepare(&mut self, small_disk: bool) -> Result<(), Failure> {
        fs::create_dir_all(&self.disk).map_err(Failure::at(&self.disk))?;
        if small_disk {
            mount("tmpfs", &self.disk, "tmpfs", MountFlags::empty(), SMALL_DISK).map_err(|error| {
                Failure::Unsupported(format!("a small disk for each node needs the right to mount one ({error})"))
            })?;
            self.has_small_disk = true;
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.disk.join("data")
    }

    fn taken(&self) -> PathBuf {
        self.disk.join("taken")
    }

    fn filler(&self) -> PathBuf {
        self.disk.join("filler")
    }

    fn page(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
    }

    /// Starts it; its process id.
    fn spawn(&mut self) -> Result<u32, Failure> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(Failure::at(&self.log))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            // Its standard input ends with this process, and so does the node.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the suite, which then ends its nodes.
            .process_group(0)
            .spawn()
            .map_err(Failure::at(&self.program))?;
        Ok(self.child.insert(child).id())
    }

    fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    fn fill_disk(&self) -> Result<(), Failure> {
        if !self.has_small_disk {
            return Err(Failure::Unsupported("only a small disk can be filled".to_owned()));
        }
        let path = self.filler();
        let mut file = File::create(&path).map_err(Failure::at(&path))?;
        // Ever smaller pieces, until not even one byte fits.
        let mut piece = vec![0; 1024 * 1024];
        while !piece.is_empty() {
            if file.write(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
        if self.has_small_disk
            && let Err(error) = unmount(&self.disk, UnmountFlags::DETACH)
        {
            eprintln!("{} may still be mounted: {error}", self.disk.display());
        }
    }
}
