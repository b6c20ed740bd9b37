//! Scenarios: a bias of the swarm towards a situation that random runs rarely reach.

use annulus_base::mutation::Mutation;
use annulus_base::rng::Rng;
use annulus_base::time::{MILLISECOND, SECOND};

use crate::options::{FaultOptions, Options};
use crate::workload::Kind;

/// A bias of the swarm.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    tune: fn(&mut Options, &mut Rng),
}

impl Scenario {
    /// The options of a seed under this bias.
    #[must_use]
    pub fn options(&self, seed: u64) -> Options {
        let mut options = Options::from_seed(seed);
        (self.tune)(&mut options, &mut Rng::new(seed ^ 0xa1_3d));
        options
    }

    /// The scenario of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|scenario| scenario.name == name)
    }

    /// The one that a seed runs under if none is named: half of the seeds have no bias, the others take turns.
    #[must_use]
    pub fn of_seed(seed: u64) -> &'static Self {
        let biased = &ALL[1..];
        let turn = (seed % (2 * biased.len() as u64)) as usize;
        biased.get(turn).unwrap_or(&&SWARM)
    }

    /// The one in which a mutation shows soonest.
    #[must_use]
    pub const fn for_mutation(mutation: Mutation) -> &'static Self {
        match mutation {
            Mutation::TimestampBelowReads => &SKEWED,
            Mutation::NoVoteForgotten => &REPEATS,
            Mutation::MergeWithoutReread | Mutation::VoteBeforeSync => &LAGGARDS,
            Mutation::DecidesTwice | Mutation::RecoverWithoutRefusal | Mutation::BallotReused => &HASTY,
            Mutation::LowWaterAboveFence | Mutation::ForgottenAnswered => &FORGETFUL,
            Mutation::MarksKept | Mutation::MarkBelowWrites => &RELATIONAL,
            Mutation::UnsettledNotTold | Mutation::UnsettledNotClosed => &INSTANTS,
            _ => &SWARM,
        }
    }
}

/// Every scenario.
pub const ALL: [&Scenario; 9] =
    [&SWARM, &SKEWED, &REPEATS, &LAGGARDS, &HASTY, &FORGETFUL, &DYNAMIC, &RELATIONAL, &INSTANTS];

/// No bias.
pub const SWARM: Scenario = Scenario { name: "swarm", about: "no bias", tune: |_, _| {} };

/// A few contended registers in one partition of three nodes.
fn small(options: &mut Options, weights: &[(Kind, u64)]) {
    options.nodes = 3;
    options.replication = 3;
    options.partitions = 1;
    options.work.weights = weights.to_vec();
    options.work.pause = 5 * MILLISECOND;
}

/// Clocks far apart, and reads at timestamps between them.
pub const SKEWED: Scenario = Scenario {
    name: "skewed",
    about: "clocks far apart, and reads at timestamps between them",
    tune: |options, rng| {
        small(options, &[(Kind::Modify, 3), (Kind::Snapshot, 5)]);
        options.partitions = rng.between(1, 3) as u16;
        options.settings.max_clock_drift = SECOND;
        options.settings.history = 600 * SECOND;
        options.clocks.skew = 400 * MILLISECOND;
        options.work.keys = rng.between(2, 3);
        options.work.snapshot_odds = 0;
        options.work.lock_odds = 100;
        options.faults = FaultOptions::default();
    },
};

/// Messages that come several times, and much later.
pub const REPEATS: Scenario = Scenario {
    name: "repeats",
    about: "messages that come several times, and much later",
    tune: |options, rng| {
        small(options, &[(Kind::Write, 3), (Kind::Modify, 3), (Kind::Read, 1)]);
        // Mostly the coordinator is not a replica: what it decided is not known among these.
        options.nodes = 7;
        options.work.keys = rng.between(1, 2);
        options.work.clients = 10;
        options.network.duplication = 400;
        options.network.late_odds = 300;
        options.network.late = rng.between(5, 60) * MILLISECOND;
        options.network.loss = rng.below(300);
        options.network.ordered = false;
        options.settings.resend_after = 10 * MILLISECOND;
        options.settings.lock_timeout = rng.between(5, 60) * MILLISECOND;
        options.faults.crash = rng.between(100, 1_000) * MILLISECOND;
    },
};

