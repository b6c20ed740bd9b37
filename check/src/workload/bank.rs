//! Transfers between accounts, and reads of all of them.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Key, Step, Value};
use crate::verdict::Verdict;
use crate::{bank, counter};

/// What each account starts with.
const START: Value = 100;
/// A transfer at most.
const LARGEST: u64 = 5;

/// Accounts with a constant sum.
#[derive(Clone, Debug)]
pub struct Bank {
    accounts: u64,
}

impl Bank {
    /// With this many accounts, at least two.
    #[must_use]
    pub fn new(accounts: u64) -> Self {
        Self { accounts: accounts.max(2) }
    }

    /// The accounts.
    #[must_use]
    pub fn accounts(&self) -> Vec<Key> {
        (0..self.accounts).collect()
    }

    /// What all accounts hold together.
    #[must_use]
    pub const fn total(&self) -> Value {
        START * self.accounts as Value
    }
}

impl Workload for Bank {
    fn setup(&self) -> Vec<Program> {
        vec![self.accounts().into_iter().map(|key| Step::Add { key, amount: START }).collect()]
    }

    fn next(&mut self, rng: &mut Rng) -> Program {
        if rng.one_in(3) {
            return read_all(self.accounts());
        }
        let from = rng.below(self.accounts);
        let to = (from + rng.between(1, self.accounts - 1)) % self.accounts;
        let amount = rng.between(1, LARGEST) as Value;
        vec![Step::Add { key: from, amount: -amount }, Step::Add { key: to, amount }]
    }

    fn closing(&self) -> Vec<Program> {
        vec![read_all(self.accounts())]
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("bank", bank::check(history, &self.accounts(), self.total())), ("counter", counter::check(history))]
    }

    fn check_past(&self, past: &History) -> Vec<(&'static str, Verdict)> {
        vec![("past bank", bank::check_past(past, &self.accounts(), self.total()))]
    }
}
