//! Sets, and lists looked at as sets: an element acknowledged before a read is in it, and nothing is that
//! nobody added, or twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Datum, History, Key, Op, OpId, Step, Value};
use crate::kind::{Kind, Read, kinds};
use crate::verdict::{Anomaly, Verdict};

/// Checks every read of every key that is only ever appended to. What the reading operation itself added
/// may or may not be in what it read.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let elements = Elements::of(history);
    for (id, op) in history.executed() {
        for (key, found) in op.found() {
            let read = Read { key, invoked: op.invoked.index, ended: op.ended(), by: id };
            if let Some(verdict) = elements.judge(history, read, found) {
                return verdict;
            }
        }
    }
    Verdict::Valid
}

/// What is known of one element's additions.
struct Element {
    value: Value,
    added: Vec<OpId>,
    /// The first invocation of one that was or may have been executed.
    possible_from: Option<u64>,
    /// The first end of an acknowledged one.
    certain_from: Option<u64>,
}

/// The elements of each set by value.
pub(crate) struct Elements(BTreeMap<Key, Vec<Element>>);

impl Elements {
    pub(crate) fn of(history: &History) -> Self {
        let mut added: BTreeMap<Key, BTreeMap<Value, Vec<OpId>>> = BTreeMap::new();
        for (id, step) in history.ops.iter().enumerate().flat_map(|(id, op)| op.steps.iter().map(move |s| (id, s))) {
            if let Step::Append { key, value } = step {
                added.entry(*key).or_default().entry(*value).or_default().push(id);
            }
        }
        let element = |(value, added): (Value, Vec<OpId>)| {
            let ops = || added.iter().map(|id| &history.ops[*id]);
            let possible_from = ops().filter(|op| op.is_possible()).map(|op| op.invoked.index).min();
            let certain_from = ops().filter(|op| op.is_ok()).map(Op::ended).min();
            Element { value, added, possible_from, certain_from }
        };
        let sets = kinds(history).into_iter().filter(|(_, kind)| *kind == Kind::List);
        let mut elements = |key| added.remove(&key).unwrap_or_default().into_iter().map(element).collect();
        Self(sets.map(|(key, _)| (key, elements(key))).collect())
    }

    /// What is wrong with a read, if something is.
    pub(crate) fn judge(&self, history: &History, read: Read, found: &Datum) -> Option<Verdict> {
        let key = read.key;
        let elements = self.0.get(&key)?;
        let fault = match found {
            Datum::Nothing => fault(elements, Vec::new(), read),
            Datum::List(values) => fault(elements, values.clone(), read),
            Datum::Number(number) => Some((Anomaly::Invented, None, format!("{number} is not a set"))),
        };
        let (anomaly, other, why) = fault?;
        let ops: BTreeSet<_> = other.into_iter().chain([read.by]).collect();
        let described: String = ops.iter().map(|id| history.describe(*id) + "\n").collect();
        Some(Verdict::invalid(anomaly, ops, [key.to_string()], format!("key {key}: {why}\n{described}")))
    }
}

/// What is wrong, another operation that shows it, and why.
type Fault = (Anomaly, Option<OpId>, String);

/// Walks the elements and what was found of them side by side.
fn fault(elements: &[Element], mut values: Vec<Value>, read: Read) -> Option<Fault> {
    values.sort_unstable();
    let mut elements = elements.iter().peekable();
    for same in values.chunk_by(|a, b| a == b) {
        let value = same[0];
        while let Some(absent) = elements.next_if(|element| element.value < value) {
            if let Some(lost) = fault_of_absent(absent, read) {
                return Some(lost);
            }
        }
        let Some(element) = elements.next_if(|element| element.value == value) else {
            return Some((Anomaly::Invented, None, format!("nobody added {value}")));
        };
        if let Some(fault) = fault_of_present(element, same.len(), read) {
            return Some(fault);
        }
    }
    elements.find_map(|element| fault_of_absent(element, read))
}

fn fault_of_absent(element: &Element, read: Read) -> Option<Fault> {
    let is_lost = element.certain_from.is_some_and(|end| end < read.invoked);
    let why = || format!("{} was acknowledged before, but is not there", element.value);
    is_lost.then(|| (Anomaly::LostWrite, element.added.first().copied(), why()))
}

fn fault_of_present(element: &Element, times: usize, read: Read) -> Option<Fault> {
    let value = element.value;
    let (anomaly, why) = match element.possible_from {
        None => (Anomaly::G1a, format!("only a failed operation added {value}")),
        Some(from) if from >= read.ended => (Anomaly::Invented, format!("{value} was added only later")),
        Some(_) if times > element.added.len() => (Anomaly::Duplicate, format!("{value} is there {times} times")),
        Some(_) => return None,
    };
    Some((anomaly, element.added.first().copied(), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, append, history, list, none, ok, op, serial};
    use crate::history::Outcome;

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
