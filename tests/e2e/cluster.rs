//! Nodes as child processes.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use annulus_jepsen::cluster::ports;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Kv;
use crate::wait::{until, until_true};

/// The program under test.
pub const ANNULUS: &str = env!("CARGO_BIN_EXE_annulus");
/// How long nodes may take to form a cluster, or to come back, on a busy machine.
pub const START: Duration = Duration::from_secs(30);
/// How long a node may take to stop in order.
pub const STOP: Duration = Duration::from_secs(20);
/// How many lines of a log are shown.
const TAIL: usize = 40;
/// What every node is told: small files, since many nodes run at once.
const FLAGS: [&str; 2] = ["--log-segment-size=4MiB", "--cache-size=32MiB"];

/// One node: its place, and its process while it runs.
pub struct Node {
    pub name: String,
    pub dir: PathBuf,
    pub peer: u16,
    pub kv: u16,
    pub sql: u16,
    pub http: u16,
    log: PathBuf,
    flags: Vec<String>,
    process: Option<Child>,
}

impl Node {
    /// A node that has not been started yet, on free ports.
    pub fn new(dir: &Path, name: &str, flags: &[&str]) -> Self {
        let [peer, kv, sql, http] = ports::free();
        Self {
            name: name.to_owned(),
            dir: dir.join(name),
            log: dir.join(format!("{name}.log")),
            peer,
            kv,
            sql,
            http,
            flags: FLAGS.iter().chain(flags).map(|flag| (*flag).to_owned()).collect(),
            process: None,
        }
    }

    /// Its command line: later flags win.
    pub fn arguments(&self) -> Vec<String> {
        let mut all = vec!["start".to_owned(), "--stop-with-parent".to_owned()];
        all.push(format!("--data-dir={}", self.dir.display()));
        all.push(format!("--node-name={}", self.name));
        for (flag, port) in [("peer", self.peer), ("kv", self.kv), ("sql", self.sql), ("http", self.http)] {
            all.push(format!("--listen-{flag}=127.0.0.1:{port}"));
        }
        all.extend(self.flags.iter().cloned());
        all
    }

    /// Starts it, without waiting for anything.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        // Its standard input ends with this process, and so does the node.
        let process = Command::new(ANNULUS)
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(process);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("a child can be waited for")?;
        self.process = None;
        Some(status)
    }

    /// Waits until it has ended by itself or by a signal.
    pub fn wait_end(&mut self, patience: Duration) -> ExitStatus {
        until(format!("the end of {}", self.name.clone()), patience, || self.ended())
    }

    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("a running node");
        kill_process(Pid::from_child(process), signal).expect("an own child can be signalled");
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("an own child can be killed");
            process.wait().expect("a killed child ends");
        }
    }

    /// Tells it to stop, and demands that it does so in order.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait_end(STOP);
        assert!(status.success(), "{} ended with {status} after SIGTERM", self.name);
    }

    /// The status code and text of one of its pages; `None` if it does not answer.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).proxy(None);
        let agent = config.http_status_as_error(false).build().new_agent();
        let mut answer = agent.get(format!("http://127.0.0.1:{}{path}", self.http)).call().ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    pub fn is_ready(&self) -> bool {
        self.page("/ready").is_some_and(|(code, _)| code == 200)
    }

    /// Waits until it serves.
    pub fn wait_ready(&mut self) {
        until_true(format!("{} is ready", self.name), START, || {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status} before it was ready:\n{}", self.name, self.tail());
            }
            self.is_ready()
        });
    }

    /// Resident memory of its process, bytes.
    pub fn memory(&self) -> u64 {
        let id = self.process.as_ref().expect("a running node").id();
        let text = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process has a status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("with its memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib * 1024
    }

    /// A client of this node.
    pub fn client(&self) -> Kv {
        Kv::connect(self.kv).unwrap_or_else(|error| panic!("{} takes no client: {error}", self.name))
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of what it has written.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("  | {line}\n")).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the end of the log of {} ---\n{}", self.name, self.tail());
        } else {
            assert!(!self.log().contains("panicked at"), "{} panicked:\n{}", self.name, self.tail());
        }
    }
}

/// Nodes that form a cluster, in a directory that goes with them.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub dir: TempDir,
}

impl Cluster {
    /// A cluster of so many nodes, which is ready.
    pub fn start(nodes: usize) -> Self {
        Self::start_with(nodes, &[])
    }

    /// The same, with further flags for each node.
    pub fn start_with(nodes: usize, flags: &[&str]) -> Self {
        // Somebody else can be quicker to take a port that was free.
        for _ in 0..5 {
            let mut cluster = Self::make(nodes, flags);
            cluster.nodes.iter_mut().for_each(Node::spawn);
            if cluster.came_up() {
                return cluster;
            }
        }
        panic!("no free ports");
    }

    /// The same nodes, not started.
    pub fn make(nodes: usize, flags: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("annulus-e2e-").tempdir().expect("a temporary directory");
        let mut nodes: Vec<Node> = (1..=nodes).map(|n| Node::new(dir.path(), &format!("node{n}"), flags)).collect();
        let members: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.peer)).collect();
        for node in &mut nodes {
            node.flags.push(format!("--initial-members={}", members.join(",")));
        }
        Self { nodes, dir }
    }

    /// False if a port was taken.
    fn came_up(&mut self) -> bool {
        until("the cluster is ready", START, || {
            for node in &mut self.nodes {
                if let Some(status) = node.ended() {
                    let log = node.log();
                    assert!(log.contains("another process uses this port"), "{} ended with {status}", node.name);
                    return Some(false);
                }
            }
            self.nodes.iter().all(Node::is_ready).then_some(true)
        })
    }

    pub fn wait_ready(&mut self) {
        self.nodes.iter_mut().for_each(Node::wait_ready);
    }

    /// The key-value ports.
    pub fn kv_ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.kv).collect()
    }

    /// Stops all nodes in order, all at once.
    pub fn stop(&mut self) {
        self.nodes.iter().for_each(|node| node.signal(Signal::TERM));
        for node in &mut self.nodes {
            let status = node.wait_end(STOP);
            assert!(status.success(), "{} ended with {status} after SIGTERM", node.name);
        }
    }
}

impl Drop for Cluster {
    /// A failed test shows what its nodes say while they still run: what waits for a lock, a vote or the disk?
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                eprintln!("--- {} says ---\n{:?}", node.name, node.page("/status"));
            }
        }
    }
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    let nothing = File::open("/dev/null").expect("/dev/null");
    Command::new(ANNULUS).args(arguments).stdin(nothing).output().expect("the program starts")
}
