//! The virtual world: nodes, network, disks, clocks and clients in one thread, driven by one queue of
//! events. Everything that happens follows from the seed.
//!
//! A run has three parts: work under faults; then all faults are healed and the clients finish; then
//! everything is read once more, and all nodes must come to rest and agree.

mod clients;
pub mod clock;
mod drive;
mod faults;
mod jobs;
pub mod log;
pub mod network;
pub mod node;
pub mod queue;
mod rest;
pub mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::rng::Rng;
use annulus_base::time::{Micros, SECOND};
use annulus_base::{Epoch, NodeId, Timestamp};
use annulus_relation::catalog::Home;
use annulus_replica::message::Message;
use annulus_ring::{Basis, ClusterId, Namespace, Topology, TopologyError};
use annulus_txn::member::ClientId;

use crate::history::{EntryId, History};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::relational;
use crate::relational::tables::Cached;
use crate::relational::work::Work;
use crate::trace::Trace;
use crate::verdict;
use crate::violation::{Verdict, Violation};
use crate::workload::{Layout, NAMESPACE, Plan};
use clients::{Answer, Client, Pending, Sent};
use clock::Clock;
use faults::Fault;
use network::Network;
use node::Node;
use queue::Queue;

/// How long clients go on after faults have ended.
const HEALED_TIME: Micros = SECOND;
/// They stop earlier after so many steps.
const HEALED_STEPS: u64 = 2_000;

/// One seed in so many is judged by values alone, too.
const SECOND_OPINION_EVERY: u64 = 4;

/// What travels between nodes.
#[derive(Clone, Debug)]
enum Packet {
    /// Of the transaction protocol.
    Protocol(Message),
    /// Gossip: the sender lives, and its low-water mark.
    Gossip(Timestamp),
}

/// What is going to happen.
#[derive(Debug)]
enum Event {
    Arrive { from: usize, to: usize, packet: Packet },
    Wakeup { node: usize },
    Synced { node: usize, incarnation: u32, upto: u64 },
    Checkpoint { node: usize },
    Checkpointed { node: usize, incarnation: u32 },
    Gossip { node: usize },
    Restart { node: usize },
    Fault(Fault),
    Mend,
    Client { client: usize, life: u32 },
    Request(Box<Sent>),
    Answer { id: ClientId, answer: Answer },
    GiveUp { id: ClientId },
    Late { id: ClientId },
    Inspect,
}

/// Which part of the run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Work under faults.
    Faults,
    /// Work without faults.
    Healed,
    /// Clients only finish what they began.
    Finishing,
    /// Everything is written and read once more.
    Final,
    /// Nodes come to rest.
    Rest,
    /// They have, and agree.
    Done,
}

/// What a run amounted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Events handled.
    pub steps: u64,
    /// Commits that clients know to have succeeded.
    pub committed: u64,
    /// The fingerprint of the run.
    pub trace: u64,
}

/// A whole simulated cluster with its clients.
pub struct World {
    options: Options,
    layout: Layout,
    topology: Arc<Topology>,
    rng: Rng,
    time: Micros,
    queue: Queue<Event>,
    phase: Phase,
    healed_at: Micros,
    healed_steps: u64,
    steps: u64,
    trace: Trace,
    verbose: bool,

    nodes: Vec<Node>,
    network: Network,
    /// For each node, when its next tick is scheduled.
    wakeups: Vec<Option<Micros>>,
    /// For each node, how many ticks in a row it had, since when.
    ticks: Vec<(u32, Micros)>,
    /// For each node, after how many steps it crashes.
    doomed: Vec<Option<u64>>,
    /// For each node, whether its next sync fails.
    bad_sync: Vec<bool>,
    /// For each node, when it last heard of each other one, and whether it believes it alive.
    heard: Vec<Vec<(Micros, bool)>>,
    /// The node whose disk flips bits.
    bad_disk: usize,

    clients: Vec<Client>,
    pending: BTreeMap<ClientId, Pending>,
    next_request: u64,
    starts: BTreeSet<Timestamp>,
    /// The latest commit entry of each node and start time.
    commits: BTreeMap<(usize, Timestamp), EntryId>,
    /// Transactions that clients know to have committed.
    committed: Vec<TxnRef>,
    /// What the first client does in the end.
    script: VecDeque<Plan>,
    /// The same, if it runs `relation/`.
    errands: VecDeque<Work>,
    /// The database of such clients, and what each node has cached of its catalog.
    home: Home,
    cached: Vec<Cached>,
    history: History,
    ledger: Ledger,
}

