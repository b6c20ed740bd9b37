//! The connections of this node to its peers, and theirs to it.
//!
//! Each node dials each other one for what it sends, and receives on what it accepts: one multiplexed,
//! pipelined connection per direction. Everything runs on one thread, in the `LocalSet` of the caller.
//!
//! Promises:
//! - Frames to one peer arrive in the order they were sent, each at most once; any may be lost.
//! - [`Peers::send`] never waits. A frame is encoded once for all its receivers. What is sent while
//!   other tasks are ready to run leaves together: the writer runs after them, once, and takes it all.
//! - Memory is bounded: a queue per peer, few connections without a handshake, one incoming connection
//!   per peer. What does not fit is dropped and counted; the transaction protocol tolerates loss.
//! - A peer that is away is dialled again, with growing, random pauses, and at once when it connects. A
//!   connection over which nothing comes back is given up.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus_base::rng::Rng;
use annulus_base::{Epoch, NodeId};
use annulus_replica::message::Message;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{interval, sleep, timeout};

use super::accept::{self, Reception};
use super::bootstrap::Founder;
use super::codec::{self, CodecError};
use super::dial;
use super::handshake::Identity;
use super::link::{Link, PeerStats};
use super::wire::Envelope;

/// The encoding buffer is given back when it grew above this, bytes.
const KEPT_CAPACITY: usize = 1024 * 1024;
/// How often a closing node looks whether its queues are empty.
const DRAIN_PAUSE: Duration = Duration::from_millis(1);

/// What peers may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most bytes that wait for one peer. At least one frame of the largest size should fit.
    pub queue_bytes: usize,
    /// Most incoming connections that have not said who they are.
    pub guests: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long a peer may be silent, or take no bytes, before its connections are given up. Several pings.
    pub stall: Duration,
    /// How often each peer is asked for a sign of life (which also measures the round trip).
    pub ping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_bytes: 64 * 1024 * 1024,
            guests: 64,
            handshake: Duration::from_secs(3),
            stall: Duration::from_secs(4),
            ping: Duration::from_millis(500),
        }
    }
}

/// Who this node is, and whom it talks to.
#[derive(Clone, Debug)]
pub struct PeersConfig {
    /// This node.
    pub identity: Identity,
    /// The members of its cluster and where each is reached, `host:port`; this node may be among them.
    pub members: BTreeMap<NodeId, String>,
    /// What peers may cost.
    pub limits: Limits,
    /// For the randomness of pauses.
    pub seed: u64,
}

/// Receives what peers send. Called from the tasks that read, so it must not block.
pub trait Handler {
    /// All messages about transactions that arrived in one read from one peer, in order. The callee takes
    /// what it wants out of `batch`; the rest is dropped.
    fn messages(&self, from: NodeId, batch: &mut Vec<Message>);

    /// A gossip message.
    fn gossip(&self, from: NodeId, message: Bytes);
}

/// The connections to all peers. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Peers(Rc<Shared>);

/// What the tasks have in common.
pub(super) struct Shared {
    me: Cell<Identity>,
    pub(super) links: BTreeMap<NodeId, Rc<Link>>,
    pub(super) limits: Limits,
    pub(super) closed: Cell<bool>,
    started: Instant,
    rng: RefCell<Rng>,
    /// Where frames are encoded before they are copied to the queues.
    scratch: RefCell<Vec<u8>>,
    tasks: RefCell<Vec<AbortHandle>>,
}

impl Shared {
    pub(super) fn identity(&self) -> Identity {
        self.me.get()
    }

