//! What the node says about itself: the status page, readiness, and the gauges and counters of the
//! metrics page that are read off the protocol's state.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annulus_base::time::MILLISECOND;
use annulus_base::{NodeId, Now, Timestamp};
use annulus_ring::{Member, ReplicaRing, Topology};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::database::NodeDatabase;
use super::driver::Driver;
use crate::config::Config;
use crate::metrics::{Metrics, PeerMetrics};
use crate::net::gossip::Gossip;
use crate::server::http::status::{
    ClientStatus, ClusterStatus, EngineStatus, LISTED, LockStatus, LogStatus, MemberStatus, NodeStatus, Status,
    StatusRequest, UndecidedStatus,
};
use crate::server::resp::Server;
use crate::storage::disk;
use crate::storage::engine::Engine;

/// How often the metrics are brought up to date.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// How often the sizes on disk are looked at, which walks directories.
const SIZES_EVERY: Duration = Duration::from_secs(10);

/// How far a node's start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the other initial members.
    Founding,
    /// Reading the vote log.
    Replaying,
    /// Serving.
    Serving,
    /// Told to stop.
    Stopping,
}

/// Answers questions about the node. Clones are the same one.
#[derive(Clone)]
pub struct Reporter(Rc<Inner>);

struct Inner {
    config: Config,
    started: Instant,
    metrics: Rc<Metrics>,
    peer_metrics: RefCell<BTreeMap<NodeId, PeerMetrics>>,
    phase: Cell<Phase>,
    parts: OnceCell<Parts>,
    sizes: Cell<(u64, u64, f64)>,
}

/// What there is to report on once the node serves.
struct Parts {
    driver: Driver,
    gossip: Gossip,
    topology: Arc<Topology>,
    engine: Arc<dyn Engine>,
    server: Rc<Server<NodeDatabase>>,
    /// The distinct replica rings of the founding's partitions.
    rings: BTreeSet<ReplicaRing>,
}

impl Reporter {
    /// A reporter of a node that is starting.
    #[must_use]
    pub fn new(config: &Config, metrics: Rc<Metrics>) -> Self {
        Self(Rc::new(Inner {
            config: config.clone(),
            started: Instant::now(),
            metrics,
            peer_metrics: RefCell::default(),
            phase: Cell::new(Phase::Founding),
            parts: OnceCell::new(),
            sizes: Cell::default(),
        }))
    }

    /// The start has come that far.
    pub fn set_phase(&self, phase: Phase) {
        self.0.phase.set(phase);
    }

    /// From now on the node serves, and there is everything to report on.
    pub fn attach(
        &self,
        driver: &Driver,
        gossip: &Gossip,
        topology: Arc<Topology>,
        engine: Arc<dyn Engine>,
        server: Rc<Server<NodeDatabase>>,
    ) {
        let rings = topology.partitions().filter_map(|partition| topology.replicas(partition)).collect();
        let parts = Parts { driver: driver.clone(), gossip: gossip.clone(), topology, engine, server, rings };
        let _ = self.0.parts.set(parts);
        self.set_phase(Phase::Serving);
    }

    /// Answers questions until nobody can ask any more.
    pub async fn answer(self, mut questions: mpsc::Receiver<StatusRequest>) {
        while let Some(question) = questions.recv().await {
            // Whoever asked may be gone.
            let _ = question.send(self.status());
        }
    }