impl World {
    /// The world of these options, before anything has happened.
    #[must_use]
    pub fn new(options: Options, verbose: bool) -> Self {
        let mut rng = Rng::new(options.seed ^ 0x5eed);
        let nodes = (1..=options.nodes as u32).map(|id| Node::new(NodeId(id), random_clock(&options, &mut rng)));
        let nodes: Vec<_> = nodes.collect();
        let count = nodes.len();
        Self {
            layout: Layout::new(&options),
            topology: Arc::new(
                topology(options.nodes as u32, options.partitions, options.replication).expect("options are valid"),
            ),
            time: 0,
            queue: Queue::default(),
            phase: Phase::Faults,
            healed_at: 0,
            healed_steps: 0,
            steps: 0,
            trace: Trace::default(),
            verbose,
            network: Network::new(count, options.network.clone()),
            wakeups: vec![None; count],
            ticks: vec![(0, 0); count],
            doomed: vec![None; count],
            bad_sync: vec![false; count],
            heard: vec![vec![(0, true); count]; count],
            bad_disk: rng.below(count as u64) as usize,
            clients: (0..options.work.clients).map(|_| Client::default()).collect(),
            pending: BTreeMap::new(),
            next_request: 0,
            starts: BTreeSet::new(),
            commits: BTreeMap::new(),
            committed: Vec::new(),
            script: VecDeque::new(),
            errands: VecDeque::new(),
            home: relational::home(options.slots, options.replication),
            cached: (0..count).map(|_| Cached::default()).collect(),
            history: History::default(),
            ledger: Ledger::default(),
            nodes,
            rng,
            options,
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// The first promise found broken.
    pub fn run(mut self) -> Result<Report, Violation> {
        self.begin()?;
        while self.phase != Phase::Done {
            let Some((time, event)) = self.queue.pop() else {
                return Err(Violation::Progress("nothing is left to happen".into()));
            };
            self.time = time;
            self.handle(event)?;
            self.check_budget()?;
        }
        verdict::judge(&self.history, &self.ledger)?;
        verdict::judge_data(&self.history, &self.layout)?;
        if self.options.seed.is_multiple_of(SECOND_OPINION_EVERY) {
            verdict::judge_again(&self.history, &self.ledger, &self.layout)?;
        }
        self.stores_hold_what_was_acknowledged()?;
        Ok(Report { steps: self.steps, committed: self.committed.len() as u64, trace: self.trace.hash() })
    }

    fn begin(&mut self) -> Verdict {
        for node in 0..self.nodes.len() {
            self.start(node)?;
            let checkpoint = self.rng.below(self.options.disk.checkpoint_every);
            self.queue.push(checkpoint, Event::Checkpoint { node });
            let gossip = self.rng.below(self.options.gossip_every);
            self.queue.push(gossip, Event::Gossip { node });
        }
        for client in 0..self.clients.len() {
            let wakes = self.rng.below(self.options.work.pause);
            self.queue.push(wakes, Event::Client { client, life: 0 });
        }
        self.schedule_faults();
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Verdict {
        match event {
            Event::Wakeup { node } if self.wakeups[node] != Some(self.time) => return Ok(()),
            Event::Late { id } => return self.check_answered(id),
            _ => {}
        }
        self.steps += 1;
        self.trace.note(self.time);
        match event {
            Event::Arrive { from, to, packet } => self.arrive(from, to, packet),
            Event::Wakeup { node } => self.wakeup(node),
            Event::Synced { node, incarnation, upto } => self.synced(node, incarnation, upto),
            Event::Checkpoint { node } => self.checkpoint(node),
            Event::Checkpointed { node, incarnation } => self.checkpointed(node, incarnation),
            Event::Gossip { node } => self.gossip(node),
            Event::Restart { node } => self.restart(node),
            Event::Fault(fault) => self.fault(fault),
            Event::Mend => {
                self.network.mend();
                Ok(())
            }
            Event::Client { client, life } => self.client_wakes(client, life),
            Event::Request(sent) => self.request_arrives(*sent),
            Event::Answer { id, answer } => self.answer_arrives(id, answer),
            Event::GiveUp { id } => self.give_up(id),
            Event::Late { .. } => Ok(()),
            Event::Inspect => self.inspect(),
        }
    }

    fn check_budget(&mut self) -> Verdict {
        let over = self.steps >= self.options.fault_steps || self.time >= self.options.fault_time;
        match self.phase {
            Phase::Faults if over => self.heal()?,
            Phase::Healed
                if self.steps > self.healed_steps + HEALED_STEPS || self.time > self.healed_at + HEALED_TIME =>
            {
                self.phase = Phase::Finishing;
                self.queue.push(self.time, Event::Inspect);
            }
            _ => {}
        }
        if self.steps > self.options.most_steps {
            return Err(Violation::Progress(format!("after {} steps: {}", self.steps, self.unrest())));
        }
        if self.phase > Phase::Faults && self.time > self.healed_at + 120 * SECOND {
            return Err(Violation::Progress(format!("120 s after all faults ended: {}", self.unrest())));
        }
        Ok(())
    }

    /// Says what happens, where somebody wants to know.
    fn tell(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:>12} {}", self.time, what());
        }
    }
}

fn random_clock(options: &Options, rng: &mut Rng) -> Clock {
    let mut either_way = |most: Micros| rng.between(0, 2 * most) as i64 - most as i64;
    let (skew, drift) = (either_way(options.clocks.skew), either_way(options.clocks.drift));
    Clock { steady_base: rng.below(1_000 * SECOND), skew, drift }
}

/// The first epoch of a cluster of nodes numbered from 1, with one namespace.
pub(crate) fn topology(nodes: u32, partitions: u16, replicas: u8) -> Result<Topology, TopologyError> {
    let member = |id: u32| annulus_ring::Member {
        id: NodeId(id),
        weight: annulus_ring::MIN_WEIGHT,
        zone: "z".into(),
        peer_address: format!("node{id}:1"),
    };
    let mut namespace = Namespace::new(NAMESPACE, "sim", Basis::ByKey { slots: partitions });
    namespace.replication_factor = replicas;
    Topology::new(Epoch(1), ClusterId(1), (1..=nodes).map(member).collect(), vec![namespace])
}
