//! Groups of keys, each written once, and reads of whole groups while that happens.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Key, Step};
use crate::verdict::Verdict;
use crate::{long_fork, serializable};

/// Groups one after the other.
#[derive(Clone, Debug)]
pub struct LongFork {
    size: u64,
    /// Keys written so far, in a random order within each group.
    written: Key,
    /// The keys of the present group still to write.
    left: Vec<Key>,
}

impl LongFork {
    /// With groups of this many keys, at least two.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size: size.max(2), written: 0, left: Vec::new() }
    }

    fn group(&self, key: Key) -> Program {
        let first = key - key % self.size;
        read_all(first..first + self.size)
    }
}

impl Workload for LongFork {
    fn next(&mut self, rng: &mut Rng) -> Program {
        if self.written > 0 && !rng.one_in(3) {
            return self.group(self.written - 1);
        }
        if self.left.is_empty() {
            self.left = (self.written..self.written + self.size).collect();
            rng.shuffle(&mut self.left);
        }
        self.written += 1;
        self.left.pop().map(|key| vec![Step::Write { key, value: 1 }]).unwrap_or_default()
    }

    fn closing(&self) -> Vec<Program> {
        (0..self.written).step_by(self.size as usize).map(|key| self.group(key)).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("long fork", long_fork::check(history)), ("serializable", serializable::check(history))]
    }
}
