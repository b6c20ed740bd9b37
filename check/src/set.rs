//! Sets, and lists looked at as sets: an element acknowledged before a read is in it, and nothing is that
//! nobody added, or twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Datum, History, Key, OpId, Step, Value};
use crate::kind::{Kind, kinds};
use crate::verdict::{Anomaly, Verdict};

/// Checks every read of every key that is only ever appended to. What the reading operation itself added
/// may or may not be in what it read.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let elements = Elements::of(history);
    for (id, op) in history.executed() {
        for (key, found) in op.found() {
            if let Some(verdict) = elements.judge(history, key, found, op.invoked.index, op.ended(), id) {
                return verdict;
            }
        }
    }
    Verdict::Valid
}

/// Who added which element to each set.
pub(crate) struct Elements(BTreeMap<Key, BTreeMap<Value, Vec<OpId>>>);

impl Elements {
    pub(crate) fn of(history: &History) -> Self {
        let sets = kinds(history).into_iter().filter(|(_, kind)| *kind == Kind::List);
        let mut elements: BTreeMap<Key, BTreeMap<Value, Vec<OpId>>> =
            sets.map(|(key, _)| (key, BTreeMap::new())).collect();
        for (id, step) in history.ops.iter().enumerate().flat_map(|(id, op)| op.steps.iter().map(move |s| (id, s))) {
            let Step::Append { key, value } = step else { continue };
            if let Some(values) = elements.get_mut(key) {
                values.entry(*value).or_default().push(id);
            }
        }
        Self(elements)
    }

    /// What is wrong with a read that was asked at `invoked` and had ended by `ended`, if something is.
    pub(crate) fn judge(
        &self,
        history: &History,
        key: Key,
        found: &Datum,
        invoked: u64,
        ended: u64,
        reader: OpId,
    ) -> Option<Verdict> {
        let added = self.0.get(&key)?;
        let wrong = |anomaly, other: Option<OpId>, why: String| {
            let ops: BTreeSet<_> = other.into_iter().chain([reader]).collect();
            let described: String = ops.iter().map(|id| history.describe(*id) + "\n").collect();
            Some(Verdict::invalid(anomaly, ops, [key.to_string()], format!("{why}\n{described}")))
        };
        let values = match found {
            Datum::Nothing => &[],
            Datum::List(values) => values.as_slice(),
            Datum::Number(number) => return wrong(Anomaly::Invented, None, format!("{number} is not a set")),
        };
        let mut present = BTreeSet::new();
        for value in values {
            if !present.insert(*value) && added.get(value).is_none_or(|by| by.len() < 2) {
                return wrong(Anomaly::Duplicate, None, format!("element {value} of {key} is there twice"));
            }
            let by = added.get(value).map_or(&[][..], Vec::as_slice);
            let may = |id: &&OpId| history.ops[**id].is_possible() && history.ops[**id].invoked.index < ended;
            if !by.iter().any(|id| may(&id)) {
                let failed = by.iter().find(|id| !history.ops[**id].is_possible()).copied();
                let (anomaly, what) = match failed {
                    Some(_) => (Anomaly::G1a, "was added only by a failed operation"),
                    None => (Anomaly::Invented, "was added by nobody until then"),
                };
                return wrong(anomaly, failed.or(by.first().copied()), format!("element {value} of {key} {what}"));
            }
        }
        let is_lost = |(value, by): &(&Value, &Vec<OpId>)| {
            !present.contains(value) && by.iter().any(|id| history.ops[*id].ended() < invoked)
        };
        let (value, by) = added.iter().find(is_lost)?;
        let writer = by.iter().find(|id| history.ops[**id].ended() < invoked).copied();
        wrong(Anomaly::LostWrite, writer, format!("element {value} of {key} was acknowledged before, but is not there"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, append, history, list, none, ok, op, serial};
    use crate::history::{Op, Outcome};

    fn anomaly(ops: Vec<Op>) -> Anomaly {
        let verdict = check(&history(ops));
        verdict.violation().unwrap_or_else(|| panic!("{verdict}")).anomaly
    }

    #[test]
    fn good_sets_pass() {
        let good = vec![
            ok(0, 1, vec![append(1, 5)]),
            ok(2, 9, vec![append(1, 6)]),
            ok(3, 4, vec![list(1, &[6, 5]), none(2)]),
            op(10, 11, Outcome::Unknown, vec![append(1, 7)]),
            ok(12, 13, vec![list(1, &[5, 6])]),
            ok(14, 15, vec![list(1, &[5, 6, 7])]),
        ];
        assert_eq!(check(&history(good)), Verdict::Valid);
        for seed in 0..50 {
            let verdict = check(&serial(seed, Mix::Lists, 200, 3));
            assert!(verdict.is_valid(), "seed {seed}: {verdict}");
        }
    }

    #[test]
    fn bad_sets_are_found() {
        let added = || ok(0, 1, vec![append(1, 5)]);
        assert_eq!(anomaly(vec![added(), ok(2, 3, vec![none(1)])]), Anomaly::LostWrite);
        assert_eq!(anomaly(vec![added(), ok(2, 3, vec![list(1, &[5, 5])])]), Anomaly::Duplicate);
        assert_eq!(anomaly(vec![added(), ok(2, 3, vec![list(1, &[5, 6])])]), Anomaly::Invented);
        let failed = op(0, 1, Outcome::Fail, vec![append(1, 5)]);
        assert_eq!(anomaly(vec![failed, ok(2, 3, vec![list(1, &[5])])]), Anomaly::G1a);
        let future = vec![ok(0, 1, vec![list(1, &[5])]), ok(2, 3, vec![append(1, 5)])];
        assert_eq!(anomaly(future), Anomaly::Invented);
    }
}
