//! Transactions of reads and writes of several registers, as Elle wants them.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all, strict};
use crate::history::{History, Step, Value};
use crate::verdict::Verdict;

/// Steps of a transaction at most.
const STEPS: u64 = 4;

/// Registers that are written together.
#[derive(Clone, Debug)]
pub struct RwRegister {
    keys: u64,
    written: Value,
}

impl RwRegister {
    /// Over this many keys.
    #[must_use]
    pub fn new(keys: u64) -> Self {
        Self { keys: keys.max(1), written: 0 }
    }
}

impl Workload for RwRegister {
    fn next(&mut self, rng: &mut Rng) -> Program {
        let mut program = Program::new();
        for _ in 0..rng.between(1, STEPS) {
            let key = rng.below(self.keys);
            if rng.one_in(2) {
                program.push(Step::read(key));
            } else {
                self.written += 1;
                program.push(Step::Write { key, value: self.written });
            }
        }
        program
    }

    fn closing(&self) -> Vec<Program> {
        vec![read_all(0..self.keys)]
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![strict(history)]
    }
}
