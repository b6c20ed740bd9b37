//! Reads, writes and compare-and-sets of single keys.

use annulus_base::rng::Rng;

use super::{LINEARIZABLE_BUDGET, Program, Workload, read_all};
use crate::history::{History, Key, Step, Value};
use crate::verdict::Verdict;
use crate::{linearizable, serializable};

/// Registers, each operation on one.
#[derive(Clone, Debug)]
pub struct Register {
    keys: u64,
    written: Value,
    /// What was last asked to be written to each key: what a compare-and-set expects.
    last: Vec<Option<Value>>,
}

impl Register {
    /// Over this many keys.
    #[must_use]
    pub fn new(keys: u64) -> Self {
        let keys = keys.max(1);
        Self { keys, written: 0, last: vec![None; keys as usize] }
    }

    fn change(&mut self, key: Key, compare: bool) -> Program {
        self.written += 1;
        let old = self.last[key as usize].replace(self.written);
        if compare {
            Step::compare_and_set(key, old, self.written)
        } else {
            vec![Step::Write { key, value: self.written }]
        }
    }
}

impl Workload for Register {
    fn next(&mut self, rng: &mut Rng) -> Program {
        let key = rng.below(self.keys);
        match rng.below(4) {
            0 => self.change(key, false),
            1 => self.change(key, true),
            _ => vec![Step::read(key)],
        }
    }

    fn closing(&self) -> Vec<Program> {
        (0..self.keys).map(|key| read_all([key])).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![
            ("linearizable", linearizable::check(history, LINEARIZABLE_BUDGET)),
            ("serializable", serializable::check(history)),
        ]
    }
}
