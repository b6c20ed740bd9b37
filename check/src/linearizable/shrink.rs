//! From a history that cannot be linearized to few actions of it that cannot be either.
//!
//! Only what keeps a linearizable history linearizable is taken out: reads; and all actions on a group of
//! values that no compare-and-set connects to the others. So what is left is wrong for the same reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Action;
use super::search::{self, Answer};
use crate::history::Value;

/// Actions that still cannot be linearized, in order of invocation. `stuck` is the position at which the
/// search of all of them ended.
pub(super) fn smallest(actions: &[Action], stuck: usize, budget: u64) -> Vec<Action> {
    let mut kept = up_to(actions, actions[stuck].ended);
    let mut budget = budget;
    for units in [groups(&kept), reads(&kept)] {
        kept = without_most(kept, units, &mut budget);
    }
    kept
}

/// What had begun by the time `end`; what had not ended by then need not happen.
fn up_to(actions: &[Action], end: u64) -> Vec<Action> {
    let begun = actions.iter().filter(|action| action.invoked < end);
    let open = |action: &Action| if action.ended > end { Action { ended: u64::MAX, ..*action } } else { *action };
    begun.map(open).filter(|action| action.ended != u64::MAX || action.puts.is_some()).collect()
}

/// Sets of operations that can be taken out together: each connected group of values.
fn groups(actions: &[Action]) -> Vec<BTreeSet<usize>> {
    let mut group: BTreeMap<Option<Value>, usize> = BTreeMap::new();
    let mut members: Vec<BTreeSet<usize>> = Vec::new();
    for action in actions {
        let values: Vec<_> = [action.sees, action.puts.map(Some)].into_iter().flatten().collect();
        let mut joined = BTreeSet::from([action.op]);
        let new = members.len();
        for old in values.iter().filter_map(|value| group.get(value).copied()).collect::<BTreeSet<_>>() {
            joined.append(&mut members[old]);
            group.values_mut().filter(|at| **at == old).for_each(|at| *at = new);
        }
        group.extend(values.into_iter().map(|value| (value, new)));
        members.push(joined);
    }
    // Nobody has to write the initial value, so its group cannot be taken out as one.
    if let Some(initial) = group.get(&None) {
        members[*initial].clear();
    }
    members.retain(|group| !group.is_empty());
    members
}

fn reads(actions: &[Action]) -> Vec<BTreeSet<usize>> {
    actions.iter().filter(|action| action.puts.is_none()).map(|action| BTreeSet::from([action.op])).collect()
}

/// Takes out units, first in large chunks, as long as the rest cannot be linearized.
fn without_most(mut kept: Vec<Action>, mut units: Vec<BTreeSet<usize>>, budget: &mut u64) -> Vec<Action> {
    let mut chunk = units.len();
    while chunk > 0 {
        let mut needed = Vec::new();
        for part in units.chunks(chunk) {
            let rest: Vec<_> = kept.iter().filter(|a| !part.iter().any(|unit| unit.contains(&a.op))).copied().collect();
            *budget = budget.saturating_sub(kept.len() as u64);
            if *budget > 0 && matches!(search::run(&rest, *budget), Answer::Stuck { .. }) {
                kept = rest;
            } else {
                needed.extend_from_slice(part);
            }
        }
        units = needed;
        chunk /= 2;
    }
    kept
}
