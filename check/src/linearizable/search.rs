//! The search for a linearization: Lowe's just-in-time linearization ("Testing for linearizability", 2017),
//! a form of Wing and Gong's search with memory.
//!
//! Events are walked in order with the set of all configurations possible so far. A configuration is what
//! the register holds and which of the open actions have happened. When an action ends, configurations in
//! which it has not happened are extended by open actions until it has; those where it cannot are dropped.
//! None left: not linearizable. What keeps the set small:
//! - a read happens at once wherever the register holds what it saw, since that changes nothing;
//! - a value that nobody still to end saw is the same as any other such value ([`DEAD`]);
//! - actions that need never happen (unknown outcomes) are dropped when nobody saw their value, are
//!   interchangeable when equal, and a configuration that used fewer of them stands for those that used more.

use std::collections::{BTreeMap, BTreeSet};

use super::Action;
use crate::history::Value;

/// Open actions at one time; a bit each.
const MAX_OPEN: usize = 128;
/// A value that nobody will see any more.
const DEAD: u32 = u32::MAX;

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A linearization exists.
    Linearizable,
    /// None exists.
    Stuck {
        /// The position of the action that cannot have happened before it ended.
        at: usize,
        /// The values that the register could hold just before that, as far as anybody saw them.
        states: Vec<Option<Value>>,
    },
    /// The bounds were reached.
    GaveUp(String),
}

/// An action in the terms of the search: values by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    sees: Option<u32>,
    puts: Option<u32>,
    /// Whether it has to happen before it ends.
    must: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Config {
    state: u32,
    /// Open actions that must happen and have.
    done: u128,
    /// Open actions that need not happen and have.
    spent: u128,
}

impl Config {
    const fn has(&self, slot: usize) -> bool {
        (self.done | self.spent) >> slot & 1 == 1
    }
}

/// Searches for a linearization, looking at no more than `budget` configurations.
pub(super) fn run(actions: &[Action], budget: u64) -> Answer {
    let values = Values::of(actions);
    let mut search = Search { values: &values, open: BTreeMap::new(), now: 0, left: budget };
    let mut configs = vec![Config { state: values.of_initial(0), done: 0, spent: 0 }];
    for (index, at, is_end) in events(actions, &values) {
        search.now = index;
        if !is_end {
            if let Err(why) = search.begin(at, &actions[at], &mut configs) {
                return Answer::GaveUp(why);
            }
            continue;
        }
        let before = configs.clone();
        match search.end(at, configs) {
            Some(next) if next.is_empty() => return Answer::Stuck { at, states: values.names(&before) },
            Some(next) => configs = next,
            None => return Answer::GaveUp(format!("no answer within a budget of {budget} configurations")),
        }
    }
    Answer::Linearizable
}

/// Invocations and ends in order. Actions that need not happen and whose value nobody saw are left out.
fn events(actions: &[Action], values: &Values) -> Vec<(u64, usize, bool)> {
    let mut events = Vec::with_capacity(actions.len() * 2);
    for (at, action) in actions.iter().enumerate() {
        let must = action.ended != u64::MAX;
        if must || action.puts.is_some_and(|value| values.is_seen(value)) {
            events.push((action.invoked, at, false));
        }
        if must {
            events.push((action.ended, at, true));
        }
    }
    events.sort_unstable();
    events
}

/// The values that somebody saw, numbered, and until when somebody may still see them.
struct Values {
    names: BTreeMap<Option<Value>, u32>,
    seen_until: Vec<u64>,
}

impl Values {
    fn of(actions: &[Action]) -> Self {
        let mut values = Self { names: BTreeMap::new(), seen_until: Vec::new() };
        for action in actions {
            let Some(seen) = action.sees else { continue };
            let next = values.seen_until.len() as u32;
            let number = *values.names.entry(seen).or_insert(next);
            if number == next {
                values.seen_until.push(0);
            }
            let until = &mut values.seen_until[number as usize];
            *until = action.ended.max(*until);
        }
        values
    }

    fn is_seen(&self, value: Value) -> bool {
        self.names.contains_key(&Some(value))
    }

    fn number(&self, value: Option<Value>) -> u32 {
        self.names.get(&value).copied().unwrap_or(DEAD)
    }

    fn of_initial(&self, now: u64) -> u32 {
        self.alive(self.number(None), now)
    }

    fn alive(&self, number: u32, now: u64) -> u32 {
        match self.seen_until.get(number as usize) {
            Some(until) if *until >= now => number,
            _ => DEAD,
        }
    }

