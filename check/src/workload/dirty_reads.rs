//! Transactions that set all keys to one value, and get in each other's way so that many fail; and reads of all keys.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all, strict};
use crate::dirty;
use crate::history::{History, Step, Value};
use crate::verdict::Verdict;

/// Keys that are always written together.
#[derive(Clone, Debug)]
pub struct DirtyReads {
    keys: u64,
    written: Value,
}

impl DirtyReads {
    /// Over this many keys.
    #[must_use]
    pub fn new(keys: u64) -> Self {
        Self { keys: keys.max(2), written: 0 }
    }
}

impl Workload for DirtyReads {
    fn next(&mut self, rng: &mut Rng) -> Program {
        let mut program = read_all(0..self.keys);
        if rng.one_in(2) {
            self.written += 1;
            // In any order.
            let mut keys: Vec<u64> = (0..self.keys).collect();
            rng.shuffle(&mut keys);
            program.extend(keys.into_iter().map(|key| Step::Write { key, value: self.written }));
        }
        program
    }

    fn closing(&self) -> Vec<Program> {
        vec![read_all(0..self.keys)]
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("dirty reads", dirty::check(history)), strict(history)]
    }

    fn check_past(&self, past: &History) -> Vec<(&'static str, Verdict)> {
        vec![("past dirty reads", dirty::check(past))]
    }
}
