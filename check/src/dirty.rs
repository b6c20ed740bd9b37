//! Dirty reads: nobody sees what a failed transaction wrote, or a part of what one wrote.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Outcome, Step, Value};
use crate::verdict::{Anomaly, Verdict};

/// Checks histories in which every write sets all keys to one value that no other one uses.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let failed = failed_writes(history);
    for (id, op) in history.executed() {
        for (key, found) in op.found() {
            if let Some(writer) = number(found).and_then(|value| failed.get(&(key, value))) {
                let why = format!("of a failed transaction:\n{}\n{}", history.describe(*writer), history.describe(id));
                return Verdict::invalid(Anomaly::G1a, [*writer, id], [key.to_string()], why);
            }
        }
        let mut found = op.found();
        let Some((first, value)) = found.next() else { continue };
        if let Some((other, _)) = found.find(|(_, other)| *other != value) {
            let why = format!("all keys are always written together:\n{}", history.describe(id));
            return Verdict::invalid(Anomaly::Torn, [id], [first, other].map(|key| key.to_string()), why);
        }
    }
    Verdict::Valid
}

fn failed_writes(history: &History) -> BTreeMap<(Key, Value), OpId> {
    let failed = history.ops.iter().enumerate().filter(|(_, op)| op.outcome == Outcome::Fail);
    let writes = failed.flat_map(|(id, op)| op.steps.iter().map(move |step| (id, step)));
    let write = |(id, step): (OpId, &Step)| match step {
        Step::Write { key, value } => Some(((*key, *value), id)),
        _ => None,
    };
    writes.filter_map(write).collect()
}

const fn number(found: &Datum) -> Option<Value> {
    match found {
        Datum::Number(value) => Some(*value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{history, none, ok, op, r, w};

    #[test]
    fn what_failed_and_what_is_torn_must_not_be_seen() {
        let failed = op(0, 1, Outcome::Fail, vec![w(1, 1), w(2, 1)]);
        let second = ok(2, 3, vec![r(1, 0), r(2, 0), w(1, 2), w(2, 2)]);
        let with = |read| check(&history(vec![failed.clone(), second.clone(), ok(4, 5, read)]));
        assert_eq!(with(vec![r(1, 2), r(2, 2)]), Verdict::Valid);
        let dirty = with(vec![r(1, 1), r(2, 1)]).violation().unwrap().clone();
        assert_eq!((dirty.anomaly, dirty.ops), (Anomaly::G1a, vec![0, 2]));
        for torn in [vec![r(1, 2), none(2)], vec![r(1, 2), r(2, 3)]] {
            assert_eq!(with(torn).violation().unwrap().anomaly, Anomaly::Torn);
        }
    }
}