    /// The node's state at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &self.0;
        let mut status = Status {
            node: NodeStatus {
                name: inner.config.name(),
                version: crate::VERSION.clone(),
                uptime_ms: inner.started.elapsed().as_millis() as u64,
                not_ready: self.not_ready(),
                ..NodeStatus::default()
            },
            ..Status::default()
        };
        let Some(parts) = inner.parts.get() else { return status };
        let identity = parts.driver.peers().identity();
        status.node.id = Some(identity.node.0);
        status.node.incarnation = identity.incarnation.0;
        status.cluster = self.cluster(parts);
        parts.driver.with_member(|member, now| {
            let locked = member.locked_keys();
            status.locks = LockStatus { keys: locked.values().map(Vec::len).sum(), partitions: locked.len() };
            let mut undecided = member.undecided(now);
            undecided.sort_by_key(|(_, age)| std::cmp::Reverse(*age));
            status.undecided_total = undecided.len();
            let listed = undecided.into_iter().take(LISTED);
            status.undecided = listed
                .map(|(txn, age)| UndecidedStatus { transaction: txn.to_string(), age_ms: age / MILLISECOND })
                .collect();
            status.clients =
                ClientStatus { connected: parts.server.shared.clients.count(), requests: member.requests() };
        });
        let (log_bytes, engine_bytes, used) = inner.sizes.get();
        status.log = LogStatus {
            bytes: log_bytes,
            unsynced: parts.driver.unsynced_records(),
            checkpoint_age_ms: parts.driver.checkpoint_age().map(|age| age.as_millis() as u64),
        };
        status.engine = EngineStatus {
            name: parts.engine.kind().to_string(),
            bytes: engine_bytes,
            disk_used_percent: (used * 100.0).round() as u8,
        };
        status
    }

    /// Why clients cannot be served now.
    fn not_ready(&self) -> Option<String> {
        match self.0.phase.get() {
            Phase::Founding => return Some("waiting for the other initial members".to_owned()),
            Phase::Replaying => return Some("reading the vote log".to_owned()),
            Phase::Stopping => return Some("stopping".to_owned()),
            Phase::Serving => {}
        }
        let parts = self.0.parts.get()?;
        let reachable = |node: &&NodeId| parts.gossip.reachable(**node);
        let is_short = |ring: &ReplicaRing| ring.iter().filter(reachable).count() <= ring.len() / 2;
        let founding = parts.rings.iter().copied().find(is_short);
        // Of namespaces made at run time, those whose data is here.
        let dynamic = |partition| parts.topology.replicas(partition);
        let held = || parts.driver.with_member(|member, _| member.held().filter_map(dynamic).find(is_short));
        let short = founding.or_else(held)?;
        let missing: Vec<String> = short.iter().filter(|node| !reachable(node)).map(ToString::to_string).collect();
        Some(format!("no majority for some partitions: {} cannot be reached", missing.join(", ")))
    }

    fn cluster(&self, parts: &Parts) -> ClusterStatus {
        let now = parts.driver.now();
        ClusterStatus {
            id: Some(parts.topology.cluster().to_string()),
            epoch: parts.topology.epoch().0,
            members: parts.topology.members().iter().map(|member| self.member(parts, member, now)).collect(),
            low_water: parts.gossip.low_water().map_or_else(|| "unknown".to_owned(), |mark| mark.to_string()),
        }
    }

    fn member(&self, parts: &Parts, member: &Member, now: Now) -> MemberStatus {
        let facts = parts.gossip.facts_of(member.id);
        let facts = facts.as_ref();
        let own = parts.driver.peers().identity().node == member.id;
        let heard = parts.driver.peers().last_heard(member.id).map(|at| at.elapsed().as_millis() as u64);
        let lag = |mark: Timestamp| now.wall.saturating_sub(mark.micros()) / MILLISECOND;
        let addresses = [
            ("peer", Some(member.peer_address.clone())),
            ("kv", facts.and_then(|facts| facts.kv_address.clone())),
            ("sql", facts.and_then(|facts| facts.sql_address.clone())),
            ("http", facts.and_then(|facts| facts.http_address.clone())),
        ];
        MemberStatus {
            id: member.id.0,
            name: member.peer_address.clone(),
            zone: member.zone.clone(),
            share: parts.topology.share(member.id).map_or(0, |share| (share * 10_000.0).round() as u32),
            up: own || parts.gossip.reachable(member.id),
            last_heard_ms: if own { Some(0) } else { heard },
            lag_ms: facts
                .and_then(|facts| facts.mark)
                .filter(|mark| mark.low_water > Timestamp::ZERO)
                .map(|mark| lag(mark.low_water)),
            incarnation: facts.map(|facts| facts.incarnation.0),
            version: facts.and_then(|facts| facts.version.clone()),
            addresses: addresses.into_iter().filter_map(|(kind, at)| Some((kind.to_owned(), at?))).collect(),
        }
    }

    /// Keeps the metrics up to date. Never ends.
    pub async fn measure(self) {
        let mut sized: Option<Instant> = None;
        loop {
            sleep(MEASURE_EVERY).await;
            let Some(parts) = self.0.parts.get() else { continue };
            if sized.is_none_or(|at| at.elapsed() >= SIZES_EVERY) {
                sized = Some(Instant::now());
                self.look_at_sizes(parts);
            }
            self.protocol_metrics(parts);
            self.client_metrics(&parts.server);
            self.cluster_metrics(parts);
        }
    }

    fn look_at_sizes(&self, parts: &Parts) {
        let dir = &self.0.config.data_dir;
        let log = disk::occupied(&dir.join("log")).unwrap_or(0);
        let engine = parts.engine.disk_bytes().unwrap_or(0);
        let used = disk::usage(dir).map_or(0.0, |usage| usage.used_ratio);
        self.0.sizes.set((log, engine, used));
        self.0.metrics.log.size.set(log as f64);
        self.0.metrics.engine.size.set(engine as f64);
        self.0.metrics.engine.disk_used.set(used);
    }

    fn protocol_metrics(&self, parts: &Parts) {
        let metrics = &self.0.metrics;
        parts.driver.with_member(|member, now| {
            let (coordinator, replica) = member.counters();
            let transactions = &metrics.transactions;
            transactions.committed_fast.absolute(coordinator.committed_fast);
            transactions.committed_slow.absolute(coordinator.committed_slow);
            transactions.committed_recovered.absolute(coordinator.committed_recovered);
            transactions.aborted_conflict.absolute(coordinator.conflicts);
            transactions.aborted_unavailable.absolute(coordinator.unavailable);
            transactions.aborted_other.absolute(coordinator.aborted.saturating_sub(coordinator.conflicts));
            transactions.unknown.absolute(coordinator.unknown);
            transactions.retries.absolute(coordinator.retries);
            metrics.recovery.started.absolute(coordinator.recoveries);
            metrics.recovery.committed.absolute(coordinator.recovered_commits);
            metrics.recovery.aborted.absolute(coordinator.recovered_aborts);
            metrics.recovery.mismatches.absolute(coordinator.mismatches);
            metrics.recovery.repaired.absolute(replica.repaired);
            metrics.locks.waits.absolute(replica.lock_waits);
            metrics.locks.wounded.absolute(replica.wounded);
            metrics.locks.rejected.absolute(replica.lock_refusals);
            metrics.engine.corrupt.absolute(replica.corrupt);
            metrics.engine.collected.absolute(replica.collected);
            metrics.clients.shed_overload.absolute(coordinator.shed);
            let undecided = member.undecided(now);
            let oldest = undecided.iter().map(|(_, age)| *age).max().unwrap_or(0);
            metrics.locks.undecided.set(undecided.len() as f64);
            metrics.locks.oldest_undecided.set(oldest as f64 / 1e6);
            metrics.locks.keys.set(member.locked_keys().values().map(Vec::len).sum::<usize>() as f64);
            metrics.queues.requests.set(member.requests() as f64);
        });
        metrics.queues.log.set(parts.driver.unsynced_records() as f64);
        let (records, bytes) = parts.driver.appended();
        metrics.log.records.absolute(records);
        metrics.log.bytes.absolute(bytes);
        metrics.log.checkpoints.absolute(parts.driver.checkpoints());
    }

    fn client_metrics(&self, server: &Server<NodeDatabase>) {
        let (metrics, stats) = (&self.0.metrics.clients, &server.shared.stats);
        metrics.connected.set(server.shared.clients.count() as f64);
        metrics.accepted.absolute(stats.connections.total());
        metrics.refused.absolute(stats.rejected.total());
        metrics.broken.absolute(stats.broken.total());
        metrics.shed_memory.absolute(stats.oversized.total());
        metrics.bytes_in.absolute(stats.received.total());
        metrics.bytes_out.absolute(stats.sent.total());
    }

    fn cluster_metrics(&self, parts: &Parts) {
        let gossip = &self.0.metrics.gossip;
        let members = parts.topology.members();
        let alive = members.iter().filter(|member| parts.gossip.reachable(member.id)).count();
        gossip.alive.set(alive as f64);
        gossip.members.set(members.len() as f64);
        gossip.epoch.set(parts.topology.epoch().0 as f64);
        if let Some(mark) = parts.gossip.low_water() {
            let behind = parts.driver.now().wall.saturating_sub(mark.micros());
            gossip.low_water_lag.set(behind as f64 / 1e6);
        }
        let mut peers = self.0.peer_metrics.borrow_mut();
        for (node, stats) in parts.driver.peers().stats() {
            let metrics = peers.entry(node).or_insert_with(|| self.0.metrics.peer(&node.to_string()));
            metrics.bytes_out.absolute(stats.sent_bytes);
            metrics.bytes_in.absolute(stats.received_bytes);
            metrics.frames_out.absolute(stats.sent_frames);
            metrics.frames_in.absolute(stats.received_frames);
            metrics.dropped.absolute(stats.dropped_frames);
            metrics.connects.absolute(stats.connects);
            metrics.queue.set(stats.queued_bytes as f64);
        }
    }
}
