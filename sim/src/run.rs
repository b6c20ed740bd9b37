//! Running one seed, or many: panics become violations, and a sample of seeds is run twice to prove that
//! nothing but the seed decides.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use annulus_base::mutation::{Mutation, Mutations};

use crate::options::Options;
use crate::scenario::Scenario;
use crate::violation::Violation;
use crate::world::{Report, World};

/// What exactly is run: together with this build it decides everything.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// What the swarm is biased to.
    pub scenario: &'static Scenario,
    /// A rule that is taken out.
    pub mutation: Option<Mutation>,
}

impl Case {
    /// The options that follow.
    #[must_use]
    pub fn options(&self) -> Options {
        let mut options = self.scenario.options(self.seed);
        options.settings.mutations = self.mutation.map_or(Mutations::NONE, Mutations::only);
        options
    }

    /// Runs it.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn run(&self, verbose: bool) -> Result<Report, Violation> {
        caught(|| World::new(self.options(), verbose).run())
    }

    /// Runs it twice.
    ///
    /// # Errors
    /// The first broken promise; [`Violation::Safety`] if the second run was another one.
    pub fn run_twice(&self) -> Result<Report, Violation> {
        let first = self.run(false)?;
        let second = self.run(false)?;
        if first == second {
            return Ok(first);
        }
        Err(Violation::Safety(format!("the same seed gave two runs, {first:?} and {second:?}: not deterministic")))
    }

    /// The command that runs it again.
    #[must_use]
    pub fn command(&self) -> String {
        let scenario = if self.scenario.name == Scenario::of_seed(self.seed).name {
            String::new()
        } else {
            format!(" --scenario {}", self.scenario.name)
        };
        let mutation = self.mutation.map_or_else(String::new, |mutation| format!(" --mutation {mutation:?}"));
        format!("cargo xtask sim {}{scenario}{mutation}", self.seed)
    }
}

/// Looks for a seed that shows a mutation.
#[must_use]
pub fn hunt(mutation: Mutation, scenario: &'static Scenario, first: u64, most: u64) -> Option<(u64, Violation)> {
    (first..first.saturating_add(most)).find_map(|seed| {
        let case = Case { seed, scenario, mutation: Some(mutation) };
        case.run(false).err().map(|violation| (seed, violation))
    })
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the panics of runs quiet, and remembers where they happened. Other panics are reported as ever.
pub fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if RUNNING.get() {
                PANIC.with(|slot| *slot.borrow_mut() = Some(info.to_string()));
            } else {
                report(info);
            }
        }));
    });
}

fn caught(run: impl FnOnce() -> Result<Report, Violation>) -> Result<Report, Violation> {
    RUNNING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    RUNNING.set(false);
    result.unwrap_or_else(|_| {
        let what = PANIC.with(|slot| slot.borrow_mut().take());
        Err(Violation::Crash(what.unwrap_or_else(|| "a panic".into())))
    })
}