    /// The states of configurations, by their names.
    fn names(&self, configs: &[Config]) -> Vec<Option<Value>> {
        let states: BTreeSet<_> = configs.iter().map(|config| config.state).collect();
        self.names.iter().filter(|(_, number)| states.contains(number)).map(|(name, _)| *name).collect()
    }
}

struct Search<'a> {
    values: &'a Values,
    /// The open actions by slot, with their position.
    open: BTreeMap<usize, (usize, Move)>,
    now: u64,
    left: u64,
}

impl Search<'_> {
    fn begin(&mut self, at: usize, action: &Action, configs: &mut [Config]) -> Result<(), String> {
        let slot = (0..MAX_OPEN).find(|slot| !self.open.contains_key(slot));
        let slot = slot.ok_or_else(|| format!("more than {MAX_OPEN} operations are open at one time"))?;
        let number = |value| self.values.number(value);
        let puts = action.puts.map(|value| number(Some(value)));
        let new = Move { sees: action.sees.map(number), puts, must: action.ended != u64::MAX };
        self.open.insert(slot, (at, new));
        for config in configs {
            self.read_at_once(config, slot, new);
        }
        Ok(())
    }

    /// Ends an action: the configurations in which it happened, or `None` beyond the budget.
    fn end(&mut self, at: usize, configs: Vec<Config>) -> Option<Vec<Config>> {
        let slot = self.open.iter().find(|(_, (position, _))| *position == at).map(|(slot, _)| *slot)?;
        let (mut happened, mut waiting): (Vec<_>, Vec<_>) = configs.into_iter().partition(|config| config.has(slot));
        let mut met: BTreeSet<Config> = waiting.iter().copied().collect();
        while let Some(config) = waiting.pop() {
            for next in self.extensions(&config) {
                self.left = self.left.checked_sub(1)?;
                if next.has(slot) {
                    happened.push(next);
                } else if met.insert(next) {
                    waiting.push(next);
                }
            }
        }
        self.open.remove(&slot);
        Some(self.tidy(happened, slot))
    }

    /// Every configuration that one more open action makes of this one.
    fn extensions(&self, config: &Config) -> Vec<Config> {
        let mut next: Vec<Config> = Vec::new();
        for (slot, (_, action)) in &self.open {
            let Some(puts) = action.puts else { continue };
            let fits = action.sees.is_none_or(|seen| seen == config.state);
            if fits && !config.has(*slot) && !self.has_equal_before(config, *slot, action) {
                let mut then = Config { state: self.values.alive(puts, self.now), ..*config };
                self.mark(&mut then, *slot, action);
                for (slot, (_, open)) in &self.open {
                    self.read_at_once(&mut then, *slot, *open);
                }
                next.push(then);
            }
        }
        next
    }

    /// Whether an equal action that need not happen is unused in a lower slot: that one goes first.
    fn has_equal_before(&self, config: &Config, slot: usize, action: &Move) -> bool {
        !action.must && self.open.range(..slot).any(|(lower, (_, other))| other == action && !config.has(*lower))
    }

    fn read_at_once(&self, config: &mut Config, slot: usize, action: Move) {
        if action.puts.is_none() && action.sees == Some(config.state) {
            self.mark(config, slot, &action);
        }
    }

    const fn mark(&self, config: &mut Config, slot: usize, action: &Move) {
        if action.must {
            config.done |= 1 << slot;
        } else {
            config.spent |= 1 << slot;
        }
    }

    /// Forgets the ended action and values that are dead now, frees actions that happened in every
    /// configuration, and keeps of equal configurations those that spent least.
    fn tidy(&mut self, mut configs: Vec<Config>, ended: usize) -> Vec<Config> {
        let spent_by_all = configs.iter().fold(u128::MAX, |all, config| all & config.spent);
        if !configs.is_empty() {
            self.open.retain(|slot, _| spent_by_all >> slot & 1 == 0);
        }
        for config in &mut configs {
            config.done &= !(1 << ended);
            config.spent &= !spent_by_all;
            config.state = self.values.alive(config.state, self.now + 1);
        }
        configs.sort_unstable_by_key(|config| (config.state, config.done, config.spent.count_ones(), config.spent));
        configs.dedup();
        let mut kept: Vec<Config> = Vec::with_capacity(configs.len());
        for config in configs {
            let alike = kept.iter().rev().take_while(|other| (other.state, other.done) == (config.state, config.done));
            if !alike.into_iter().any(|other| other.spent & config.spent == other.spent) {
                kept.push(config);
            }
        }
        kept
    }
}
