//! Keys written one after the other, and read one by one in the opposite order, each in a transaction of its own.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all, strict};
use crate::causal;
use crate::history::{History, Key, Step};
use crate::verdict::Verdict;

/// Keys that are each written once.
#[derive(Clone, Debug)]
pub struct Sequential {
    /// How many keys are read before reading begins at the latest one again.
    depth: u64,
    written: Key,
    /// The next key to read, and how many are to be read before it begins again.
    reading: (Key, u64),
}

impl Sequential {
    /// With so many reads, the latest key's first.
    #[must_use]
    pub fn new(depth: u64) -> Self {
        Self { depth: depth.max(2), written: 0, reading: (0, 0) }
    }

    fn read(&mut self) -> Program {
        if self.reading.1 == 0 {
            self.reading = (self.written - 1, self.depth.min(self.written));
        }
        let (key, left) = self.reading;
        self.reading = (key.saturating_sub(1), left - 1);
        vec![Step::read(key)]
    }
}

impl Workload for Sequential {
    fn next(&mut self, rng: &mut Rng) -> Program {
        if self.written > 0 && !rng.one_in(3) {
            return self.read();
        }
        self.written += 1;
        vec![Step::Write { key: self.written - 1, value: 1 }]
    }

    fn closing(&self) -> Vec<Program> {
        let groups = (0..self.written).step_by(self.depth as usize);
        groups.map(|first| read_all(first..self.written.min(first + self.depth))).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("causal order", causal::check(history)), strict(history)]
    }
}
