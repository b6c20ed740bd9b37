//! What one seed decides: size, latencies, settings, faults and workload of a run.
//!
//! Swarm testing (Groce et al., 2012): each fault class and each kind of work is left out of about half of
//! the runs, so that rare combinations are not drowned by frequent ones.

use annulus_base::rng::Rng;
use annulus_base::time::{MILLISECOND, Micros, SECOND};
use annulus_txn::member::Settings;

use crate::workload::Kind;
use crate::world::network::NetworkOptions;

/// How disks behave.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// A sync takes between these.
    pub sync: (Micros, Micros),
    /// Time between checkpoints of a node.
    pub checkpoint_every: Micros,
}

/// How wrong clocks are. All within what is set right when faults end.
#[derive(Clone, Debug)]
pub struct ClockOptions {
    /// Largest skew either way.
    pub skew: Micros,
    /// Largest drift either way, microseconds per second.
    pub drift: Micros,
}

/// Mean time between faults of each class; 0: never.
#[derive(Clone, Debug, Default)]
pub struct FaultOptions {
    /// One node crashes, at any point of a step.
    pub crash: Micros,
    /// All nodes crash.
    pub blackout: Micros,
    /// A crashed node is down for up to this.
    pub downtime: Micros,
    /// Most nodes down at once (blackouts aside).
    pub most_down: usize,
    /// The network is cut.
    pub partition: Micros,
    /// A cut lasts up to this.
    pub partition_lasts: Micros,
    /// A link becomes slow.
    pub slow_link: Micros,
    /// A wall clock jumps.
    pub clock_jump: Micros,
    /// Largest jump either way.
    pub jump: Micros,
    /// A sync fails, and its node stops.
    pub failed_sync: Micros,
    /// A bit flips in the one store that has a bad disk.
    pub bit_flip: Micros,
    /// A living node is believed dead.
    pub false_suspicion: Micros,
    /// A client dies.
    pub client_death: Micros,
}

/// What clients do.
#[derive(Clone, Debug)]
pub struct WorkOptions {
    /// Number of clients.
    pub clients: usize,
    /// Longest pause between two transactions.
    pub pause: Micros,
    /// Patience of a request lies between these.
    pub patience: (Micros, Micros),
    /// Keys of each kind.
    pub keys: u64,
    /// How often each kind of work is picked, relative to the others.
    pub weights: Vec<(Kind, u64)>,
    /// Odds in a hundred that what is read to be written is locked first.
    pub lock_odds: u64,
    /// Odds in a hundred that what is read to be written is read from a snapshot.
    pub snapshot_odds: u64,
    /// Odds in a hundred that a transaction gives up its request.
    pub cancel_odds: u64,
}

/// All that a run is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it all comes from.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Replicas of each partition.
    pub replication: u8,
    /// Number of partitions.
    pub partitions: u16,
    /// Whether they belong to namespaces made at run time.
    pub dynamic: bool,
    /// Whether the clients' transactions are run by `relation/`.
    pub relational: bool,
    /// Whether those only write single keys and read all of them, bit by bit.
    pub bare: bool,
    /// Number of slots of their database.
    pub slots: u16,
    /// Protocol settings of every node.
    pub settings: Settings,
    /// The network.
    pub network: NetworkOptions,
    /// The disks.
    pub disk: DiskOptions,
    /// The clocks.
    pub clocks: ClockOptions,
    /// The faults.
    pub faults: FaultOptions,
    /// The work.
    pub work: WorkOptions,
    /// Time between two rounds of gossip.
    pub gossip_every: Micros,
    /// Faults end after so many steps.
    pub fault_steps: u64,
    /// Faults end after this time.
    pub fault_time: Micros,
    /// A run with more steps than this has made no progress.
    pub most_steps: u64,
}

impl Options {
    /// The options that follow from a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        let nodes = rng.between(3, 7) as usize;
        let replication = if nodes >= 5 && rng.one_in(3) { 5 } else { 3 };
        let calm = rng.one_in(10);
        Self {
            seed,
            nodes,
            replication,
            partitions: *rng.pick(&[1, 1, 2, 2, 3, 5]).unwrap_or(&1),
            dynamic: false,
            relational: false,
            bare: false,
            slots: 1,
            settings: settings(rng),
            network: network(rng, calm),
            disk: DiskOptions { sync: (20, rng.between(100, 5_000)), checkpoint_every: duration(rng, 300, 10_000) },
            clocks: ClockOptions {
                skew: *rng.pick(&[0, 1_000, 50_000, 300_000]).unwrap_or(&0),
                drift: *rng.pick(&[0, 100, 5_000]).unwrap_or(&0),
            },
            faults: if calm { FaultOptions::default() } else { faults(rng, nodes) },
            work: work(rng),
            gossip_every: duration(rng, 50, 1_000),
            fault_steps: 8_000,
            fault_time: 30 * SECOND,
            most_steps: 150_000,
        }
    }
}

