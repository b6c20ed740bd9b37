//! Nodes that can be hurt, wherever they run.
//!
//! [`Cluster`] is all that a nemesis knows. There are two: [`local`], processes on loopback with a network of our
//! own between them, and [`docker`], containers on a bridge. What either has on this machine's disk is a [`Disk`]. What
//! one of them cannot do is [`Failure::Unsupported`], and the cell is skipped with that reason, never passed.

mod command;
mod compose;
mod damage;
mod disk;
pub mod docker;
pub mod local;
mod network;
mod owner;
pub mod ports;
mod process;

use std::net::SocketAddr;
use std::time::Duration;

pub use disk::Disk;

use crate::Failure;

/// A node by position, from 0. People see it from 1.
pub type Node = usize;

/// Pause between two looks at a node.
const LOOK: Duration = Duration::from_millis(20);
/// How long one page may take.
const PAGE: Duration = Duration::from_secs(2);
/// What nodes are told: small files, since many clusters follow each other, and little patience, so that a fault of
/// seconds shows what happens.
const FLAGS: [&str; 3] = ["--log-segment-size=4MiB", "--cache-size=32MiB", "--request-timeout=2s"];
/// Why nodes cannot be upgraded.
const NO_NEXT: &str = "an upgrade needs a second build; see --upgrade-to";

/// What happens to bytes from one node to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// They arrive.
    #[default]
    Open,
    /// They are held back until the link is open again; connections do not notice.
    Cut,
    /// They arrive after `least`, at most `most`.
    Slow {
        /// The shortest delay.
        least: Duration,
        /// The longest delay.
        most: Duration,
    },
    /// So many of a hundred pieces are lost and sent again by TCP.
    Lossy {
        /// Of a hundred.
        percent: u8,
    },
}

/// How a node's clock is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockError {
    /// Milliseconds that it is ahead.
    pub ahead: i64,
    /// Parts per million that it is too fast.
    pub fast: i64,
}

/// A part of a node's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The vote log.
    Log,
    /// The storage engine.
    Engine,
    /// The node's own records.
    Records,
}

impl Part {
    /// Where it lies in a data directory.
    const fn directory(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Engine => "engine",
            Self::Records => "meta",
        }
    }
}

/// How a cluster is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// How many of them hold each key: 3 or 5.
    pub replicas: usize,
    /// Whether each node gets a small disk of its own, which can be filled.
    pub small_disks: bool,
}

impl Shape {
    /// Whether every key has a majority of its replicas left when any `away` nodes are.
    #[must_use]
    pub const fn survives(self, away: usize) -> bool {
        away * 2 < self.replicas
    }
}

/// A running cluster. Dropping it stops and removes everything.
pub trait Cluster: Send {
    /// How it was made.
    fn shape(&self) -> Shape;

    /// Where clients of the Redis protocol find each node.
    fn addresses(&self) -> Vec<SocketAddr>;

    /// Where SQL's clients find each node.
    fn sql_addresses(&self) -> Vec<SocketAddr>;

    /// Where each node serves its pages.
    fn pages(&self) -> Vec<SocketAddr>;

    /// Whether the node's process runs (or is paused).
    fn is_running(&mut self, node: Node) -> bool;

    /// Starts a node that does not run.
    ///
    /// # Errors
    /// If it cannot be done; the same for all below.
    fn start(&mut self, node: Node) -> Result<(), Failure>;

    /// Tells a node to stop and waits until it has.
    fn stop(&mut self, node: Node) -> Result<(), Failure>;

    /// Ends a node without warning (`SIGKILL`).
    fn kill(&mut self, node: Node) -> Result<(), Failure>;

    /// Freezes a node (`SIGSTOP`).
    fn pause(&mut self, node: Node) -> Result<(), Failure>;

    /// Lets a frozen node go on.
    fn resume(&mut self, node: Node) -> Result<(), Failure>;

    /// Changes what happens to bytes from one node to another.
    fn link(&mut self, from: Node, to: Node, link: Link) -> Result<(), Failure>;

    /// What the node has on this machine.
    fn disk(&mut self, node: Node) -> &mut Disk;

    /// Lets a node that does not run be one of the next build from its next start on.
    ///
    /// # Errors
    /// If this kind of cluster cannot do it.
    fn upgrade(&mut self, _: Node) -> Result<(), Failure> {
        Err(Failure::Unsupported(NO_NEXT.to_owned()))
    }

    /// Everything that the node has written to its log.
    fn log(&self, node: Node) -> String;
}

/// Whether a node says that it serves.
#[must_use]
pub fn is_ready(page: SocketAddr) -> bool {
    let agent = ureq::Agent::config_builder().timeout_global(Some(PAGE)).build().new_agent();
    agent.get(format!("http://{page}/ready")).call().is_ok()
}

/// Ends all faults: whatever was done, all nodes run, reach each other and have their disks.
///
/// # Errors
/// If that cannot be done.
pub fn heal(cluster: &mut dyn Cluster) -> Result<(), Failure> {
    let nodes = cluster.shape().nodes;
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from) {
            cluster.link(from, to, Link::Open)?;
        }
    }
    for node in 0..nodes {
        cluster.disk(node).free()?;
        return_disk(cluster, node)?;
        if cluster.is_running(node) {
            cluster.resume(node)?;
        }
        mend(cluster, node)?;
        if !cluster.is_running(node) {
            cluster.start(node)?;
        }
    }
    Ok(())
}

/// Gives a node its disk back if it was taken; one that runs without it is killed.
fn return_disk(cluster: &mut dyn Cluster, node: Node) -> Result<(), Failure> {
    if !cluster.disk(node).is_taken() {
        return Ok(());
    }
    cluster.kill(node)?;
    cluster.disk(node).put_back()
}

/// Takes a wrong clock, failing syncs and flipped bits back; for the last of these it stops the node.
///
/// # Errors
/// If that cannot be done.
pub fn mend(cluster: &mut dyn Cluster, node: Node) -> Result<(), Failure> {
    cluster.disk(node).set_clock(ClockError::default())?;
    cluster.disk(node).fail_syncs(false)?;
    if cluster.disk(node).is_damaged() {
        cluster.stop(node)?;
        cluster.disk(node).undo_damage()?;
    }
    Ok(())
}

/// The last lines of a text.
#[must_use]
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
