//! What must hold of the data itself, whatever the protocol thinks of its versions: an independent,
//! deliberately simple look at values.

use std::collections::BTreeMap;

use annulus_txn::interface::{Place, Seen};

use crate::describe;
use crate::history::{Call, History, Outcome};
use crate::violation::{Verdict, wrong};
use crate::workload::{Layout, OPENING_BALANCE, Object, value};

pub(super) fn check(history: &History, layout: &Layout) -> Verdict {
    conservation(history, layout)?;
    lists(history, layout)?;
    counters(history, layout)?;
    pairs(history, layout)
}

/// Reads of keys at one instant, with what they saw.
fn reads(history: &History) -> impl Iterator<Item = (usize, &Vec<Place>, &Vec<Seen>)> {
    history.entries.iter().enumerate().filter_map(|(id, entry)| match (&entry.call, &entry.outcome) {
        (Call::Read(keys, _), Outcome::Read(seen)) => Some((id, keys, seen)),
        _ => None,
    })
}

/// Whoever sees all accounts sees all the money.
fn conservation(history: &History, layout: &Layout) -> Verdict {
    let accounts: Vec<_> = layout.all(Object::Account).collect();
    let sum = OPENING_BALANCE * accounts.len() as i64;
    for (id, keys, seen) in reads(history) {
        let balances: Vec<i64> = keys
            .iter()
            .zip(seen)
            .filter(|(place, _)| accounts.contains(place))
            .map(|(_, seen)| value::number_in(seen.value.as_ref()).unwrap_or(OPENING_BALANCE))
            .collect();
        if balances.len() == accounts.len() && balances.iter().sum::<i64>() != sum {
            return wrong(format!("read {id} found balances that do not add up to {sum}: {balances:?}"));
        }
    }
    Ok(())
}

/// All reads of a list are prefixes of the longest, and the last holds every acknowledged append.
fn lists(history: &History, layout: &Layout) -> Verdict {
    let places: Vec<_> = layout.all(Object::List).collect();
    let mut longest: BTreeMap<&Place, Vec<u64>> = BTreeMap::new();
    for (id, keys, seen) in reads(history) {
        for (place, seen) in keys.iter().zip(seen).filter(|(place, _)| places.contains(place)) {
            let list = value::list_in(seen.value.as_ref());
            let longest = longest.entry(place).or_default();
            let shared = list.len().min(longest.len());
            if list[..shared] != longest[..shared] {
                return wrong(format!(
                    "read {id} found {list:?} in {}, which forks from {longest:?}",
                    describe::key(&place.key)
                ));
            }
            if list.len() > longest.len() {
                *longest = list;
            }
        }
    }
    for (id, entry) in history.entries.iter().enumerate() {
        let (Call::Commit(commit), Outcome::Committed(..)) = (&entry.call, &entry.outcome) else { continue };
        for (place, _) in commit.writes.iter().filter(|(place, _)| places.contains(place)) {
            if longest.get(place).is_some_and(|longest| !longest.contains(&(id as u64))) {
                return wrong(format!(
                    "append {id} to {} was acknowledged, and is lost: {longest:?}",
                    describe::key(&place.key)
                ));
            }
        }
    }
    Ok(())
}

/// A counter ends at no less than the acknowledged increments, and no more than those attempted.
fn counters(history: &History, layout: &Layout) -> Verdict {
    for place in layout.all(Object::Counter) {
        let last = reads(history).filter_map(|(_, keys, seen)| {
            let at = keys.iter().position(|key| *key == place)?;
            Some(value::number_in(seen[at].value.as_ref()).unwrap_or(0))
        });
        let Some(last) = last.last() else { continue };
        let (mut acknowledged, mut possible) = (0, 0);
        for entry in &history.entries {
            let Call::Commit(commit) = &entry.call else { continue };
            if commit.writes.iter().any(|(written, _)| *written == place) {
                acknowledged += i64::from(matches!(entry.outcome, Outcome::Committed(..)));
                possible += i64::from(!matches!(entry.outcome, Outcome::Failed));
            }
        }
        if last < acknowledged || last > possible {
            return wrong(format!(
                "{} ends at {last} after {acknowledged} to {possible} increments",
                describe::key(&place.key)
            ));
        }
    }
    Ok(())
}

/// Of a pair, both of which were checked before either was taken, at most one is taken.
fn pairs(history: &History, layout: &Layout) -> Verdict {
    let places: Vec<_> = layout.all(Object::Pair).collect();
    for (id, keys, seen) in reads(history) {
        for pair in places.chunks(2) {
            let taken = |place: &Place| {
                let at = keys.iter().position(|key| key == place);
                at.and_then(|at| value::number_in(seen[at].value.as_ref())) == Some(1)
            };
            if pair.iter().all(taken) {
                return wrong(format!("read {id} found both of {} and {} taken: write skew", pair[0].key, pair[1].key));
            }
        }
    }
    Ok(())
}
