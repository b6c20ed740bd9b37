//! Keys written one after the other, and reads of several of the latest at once.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all, strict};
use crate::causal;
use crate::history::{History, Key, Step};
use crate::verdict::Verdict;

/// Keys that are each written once.
#[derive(Clone, Debug)]
pub struct CausalReverse {
    /// How many of the latest keys are read at once.
    width: u64,
    written: Key,
}

impl CausalReverse {
    /// With reads of this many keys.
    #[must_use]
    pub fn new(width: u64) -> Self {
        Self { width: width.max(2), written: 0 }
    }
}

impl Workload for CausalReverse {
    fn next(&mut self, rng: &mut Rng) -> Program {
        if self.written > 0 && rng.one_in(2) {
            return read_all(self.written.saturating_sub(self.width)..self.written);
        }
        self.written += 1;
        vec![Step::Write { key: self.written - 1, value: 1 }]
    }

    fn closing(&self) -> Vec<Program> {
        let groups = (0..self.written).step_by(self.width as usize);
        groups.map(|first| read_all(first..self.written.min(first + self.width))).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("causal order", causal::check(history)), strict(history)]
    }
}
