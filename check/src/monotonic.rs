//! Monotonic reads: of things that only grow (lists, counters without subtraction) no read sees less than
//! one that ended before it was asked. Process order is part of that.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step};
use crate::kind::{Kind, kinds};
use crate::verdict::{Anomaly, Verdict};

/// Checks every key that only grows.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut reads: BTreeMap<Key, Vec<(OpId, &Datum)>> = BTreeMap::new();
    let growing = |kind| matches!(kind, Kind::List | Kind::Growing);
    for (key, _) in kinds(history).into_iter().filter(|(_, kind)| growing(*kind)) {
        reads.insert(key, Vec::new());
    }
    for (id, op) in history.executed() {
        for (key, found) in op.found().filter(|(key, _)| !changes(op, *key)) {
            if let Some(reads) = reads.get_mut(&key) {
                reads.push((id, found));
            }
        }
    }
    Verdict::worst(reads.into_iter().map(|(key, reads)| check_key(history, key, &reads)))
}

fn changes(op: &crate::history::Op, key: Key) -> bool {
    op.steps.iter().any(|step: &Step| step.changes() && step.key() == key)
}

/// Walks the reads by invocation, with the largest that has ended so far.
fn check_key(history: &History, key: Key, reads: &[(OpId, &Datum)]) -> Verdict {
    let mut ends = reads.to_vec();
    ends.sort_by_key(|(id, _)| history.ops[*id].ended());
    let mut ends = ends.into_iter().peekable();
    let mut largest: Option<(OpId, &Datum)> = None;
    for (id, found) in reads {
        let invoked = history.ops[*id].invoked.index;
        while let Some(ended) = ends.next_if(|(id, _)| history.ops[*id].ended() < invoked) {
            if largest.is_none_or(|(_, largest)| contains(ended.1, largest)) {
                largest = Some(ended);
            }
        }
        if let Some((before, seen)) = largest.filter(|(_, seen)| !contains(found, seen)) {
            let why = format!(
                "key {key} was {seen}, and {found} afterwards\n{}\n{}",
                history.describe(before),
                history.describe(*id)
            );
            return Verdict::invalid(Anomaly::WentBack, [before, *id], [key.to_string()], why);
        }
    }
    Verdict::Valid
}

/// Whether something that only grows can be `later` after it was `earlier`.
pub(crate) fn contains(later: &Datum, earlier: &Datum) -> bool {
    match (earlier, later) {
        (Datum::Nothing, _) => true,
        (Datum::Number(earlier), Datum::Number(later)) => earlier <= later,
        (Datum::List(earlier), Datum::List(later)) => later.starts_with(earlier),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, add, append, history, list, none, ok, r, serial, w};

    #[test]
    fn what_grows_passes() {
        for seed in 0..50 {
            for mix in [Mix::Lists, Mix::Counters] {
                let verdict = check(&serial(seed, mix, 200, 3));
                assert!(verdict.is_valid(), "seed {seed}: {verdict}");
            }
        }
        let register = vec![ok(0, 1, vec![w(1, 5)]), ok(2, 3, vec![r(1, 5)]), ok(4, 5, vec![r(1, 3)])];
        assert_eq!(check(&history(register)), Verdict::Valid, "registers may fall");
        let concurrent = vec![ok(0, 1, vec![add(1, 5)]), ok(2, 6, vec![r(1, 5)]), ok(3, 7, vec![none(1)])];
        assert_eq!(check(&history(concurrent)), Verdict::Valid);
    }

    #[test]
    fn going_back_is_found() {
        let found = |ops| check(&history(ops)).violation().unwrap().anomaly;
        let counter = vec![ok(0, 9, vec![add(1, 5)]), ok(2, 3, vec![r(1, 5)]), ok(4, 5, vec![none(1)])];
        assert_eq!(found(counter), Anomaly::WentBack);
        let lists = vec![ok(0, 9, vec![append(1, 1), append(1, 2)]), ok(2, 3, vec![list(1, &[1])])];
        let other = [lists, vec![ok(4, 5, vec![list(1, &[2, 1])])]].concat();
        assert_eq!(found(other), Anomaly::WentBack);
    }
}
