//! Membership facts by gossip, and who is believed alive.
//!
//! chitchat carries the facts; whom to tell is decided by the clockwise order of the ring
//! ([`annulus_gossip::order`]), and chitchat's own random choice heals slowly behind it. Everything
//! travels over the peers' connections. Whoever is heard of in any way is alive.
//!
//! Promises:
//! - The facts of the members are the last that arrived, whatever order they arrived in.
//! - Hostile gossip is refused before the gossip library sees it (`screen`); should the library stop all
//!   the same, it is started anew.
//! - Nothing here is needed for the safety of a transaction but the low-water marks that nodes promise.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annulus_base::{NodeId, Timestamp};
use annulus_gossip::facts::Facts;
use annulus_gossip::order::Targets;
use annulus_gossip::suspicion::{self, Detector};
use annulus_gossip::view::View;
use annulus_ring::Topology;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{MissedTickBehavior, interval};

use super::peers::Peers;
use super::wire::Envelope;

mod engine;
mod label;
pub(crate) mod screen;

use engine::{DEAD_MEMORY, Engine, Setup};
use label::Life;
pub use screen::BadGossip;
use screen::Screen;

/// Gossip messages that wait for their connection at most.
const OUTGOING_LEN: usize = 128;

/// How lively to gossip.
#[derive(Clone, Copy, Debug)]
pub struct GossipConfig {
    /// Time between two rounds.
    pub interval: Duration,
    /// Time between two rounds of chitchat's own random choice.
    pub healer: Duration,
    /// How quickly silence becomes suspicion.
    pub suspicion: suspicion::Config,
}

impl Default for GossipConfig {
    fn default() -> Self {
        let suspicion = suspicion::Config::default();
        Self { interval: Duration::from_millis(500), healer: Duration::from_secs(10), suspicion }
    }
}

/// Something that was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node's facts are others than before.
    Facts(NodeId),
    /// A node has been silent for too long.
    Suspected(NodeId),
    /// A node that was suspected is heard of again.
    Trusted(NodeId),
}

/// Gossip cannot start.
#[derive(Debug, thiserror::Error)]
#[error("gossip cannot start: {0}; this is a fault of the program, report it")]
pub struct GossipError(anyhow::Error);

/// This node's part in the gossip. Clones are handles to the same one.
#[derive(Clone)]
pub struct Gossip(Rc<Shared>);

struct Shared {
    peers: Peers,
    setup: Setup,
    engine: RefCell<Rc<Engine>>,
    life: Cell<Life>,
    screen: RefCell<Screen>,
    own: RefCell<Facts>,
    view: RefCell<View>,
    detector: RefCell<Detector>,
    suspected: RefCell<BTreeSet<NodeId>>,
    /// Who has sent something that was refused; each is logged once.
    refused: RefCell<BTreeSet<NodeId>>,
    on_change: Box<dyn Fn(Change)>,
    started: Instant,
    tasks: RefCell<Vec<AbortHandle>>,
}

impl Gossip {
    /// Starts to tell `own` and to listen. `on_change` is called, outside of any borrow of this, for
    /// whatever is learned. Runs until [`Gossip::close`]. Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// [`GossipError`].
    pub async fn start(
        peers: Peers,
        topology: &Topology,
        config: GossipConfig,
        own: Facts,
        on_change: impl Fn(Change) + 'static,
    ) -> Result<Self, GossipError> {
        let me = peers.identity();
        let own = Facts { incarnation: me.incarnation, ..own };
        let members: BTreeSet<NodeId> = topology.members().iter().map(|member| member.id).collect();
        let others: Vec<NodeId> = members.iter().copied().filter(|node| *node != me.node).collect();
        let (outgoing, sent) = channel(OUTGOING_LEN);
        let (healer, arrived) = (config.healer, Arc::new(Notify::new()));
        let setup = Setup { cluster: me.cluster, me: me.node, others, healer, outgoing, arrived };
        let life = Life::first(me.incarnation);
        let engine = Engine::start(&setup, life).await.map_err(GossipError)?;
        let mut detector = Detector::new(config.suspicion);
        setup.others.iter().for_each(|node| detector.watch(*node, 0));
        let mut view = View::new(topology);
        view.learn(me.node, own.clone());
        let shared = Rc::new(Shared {
            screen: RefCell::new(Screen::new(me.node, life, members, 2 * DEAD_MEMORY)),
            engine: RefCell::new(Rc::new(engine)),
            life: Cell::new(life),
            own: RefCell::new(own),
            view: RefCell::new(view),
            detector: RefCell::new(detector),
            suspected: RefCell::default(),
            refused: RefCell::default(),
            on_change: Box::new(on_change),
            started: Instant::now(),
            tasks: RefCell::default(),
            peers: peers.clone(),
            setup,
        });
        let targets = Targets::new(topology, me.node, me.incarnation.0);
        let rounds = spawn_local(run(shared.clone(), targets, config.interval));
        let forwarder = spawn_local(forward(peers, sent));
        *shared.tasks.borrow_mut() = vec![rounds.abort_handle(), forwarder.abort_handle()];
        Ok(Self(shared))
    }

