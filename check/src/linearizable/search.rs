//! The search for a linearization: Lowe's just-in-time linearization ("Testing for linearizability", 2017),
//! a form of Wing and Gong's search with memory.
//!
//! Events are walked in order with the set of all configurations possible so far. A configuration is what
//! the register holds and which of the open actions have happened. When an action ends, configurations in
//! which it has not happened are extended by open actions until it has; those where it cannot are dropped.
//! None left: not linearizable. What keeps the set small:
//! - a read happens at once wherever the register holds what it saw, since that changes nothing;
//! - a value that nobody still to end saw is the same as any other such value ([`DEAD`]); a write of one
//!   happens at once where it changes nothing, or just before another write that hides it;
//! - a value that is put once is not overwritten before all who saw it are done;
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
    Stuck,
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

    const fn mark(&mut self, slot: usize, action: &Move) {
        if action.must {
            self.done |= 1 << slot;
        } else {
            self.spent |= 1 << slot;
        }
    }
}

/// A configuration from which no linearization can follow.
struct Hopeless;

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
        match search.end(at, configs) {
            Some(next) if next.is_empty() => return Answer::Stuck,
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
    seen: Vec<Seen>,
}

/// Who saw a value.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The last end of an action that saw it.
    until: u64,
    /// The last invocation of one that must happen.
    asked_until: u64,
    /// How many put it.
    put: u32,
}

impl Values {
    fn of(actions: &[Action]) -> Self {
        let mut values = Self { names: BTreeMap::new(), seen: Vec::new() };
        for action in actions {
            let Some(value) = action.sees else { continue };
            let next = values.seen.len() as u32;
            let number = *values.names.entry(value).or_insert(next);
            if number == next {
                values.seen.push(Seen::default());
            }
            let seen = &mut values.seen[number as usize];
            seen.until = action.ended.max(seen.until);
            if action.ended != u64::MAX {
                seen.asked_until = action.invoked.max(seen.asked_until);
            }
        }
        for number in actions.iter().filter_map(|action| values.names.get(&Some(action.puts?))) {
            values.seen[*number as usize].put += 1;
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
        match self.seen.get(number as usize) {
            Some(seen) if seen.until >= now => number,
            _ => DEAD,
        }
    }

    /// Whether the register, holding this now, never holds it again once it is overwritten.
    fn is_unique(&self, state: u32) -> bool {
        let most = u32::from(self.names.get(&None) != Some(&state));
        self.seen.get(state as usize).is_some_and(|seen| seen.put <= most)
    }

    /// Whether an action that must happen and saw this value is still to be asked.
    fn is_awaited(&self, state: u32, now: u64) -> bool {
        self.seen.get(state as usize).is_some_and(|seen| seen.asked_until > now)
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
        configs.iter_mut().for_each(|config| self.settle(config));
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
        let only = match self.last_chance(config) {
            Ok(only) => only,
            Err(Hopeless) => return Vec::new(),
        };
        let mut next: Vec<Config> = Vec::new();
        for (slot, (_, action)) in &self.open {
            let Some(puts) = action.puts else { continue };
            let fits = action.sees.is_none_or(|seen| seen == config.state) && only.is_none_or(|only| only == *slot);
            if fits && !config.has(*slot) && !self.has_equal_before(config, *slot, action) {
                let mut then = *config;
                if action.sees.is_none() {
                    then.state = DEAD;
                    self.settle(&mut then);
                }
                then.state = self.values.alive(puts, self.now);
                then.mark(*slot, action);
                self.settle(&mut then);
                next.push(then);
            }
        }
        next
    }

    /// Where the register holds a value that never comes back: the one open action that saw it and must
    /// happen, if there is one. There is no way on if several have to, or one that is still to be asked.
    fn last_chance(&self, config: &Config) -> Result<Option<usize>, Hopeless> {
        if !self.values.is_unique(config.state) {
            return Ok(None);
        }
        let waits = |slot: usize, action: &Move| action.must && action.sees == Some(config.state) && !config.has(slot);
        let mut waiting = self.open.iter().filter(|(slot, (_, action))| waits(**slot, action)).map(|(slot, _)| *slot);
        match (waiting.next(), waiting.next()) {
            (_, Some(_)) => Err(Hopeless),
            _ if self.values.is_awaited(config.state, self.now) => Err(Hopeless),
            (only, None) => Ok(only),
        }
    }

    /// Whether an equal action that need not happen is unused in a lower slot: that one goes first.
    fn has_equal_before(&self, config: &Config, slot: usize, action: &Move) -> bool {
        !action.must && self.open.range(..slot).any(|(lower, (_, other))| other == action && !config.has(*lower))
    }

    /// Lets all open actions happen that change nothing.
    fn settle(&self, config: &mut Config) {
        for (slot, (_, action)) in &self.open {
            let changes_nothing = match action.puts {
                None => action.sees == Some(config.state),
                Some(puts) => {
                    config.state == DEAD && action.sees.is_none() && self.values.alive(puts, self.now) == DEAD
                }
            };
            if changes_nothing && action.must {
                config.mark(*slot, action);
            }
        }
    }

    /// Forgets the ended action, values that are dead now, and actions that need not happen and did in every
    /// configuration or are of no use any more; keeps of equal configurations those that spent least.
    fn tidy(&mut self, mut configs: Vec<Config>, ended: usize) -> Vec<Config> {
        self.now += 1;
        let mut useless = configs.iter().fold(u128::MAX, |all, config| all & config.spent);
        for (slot, (_, action)) in &self.open {
            let is_dead = action.puts.is_none_or(|puts| self.values.alive(puts, self.now) == DEAD);
            useless |= u128::from(!action.must && is_dead) << slot;
        }
        self.open.retain(|slot, (_, action)| action.must || useless >> slot & 1 == 0);
        for config in &mut configs {
            config.done &= !(1 << ended);
            config.spent &= !useless;
            config.state = self.values.alive(config.state, self.now);
            self.settle(config);
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
