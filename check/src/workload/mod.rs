//! Workloads: what clients do so that a broken promise shows, and the checkers that look for it.
//!
//! A workload is pure: the next [`Program`] follows from its own state and the caller's random numbers. One
//! that is executed is a transaction of exactly its steps; see [`crate::state::State::execute`] for turning
//! it and what its keys held into writes. Values written to one key are unique, so that a read tells which
//! write it saw.

mod bank;
mod causal_reverse;
mod counter;
mod dirty_reads;
mod foreign_keys;
mod list_append;
mod long_fork;
mod register;
mod rw_register;
mod sequential;
mod set;
mod unique_ids;
mod upsert;
mod write_skew;

use std::fmt;
use std::str::FromStr;

use annulus_base::rng::Rng;

pub use bank::Bank;
pub use causal_reverse::CausalReverse;
pub use counter::Counter;
pub use dirty_reads::DirtyReads;
pub use foreign_keys::ForeignKeys;
pub use list_append::ListAppend;
pub use long_fork::LongFork;
pub use register::Register;
pub use rw_register::RwRegister;
pub use sequential::Sequential;
pub use set::Set;
pub use unique_ids::UniqueIds;
pub use upsert::Upsert;
pub use write_skew::WriteSkew;

use crate::history::{History, Step};
use crate::verdict::Verdict;
use crate::{graph, past, serializable};

/// The steps of one transaction.
pub type Program = Vec<Step>;

/// The bound on the search for a linearization of one key.
pub(crate) const LINEARIZABLE_BUDGET: u64 = 2_000_000;

/// What clients do.
pub trait Workload {
    /// Transactions to execute before everything else, one after the other.
    fn setup(&self) -> Vec<Program> {
        Vec::new()
    }

    /// The next transaction, for whichever client is free.
    fn next(&mut self, rng: &mut Rng) -> Program;

    /// Reads to execute at the end, when everything is healed.
    fn closing(&self) -> Vec<Program>;

    /// What the checkers for this workload say of [`History::latest`], each with its name.
    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)>;

    /// What those say that hold at every instant, of [`History::past`].
    fn check_past(&self, _: &History) -> Vec<(&'static str, Verdict)> {
        Vec::new()
    }
}

/// The workloads by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Register`].
    Register,
    /// [`ListAppend`].
    ListAppend,
    /// [`Bank`].
    Bank,
    /// [`WriteSkew`].
    WriteSkew,
    /// [`Counter`].
    Counter,
    /// [`Set`].
    Set,
    /// [`LongFork`].
    LongFork,
    /// [`RwRegister`].
    RwRegister,
    /// [`UniqueIds`].
    UniqueIds,
    /// [`DirtyReads`].
    DirtyReads,
    /// [`CausalReverse`].
    CausalReverse,
    /// [`Sequential`].
    Sequential,
    /// [`Upsert`].
    Upsert,
    /// [`ForeignKeys`].
    ForeignKeys,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Register,
        Self::ListAppend,
        Self::Bank,
        Self::WriteSkew,
        Self::Counter,
        Self::Set,
        Self::LongFork,
        Self::RwRegister,
        Self::UniqueIds,
        Self::DirtyReads,
        Self::CausalReverse,
        Self::Sequential,
        Self::Upsert,
        Self::ForeignKeys,
    ];

    /// A workload of this kind over about `keys` keys at a time.
    #[must_use]
    pub fn build(self, keys: u64) -> Box<dyn Workload> {
        match self {
            Self::Register => Box::new(Register::new(keys)),
            Self::ListAppend => Box::new(ListAppend::new(keys)),
            Self::Bank => Box::new(Bank::new(keys)),
            Self::WriteSkew => Box::new(WriteSkew::new()),
            Self::Counter => Box::new(Counter::new(keys)),
            Self::Set => Box::new(Set::new()),
            Self::LongFork => Box::new(LongFork::new(keys)),
            Self::RwRegister => Box::new(RwRegister::new(keys)),
            Self::UniqueIds => Box::new(UniqueIds),
            Self::DirtyReads => Box::new(DirtyReads::new(keys)),
            Self::CausalReverse => Box::new(CausalReverse::new(keys)),
            Self::Sequential => Box::new(Sequential::new(keys)),
            Self::Upsert => Box::new(Upsert::new(keys)),
            Self::ForeignKeys => Box::new(ForeignKeys::new()),
        }
    }

    /// The name used on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::ListAppend => "list-append",
            Self::Bank => "bank",
            Self::WriteSkew => "write-skew",
            Self::Counter => "counter",
            Self::Set => "set",
            Self::LongFork => "long-fork",
            Self::RwRegister => "rw-register",
            Self::UniqueIds => "unique-ids",
            Self::DirtyReads => "dirty-reads",
            Self::CausalReverse => "causal-reverse",
            Self::Sequential => "sequential",
            Self::Upsert => "upsert",
            Self::ForeignKeys => "foreign-keys",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a workload's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no workload '{0}'; there are: {names}", names = Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownWorkload(pub String);