/// Replicas that miss much, and reads of several keys.
pub const LAGGARDS: Scenario = Scenario {
    name: "laggards",
    about: "replicas that miss much, and reads of several keys",
    tune: |options, rng| {
        small(options, &[(Kind::Write, 2), (Kind::Transfer, 2), (Kind::Read, 4), (Kind::Audit, 3)]);
        options.work.keys = rng.between(2, 4);
        options.work.clients = 8;
        options.network.loss = rng.between(50, 300);
        options.settings.repair_interval = 60 * SECOND;
        options.settings.fast_path_patience = rng.between(2, 10) * MILLISECOND;
    },
};

/// Coordinators that give up, and recoverers that begin, while votes are on their way.
pub const HASTY: Scenario = Scenario {
    name: "hasty",
    about: "giving up and recovering while votes are still on their way",
    tune: |options, rng| {
        small(options, &[(Kind::Write, 4), (Kind::Modify, 2), (Kind::Read, 1)]);
        options.work.keys = rng.between(1, 3);
        options.work.clients = 8;
        options.work.patience = (2 * MILLISECOND, rng.between(10, 80) * MILLISECOND);
        options.network.late_odds = rng.between(100, 500);
        options.network.late = rng.between(5, 100) * MILLISECOND;
        options.network.loss = rng.below(300);
        options.network.ordered = false;
        options.settings.lock_timeout = rng.between(5, 40) * MILLISECOND;
        options.settings.resend_after = rng.between(3, 20) * MILLISECOND;
        options.settings.fast_path_patience = rng.between(2, 30) * MILLISECOND;
        options.faults.crash = rng.between(100, 1_000) * MILLISECOND;
        options.faults.false_suspicion = 20 * MILLISECOND;
    },
};

/// Decisions that are forgotten at once, and questions about them.
pub const FORGETFUL: Scenario = Scenario {
    name: "forgetful",
    about: "decisions that are forgotten at once, and questions about them",
    tune: |options, rng| {
        small(options, &[(Kind::Write, 4), (Kind::Modify, 2), (Kind::Recall, 4)]);
        options.work.clients = 6;
        options.settings.max_clock_drift = rng.between(1, 20) * MILLISECOND;
        options.settings.outcome_retention = rng.between(1, 50) * MILLISECOND;
        options.settings.marks_interval = rng.between(1, 20) * MILLISECOND;
        options.gossip_every = rng.between(5, 30) * MILLISECOND;
        options.clocks.skew = options.settings.max_clock_drift / 2;
        options.clocks.drift = 0;
        options.faults.clock_jump = 0;
        options.faults.crash = rng.between(100, 1_000) * MILLISECOND;
        options.network.late_odds = rng.between(50, 300);
        options.network.late = rng.between(10, 300) * MILLISECOND;
        options.network.ordered = false;
    },
};

/// Namespaces made at run time: no replica has a list of their partitions.
pub const DYNAMIC: Scenario = Scenario {
    name: "dynamic",
    about: "namespaces made at run time, and replicas that miss all of a partition",
    tune: |options, rng| {
        options.dynamic = true;
        options.partitions = rng.between(1, 6) as u16;
        options.network.loss = rng.below(200);
    },
};

/// Transactions run by the code of `relation/`.
pub const RELATIONAL: Scenario = Scenario {
    name: "relational",
    about: "transactions of several steps, run by the code of relation/",
    tune: |options, rng| {
        options.relational = true;
        options.dynamic = rng.one_in(2);
        options.partitions = rng.between(1, 3) as u16;
        options.slots = *rng.pick(&[1, 1, 2, 4]).unwrap_or(&1);
        options.work.keys = rng.between(1, 8);
        options.work.pause = rng.between(1, 50) * MILLISECOND;
    },
};

/// Blind writes by clocks that differ, and statements that read all of them in many rounds: do these see an instant?
pub const INSTANTS: Scenario = Scenario {
    name: "instants",
    about: "blind writes by clocks that differ, and statements that read all of them in many rounds",
    tune: |options, rng| {
        options.relational = true;
        options.bare = true;
        options.nodes = rng.between(3, 6) as usize;
        options.replication = 3;
        options.partitions = rng.between(1, 3) as u16;
        options.settings.max_clock_drift = 500 * MILLISECOND;
        options.clocks.skew = rng.between(1, 200) * MILLISECOND;
        options.work.keys = rng.between(1, 4);
        options.work.clients = rng.between(4, 8) as usize;
        options.work.pause = rng.between(1, 10) * MILLISECOND;
        if rng.one_in(2) {
            options.faults = FaultOptions::default();
        }
    },
};