/// A duration between two bounds in milliseconds, small ones as likely as large ones.
fn duration(rng: &mut Rng, low: u64, high: u64) -> Micros {
    let mut top = low;
    while top < high && !rng.one_in(4) {
        top = (top * 2).min(high);
    }
    rng.between(low * MILLISECOND, top * MILLISECOND)
}

fn settings(rng: &mut Rng) -> Settings {
    Settings {
        max_clock_drift: *rng.pick(&[5, 50, 500, 500]).unwrap_or(&500) * MILLISECOND,
        lock_timeout: duration(rng, 20, 1_000),
        soft_lock_lease: duration(rng, 200, 5_000),
        resend_after: duration(rng, 10, 400),
        fast_path_patience: duration(rng, 2, 100),
        history: if rng.one_in(2) { 600 * SECOND } else { duration(rng, 500, 8_000) },
        outcome_retention: duration(rng, 500, 60_000),
        marks_interval: duration(rng, 20, 1_000),
        repair_interval: duration(rng, 200, 10_000),
        sweep_versions: rng.between(2, 64) as usize,
        read_times: rng.between(2, 200) as usize,
        ..Settings::default()
    }
}

fn network(rng: &mut Rng, calm: bool) -> NetworkOptions {
    let low = rng.between(50, 1_000);
    let mut odds = |most: u64| if calm || rng.one_in(2) { 0 } else { rng.below(most) };
    let (late_odds, loss, duplication) = (odds(100), odds(100), odds(100));
    NetworkOptions {
        delay: (low, low + rng.below(3_000)),
        late_odds,
        late: duration(rng, 10, 3_000),
        loss,
        duplication,
        ordered: rng.one_in(2),
    }
}

fn faults(rng: &mut Rng, nodes: usize) -> FaultOptions {
    let mut every = |low, high| if rng.one_in(2) { 0 } else { duration(rng, low, high) };
    FaultOptions {
        crash: every(50, 4_000),
        blackout: every(1_000, 20_000),
        downtime: 0,
        most_down: 0,
        partition: every(300, 8_000),
        partition_lasts: 0,
        slow_link: every(300, 5_000),
        clock_jump: every(300, 5_000),
        jump: 0,
        failed_sync: every(1_000, 10_000),
        bit_flip: every(500, 10_000),
        false_suspicion: every(100, 5_000),
        client_death: every(100, 5_000),
    }
    .with_sizes(rng, nodes)
}

impl FaultOptions {
    fn with_sizes(mut self, rng: &mut Rng, nodes: usize) -> Self {
        self.downtime = duration(rng, 5, 3_000);
        self.most_down = rng.between(1, nodes as u64 / 2 + 1) as usize;
        self.partition_lasts = duration(rng, 20, 4_000);
        self.jump = duration(rng, 1, 1_000);
        self
    }
}

fn work(rng: &mut Rng) -> WorkOptions {
    let mut weights = Vec::new();
    for kind in Kind::ALL {
        if rng.one_in(2) {
            weights.push((kind, rng.between(1, 10)));
        }
    }
    if weights.is_empty() {
        weights.extend(rng.pick(&Kind::ALL).map(|kind| (*kind, 1)));
    }
    weights.push((Kind::Read, rng.between(1, 6)));
    let mut odds = |most: u64| if rng.one_in(2) { 0 } else { rng.below(most) };
    let (lock_odds, snapshot_odds, cancel_odds) = (odds(100), odds(50), odds(10));
    WorkOptions {
        clients: rng.between(2, 10) as usize,
        pause: duration(rng, 1, 500),
        patience: (duration(rng, 20, 500), duration(rng, 500, 3_000)),
        keys: rng.between(1, 6),
        weights,
        lock_odds,
        snapshot_odds,
        cancel_odds,
    }
}
