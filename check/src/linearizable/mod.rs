//! Linearizability of each key by itself: registers with reads, writes and compare-and-sets.
//!
//! What a transaction does to one key is one [`Action`]: it sees a value, puts a value, or both at once. A
//! strictly serializable history is linearizable for every key; linearizability is local (Herlihy and Wing),
//! so that each key is searched alone. Written values need not be unique. The search is bounded; a key that
//! it does not finish makes the verdict undecided.

mod search;
mod shrink;

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, Op, OpId, Step, Value};
use crate::verdict::{Anomaly, Verdict};
use search::Answer;

/// What one operation does to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Action {
    op: OpId,
    /// Index of the invocation.
    invoked: u64,
    /// Index of the completion, `u64::MAX` where the operation may happen at any later time or never.
    ended: u64,
    /// The value it found: `None` if it did not look, `Some(None)` for a key never written.
    sees: Option<Option<Value>>,
    /// The value it leaves.
    puts: Option<Value>,
}

/// Checks every key. `budget` bounds the search per key, in partial linearizations looked at; a million takes
/// a second or so, and valid histories need a few for each operation.
#[must_use]
pub fn check(history: &History, budget: u64) -> Verdict {
    match actions(history) {
        Ok(keys) => Verdict::worst(keys.iter().map(|(key, actions)| check_key(history, *key, actions, budget))),
        Err(verdict) => verdict,
    }
}

fn check_key(history: &History, key: Key, actions: &[Action], budget: u64) -> Verdict {
    match search::run(actions, budget) {
        Answer::Linearizable => Verdict::Valid,
        Answer::GaveUp(why) => Verdict::Undecided(format!("key {key}: {why}")),
        Answer::Stuck { at, .. } => {
            let kept = shrink::smallest(actions, at, budget);
            explain(history, key, &kept, budget)
        }
    }
}

fn explain(history: &History, key: Key, actions: &[Action], budget: u64) -> Verdict {
    let mut why = String::new();
    if let Answer::Stuck { at, states } = search::run(actions, budget) {
        let named = |state: &Option<Value>| state.map_or("nothing".to_owned(), |value| value.to_string());
        let states: Vec<_> = states.iter().map(named).collect();
        let states =
            if states.is_empty() { "only values that no later operation saw".into() } else { states.join(", ") };
        let (op, end) = (actions[at].op, actions[at].ended);
        why +=
            &format!("op {op} cannot have happened by its end at #{end}; before it key {key} could hold: {states}\n");
    }
    for action in actions {
        why += &history.describe(action.op);
        why.push('\n');
    }
    Verdict::invalid(Anomaly::NotLinearizable, actions.iter().map(|action| action.op), [key.to_string()], why)
}

fn actions(history: &History) -> Result<BTreeMap<Key, Vec<Action>>, Verdict> {
    let mut keys: BTreeMap<Key, Vec<Action>> = BTreeMap::new();
    for (id, op) in history.possible() {
        for (key, action) in of_op(history, id, op)? {
            if action.puts.is_some() || (action.sees.is_some() && op.is_ok()) {
                keys.entry(key).or_default().push(action);
            }
        }
    }
    Ok(keys)
}