    /// Microseconds of this process's steady clock.
    pub(super) fn micros(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// A random part of a pause, at least half of it, so that nodes do not meet in step.
    pub(super) fn jitter(&self, pause: Duration) -> Duration {
        let micros = pause.as_micros() as u64;
        Duration::from_micros(self.rng.borrow_mut().between(micros / 2, micros))
    }

    pub(super) fn send(&self, to: &[NodeId], envelope: &Envelope) -> Result<(), CodecError> {
        let mut frame = self.scratch.borrow_mut();
        frame.clear();
        frame.shrink_to(KEPT_CAPACITY);
        codec::encode(envelope, &mut frame)?;
        for link in to.iter().filter_map(|node| self.links.get(node)) {
            link.push(&frame);
        }
        Ok(())
    }
}

impl Peers {
    /// Peers that nothing is sent to or received from yet.
    #[must_use]
    pub fn new(config: PeersConfig) -> Self {
        let PeersConfig { identity, members, limits, seed } = config;
        let others = members.into_iter().filter(|(node, _)| *node != identity.node);
        let links = others.map(|(node, address)| (node, Rc::new(Link::new(node, address, limits.queue_bytes))));
        Self(Rc::new(Shared {
            me: Cell::new(identity),
            links: links.collect(),
            limits,
            closed: Cell::default(),
            started: Instant::now(),
            rng: RefCell::new(Rng::new(seed)),
            scratch: RefCell::default(),
            tasks: RefCell::default(),
        }))
    }

    /// Starts dialling and accepting. Runs until [`Peers::close`]. Must be called within a `LocalSet`.
    /// The `founder`, where this node has just formed the cluster, answers nodes that are still at it.
    pub fn start(&self, listener: TcpListener, handler: Rc<dyn Handler>, founder: Option<Rc<Founder>>) {
        let reception = Reception { shared: self.0.clone(), handler, founder };
        let dials = self.0.links.values().map(|link| spawn_local(dial::run(self.0.clone(), link.clone())));
        let mut tasks: Vec<AbortHandle> = dials.map(|task| task.abort_handle()).collect();
        tasks.push(spawn_local(accept::run(reception, listener)).abort_handle());
        tasks.push(spawn_local(keep_alive(self.0.clone())).abort_handle());
        self.0.tasks.borrow_mut().extend(tasks);
    }

    /// Queues one frame for each of the receivers. Who is not a peer, not connected, or slower than its
    /// queue allows, does not get it.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`]: nobody gets it.
    pub fn send(&self, to: &[NodeId], envelope: &Envelope) -> Result<(), CodecError> {
        self.0.send(to, envelope)
    }

    /// This node is in another epoch now; handshakes from now on say so.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.0.me.set(Identity { epoch, ..self.0.me.get() });
    }

    /// Who this node is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.identity()
    }

    /// Whether what is sent to `node` now has a connection to leave by.
    #[must_use]
    pub fn is_connected(&self, node: NodeId) -> bool {
        self.0.links.get(&node).is_some_and(|link| link.is_connected())
    }

    /// When anything was last received from `node`.
    #[must_use]
    pub fn last_heard(&self, node: NodeId) -> Option<Instant> {
        self.0.links.get(&node)?.last_heard()
    }

    /// What is known of each peer.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<NodeId, PeerStats> {
        self.0.links.iter().map(|(node, link)| (*node, link.stats())).collect()
    }

    /// Sends what is queued, for at most `grace`, then closes all connections.
    pub async fn close(&self, grace: Duration) {
        self.0.closed.set(true);
        let drained = async {
            while !self.0.links.values().all(|link| link.is_idle()) {
                sleep(DRAIN_PAUSE).await;
            }
        };
        // Whoever has not taken it by then does not get it, as after any loss.
        let _ = timeout(grace, drained).await;
        self.0.tasks.take().into_iter().for_each(|task| task.abort());
        self.0.links.values().for_each(|link| link.read_by(None));
    }
}

/// Asks every peer for a sign of life, and gives up on those that have not given any.
async fn keep_alive(shared: Rc<Shared>) {
    let mut ticks = interval(shared.limits.ping);
    loop {
        ticks.tick().await;
        for link in shared.links.values().filter(|link| link.is_silent(shared.limits.stall)) {
            link.give_up.notify_one();
            link.read_by(None);
        }
        let to: Vec<NodeId> = shared.links.values().filter(|link| link.is_connected()).map(|link| link.node).collect();
        if let Err(error) = shared.send(&to, &Envelope::Ping(shared.micros())) {
            tracing::error!(%error, "cannot encode a ping");
        }
    }
}

#[cfg(test)]
mod tests;