    /// A gossip message from a peer. What no honest node would say is not listened to, and logged once.
    pub fn receive(&self, from: NodeId, message: &Bytes) {
        let shared = &self.0;
        let checked = shared.screen.borrow_mut().check(Instant::now(), message);
        let engine = shared.engine.borrow().clone();
        if let Err(error) = checked.and_then(|()| engine.receive(from, message))
            && shared.refused.borrow_mut().insert(from)
        {
            tracing::warn!(peer = %from, %error, "does not listen to the gossip of a peer");
        }
    }

    /// Changes what this node tells about itself (but not its incarnation), from the next round on.
    pub fn tell(&self, change: impl FnOnce(&mut Facts)) {
        let mut own = self.0.own.borrow_mut();
        let incarnation = own.incarnation;
        change(&mut own);
        own.incarnation = incarnation;
        self.0.view.borrow_mut().learn(self.0.setup.me, own.clone());
    }

    /// The last facts of a member.
    #[must_use]
    pub fn facts_of(&self, node: NodeId) -> Option<Facts> {
        self.0.view.borrow().facts(node).cloned()
    }

    /// The minimum of all members' low-water marks; see [`View::low_water`].
    #[must_use]
    pub fn low_water(&self) -> Option<Timestamp> {
        self.0.view.borrow().low_water()
    }

    /// Whether a node is believed alive: it has not been silent for too long.
    #[must_use]
    pub fn alive(&self, node: NodeId) -> bool {
        node == self.0.setup.me || !self.0.detector.borrow().is_suspected(node, self.0.micros())
    }

    /// Whether it makes sense to send something to a node now: it is believed alive, and connected.
    #[must_use]
    pub fn reachable(&self, node: NodeId) -> bool {
        node == self.0.setup.me || (self.0.peers.is_connected(node) && self.alive(node))
    }

    /// How surprising a node's silence is, `-log10` of its probability; `None` for this node and strangers.
    #[must_use]
    pub fn phi(&self, node: NodeId) -> Option<f64> {
        self.0.detector.borrow().phi(node, self.0.micros())
    }

    /// Stops to tell and to listen.
    pub fn close(&self) {
        self.0.tasks.take().into_iter().for_each(|task| task.abort());
        self.0.engine.borrow().stop();
    }
}

impl Shared {
    /// Microseconds of the clock that the detector goes by.
    fn micros(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Feeds the detector with whatever was heard since, and tells who changed.
    fn listen(&self, heard: &mut BTreeMap<NodeId, Instant>) {
        let mut changes = Vec::new();
        for node in &self.setup.others {
            let mut detector = self.detector.borrow_mut();
            if let Some(when) = self.peers.last_heard(*node).filter(|when| heard.get(node) != Some(when)) {
                heard.insert(*node, when);
                detector.heartbeat(*node, when.saturating_duration_since(self.started).as_micros() as u64);
            }
            let mut suspected = self.suspected.borrow_mut();
            if !detector.is_suspected(*node, self.micros()) {
                changes.extend(suspected.remove(node).then_some(Change::Trusted(*node)));
            } else if suspected.insert(*node) {
                changes.push(Change::Suspected(*node));
            }
        }
        for change in changes {
            tracing::info!(?change, "gossip");
            (self.on_change)(change);
        }
    }

    /// Takes over the facts that arrived.
    async fn learn(&self, seen: &mut BTreeMap<NodeId, (Life, u64)>) {
        let engine = self.engine.borrow().clone();
        for (node, facts) in engine.news(seen).await {
            let mut view = self.view.borrow_mut();
            let before = view.facts(node).cloned();
            view.learn(node, facts);
            let changed = view.facts(node) != before.as_ref();
            drop(view);
            if changed {
                (self.on_change)(Change::Facts(node));
            }
        }
    }

    /// One round: tells its own facts to the next nodes in clockwise order.
    async fn round(&self, targets: &mut Targets) {
        let engine = self.engine.borrow().clone();
        let own = self.own.borrow().clone();
        engine.tell(&own).await;
        let trusted = |node| !self.suspected.borrow().contains(&node);
        for node in targets.next_round(trusted, |node| self.peers.is_connected(node)) {
            if !engine.gossip_with(node) {
                return self.restart().await;
            }
        }
    }

    /// The gossip library has stopped, which it must not: goes on with a new one, under a new label.
    async fn restart(&self) {
        tracing::error!("the gossip library has stopped; starting it anew (please report what was logged before)");
        let life = self.life.get().next();
        match Engine::start(&self.setup, life).await {
            Ok(engine) => {
                self.life.set(life);
                self.screen.borrow_mut().reborn(life);
                self.engine.replace(Rc::new(engine));
            }
            Err(error) => tracing::error!(%error, "gossip cannot start; trying again"),
        }
    }
}

async fn run(shared: Rc<Shared>, mut targets: Targets, pause: Duration) {
    let (mut heard, mut seen) = (BTreeMap::new(), BTreeMap::new());
    let mut rounds = interval(pause);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {
                shared.listen(&mut heard);
                shared.round(&mut targets).await;
            }
            () = shared.setup.arrived.notified() => shared.learn(&mut seen).await,
        }
    }
}

/// Sends what chitchat has to say.
async fn forward(peers: Peers, mut sent: Receiver<(NodeId, Bytes)>) {
    while let Some((to, message)) = sent.recv().await {
        if let Err(error) = peers.send(&[to], &Envelope::Gossip(message)) {
            tracing::error!(%error, "cannot send gossip");
        }
    }
}

#[cfg(test)]
mod tests;
