//! Transactions of reads of lists and appends to them, as Elle wants them: the one that shows most.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Key, Step, Value};
use crate::verdict::Verdict;
use crate::{monotonic, serializable, set};

/// Appends to a list before a fresh one takes its place, so that reads stay short.
const LONGEST: u64 = 24;
/// Steps of a transaction at most.
const STEPS: u64 = 4;

/// Lists; a few hot ones at a time.
#[derive(Clone, Debug)]
pub struct ListAppend {
    /// The hot keys, each with how often it was appended to.
    hot: Vec<(Key, u64)>,
    next_key: Key,
    appended: Value,
}

impl ListAppend {
    /// Over this many keys at a time.
    #[must_use]
    pub fn new(keys: u64) -> Self {
        let keys = keys.max(1);
        Self { hot: (0..keys).map(|key| (key, 0)).collect(), next_key: keys, appended: 0 }
    }

    fn append(&mut self, slot: usize) -> Step {
        let (key, count) = &mut self.hot[slot];
        let step = Step::Append { key: *key, value: self.appended };
        *count += 1;
        if *count == LONGEST {
            (*key, *count) = (self.next_key, 0);
            self.next_key += 1;
        }
        self.appended += 1;
        step
    }
}

impl Workload for ListAppend {
    fn next(&mut self, rng: &mut Rng) -> Program {
        let count = rng.between(1, STEPS);
        let step = |rng: &mut Rng, workload: &mut Self| {
            let slot = rng.below(workload.hot.len() as u64) as usize;
            if rng.one_in(2) { workload.append(slot) } else { Step::read(workload.hot[slot].0) }
        };
        (0..count).map(|_| step(rng, self)).collect()
    }

    fn closing(&self) -> Vec<Program> {
        (0..self.next_key).map(|key| read_all([key])).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![
            ("serializable", serializable::check(history)),
            ("set", set::check(history)),
            ("monotonic", monotonic::check(history)),
        ]
    }
}
