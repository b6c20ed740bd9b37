//! Children that need their parent, and parents that go only while they have no child.

use std::collections::VecDeque;

use annulus_base::rng::Rng;

use super::{Program, Workload, read_all, strict};
use crate::foreign_keys::{self, FAMILY, GONE, THERE, children, parent};
use crate::history::{History, Key, Step};
use crate::verdict::Verdict;

/// How many families are begun before the first one's members race, so that its parent is there.
const LEAD: usize = 3;

/// Families one after the other: a parent is made, and later somebody removes it while others add its children.
#[derive(Clone, Debug, Default)]
pub struct ForeignKeys {
    begun: u64,
    /// Families whose race has not begun.
    waiting: VecDeque<Key>,
    /// What is left of the present race.
    race: Vec<Program>,
}

impl ForeignKeys {
    /// No family yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn race(family: Key, rng: &mut Rng) -> Vec<Program> {
        let parent = parent(family);
        let is_there = Step::Expect { key: parent, value: Some(THERE) };
        let born = |child: Key| vec![is_there.clone(), Step::Write { key: child, value: THERE }];
        let alone = children(parent).map(|key| Step::Expect { key, value: None });
        let gone = [is_there.clone()].into_iter().chain(alone).chain([Step::Write { key: parent, value: GONE }]);
        let mut race: Vec<Program> = children(parent).map(born).collect();
        race.push(gone.collect());
        rng.shuffle(&mut race);
        race
    }
}

impl Workload for ForeignKeys {
    fn next(&mut self, rng: &mut Rng) -> Program {
        if self.begun > 0 && rng.one_in(3) {
            let recent = self.begun.saturating_sub(LEAD as u64 + 2);
            let family = rng.between(recent, self.begun - 1);
            return read_all(family * FAMILY..(family + 1) * FAMILY);
        }
        if let Some(program) = self.race.pop() {
            return program;
        }
        let family = self.begun * FAMILY;
        self.begun += 1;
        self.waiting.push_back(family);
        if self.waiting.len() > LEAD {
            self.race = self.waiting.pop_front().map(|family| Self::race(family, rng)).unwrap_or_default();
        }
        vec![Step::Write { key: family, value: THERE }]
    }

    fn closing(&self) -> Vec<Program> {
        (0..self.begun).map(|family| read_all(family * FAMILY..(family + 1) * FAMILY)).collect()
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("foreign keys", foreign_keys::check(history)), strict(history)]
    }

    fn check_past(&self, past: &History) -> Vec<(&'static str, Verdict)> {
        vec![("past foreign keys", foreign_keys::check(past))]
    }
}
