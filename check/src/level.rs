//! Isolation levels: what an anomaly leaves of them.
//!
//! After Adya, "Weak Consistency" (1999), table 3-1, and Berenson et al., "A Critique of ANSI SQL Isolation Levels"
//! (1995) for snapshots.

use std::fmt;

use crate::verdict::Anomaly;

/// A level of isolation, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None that has a name: acknowledged writes are lost, or contents are made up.
    Nothing,
    /// Writes happen in one order.
    ReadUncommitted,
    /// And only what was committed is read.
    ReadCommitted,
    /// And each transaction reads one state, and what it writes was not changed since.
    Snapshot,
    /// There is one order of all transactions that explains everything.
    Serializable,
    /// And it agrees with real time.
    StrictSerializable,
}

impl Level {
    /// The strongest level that allows an anomaly: more than this was certainly not kept.
    #[must_use]
    pub const fn that_allows(anomaly: Anomaly) -> Self {
        match anomaly {
            Anomaly::Strict
            | Anomaly::StaleRead
            | Anomaly::NotLinearizable
            | Anomaly::WentBack
            | Anomaly::CausalReverse
            | Anomaly::CounterOutOfBounds => Self::Serializable,
            Anomaly::G2Item | Anomaly::G2 | Anomaly::WriteSkew | Anomaly::Orphan => Self::Snapshot,
            Anomaly::GSingle
            | Anomaly::LostUpdate
            | Anomaly::LongFork
            | Anomaly::TotalChanged
            | Anomaly::WrongSnapshot => Self::ReadCommitted,
            Anomaly::G1a | Anomaly::G1b | Anomaly::G1c | Anomaly::IncompatibleOrder => Self::ReadUncommitted,
            Anomaly::G0
            | Anomaly::Internal
            | Anomaly::Torn
            | Anomaly::Invented
            | Anomaly::Duplicate
            | Anomaly::LostWrite
            | Anomaly::SplitDecision
            | Anomaly::Other => Self::Nothing,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no isolation level",
            Self::ReadUncommitted => "read uncommitted",
            Self::ReadCommitted => "read committed",
            Self::Snapshot => "snapshot isolation",
            Self::Serializable => "serializability",
            Self::StrictSerializable => "strict serializability",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_anomalies_leave_less() {
        let order = [Anomaly::LostWrite, Anomaly::G1a, Anomaly::GSingle, Anomaly::WriteSkew, Anomaly::StaleRead];
        let levels: Vec<Level> = order.into_iter().map(Level::that_allows).collect();
        assert!(levels.is_sorted_by(|a, b| a < b), "{levels:?}");
        assert!(levels.iter().all(|level| *level < Level::StrictSerializable));
    }
}
