//! Additions to counters, and reads of them.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Step, Value};
use crate::verdict::Verdict;
use crate::{counter, monotonic};

/// An addition at most.
const LARGEST: u64 = 5;

/// Counters that only grow.
#[derive(Clone, Debug)]
pub struct Counter {
    keys: u64,
}

impl Counter {
    /// With this many counters.
    #[must_use]
    pub fn new(keys: u64) -> Self {
        Self { keys: keys.max(1) }
    }
}

impl Workload for Counter {
    fn next(&mut self, rng: &mut Rng) -> Program {
        let key = rng.below(self.keys);
        if rng.one_in(2) {
            return read_all([key]);
        }
        vec![Step::Add { key, amount: rng.between(1, LARGEST) as Value }]
    }

    fn closing(&self) -> Vec<Program> {
        (0..self.keys).map(|key| read_all([key])).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("counter", counter::check(history)), ("monotonic", monotonic::check(history))]
    }
}
