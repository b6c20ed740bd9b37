//! Snapshots: what is read at a timestamp is what was committed up to it, exactly.
//!
//! Transactions are executed in the order of their commit timestamps. Unknown ones count if somebody saw a
//! value of theirs; an unknown addition cannot be recognised, so that a difference on its key is undecided.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Datum, History, Key, Op, OpId, Step, Value};
use crate::state::State;
use crate::verdict::{Anomaly, Verdict};

/// Checks every snapshot read against the transactions with timestamps up to its own.
#[must_use]
pub fn check(history: &History) -> Verdict {
    replay(history, false)
}

/// Checks in addition that each committed transaction saw what those with smaller timestamps left: that
/// commit timestamps are a serial order.
#[must_use]
pub fn check_commits(history: &History) -> Verdict {
    replay(history, true)
}

fn replay(history: &History, commits_too: bool) -> Verdict {
    let uncertain = Uncertain::of(history);
    let mut events = match events(history, &uncertain) {
        Ok(events) => events,
        Err(verdict) => return verdict,
    };
    events.sort_unstable();
    let mut state = State::default();
    for (timestamp, is_read, id) in events {
        let op = &history.ops[id];
        let expected = match state.execute(&op.steps) {
            Ok(expected) => expected,
            Err(refusal) => return uncertain.wrong(history, id, timestamp, &refusal.to_string(), op.steps.iter()),
        };
        if is_read || (commits_too && op.is_ok()) {
            let differs = |(found, expected): &(&Step, &Step)| is_answered(found) && found != expected;
            if let Some((found, expected)) = op.steps.iter().zip(&expected.steps).find(differs) {
                let why = format!("{found}, but by commit timestamps it is: {expected}");
                return uncertain.wrong(history, id, timestamp, &why, [found].into_iter());
            }
        }
        state.apply(expected.writes);
    }
    Verdict::Valid
}

fn is_answered(step: &Step) -> bool {
    matches!(step, Step::Read { found: Some(_), .. })
}

/// Commits and snapshot reads with their timestamps; commits first where these are equal.
fn events(history: &History, uncertain: &Uncertain) -> Result<Vec<(u64, bool, OpId)>, Verdict> {
    let mut events = Vec::new();
    for (id, op) in history.possible() {
        let changes = op.steps.iter().any(Step::changes);
        if let Some(timestamp) = op.read_at.filter(|_| op.is_ok() && !changes) {
            events.push((timestamp, true, id));
        } else if changes && (op.is_ok() || uncertain.seen.contains(&id)) {
            let missing = || Verdict::Undecided(format!("no commit timestamp: {}", history.describe(id)));
            events.push((op.committed_at.ok_or_else(missing)?, false, id));
        }
    }
    Ok(events)
}

/// Unknown operations: those that somebody saw, and the keys that the others may have added to.
struct Uncertain {
    seen: BTreeSet<OpId>,
    added: BTreeMap<Key, OpId>,
}

impl Uncertain {
    fn of(history: &History) -> Self {
        let mut found: BTreeSet<(Key, Value)> = BTreeSet::new();
        for (key, datum) in history.executed().flat_map(|(_, op)| op.found()) {
            match datum {
                Datum::Nothing => {}
                Datum::Number(value) => found.extend([(key, *value)]),
                Datum::List(values) => found.extend(values.iter().map(|value| (key, *value))),
            }
        }
        let unknown = || history.possible().filter(|(_, op)| !op.is_ok());
        let wrote = |op: &Op| {
            op.steps.iter().any(|step| match step {
                Step::Write { key, value } | Step::Append { key, value } => found.contains(&(*key, *value)),
                _ => false,
            })
        };
        let seen: BTreeSet<_> = unknown().filter(|(_, op)| wrote(op)).map(|(id, _)| id).collect();
        let mut added = BTreeMap::new();
        for (id, op) in unknown().filter(|(id, _)| !seen.contains(id)) {
            let additions = op.steps.iter().filter(|step| matches!(step, Step::Add { .. }));
            added.extend(additions.map(|step| (step.key(), id)));
        }
        Self { seen, added }
    }

