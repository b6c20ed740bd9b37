//! Insertions of keys that others insert at the same time, swaps of values, and reads of both.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all, strict};
use crate::history::{History, Key, Step, Value};
use crate::upsert;
use crate::verdict::Verdict;

/// How often a key is inserted, about.
const RIVALS: u64 = 4;

/// Keys that are swapped, and behind them ever new ones that are inserted.
#[derive(Clone, Debug)]
pub struct Upsert {
    swapped: u64,
    inserted: u64,
    written: Value,
}

impl Upsert {
    /// With this many keys that are swapped.
    #[must_use]
    pub fn new(keys: u64) -> Self {
        Self { swapped: keys.max(1), inserted: 1, written: 0 }
    }

    /// The key that is inserted now.
    const fn newest(&self) -> Key {
        self.swapped + self.inserted - 1
    }
}

impl Workload for Upsert {
    fn next(&mut self, rng: &mut Rng) -> Program {
        let swapped = rng.below(self.swapped);
        self.written += 1;
        match rng.below(4) {
            0 | 1 => {
                if rng.one_in(RIVALS) {
                    self.inserted += 1;
                }
                Step::compare_and_set(self.newest(), None, self.written)
            }
            2 => vec![Step::read(swapped), Step::Write { key: swapped, value: self.written }],
            _ => read_all([swapped, self.newest()]),
        }
    }

    fn closing(&self) -> Vec<Program> {
        let all = self.swapped + self.inserted;
        (0..all).step_by(self.swapped as usize).map(|first| read_all(first..all.min(first + self.swapped))).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("upserts", upsert::check(history)), strict(history)]
    }
}
