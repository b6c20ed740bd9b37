//! Deliberate bugs, for testing the simulator: each takes one rule of the protocol out.
//!
//! Without the feature `mutations` no code for them exists: [`Mutations::has`] is `false` at compile time.

/// A rule that can be taken out. Named after what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Mutation {
    /// Range reads are not validated at prepare: phantoms.
    RangesUnchecked,
    /// The timestamp may be at or below the versions that the transaction read.
    TimestampBelowReads,
    /// A NO vote is not remembered: a repeated Prepare may be voted YES.
    NoVoteForgotten,
    /// The coordinator may still take the fast path after it proposed to abort.
    DecidesTwice,
    /// Ballots of a restarted node repeat.
    BallotReused,
    /// A replica without a vote does not refuse the transaction that it promised to a recoverer.
    RecoverWithoutRefusal,
    /// The low-water mark may pass the fence.
    LowWaterAboveFence,
    /// A replica that may have forgotten a transaction answers as if it had never been.
    ForgottenAnswered,
    /// Latest reads ignore prepared write locks.
    ReadIgnoresLocks,
    /// A read of several keys merges differing answers without repairing and reading again.
    MergeWithoutReread,
    /// A read over several partitions skips its second round.
    SecondRoundSkipped,
    /// Latest reads of several keys do not raise read timestamps.
    ReadTimestampsNotRaised,
    /// The second round of a read over several partitions does not carry their maximum.
    MaximumNotCarried,
    /// Snapshot reads ignore prepared write locks at or below their timestamp.
    SnapshotIgnoresLocks,
    /// After a restart the fence is not the floor.
    FenceForgotten,
    /// A vote leaves before it is synced.
    VoteBeforeSync,
    /// The fast path takes a majority instead of all.
    MajorityFastPath,
    /// Recovery ignores accepted values.
    AcceptedIgnored,
    /// Decided writes do not change the mark of their index.
    MarksKept,
    /// A mark is given at a snapshot although something was written above it.
    MarkBelowWrites,
    /// Whoever fixes an instant is not told which keys are not settled at it.
    UnsettledNotTold,
    /// Fixing an instant does not refuse what is prepared at or below it afterwards.
    UnsettledNotClosed,
    /// A write may come below a version that its key has been given already.
    OvertakenUnchecked,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::RangesUnchecked,
        Self::TimestampBelowReads,
        Self::NoVoteForgotten,
        Self::DecidesTwice,
        Self::BallotReused,
        Self::RecoverWithoutRefusal,
        Self::LowWaterAboveFence,
        Self::ForgottenAnswered,
        Self::ReadIgnoresLocks,
        Self::MergeWithoutReread,
        Self::SecondRoundSkipped,
        Self::ReadTimestampsNotRaised,
        Self::MaximumNotCarried,
        Self::SnapshotIgnoresLocks,
        Self::FenceForgotten,
        Self::VoteBeforeSync,
        Self::MajorityFastPath,
        Self::AcceptedIgnored,
        Self::MarksKept,
        Self::MarkBelowWrites,
        Self::UnsettledNotTold,
        Self::UnsettledNotClosed,
        Self::OvertakenUnchecked,
    ];

    /// The one of that name, which is its variant's.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutation| format!("{mutation:?}") == name)
    }
}

/// The rules taken out in one node. Empty in every real build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mutations {
    #[cfg(feature = "mutations")]
    taken_out: u32,
}

impl Mutations {
    /// No rule taken out.
    pub const NONE: Self = Self {
        #[cfg(feature = "mutations")]
        taken_out: 0,
    };

    /// One rule taken out.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub const fn only(mutation: Mutation) -> Self {
        Self { taken_out: 1 << mutation as u32 }
    }

    /// Whether the rule is taken out.
    #[must_use]
    #[inline]
    pub const fn has(self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        {
            self.taken_out & (1 << mutation as u32) != 0
        }
        #[cfg(not(feature = "mutations"))]
        {
            let _ = mutation;
            false
        }
    }
}
