//! What a checker says.

use std::fmt;

use crate::history::OpId;

/// A checker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing wrong was found.
    Valid,
    /// Something is wrong.
    Invalid(Violation),
    /// The checker cannot tell, and why. Never to be taken for valid.
    Undecided(String),
}

/// What is wrong, in the smallest explanation that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which kind of wrong.
    pub anomaly: Anomaly,
    /// The operations (or transactions) that show it, by position in the checker's input.
    pub ops: Vec<OpId>,
    /// The keys that it is about, as text.
    pub keys: Vec<String>,
    /// Why these operations cannot all be right; several lines.
    pub why: String,
}

/// Kinds of wrong, named after Adya ("Weak Consistency", 1999) where he named them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// Dirty write: a cycle of write-write dependencies.
    G0,
    /// Aborted read: something was seen that a failed transaction wrote.
    G1a,
    /// Intermediate read: something was seen that its transaction wrote over.
    G1b,
    /// Circular information flow: a cycle of write-write and write-read dependencies.
    G1c,
    /// A cycle with exactly one anti-dependency (read skew).
    GSingle,
    /// A G-single of two transactions that both read and wrote one key.
    LostUpdate,
    /// A cycle with several anti-dependencies over items (write skew, long fork).
    G2Item,
    /// A cycle with anti-dependencies over ranges (phantoms).
    G2,
    /// A cycle that only real-time order closes: serializable perhaps, not strictly.
    Strict,
    /// A read missed something that was acknowledged before it was asked.
    StaleRead,
    /// A transaction contradicts itself.
    Internal,
    /// Only a part of a transaction took effect.
    Torn,
    /// Something was seen that nobody wrote.
    Invented,
    /// A write took effect more than once, or two took the same version.
    Duplicate,
    /// Reads of one key contradict each other about the order of its writes.
    IncompatibleOrder,
    /// An acknowledged write is not there.
    LostWrite,
    /// No order of the operations on a key explains what they found.
    NotLinearizable,
    /// The sum that transfers conserve has changed.
    TotalChanged,
    /// A counter is outside of what the additions allow.
    CounterOutOfBounds,
    /// Two readers saw two writes in opposite orders.
    LongFork,
    /// A write was seen without another one that had been acknowledged before.
    CausalReverse,
    /// Both of two transactions that exclude each other succeeded.
    WriteSkew,
    /// A child without its parent.
    Orphan,
    /// A later read saw an older state than an earlier one.
    WentBack,
    /// A snapshot is not what was committed up to its timestamp.
    WrongSnapshot,
    /// One transaction was seen both committed and aborted.
    SplitDecision,
    /// Another anomaly, told by the explanation.
    Other,
}

impl Verdict {
    /// A violation's verdict.
    pub(crate) fn invalid(
        anomaly: Anomaly,
        ops: impl IntoIterator<Item = OpId>,
        keys: impl IntoIterator<Item = String>,
        why: impl Into<String>,
    ) -> Self {
        let (ops, keys) = (ops.into_iter().collect(), keys.into_iter().collect());
        Self::Invalid(Violation { anomaly, ops, keys, why: why.into() })
    }

    /// Whether nothing wrong was found.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid)
    }

    /// What is wrong, if something is.
    #[must_use]
    pub const fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Invalid(violation) => Some(violation),
            _ => None,
        }
    }

    /// The worst of several verdicts: the first violation, else the first undecided, else valid.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut worst = Self::Valid;
        for verdict in verdicts {
            match verdict {
                Self::Invalid(_) => return verdict,
                Self::Undecided(_) if worst.is_valid() => worst = verdict,
                _ => {}
            }
        }
        worst
    }
}

impl Anomaly {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::G0 => "G0 (dirty write)",
            Self::G1a => "G1a (aborted read)",
            Self::G1b => "G1b (intermediate read)",
            Self::G1c => "G1c (circular information flow)",
            Self::GSingle => "G-single (read skew)",
            Self::LostUpdate => "lost update (G-single)",
            Self::G2Item => "G2-item (write skew)",
            Self::G2 => "G2 (phantom)",
            Self::Strict => "strict serializability violated (real-time order)",
            Self::StaleRead => "stale read",
            Self::Internal => "internal contradiction",
            Self::Torn => "torn transaction",
            Self::Invented => "invented value",
            Self::Duplicate => "duplicate",
            Self::IncompatibleOrder => "incompatible orders",
            Self::LostWrite => "lost acknowledged write",
            Self::NotLinearizable => "not linearizable",
            Self::TotalChanged => "total changed",
            Self::CounterOutOfBounds => "counter out of bounds",
            Self::LongFork => "long fork",
            Self::CausalReverse => "causal reverse",
            Self::WriteSkew => "write skew",
            Self::Orphan => "orphan (foreign key violated)",
            Self::WentBack => "read went back",
            Self::WrongSnapshot => "wrong snapshot",
            Self::SplitDecision => "split decision",
            Self::Other => "anomaly",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.anomaly)?;
        if !self.keys.is_empty() {
            write!(f, " at key {}", self.keys.join(", "))?;
        }
        write!(f, "\n{}", self.why.trim_end())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => f.write_str("valid"),
            Self::Invalid(violation) => write!(f, "INVALID: {violation}"),
            Self::Undecided(why) => write!(f, "UNDECIDED: {why}"),
        }
    }
}
