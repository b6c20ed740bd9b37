//! Pairs of transactions that exclude each other: each takes one of two keys if neither is taken.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Key, Step, Value};
use crate::verdict::Verdict;
use crate::{serializable, write_skew};

/// Pairs of keys, each used by two transactions one right after the other.
#[derive(Clone, Debug, Default)]
pub struct WriteSkew {
    /// Transactions given out.
    given: u64,
}

impl WriteSkew {
    /// From the first pair on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Workload for WriteSkew {
    fn next(&mut self, rng: &mut Rng) -> Program {
        if self.given > 1 && rng.one_in(4) {
            let pair = rng.below(self.given / 2) * 2;
            return read_all([pair, pair + 1]);
        }
        let mine = self.given;
        let other = mine ^ 1;
        self.given += 1;
        let free = |key: Key| Step::Expect { key, value: None };
        vec![free(mine), free(other), Step::Write { key: mine, value: mine as Value }]
    }

    fn closing(&self) -> Vec<Program> {
        (0..self.given).step_by(2).map(|key| read_all([key, key + 1])).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("write skew", write_skew::check(history)), ("serializable", serializable::check(history))]
    }
}
