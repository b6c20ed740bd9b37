//! Numbers handed out by adding one to a counter and reading it.

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all};
use crate::history::{History, Key, Step};
use crate::verdict::Verdict;
use crate::{counter, unique};

/// Where the counter is.
const KEY: Key = 0;

/// One counter.
#[derive(Clone, Copy, Debug)]
pub struct UniqueIds;

impl Workload for UniqueIds {
    fn next(&mut self, _: &mut Rng) -> Program {
        vec![Step::Add { key: KEY, amount: 1 }, Step::read(KEY)]
    }

    fn closing(&self) -> Vec<Program> {
        vec![read_all([KEY])]
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("unique", unique::check(history)), ("counter", counter::check(history))]
    }
}
