//! Upserts: of several insertions of one key at most one succeeds, and everybody sees that one; a value that is swapped
//! for another is handed to one swap only.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step, Value};
use crate::verdict::{Anomaly, Verdict};

/// Checks every insertion (a write that expects nothing), every swap (a read and a write of one key), and what was
/// read of keys that are only inserted.
#[must_use]
pub fn check(history: &History) -> Verdict {
    Verdict::worst([insertions(history), swaps(history)])
}

/// The key and value of an insertion.
const fn insertion(steps: &[Step]) -> Option<(Key, Value)> {
    match steps {
        [Step::Expect { value: None, .. }, Step::Write { key, value }] => Some((*key, *value)),
        _ => None,
    }
}

fn insertions(history: &History) -> Verdict {
    let mut inserted: BTreeMap<Key, (Datum, OpId)> = BTreeMap::new();
    for (id, op) in history.executed() {
        let Some((key, value)) = insertion(&op.steps) else { continue };
        if let Some((_, first)) = inserted.insert(key, (Datum::Number(value), id)) {
            return both(history, Anomaly::Duplicate, [first, id], key, "both inserted the same key");
        }
    }
    let is_inserted: BTreeMap<Key, ()> =
        history.possible().filter_map(|(_, op)| insertion(&op.steps)).map(|(key, _)| (key, ())).collect();
    for (id, op) in history.executed() {
        let found = op.found().filter(|(key, found)| is_inserted.contains_key(key) && **found != Datum::Nothing);
        for (key, found) in found {
            let (first, by) = inserted.entry(key).or_insert_with(|| (found.clone(), id));
            if first != found {
                let by = *by;
                return both(history, Anomaly::Duplicate, [by, id], key, "two values of a key that is inserted once");
            }
        }
    }
    Verdict::Valid
}

fn swaps(history: &History) -> Verdict {
    let mut taken: BTreeMap<(Key, &Datum), OpId> = BTreeMap::new();
    for (id, op) in history.executed() {
        let [Step::Read { key, found: Some(found) }, Step::Write { key: written, .. }] = op.steps.as_slice() else {
            continue;
        };
        if key != written {
            continue;
        }
        if let Some(first) = taken.insert((*key, found), id) {
            return both(history, Anomaly::LostUpdate, [first, id], *key, &format!("both took {found} out"));
        }
    }
    Verdict::Valid
}

fn both(history: &History, anomaly: Anomaly, ops: [OpId; 2], key: Key, what: &str) -> Verdict {
    let why = format!("{what}:\n{}\n{}", history.describe(ops[0]), history.describe(ops[1]));
    Verdict::invalid(anomaly, ops, [key.to_string()], why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{history, none, ok, op, r, w};
    use crate::history::Outcome;

    fn insert(key: Key, value: Value) -> Vec<Step> {
        Step::compare_and_set(key, None, value)
    }

    fn anomaly(ops: Vec<crate::history::Op>) -> Option<(Anomaly, Vec<OpId>)> {
        check(&history(ops)).violation().map(|violation| (violation.anomaly, violation.ops.clone()))
    }

    #[test]
    fn a_key_is_inserted_once() {
        let first = ok(0, 1, insert(1, 7));
        let failed = op(2, 3, Outcome::Fail, insert(1, 8));
        assert_eq!(anomaly(vec![first.clone(), failed, ok(4, 5, vec![r(1, 7), none(2)])]), None);
        assert_eq!(anomaly(vec![first.clone(), ok(2, 3, insert(1, 8))]), Some((Anomaly::Duplicate, vec![0, 1])));
        assert_eq!(anomaly(vec![first, ok(2, 3, vec![r(1, 8)])]), Some((Anomaly::Duplicate, vec![0, 1])));
        let unknown = |start, value| op(start, start + 1, Outcome::Unknown, insert(1, value));
        let reads = |second| vec![unknown(0, 7), unknown(2, 8), ok(4, 5, vec![r(1, 7)]), ok(6, 7, vec![r(1, second)])];
        assert_eq!(anomaly(reads(7)), None);
        assert_eq!(anomaly(reads(8)), Some((Anomaly::Duplicate, vec![2, 3])));
    }

    #[test]
    fn a_value_is_taken_out_once() {
        let swap = |start, found, value| ok(start, start + 1, vec![found, w(1, value)]);
        assert_eq!(anomaly(vec![swap(0, none(1), 1), swap(2, r(1, 1), 2), swap(4, r(1, 2), 3)]), None);
        let twice = vec![swap(0, none(1), 1), swap(2, r(1, 1), 2), swap(4, r(1, 1), 3)];
        assert_eq!(anomaly(twice), Some((Anomaly::LostUpdate, vec![1, 2])));
        let others = vec![ok(0, 1, vec![r(1, 1), w(2, 2)]), ok(2, 3, vec![r(1, 1), w(2, 3)])];
        assert_eq!(anomaly(others), None, "no swaps");
    }
}
