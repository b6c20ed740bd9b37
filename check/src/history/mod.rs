//! Histories: what clients asked, when, and what they were told.
//!
//! An operation is always a transaction of [`Step`]s over keys; a single read, a compare-and-set, a bank
//! transfer or an addition to a set are transactions of one or two steps. A set is a list whose order is
//! not looked at; a bank account and a counter are numbers changed by [`Step::Add`].
//!
//! Invariants of a [`History`] made by [`Recorder`] or read from text:
//! - every event (invocation or completion) has its own index, and indexes grow in the order in which
//!   events happened; only they decide what preceded what, clock readings are for people;
//! - a process has one operation at a time; after an unknown outcome its client goes on under a new one;
//! - operations are sorted by invocation.

mod edn;
mod event;
mod recorder;
mod text;

use std::fmt;

pub use event::Form;
pub use recorder::{AlreadyKnown, Recorder};
pub use text::{ParseError, from_edn, from_json, to_edn, to_json};

/// A key of the checked data.
pub type Key = u64;
/// A number kept in a register, list or counter.
pub type Value = i64;
/// An operation's position in [`History::ops`].
pub type OpId = usize;

/// What a key holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datum {
    /// The key was never written.
    #[default]
    Nothing,
    /// A register or counter.
    Number(Value),
    /// A list in the order of its appends, or a set.
    List(Vec<Value>),
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Read a key.
    Read {
        /// Which key.
        key: Key,
        /// What was found; `None` before the answer, or where it was never learned.
        found: Option<Datum>,
    },
    /// Go on only if a register holds this; otherwise the whole transaction fails.
    Expect {
        /// Which key.
        key: Key,
        /// The wanted value, `None` for a key that was never written.
        value: Option<Value>,
    },
    /// Set a register.
    Write {
        /// Which key.
        key: Key,
        /// The new value.
        value: Value,
    },
    /// Append to a list, or add an element to a set.
    Append {
        /// Which key.
        key: Key,
        /// The element.
        value: Value,
    },
    /// Add to a counter or account; one that was never written counts as 0.
    Add {
        /// Which key.
        key: Key,
        /// How much; may be negative.
        amount: Value,
    },
}

impl Step {
    /// A read that has not been answered.
    #[must_use]
    pub const fn read(key: Key) -> Self {
        Self::Read { key, found: None }
    }

    /// A compare-and-set of one register.
    #[must_use]
    pub fn compare_and_set(key: Key, old: Option<Value>, new: Value) -> Vec<Self> {
        vec![Self::Expect { key, value: old }, Self::Write { key, value: new }]
    }

    /// The key it is about.
    #[must_use]
    pub const fn key(&self) -> Key {
        match self {
            Self::Read { key, .. }
            | Self::Expect { key, .. }
            | Self::Write { key, .. }
            | Self::Append { key, .. }
            | Self::Add { key, .. } => *key,
        }
    }

    /// Whether it changes its key.
    #[must_use]
    pub const fn changes(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Append { .. } | Self::Add { .. })
    }
}

/// When an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Its position among all events of the history.
    pub index: u64,
    /// Microseconds since the start of the history.
    pub micros: u64,
}

/// How an operation ended, as its client knows it in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed.
    Ok,
    /// It was certainly not executed and never will be.
    Fail,
    /// It may or may not have been executed, and may still be executed at any later time.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Who asked: a sequential process.
    pub process: u64,
    /// The node that was asked.
    pub node: u32,
    /// What was asked; with what the reads found if it is [`Outcome::Ok`].
    pub steps: Vec<Step>,
    /// When it was asked.
    pub invoked: Moment,
    /// When the outcome was learned (or given up on).
    pub finished: Option<Moment>,
    /// How it ended.
    pub outcome: Outcome,
    /// The commit timestamp, where it is known.
    pub committed_at: Option<u64>,
    /// The timestamp of the snapshot that was read, for snapshot reads.
    pub read_at: Option<u64>,
}

impl Op {
    /// The index before which its effect certainly happened, if it happened: its completion, or "never
    /// certain" where the outcome is not known.
    #[must_use]
    pub fn ended(&self) -> u64 {
        match (self.outcome, self.finished) {
            (Outcome::Ok, Some(finished)) => finished.index,
            _ => u64::MAX,
        }
    }

    /// Whether it was over before `other` was asked.
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        self.ended() < other.invoked.index
    }

    /// Whether it was executed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// Whether it was or may have been executed.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.outcome != Outcome::Fail
    }

    /// Answered reads of an executed operation.
    pub fn found(&self) -> impl Iterator<Item = (Key, &Datum)> {
        let steps = if self.is_ok() { self.steps.as_slice() } else { &[] };
        steps.iter().filter_map(|step| match step {
            Step::Read { key, found: Some(found) } => Some((*key, found)),
            _ => None,
        })
    }
}

/// Everything that clients did and learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The operations, by invocation.
    pub ops: Vec<Op>,
}

impl History {
    /// Executed operations with their ids.
    pub fn executed(&self) -> impl Iterator<Item = (OpId, &Op)> {
        self.ops.iter().enumerate().filter(|(_, op)| op.is_ok())
    }

    /// Operations that were or may have been executed, with their ids.
    pub fn possible(&self) -> impl Iterator<Item = (OpId, &Op)> {
        self.ops.iter().enumerate().filter(|(_, op)| op.is_possible())
    }

    /// Whether something read the past.
    #[must_use]
    pub fn has_past(&self) -> bool {
        self.ops.iter().any(|op| op.read_at.is_some())
    }

    /// The same with reads of the past failed, so that nobody looks at them: what is left has read the latest state.
    #[must_use]
    pub fn latest(&self) -> Self {
        self.without(|op| op.read_at.is_some())
    }

    /// The same with all reads of the latest state failed: what is left has changed something, or has read the past.
    #[must_use]
    pub fn past(&self) -> Self {
        self.without(|op| op.read_at.is_none() && !op.steps.iter().any(Step::changes))
    }

    fn without(&self, unwanted: impl Fn(&Op) -> bool) -> Self {
        let mut history = self.clone();
        history.ops.iter_mut().filter(|op| unwanted(op)).for_each(|op| op.outcome = Outcome::Fail);
        history
    }

    /// One line about an operation, for explanations. The id after the last one stands for a final read.
    #[must_use]
    pub fn describe(&self, id: OpId) -> String {
        self.ops.get(id).map_or_else(|| "the final read".to_owned(), |op| format!("op {id}: {op}"))
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Number(value) => value.fmt(f),
            Self::List(values) => write!(f, "{values:?}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key, found: None } => write!(f, "read {key}"),
            Self::Read { key, found: Some(found) } => write!(f, "read {key} = {found}"),
            Self::Expect { key, value: None } => write!(f, "expect {key} = nothing"),
            Self::Expect { key, value: Some(value) } => write!(f, "expect {key} = {value}"),
            Self::Write { key, value } => write!(f, "write {key} := {value}"),
            Self::Append { key, value } => write!(f, "append {value} to {key}"),
            Self::Add { key, amount } => write!(f, "add {amount} to {key}"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} at node {}: ", self.process, self.node)?;
        for (position, step) in self.steps.iter().enumerate() {
            write!(f, "{}{step}", if position == 0 { "" } else { ", " })?;
        }
        let end = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "failed",
            Outcome::Unknown => "unknown",
        };
        write!(f, "; {end}, #{} (at {} us) to ", self.invoked.index, self.invoked.micros)?;
        match self.finished {
            Some(finished) => write!(f, "#{} (at {} us)", finished.index, finished.micros),
            None => f.write_str("no end"),
        }
    }
}
