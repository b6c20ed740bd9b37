//! All checkers that apply to a history of which nothing else is known.
//!
//! Lists, registers and counters are judged apart, each by what shows most: a strictly serializable history stays so
//! if one looks at some of its keys only, so what is found that way is wrong. What lies between them is not seen, and
//! is said to be undecided where transactions change more than one kind.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, Key, Step};
use crate::kind::{Kind, kinds};
use crate::verdict::Verdict;
use crate::workload::{LINEARIZABLE_BUDGET, strict};
use crate::{counter, linearizable, long_fork, monotonic, past, set, write_skew};

/// What each checker says, by its name.
#[must_use]
pub fn check(history: &History) -> Vec<(&'static str, Verdict)> {
    let mut verdicts = Vec::new();
    if history.has_past() {
        verdicts.push(("past", past::check(history)));
    }
    let history = &history.latest();
    let kinds = kinds(history);
    let lists = part(history, &kinds, |kind| kind == Kind::List);
    if let Some(lists) = &lists {
        verdicts.extend([strict(lists), ("set", set::check(lists)), ("monotonic", monotonic::check(lists))]);
    }
    let registers = part(history, &kinds, |kind| kind == Kind::Register);
    if let Some(registers) = &registers {
        verdicts.push(("linearizable", linearizable::check(registers, LINEARIZABLE_BUDGET)));
        verdicts.push(("write skew", write_skew::check(registers)));
        verdicts.extend([("long fork", long_fork::check(registers)), strict(registers)]);
    }
    let counters = part(history, &kinds, |kind| matches!(kind, Kind::Growing | Kind::Counter));
    if let Some(counters) = &counters {
        verdicts.extend([("counter", counter::check(counters)), ("monotonic", monotonic::check(counters))]);
    }
    verdicts.extend(between(history, &kinds).map(|why| ("everything", Verdict::Undecided(why))));
    verdicts
}

/// The history of some keys alone, with the operations in their places; `None` if there is no such key. Keys that
/// nobody changes are part of every such history, since reads of them must have found nothing.
fn part(history: &History, kinds: &BTreeMap<Key, Kind>, wanted: impl Fn(Kind) -> bool) -> Option<History> {
    if !kinds.values().any(|kind| wanted(*kind)) {
        return None;
    }
    let mut part = history.clone();
    for op in &mut part.ops {
        op.steps.retain(|step| kinds.get(&step.key()).is_none_or(|kind| wanted(*kind)));
    }
    Some(part)
}

/// What is not seen by looking at one kind after the other.
fn between(history: &History, kinds: &BTreeMap<Key, Kind>) -> Option<String> {
    if kinds.is_empty() {
        return Some("nothing was changed".to_owned());
    }
    if let Some((key, _)) = kinds.iter().find(|(_, kind)| **kind == Kind::Mixed) {
        return Some(format!("key {key} is changed in ways that do not go together"));
    }
    let group = |kind: &Kind| match kind {
        Kind::Growing | Kind::Counter => Kind::Counter,
        other => *other,
    };
    history.possible().find_map(|(id, op)| {
        let groups = op.steps.iter().filter_map(|step: &Step| kinds.get(&step.key()).map(|kind| group(kind) as u8));
        let several = groups.collect::<BTreeSet<_>>().len() > 1;
        several.then(|| {
            format!("lists, registers and counters were checked apart, but some use several:\n{}", history.describe(id))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, add, append, history, list, none, ok, r, serial, w};
    use crate::verdict::Anomaly;

    #[test]
    fn good_histories_of_every_kind_pass() {
        for seed in 0..20 {
            for mix in Mix::ALL {
                let verdicts = check(&serial(seed, mix, 100, 5));
                assert!(!verdicts.is_empty());
                for (checker, verdict) in verdicts {
                    assert!(verdict.is_valid(), "seed {seed}, {mix:?}, {checker}: {verdict}");
                }
            }
        }
    }

    fn anomalies(ops: Vec<crate::history::Op>) -> Vec<Anomaly> {
        check(&history(ops)).iter().filter_map(|(_, verdict)| Some(verdict.violation()?.anomaly)).collect()
    }

    #[test]
    fn what_is_wrong_in_one_kind_is_found_among_others() {
        let good = vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![append(2, 1)]), ok(4, 5, vec![add(3, 1)])];
        let with = |steps| [good.clone(), vec![ok(6, 7, steps)]].concat();
        assert_eq!(anomalies(with(vec![r(1, 1), list(2, &[1]), r(3, 1)])), []);
        assert!(anomalies(with(vec![none(1)])).contains(&Anomaly::NotLinearizable));
        assert!(anomalies(with(vec![none(2)])).contains(&Anomaly::Strict));
        assert_eq!(anomalies(with(vec![r(3, 2)])), [Anomaly::CounterOutOfBounds]);
        assert!(anomalies(with(vec![r(4, 2)])).contains(&Anomaly::Invented), "a key that nobody changed");
    }

    #[test]
    fn what_could_not_be_checked_is_said() {
        let undecided = |ops| check(&history(ops)).iter().any(|(_, verdict)| matches!(verdict, Verdict::Undecided(_)));
        assert!(undecided(vec![]));
        assert!(undecided(vec![ok(0, 1, vec![w(1, 1), append(1, 2)])]));
        assert!(undecided(vec![ok(0, 1, vec![w(1, 1), append(2, 2)])]));
        assert!(!undecided(vec![ok(0, 1, vec![w(1, 1), none(2)]), ok(2, 3, vec![append(3, 2)])]));
    }
}