fn of_op(history: &History, id: OpId, op: &Op) -> Result<BTreeMap<Key, Action>, Verdict> {
    let mut keys = BTreeMap::new();
    for step in &op.steps {
        let start = Action { op: id, invoked: op.invoked.index, ended: op.ended(), sees: None, puts: None };
        let action = keys.entry(step.key()).or_insert(start);
        let seen = match step {
            Step::Write { value, .. } => {
                action.puts = Some(*value);
                continue;
            }
            Step::Expect { value, .. } => *value,
            Step::Read { found: None, .. } => continue,
            Step::Read { found: Some(Datum::Nothing), .. } => None,
            Step::Read { found: Some(Datum::Number(value)), .. } => Some(*value),
            Step::Read { found: Some(Datum::List(_)), .. } | Step::Append { .. } | Step::Add { .. } => {
                let why = format!("only registers are checked:\n{}", history.describe(id));
                return Err(Verdict::Undecided(why));
            }
        };
        match action.puts.map(Some).or(action.sees) {
            Some(before) if before != seen => {
                let why = format!("it saw two values with nobody in between:\n{}", history.describe(id));
                return Err(Verdict::invalid(Anomaly::Internal, [id], [step.key().to_string()], why));
            }
            Some(_) => {}
            None => action.sees = Some(seen),
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, history, none, ok, op, r, serial, serial_with, w};
    use crate::history::Outcome;

    const BUDGET: u64 = 1_000_000;

    fn verdict(ops: Vec<Op>) -> Verdict {
        check(&history(ops), BUDGET)
    }

    fn unknown(start: u64, steps: Vec<Step>) -> Op {
        op(start, start + 1, Outcome::Unknown, steps)
    }

    #[test]
    fn good_histories() {
        assert!(verdict(vec![]).is_valid());
        let concurrent = vec![ok(0, 9, vec![w(1, 1)]), ok(1, 2, vec![none(1)]), ok(3, 4, vec![r(1, 1)])];
        assert_eq!(verdict(concurrent), Verdict::Valid);
        let swaps = vec![
            ok(0, 9, Step::compare_and_set(1, None, 1)),
            ok(1, 8, Step::compare_and_set(1, Some(2), 3)),
            ok(2, 7, Step::compare_and_set(1, Some(1), 2)),
            ok(10, 11, vec![r(1, 3)]),
        ];
        assert_eq!(verdict(swaps), Verdict::Valid);
        let late = vec![unknown(0, vec![w(1, 1)]), ok(2, 3, vec![none(1)]), ok(4, 5, vec![r(1, 1)])];
        assert_eq!(verdict(late), Verdict::Valid);
        let never = vec![unknown(0, Step::compare_and_set(1, Some(4), 5)), ok(2, 3, vec![none(1)])];
        assert_eq!(verdict(never), Verdict::Valid);
        let own = vec![ok(0, 1, vec![w(1, 1), r(1, 1), w(1, 2), w(2, 7)]), ok(2, 3, vec![r(1, 2), r(2, 7)])];
        assert_eq!(verdict(own), Verdict::Valid);
    }

    #[test]
    fn bad_histories() {
        let bad = |ops: Vec<Op>| verdict(ops).violation().unwrap().ops.clone();
        let stale = vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![w(1, 2)]), ok(4, 5, vec![r(1, 1)])];
        assert_eq!(bad(stale), [0, 1, 2]);
        let stale_nothing = vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![none(1)])];
        assert_eq!(bad(stale_nothing), [0, 1]);
        let dirty = vec![op(0, 1, Outcome::Fail, vec![w(1, 1)]), ok(2, 3, vec![r(1, 1)])];
        assert_eq!(bad(dirty), [1]);
        let lost_update =
            vec![ok(0, 9, Step::compare_and_set(1, None, 1)), ok(1, 8, Step::compare_and_set(1, None, 2))];
        assert_eq!(bad(lost_update), [0, 1]);
        let flicker =
            vec![ok(0, 20, vec![w(1, 1)]), ok(1, 2, vec![r(1, 1)]), ok(3, 4, vec![none(1)]), ok(5, 6, vec![r(1, 1)])];
        assert_eq!(bad(flicker), [0, 1, 2]);
        let twice = vec![
            ok(0, 1, vec![w(1, 5)]),
            unknown(2, vec![w(1, 1)]),
            ok(4, 5, vec![r(1, 1)]),
            ok(6, 7, vec![w(1, 2)]),
            ok(8, 9, vec![r(1, 1)]),
        ];
        assert_eq!(bad(twice), [1, 2, 3, 4]);
        let torn = vec![ok(0, 1, vec![w(1, 1), r(1, 2)])];
        assert_eq!(verdict(torn).violation().unwrap().anomaly, Anomaly::Internal);
    }

    #[test]
    fn random_serial_executions_pass() {
        for seed in 0..100 {
            let verdict = check(&serial(seed, Mix::Registers, 300, 3), BUDGET);
            assert!(verdict.is_valid(), "seed {seed}: {verdict}");
            let verdict = check(&serial(seed, Mix::RegisterTransactions, 300, 3), BUDGET);
            assert!(verdict.is_valid(), "seed {seed}: {verdict}");
        }
    }

    /// A read that is answered with a value overwritten long before must be found, and explained by few
    /// operations.
    #[test]
    fn a_stale_read_in_a_random_execution_is_found_and_explained() {
        for seed in 0..20 {
            let mut history = serial(seed, Mix::RegisterTransactions, 300, 2);
            let written = |op: &Op| op.steps.iter().any(|step| matches!(step, Step::Write { key: 0, .. }));
            let first = history.ops.iter().position(|op| op.is_ok() && written(op)).unwrap();
            let Some(Step::Write { value, .. }) =
                history.ops[first].steps.iter().rev().find(|step| matches!(step, Step::Write { key: 0, .. }))
            else {
                panic!("it writes")
            };
            let stale = r(0, *value);
            let last = history.ops.iter().rposition(Op::is_ok).unwrap();
            history.ops[last].steps = vec![stale];
            let verdict = check(&history, BUDGET);
            let violation = verdict.violation().unwrap_or_else(|| panic!("seed {seed}: {verdict}"));
            assert!(violation.ops.contains(&last), "seed {seed}: {violation}");
            assert!(violation.ops.len() <= 8, "seed {seed}: {violation}");
        }
    }

    /// Whether some order explains the actions: all orders are tried.
    fn by_force(left: &[Action], state: Option<Value>) -> bool {
        let first_end = left.iter().map(|action| action.ended).min().unwrap_or(u64::MAX);
        first_end == u64::MAX
            || (0..left.len()).any(|at| {
                let action = left[at];
                let fits = action.invoked < first_end && action.sees.is_none_or(|seen| seen == state);
                let mut rest = left.to_vec();
                rest.remove(at);
                fits && by_force(&rest, action.puts.or(state))
            })
    }

    #[test]
    fn it_agrees_with_trying_all_orders() {
        let mut wrong = 0;
        for seed in 0..4_000 {
            let mut rng = annulus_base::rng::Rng::new(seed);
            let actions: Vec<_> = (0..7)
                .map(|op| {
                    let value = |rng: &mut annulus_base::rng::Rng| rng.below(3) as Value;
                    let seen = |rng: &mut _| Some(value(rng)).filter(|value| *value > 0);
                    let invoked = op as u64 * 100 + rng.below(300) * 10 + 1 + op as u64;
                    let ended = if rng.one_in(4) { u64::MAX } else { invoked + rng.below(300) * 10 + 5 };
                    let kind = rng.below(3);
                    let sees = (kind > 0).then(|| seen(&mut rng));
                    let puts = (kind < 2).then(|| value(&mut rng));
                    Action { op, invoked, ended, sees, puts }
                })
                .filter(|action| action.puts.is_some() || action.ended != u64::MAX)
                .collect();
            let expected = by_force(&actions, None);
            wrong += u64::from(!expected);
            let answer = search::run(&actions, BUDGET);
            assert_eq!(answer == Answer::Linearizable, expected, "seed {seed}: {actions:?}, {answer:?}");
            if let Answer::Stuck { at, .. } = answer {
                let kept = shrink::smallest(&actions, at, BUDGET);
                assert!(!by_force(&kept, None), "seed {seed}: {kept:?}");
            }
        }
        assert!((1_000..3_000).contains(&wrong), "{wrong} of 4000");
    }

    #[test]
    fn many_unknown_writes_of_few_values_are_decided() {
        let mut ops = Vec::new();
        for at in 0..60 {
            ops.push(unknown(at * 10, vec![w(1, (at % 4) as Value)]));
            ops.push(ok(at * 10 + 5, at * 10 + 6, vec![r(1, (at % 4) as Value)]));
        }
        assert_eq!(verdict(ops.clone()), Verdict::Valid);
        ops.push(ok(700, 701, vec![r(1, 9)]));
        assert!(verdict(ops).violation().is_some());
    }

    #[test]
    fn an_exhausted_budget_is_reported() {
        let history = serial_with(1, Mix::Registers, 300, 1, 2);
        assert!(matches!(check(&history, 3), Verdict::Undecided(_)));
        let lists = vec![ok(0, 1, vec![Step::Append { key: 1, value: 1 }])];
        assert!(matches!(verdict(lists), Verdict::Undecided(_)));
    }
}
