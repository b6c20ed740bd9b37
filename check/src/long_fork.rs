//! Long fork: two readers see two independent writes in opposite orders. Looked for in reads of the same
//! keys, each of which is written at most once.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step};
use crate::verdict::{Anomaly, Verdict};

/// Checks reads of several keys. Keys written by several operations are left out.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let writes = writes(history);
    let mut groups: BTreeMap<Vec<Key>, Vec<(Vec<bool>, OpId)>> = BTreeMap::new();
    for (id, op) in history.executed().filter(|(_, op)| !op.steps.iter().any(Step::changes)) {
        let found: BTreeMap<Key, &Datum> = op.found().filter(|(key, _)| writes.get(key) == Some(&1)).collect();
        if found.len() > 1 {
            let seen = found.values().map(|found| **found != Datum::Nothing).collect();
            groups.entry(found.keys().copied().collect()).or_default().push((seen, id));
        }
    }
    Verdict::worst(groups.into_iter().map(|(keys, reads)| check_group(history, &keys, reads)))
}

fn writes(history: &History) -> BTreeMap<Key, usize> {
    let mut writes = BTreeMap::new();
    for step in history.possible().flat_map(|(_, op)| &op.steps).filter(|step| step.changes()) {
        *writes.entry(step.key()).or_insert(0) += 1;
    }
    writes
}

/// Reads of one snapshot after the other see ever more: sorted by how much they saw, each saw all that the
/// one before it saw.
fn check_group(history: &History, keys: &[Key], mut reads: Vec<(Vec<bool>, OpId)>) -> Verdict {
    reads.sort_by_key(|(seen, _)| seen.iter().filter(|seen| **seen).count());
    for pair in reads.windows(2) {
        let [(less, a), (more, b)] = pair else { continue };
        let only_a = keys.iter().zip(less.iter().zip(more)).find(|(_, (less, more))| **less && !**more);
        let only_b = keys.iter().zip(less.iter().zip(more)).find(|(_, (less, more))| **more && !**less);
        if let (Some((x, _)), Some((y, _))) = (only_a, only_b) {
            let why = format!(
                "op {a} saw the write of {x} but not that of {y}, op {b} the other way round\n{}\n{}",
                history.describe(*a),
                history.describe(*b)
            );
            return Verdict::invalid(Anomaly::LongFork, [*a, *b], [x.to_string(), y.to_string()], why);
        }
    }
    Verdict::Valid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{history, none, ok, r, w};

    #[test]
    fn forks_are_found() {
        let written = || vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![w(2, 1)])];
        let mut good = written();
        good.extend([ok(4, 5, vec![none(1), none(2)]), ok(6, 7, vec![r(1, 1), none(2)])]);
        good.extend([ok(8, 9, vec![r(2, 1), r(1, 1)]), ok(10, 11, vec![r(2, 1)])]);
        assert_eq!(check(&history(good.clone())), Verdict::Valid);
        good.push(ok(12, 13, vec![none(1), r(2, 1)]));
        let verdict = check(&history(good.clone()));
        let violation = verdict.violation().unwrap();
        assert_eq!((violation.anomaly, violation.ops.as_slice()), (Anomaly::LongFork, &[3, 6][..]));
        good.push(ok(14, 15, vec![w(1, 2)]));
        assert_eq!(check(&history(good)), Verdict::Valid, "a key written twice says nothing");
    }
}
