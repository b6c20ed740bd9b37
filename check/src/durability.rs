//! Durability: after healing, everything that was acknowledged is there.

use std::collections::BTreeMap;

use crate::counter::{Read, Sums};
use crate::history::{Datum, History, Key, Op, OpId, Step, Value};
use crate::kind::{Kind, kinds};
use crate::set::Elements;
use crate::verdict::{Anomaly, Verdict};

/// Checks the final contents of all keys, read after everything else has ended; a key that is not in
/// `contents` holds nothing. A register must hold a value that no acknowledged write certainly came after.
#[must_use]
pub fn check(history: &History, contents: &BTreeMap<Key, Datum>) -> Verdict {
    let (sums, elements) = (Sums::of(history), Elements::of(history));
    let reader = history.ops.len();
    let mut undecided = Verdict::Valid;
    for (key, kind) in kinds(history) {
        let found = contents.get(&key).unwrap_or(&Datum::Nothing);
        let wrong = match kind {
            Kind::List => elements.judge(history, key, found, u64::MAX, u64::MAX, reader),
            Kind::Growing | Kind::Counter => {
                sums.judge(history, Read { key, invoked: u64::MAX, ended: u64::MAX, by: reader }, found, 0)
            }
            Kind::Register => register(history, key, found),
            Kind::Mixed => {
                undecided = Verdict::Undecided(format!("key {key} is changed in ways that do not go together"));
                None
            }
        };
        if let Some(verdict) = wrong {
            return verdict;
        }
    }
    undecided
}

fn register(history: &History, key: Key, found: &Datum) -> Option<Verdict> {
    let writes: Vec<(OpId, Value)> =
        history.ops.iter().enumerate().filter_map(|(id, op)| Some((id, written(op, key)?))).collect();
    let acknowledged = || writes.iter().map(|(id, _)| *id).filter(|id| history.ops[*id].is_ok());
    let holds = |(_, value): &&(OpId, Value)| Datum::Number(*value) == *found;
    let possible: Vec<_> = writes.iter().filter(holds).map(|(id, _)| *id).collect();
    let is_last = |id: &OpId| !acknowledged().any(|other| comes_after(&history.ops[other], &history.ops[*id]));
    let candidates: Vec<_> = possible.iter().filter(|id| history.ops[**id].is_possible()).copied().collect();
    if candidates.iter().any(is_last) || (*found == Datum::Nothing && acknowledged().next().is_none()) {
        return None;
    }
    let wrong = |anomaly, id: Option<OpId>, what: &str| {
        let described = id.map(|id| history.describe(id)).unwrap_or_default();
        let why = format!("finally key {key} holds {found}; {what}\n{described}");
        Some(Verdict::invalid(anomaly, id, [key.to_string()], why))
    };
    match (candidates.first(), possible.first()) {
        (None, Some(failed)) => wrong(Anomaly::G1a, Some(*failed), "only a failed operation wrote that"),
        (None, None) if *found != Datum::Nothing => wrong(Anomaly::Invented, None, "nobody wrote that"),
        (None, None) => wrong(Anomaly::LostWrite, acknowledged().next(), "this was acknowledged"),
        (Some(id), _) => {
            let later = acknowledged().find(|other| comes_after(&history.ops[*other], &history.ops[*id]));
            wrong(Anomaly::LostWrite, later, "this was acknowledged later")
        }
    }
}

/// The last value that an operation wrote to a key.
fn written(op: &Op, key: Key) -> Option<Value> {
    op.steps.iter().rev().find_map(|step| match step {
        Step::Write { key: of, value } if *of == key => Some(*value),
        _ => None,
    })
}

