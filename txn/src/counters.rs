//! What happened at a coordinator, for metrics.

/// Events since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tries committed by unanimous votes.
    pub committed_fast: u64,
    /// Tries committed by a majority, accepted at the anchor.
    pub committed_slow: u64,
    /// Tries of this node committed by somebody's recovery.
    pub committed_recovered: u64,
    /// Tries that were aborted.
    pub aborted: u64,
    /// Commits answered with a conflict.
    pub conflicts: u64,
    /// Requests answered as unavailable.
    pub unavailable: u64,
    /// Commits answered as unknown.
    pub unknown: u64,
    /// Tries after the first one of their commit.
    pub retries: u64,
    /// Requests refused as overload.
    pub shed: u64,
    /// Recoveries begun.
    pub recoveries: u64,
    /// Recoveries that found or decided a commit.
    pub recovered_commits: u64,
    /// Recoveries that found or decided an abort.
    pub recovered_aborts: u64,
    /// Reads whose replicas differed.
    pub mismatches: u64,
}