impl FromStr for Kind {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownWorkload(name.to_owned()))
    }
}

/// What all checkers say of a history of a workload: of reads of the latest state and, where there are any, of reads of
/// the past.
#[must_use]
pub fn verdicts(workload: &dyn Workload, history: &History) -> Vec<(&'static str, Verdict)> {
    let mut verdicts = workload.check(&history.latest());
    if history.has_past() {
        verdicts.push(("past", past::check(history)));
        verdicts.extend(workload.check_past(&history.past()));
    }
    verdicts
}

/// Strict serializability: by the graph where commit timestamps are known, which is exact and fast; else by
/// what values alone tell.
pub(crate) fn strict(history: &History) -> (&'static str, Verdict) {
    match graph::check_history(history) {
        Verdict::Undecided(_) => ("serializable", serializable::check(history)),
        verdict => ("graph", verdict),
    }
}

/// Reads of several keys as one transaction.
fn read_all(keys: impl IntoIterator<Item = u64>) -> Program {
    keys.into_iter().map(Step::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Recorder;
    use crate::state::State;

    /// One client after the other, against a correct state.
    fn run(kind: Kind, seed: u64, breakage: impl Fn(u64, &mut State)) -> Vec<(&'static str, Verdict)> {
        let mut workload = kind.build(4);
        let mut rng = Rng::new(seed);
        let mut recorder = Recorder::new(1);
        let mut state = State::default();
        let mut execute = |at: u64, program: Program| {
            let op = recorder.invoke(0, 0, program.clone(), at);
            match state.execute(&program) {
                Ok(done) => {
                    state.apply(done.writes);
                    recorder.ok(op, done.steps, at).unwrap();
                }
                Err(_) => recorder.fail(op, at).unwrap(),
            }
            breakage(at, &mut state);
        };
        workload.setup().into_iter().for_each(|program| execute(0, program));
        for at in 1..300 {
            execute(at, workload.next(&mut rng));
        }
        workload.closing().into_iter().for_each(|program| execute(300, program));
        workload.check(recorder.history())
    }

    #[test]
    fn a_correct_database_passes() {
        for kind in Kind::ALL {
            for seed in 0..10 {
                for (checker, verdict) in run(kind, seed, |_, _| {}) {
                    assert!(verdict.is_valid(), "{kind}, seed {seed}, {checker}: {verdict}");
                }
            }
        }
    }

    /// A database that forgets everything once, in the middle.
    #[test]
    fn a_forgetful_database_is_found_out() {
        for kind in Kind::ALL {
            let found = (0..5).any(|seed| {
                let verdicts = run(kind, seed, |at, state| {
                    if at == 151 {
                        *state = State::default();
                    }
                });
                verdicts.iter().any(|(_, verdict)| verdict.violation().is_some())
            });
            assert!(found, "{kind}");
        }
    }

    #[test]
    fn names_are_read() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("banking".parse::<Kind>().unwrap_err().to_string().contains("there are: register"));
    }
}