/// Whether `later` certainly took effect after `earlier`: by its commit timestamp, else by real time.
fn comes_after(later: &Op, earlier: &Op) -> bool {
    match (later.committed_at, earlier.committed_at) {
        (Some(later), Some(earlier)) => later > earlier,
        _ => earlier.precedes(later),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, add, append, history, ok, op, serial, w};
    use crate::history::Outcome;

    fn verdict(ops: Vec<Op>, contents: &[(Key, Datum)]) -> Verdict {
        check(&history(ops), &contents.iter().cloned().collect())
    }

    fn ops() -> Vec<Op> {
        vec![
            ok(0, 1, vec![w(1, 1), append(2, 1), add(3, 5)]),
            ok(2, 5, vec![w(1, 2), append(2, 2)]),
            ok(3, 4, vec![w(1, 3), w(1, 4)]),
            op(6, 7, Outcome::Fail, vec![w(1, 5), append(2, 3), add(3, 10)]),
            op(8, 9, Outcome::Unknown, vec![w(1, 6), append(2, 4), add(3, 20)]),
        ]
    }

    fn contents(register: Value, list: &[Value], sum: Value) -> Vec<(Key, Datum)> {
        vec![(1, Datum::Number(register)), (2, Datum::List(list.to_vec())), (3, Datum::Number(sum))]
    }

    #[test]
    fn what_was_acknowledged_is_there() {
        for register in [2, 4, 6] {
            assert_eq!(verdict(ops(), &contents(register, &[2, 1], 5)), Verdict::Valid);
        }
        assert_eq!(verdict(ops(), &contents(6, &[1, 2, 4], 25)), Verdict::Valid);
        assert_eq!(verdict(vec![op(0, 1, Outcome::Unknown, vec![w(1, 1)])], &[]), Verdict::Valid);
    }

    #[test]
    fn what_is_lost_is_found() {
        let anomaly = |contents: &[(Key, Datum)]| verdict(ops(), contents).violation().unwrap().anomaly;
        assert_eq!(anomaly(&contents(1, &[1, 2], 5)), Anomaly::LostWrite);
        assert_eq!(anomaly(&contents(3, &[1, 2], 5)), Anomaly::Invented);
        assert_eq!(anomaly(&contents(5, &[1, 2], 5)), Anomaly::G1a);
        assert_eq!(anomaly(&contents(9, &[1, 2], 5)), Anomaly::Invented);
        assert_eq!(anomaly(&contents(2, &[1], 5)), Anomaly::LostWrite);
        assert_eq!(anomaly(&contents(2, &[1, 2, 3], 5)), Anomaly::G1a);
        assert_eq!(anomaly(&contents(2, &[1, 2], 0)), Anomaly::CounterOutOfBounds);
        assert_eq!(anomaly(&contents(2, &[1, 2], 35)), Anomaly::CounterOutOfBounds);
        assert_eq!(anomaly(&[]), Anomaly::LostWrite);
    }

    #[test]
    fn commit_timestamps_tell_which_write_was_last() {
        let at = |at, op: Op| Op { committed_at: Some(at), ..op };
        let both = || vec![at(20, ok(0, 9, vec![w(1, 1)])), at(10, ok(1, 8, vec![w(1, 2)]))];
        assert_eq!(verdict(both(), &[(1, Datum::Number(1))]), Verdict::Valid);
        let overwritten = verdict(both(), &[(1, Datum::Number(2))]);
        assert_eq!(overwritten.violation().unwrap().anomaly, Anomaly::LostWrite);
    }

    #[test]
    fn final_states_of_serial_executions_pass() {
        for seed in 0..40 {
            for mix in Mix::ALL {
                let history = serial(seed, mix, 100, 4);
                let mut order: Vec<_> = history.ops.iter().filter(|op| op.committed_at.is_some()).collect();
                order.sort_by_key(|op| op.committed_at);
                let mut state = crate::state::State::default();
                for op in order {
                    let writes = state.execute(&op.steps).unwrap().writes;
                    state.apply(writes);
                }
                let verdict = check(&history, state.contents());
                assert!(verdict.is_valid(), "seed {seed}, {mix:?}: {verdict}");
            }
        }
    }
}
