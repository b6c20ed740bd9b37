//! Reads of the past (`AS OF SYSTEM TIME`): what was at an instant never changes, nothing of a failed transaction ever
//! was, and what only grows was never larger before than later.
//!
//! Whether a read of a recent instant sees all that had been acknowledged depends on clocks, so that it is not asked
//! here. Where commit timestamps are known, [`crate::snapshot`] says more.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Outcome, Step, Value};
use crate::kind::{Kind, kinds};
use crate::monotonic::contains;
use crate::verdict::{Anomaly, Verdict};

/// A read of one key.
#[derive(Clone, Copy)]
struct Look<'a> {
    id: OpId,
    found: &'a Datum,
}

/// Checks all reads of the past, and what later reads found of what they had found.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut past: BTreeMap<Key, BTreeMap<u64, Look<'_>>> = BTreeMap::new();
    let failed = failed(history);
    for (id, op) in history.executed() {
        let Some(at) = op.read_at else { continue };
        for (key, found) in op.found() {
            if let Some(writer) = values(found).iter().find_map(|value| failed.get(&(key, *value))) {
                return wrong(history, key, [*writer, id], Anomaly::G1a, "of a failed transaction");
            }
            let look = Look { id, found };
            let before = *past.entry(key).or_default().entry(at).or_insert(look);
            if before.found != found {
                return wrong(history, key, [before.id, id], Anomaly::WrongSnapshot, "one instant, two states");
            }
        }
    }
    let kinds = kinds(history);
    let grows = |key: &Key| matches!(kinds.get(key), Some(Kind::List | Kind::Growing));
    let growing = past.into_iter().filter(|(key, _)| grows(key));
    Verdict::worst(growing.map(|(key, looks)| grown(history, key, &looks)))
}

/// What only grows: by timestamps, and up to what was read after that was known.
fn grown(history: &History, key: Key, looks: &BTreeMap<u64, Look<'_>>) -> Verdict {
    for (before, after) in looks.values().zip(looks.values().skip(1)) {
        if !contains(after.found, before.found) {
            return wrong(history, key, [before.id, after.id], Anomaly::WrongSnapshot, "more before than later");
        }
    }
    let latest = history.executed().filter(|(_, op)| op.read_at.is_none());
    for (id, op) in latest {
        for (_, found) in op.found().filter(|(read, _)| *read == key) {
            let known = |look: &&Look<'_>| history.ops[look.id].precedes(op);
            if let Some(before) = looks.values().filter(known).find(|before| !contains(found, before.found)) {
                return wrong(history, key, [before.id, id], Anomaly::WentBack, "less is there than was before");
            }
        }
    }
    Verdict::Valid
}

/// The unique values that failed operations would have written.
fn failed(history: &History) -> BTreeMap<(Key, Value), OpId> {
    let failed = history.ops.iter().enumerate().filter(|(_, op)| op.outcome == Outcome::Fail);
    let writes = failed.flat_map(|(id, op)| op.steps.iter().map(move |step| (id, step)));
    let mut written: BTreeMap<(Key, Value), OpId> =
        writes.filter_map(|(id, step)| Some((written(step)?, id))).collect();
    // One that somebody else wrote as well tells nothing.
    for step in history.possible().flat_map(|(_, op)| &op.steps) {
        if let Some(write) = self::written(step) {
            written.remove(&write);
        }
    }
    written
}

const fn written(step: &Step) -> Option<(Key, Value)> {
    match step {
        Step::Write { key, value } | Step::Append { key, value } => Some((*key, *value)),
        _ => None,
    }
}

fn values(found: &Datum) -> &[Value] {
    match found {
        Datum::Nothing => &[],
        Datum::Number(value) => std::slice::from_ref(value),
        Datum::List(values) => values,
    }
}

fn wrong(history: &History, key: Key, ops: [OpId; 2], anomaly: Anomaly, what: &str) -> Verdict {
    let why = format!("{what}:\n{}\n{}", history.describe(ops[0]), history.describe(ops[1]));
    Verdict::invalid(anomaly, ops, [key.to_string()], why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{append, history, list, none, ok, op, r, w};
    use crate::history::Op;

    fn at(timestamp: u64, op: Op) -> Op {
        Op { read_at: Some(timestamp), ..op }
    }

    fn anomaly(ops: Vec<Op>) -> Option<Anomaly> {
        check(&history(ops)).violation().map(|violation| violation.anomaly)
    }

    #[test]
    fn one_instant_has_one_state() {
        let write = ok(0, 1, vec![w(1, 7)]);
        let with =
            |second: Step| anomaly(vec![write.clone(), at(5, ok(2, 3, vec![r(1, 7)])), at(5, ok(4, 5, vec![second]))]);
        assert_eq!(with(r(1, 7)), None);
        assert_eq!(with(none(1)), Some(Anomaly::WrongSnapshot));
        assert_eq!(anomaly(vec![at(5, ok(2, 3, vec![r(1, 7)])), at(6, ok(4, 5, vec![none(1)]))]), None);
    }

    #[test]
    fn what_grows_was_never_larger_before() {
        let writes = [ok(0, 1, vec![append(1, 1)]), ok(2, 3, vec![append(1, 2)])];
        let with = |ops: Vec<Op>| anomaly(writes.iter().cloned().chain(ops).collect());
        let both = || list(1, &[1, 2]);
        assert_eq!(with(vec![at(5, ok(4, 5, vec![none(1)])), at(9, ok(6, 7, vec![both()]))]), None);
        assert_eq!(
            with(vec![at(9, ok(4, 5, vec![list(1, &[1])])), at(5, ok(6, 7, vec![both()]))]),
            Some(Anomaly::WrongSnapshot)
        );
        let later = |start| vec![at(5, ok(4, 6, vec![both()])), ok(start, 9, vec![list(1, &[1])])];
        assert_eq!(with(later(7)), Some(Anomaly::WentBack));
        assert_eq!(with(later(5)), None, "at the same time");
    }

    #[test]
    fn nothing_of_a_failed_transaction_ever_was() {
        let failed = op(0, 1, Outcome::Fail, vec![w(1, 7), w(2, 7)]);
        let read = at(5, ok(4, 5, vec![r(1, 7)]));
        assert_eq!(anomaly(vec![failed.clone(), read.clone()]), Some(Anomaly::G1a));
        assert_eq!(anomaly(vec![failed, ok(2, 3, vec![w(1, 7)]), read]), None);
    }
}
