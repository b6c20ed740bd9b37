//! Write skew: transactions exclude each other by expecting that several keys were never written, and then
//! writing one of them. Since nothing is ever deleted, at most one of those that expect the same can succeed.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, Key, Op, OpId, Step};
use crate::verdict::{Anomaly, Verdict};

/// Checks all executed operations with such an expectation.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut winners: BTreeMap<BTreeSet<Key>, OpId> = BTreeMap::new();
    for (id, op) in history.executed() {
        let expected = expected(op);
        if !op.steps.iter().any(|step| step.changes() && expected.contains(&step.key())) {
            continue;
        }
        let keys: Vec<_> = expected.iter().map(Key::to_string).collect();
        if let Some(first) = winners.insert(expected, id) {
            let why = format!(
                "both found none of the keys, and wrote one\n{}\n{}",
                history.describe(first),
                history.describe(id)
            );
            return Verdict::invalid(Anomaly::WriteSkew, [first, id], keys, why);
        }
    }
    Verdict::Valid
}

/// The keys that the operation expects never to have been written.
fn expected(op: &Op) -> BTreeSet<Key> {
    let keys = op.steps.iter().filter(|step| matches!(step, Step::Expect { value: None, .. }));
    keys.map(Step::key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{history, ok, op, w};
    use crate::history::Outcome;

    #[test]
    fn two_winners_are_found() {
        let expect = |key| Step::Expect { key, value: None };
        let take = |key, value| vec![expect(1), expect(2), w(key, value)];
        let good = vec![
            ok(0, 9, take(1, 1)),
            op(1, 8, Outcome::Fail, take(2, 2)),
            op(2, 7, Outcome::Unknown, take(2, 3)),
            ok(3, 6, vec![expect(3), expect(4), w(3, 1)]),
            ok(3, 6, vec![expect(5), w(6, 1)]),
            ok(4, 6, vec![expect(5), w(6, 2)]),
        ];
        assert_eq!(check(&history(good.clone())), Verdict::Valid);
        let bad = [good, vec![ok(10, 11, take(2, 4))]].concat();
        let verdict = check(&history(bad));
        let violation = verdict.violation().unwrap();
        assert_eq!((violation.anomaly, violation.ops.as_slice()), (Anomaly::WriteSkew, &[0, 6][..]));
    }
}
