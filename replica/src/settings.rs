//! Settings of the protocol. None of them matters for safety.

use annulus_base::Mutations;
use annulus_base::time::{MILLISECOND, Micros, SECOND};

/// Settings of the protocol. All durations in microseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Timestamps further ahead of a node's clock than this are refused by it.
    pub max_clock_drift: Micros,
    /// How long a prepared lock may wait for its decision before it is recovered.
    pub lock_timeout: Micros,
    /// How long a granted soft lock lasts without a Prepare.
    pub soft_lock_lease: Micros,
    /// How long unanswered requests wait before they are sent again, or to further replicas.
    pub resend_after: Micros,
    /// How long the coordinator waits for all votes before it takes the slow path.
    pub fast_path_patience: Micros,
    /// How long versions are kept after they were overwritten.
    pub history: Micros,
    /// How long the outcome of a transaction can be asked for at least.
    pub outcome_retention: Micros,
    /// How often the low-water mark is raised.
    pub marks_interval: Micros,
    /// How often a partition is compared between its replicas and repaired.
    pub repair_interval: Micros,
    /// Versions looked at in one step of garbage collection or comparison.
    pub sweep_versions: usize,
    /// How many keys' read timestamps are remembered; older ones are forgotten by raising the floor.
    pub read_times: usize,
    /// Most client requests at work at once; more are refused as overload.
    pub max_requests: usize,
    /// Rules taken out for self-tests.
    pub mutations: Mutations,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_clock_drift: 500 * MILLISECOND,
            lock_timeout: SECOND,
            soft_lock_lease: 5 * SECOND,
            resend_after: 200 * MILLISECOND,
            fast_path_patience: 50 * MILLISECOND,
            history: 600 * SECOND,
            outcome_retention: 60 * SECOND,
            marks_interval: SECOND,
            repair_interval: 600 * SECOND,
            sweep_versions: 256,
            read_times: 100_000,
            max_requests: 10_000,
            mutations: Mutations::NONE,
        }
    }
}
