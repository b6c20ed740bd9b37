//! Additions of unique elements to one set, and reads of all of it.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Key, Step, Value};
use crate::set;
use crate::verdict::Verdict;

/// Where the set is.
const KEY: Key = 0;

/// One set.
#[derive(Clone, Debug, Default)]
pub struct Set {
    added: Value,
}

impl Set {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Workload for Set {
    fn next(&mut self, rng: &mut Rng) -> Program {
        if rng.one_in(4) {
            return read_all([KEY]);
        }
        self.added += 1;
        vec![Step::Append { key: KEY, value: self.added }]
    }

    fn closing(&self) -> Vec<Program> {
        vec![read_all([KEY])]
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("set", set::check(history))]
    }
}