    fn wrong<'a>(
        &self,
        history: &History,
        id: OpId,
        timestamp: u64,
        why: &str,
        mut steps: impl Iterator<Item = &'a Step>,
    ) -> Verdict {
        let keys: Vec<_> = steps.by_ref().map(Step::key).collect();
        if let Some(unknown) = keys.iter().find_map(|key| self.added.get(key)) {
            let why = format!("{why}; but op {unknown}, whose outcome is unknown, may have changed that");
            return Verdict::Undecided(why);
        }
        let why = format!("at timestamp {timestamp}: {why}\n{}", history.describe(id));
        Verdict::invalid(Anomaly::WrongSnapshot, [id], keys.iter().map(Key::to_string), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, add, append, history, list, none, ok, op, r, serial, w};
    use crate::history::Outcome;

    fn at(timestamp: u64, op: Op) -> Op {
        Op { committed_at: Some(timestamp), ..op }
    }

    fn snapshot(timestamp: u64, steps: Vec<Step>) -> Op {
        Op { read_at: Some(timestamp), ..ok(50 + timestamp, 99, steps) }
    }

    fn commits() -> Vec<Op> {
        vec![
            at(20, ok(0, 1, vec![append(1, 2), list(1, &[1, 2]), add(3, -4)])),
            at(10, ok(2, 3, vec![append(1, 1), w(2, 7), none(4)])),
            op(4, 5, Outcome::Fail, vec![append(1, 3)]),
            at(15, op(6, 7, Outcome::Unknown, vec![append(4, 1), w(2, 8)])),
        ]
    }

    fn verdict(read: Op) -> Verdict {
        check(&history([commits(), vec![read]].concat()))
    }

    #[test]
    fn snapshots_are_prefixes() {
        assert!(check(&history(commits())).is_valid());
        assert!(verdict(snapshot(9, vec![none(1), none(2), none(3)])).is_valid());
        assert!(verdict(snapshot(10, vec![list(1, &[1]), r(2, 7)])).is_valid());
        assert!(verdict(snapshot(19, vec![list(1, &[1]), r(2, 8), list(4, &[1])])).is_valid());
        assert!(verdict(snapshot(19, vec![list(1, &[1]), r(2, 7), none(4)])).is_valid(), "the unknown one was not");
        assert!(verdict(snapshot(20, vec![list(1, &[1, 2]), r(3, -4)])).is_valid());
        for seed in 0..50 {
            for mix in Mix::ALL {
                let verdict = check_commits(&serial(seed, mix, 200, 4));
                assert!(!matches!(verdict, Verdict::Invalid(_)), "seed {seed}, {mix:?}: {verdict}");
                assert!(verdict.is_valid() || mix == Mix::Counters, "seed {seed}, {mix:?}: {verdict}");
            }
        }
    }

    #[test]
    fn wrong_snapshots_are_found() {
        let wrong = |read| verdict(read).violation().is_some_and(|found| found.anomaly == Anomaly::WrongSnapshot);
        assert!(wrong(snapshot(10, vec![none(1)])), "too little");
        assert!(wrong(snapshot(9, vec![list(1, &[1])])), "too much");
        assert!(wrong(snapshot(20, vec![list(1, &[2, 1])])), "another order");
        assert!(wrong(snapshot(20, vec![r(2, 8), none(4)])), "half of a transaction");
    }

    #[test]
    fn commits_follow_their_timestamps() {
        let lost = vec![at(1, ok(0, 9, vec![none(1), w(1, 1)])), at(2, ok(1, 8, vec![none(1), w(1, 2)]))];
        assert_eq!(check(&history(lost.clone())), Verdict::Valid);
        assert!(check_commits(&history(lost)).violation().is_some());
        let swapped = vec![at(1, ok(0, 9, vec![w(1, 1)])), at(2, ok(1, 8, Step::compare_and_set(1, None, 2)))];
        assert!(check(&history(swapped)).violation().is_some());
    }

    #[test]
    fn what_is_not_known_is_undecided() {
        let unknown = at(5, op(0, 1, Outcome::Unknown, vec![add(1, 5)]));
        let ops = vec![unknown, snapshot(9, vec![r(1, 5)])];
        assert!(matches!(check(&history(ops)), Verdict::Undecided(_)));
        assert!(matches!(check(&history(vec![ok(0, 1, vec![w(1, 1)])])), Verdict::Undecided(_)));
    }
}
