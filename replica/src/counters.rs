//! What happened at a replica, for metrics.

/// Events since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lock requests that had to wait.
    pub lock_waits: u64,
    /// Soft locks taken away by an older transaction.
    pub wounded: u64,
    /// Lock requests refused.
    pub lock_refusals: u64,
    /// Reads that waited for a prepared lock.
    pub read_waits: u64,
    /// Votes YES.
    pub votes_yes: u64,
    /// Votes NO.
    pub votes_no: u64,
    /// Versions received by repair.
    pub repaired: u64,
    /// Versions removed as garbage.
    pub collected: u64,
    /// Keys found corrupt.
    pub corrupt: u64,
}
