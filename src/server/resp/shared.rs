//! What all connections of a node's key-value server share.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_base::time::{MILLISECOND, Micros};
use annulus_ring::Topology;
use tokio::time::Instant;

use super::clients::Clients;
use super::commands::Table;
use super::config::Config;
use super::contention::Contention;
use super::cursors::Cursors;
use super::keyspace::Keyspace;
use super::line::Line;
use super::slow_log::SlowLog;
use super::stats::Stats;
use super::value::UnixMillis;
use crate::metrics::{Family, Metrics};

/// The wall clock: microseconds since the Unix epoch.
pub type WallClock = Rc<dyn Fn() -> Micros>;

/// State of one node's key-value server that does not depend on the database behind it.
pub struct Shared {
    /// Its settings.
    pub config: Config,
    /// The commands by name.
    pub commands: Table,
    /// Where keys live.
    pub keyspace: Keyspace,
    /// Who is connected.
    pub clients: Clients,
    /// What has been done.
    pub stats: Stats,
    /// The same and more, for the metrics page.
    pub metrics: Rc<Metrics>,
    /// The commands that took long.
    pub slow_log: SlowLog,
    /// Where unfinished scans go on.
    pub cursors: Cursors,
    /// The keys that transactions were lost over.
    pub contention: Contention,
    /// Writes that wait for others on the same keys.
    pub line: Line,
    /// How many other nodes hold every acknowledged write durably: what `WAIT` answers.
    pub durable_copies: i64,
    /// When it began to serve.
    pub started: Instant,
    wall: WallClock,
    rng: RefCell<Rng>,
}

impl Shared {
    /// The state of a server that begins now.
    #[must_use]
    pub fn new(topology: &Topology, config: Config, wall: WallClock, metrics: Rc<Metrics>) -> Self {
        let mut rng = Rng::new(wall() ^ u64::from(std::process::id()));
        let keyspace = Keyspace::new(topology);
        let ring = keyspace.partitions(0).next().and_then(|partition| topology.replicas(partition));
        Self {
            cursors: Cursors::new(rng.bits()),
            slow_log: SlowLog::new(config.slow_log_threshold, config.slow_log_length),
            contention: Contention::default(),
            line: Line::default(),
            durable_copies: ring.map_or(0, |ring| ring.len() as i64 / 2),
            config,
            commands: Table::default(),
            keyspace,
            clients: Clients::default(),
            stats: Stats::default(),
            metrics,
            started: Instant::now(),
            wall,
            rng: RefCell::new(rng),
        }
    }

    /// A command was answered.
    pub fn answered(&self, name: &'static str, family: Family, time: Duration, failed: bool) {
        self.stats.record(name, time, failed);
        let metrics = self.metrics.requests(family);
        metrics.answered.increment(1);
        metrics.errors.increment(u64::from(failed));
        metrics.duration.record(time);
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn wall(&self) -> Micros {
        (self.wall)()
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.wall() / MILLISECOND
    }

    /// Any 64 bits.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.rng.borrow_mut().bits()
    }

    /// The time that a request has from now on.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::of(self.config.request_timeout)
    }
}

/// How long somebody is ready to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience(Instant);

impl Patience {
    /// From now on.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What is left of it, microseconds.
    #[must_use]
    pub fn left(self) -> Micros {
        let left = self.0.saturating_duration_since(Instant::now());
        u64::try_from(left.as_micros()).unwrap_or(Micros::MAX)
    }
}
