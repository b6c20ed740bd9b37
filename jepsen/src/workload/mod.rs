//! What clients do: the workloads of `annulus-check`, and two more.

mod rw_register;
mod unique_ids;

use std::fmt;
use std::str::FromStr;

use annulus_check::workload::{Kind as Shared, Workload};

pub use rw_register::RwRegister;
pub use unique_ids::UniqueIds;

/// The workloads by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of those that the simulator runs too.
    Shared(Shared),
    /// [`RwRegister`].
    RwRegister,
    /// [`UniqueIds`].
    UniqueIds,
}

impl Kind {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Shared::ALL.into_iter().map(Self::Shared).chain([Self::RwRegister, Self::UniqueIds]).collect()
    }

    /// A workload of this kind over about `keys` keys at a time.
    #[must_use]
    pub fn build(self, keys: u64) -> Box<dyn Workload> {
        match self {
            Self::Shared(kind) => kind.build(keys),
            Self::RwRegister => Box::new(RwRegister::new(keys)),
            Self::UniqueIds => Box::new(UniqueIds),
        }
    }

    /// The name used on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared(kind) => kind.name(),
            Self::RwRegister => "rw-register",
            Self::UniqueIds => "unique-ids",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::all().into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::all().into_iter().map(Self::name).collect();
            format!("there is no workload '{name}'; there are: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::rng::Rng;
    use annulus_check::history::Recorder;
    use annulus_check::state::State;

    use super::*;

    /// One client after the other against a correct state, which forgets everything once if told to.
    fn is_valid(kind: Kind, seed: u64, forgetful: bool) -> bool {
        let (mut workload, mut rng) = (kind.build(4), Rng::new(seed));
        let (mut recorder, mut state) = (Recorder::new(1), State::default());
        for at in 0..300 {
            let program = if at == 299 { workload.closing().remove(0) } else { workload.next(&mut rng) };
            let op = recorder.invoke(0, 0, program.clone(), at);
            let done = state.execute(&program).unwrap();
            state.apply(done.writes);
            recorder.ok(op, done.steps, at).unwrap();
            if forgetful && at == 150 {
                state = State::default();
            }
        }
        workload.check(recorder.history()).iter().all(|(_, verdict)| verdict.is_valid())
    }

    #[test]
    fn a_correct_database_passes_and_a_forgetful_one_does_not() {
        for kind in [Kind::RwRegister, Kind::UniqueIds] {
            for seed in 0..5 {
                assert!(is_valid(kind, seed, false), "{kind}, seed {seed}");
                assert!(!is_valid(kind, seed, true), "{kind}, seed {seed}");
            }
        }
    }

    #[test]
    fn names_are_read() {
        for kind in Kind::all() {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("banking".parse::<Kind>().unwrap_err().contains("rw-register"));
    }
}
