//! Numbers handed out by adding to a counter and reading it: each only once, later ones larger.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step, Value};
use crate::verdict::{Anomaly, Verdict};

/// Checks what every operation that adds has found after that. Counters must only grow.
#[must_use]
pub fn check(history: &History) -> Verdict {
    Verdict::worst([once(history), growing(history)])
}

/// What executed operations found after adding, by invocation.
fn handed_out(history: &History) -> impl Iterator<Item = (OpId, Key, Value)> {
    let adding = history.executed().filter(|(_, op)| op.steps.iter().any(Step::changes));
    adding.flat_map(|(id, op)| {
        op.found().filter_map(move |(key, found)| match found {
            Datum::Number(number) => Some((id, key, *number)),
            _ => None,
        })
    })
}

/// No number is handed out twice.
fn once(history: &History) -> Verdict {
    let mut first: BTreeMap<(Key, Value), OpId> = BTreeMap::new();
    for (id, key, number) in handed_out(history) {
        if let Some(other) = first.insert((key, number), id) {
            return invalid(history, Anomaly::Duplicate, [other, id], key, &format!("{number} was handed out twice"));
        }
    }
    Verdict::Valid
}

/// A number that is asked for after another one was handed out is larger than that.
fn growing(history: &History) -> Verdict {
    let mut ends: Vec<(u64, OpId, Key, Value)> =
        handed_out(history).map(|(id, key, number)| (history.ops[id].ended(), id, key, number)).collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut largest: BTreeMap<Key, (Value, OpId)> = BTreeMap::new();
    for (id, key, number) in handed_out(history) {
        while let Some((_, ended, key, value)) = ends.next_if(|(end, ..)| *end < history.ops[id].invoked.index) {
            let before = largest.entry(key).or_insert((value, ended));
            *before = (*before).max((value, ended));
        }
        if let Some((before, other)) = largest.get(&key).filter(|(before, _)| *before >= number) {
            let what = format!("{number} came after {before}");
            return invalid(history, Anomaly::WentBack, [*other, id], key, &what);
        }
    }
    Verdict::Valid
}

fn invalid(history: &History, anomaly: Anomaly, ops: [OpId; 2], key: Key, what: &str) -> Verdict {
    let why = format!("{what}:\n{}\n{}", history.describe(ops[0]), history.describe(ops[1]));
    Verdict::invalid(anomaly, ops, [key.to_string()], why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{add, history, ok, r};

    /// One after the other, the second one from `start` on.
    fn two(numbers: [Value; 2], start: u64) -> History {
        let count = |start, number| ok(start, start + 2, vec![add(0, 1), r(0, number)]);
        history(vec![count(0, numbers[0]), count(start, numbers[1])])
    }

    #[test]
    fn numbers_handed_out_twice_or_backwards_are_found() {
        assert_eq!(check(&two([1, 2], 5)), Verdict::Valid);
        assert_eq!(check(&two([2, 1], 1)), Verdict::Valid, "at the same time any order will do");
        let twice = check(&two([2, 2], 1)).violation().unwrap().clone();
        assert_eq!((twice.anomaly, twice.ops), (Anomaly::Duplicate, vec![0, 1]));
        let backwards = check(&two([2, 1], 5)).violation().unwrap().clone();
        assert_eq!((backwards.anomaly, backwards.ops), (Anomaly::WentBack, vec![0, 1]));
    }
}
