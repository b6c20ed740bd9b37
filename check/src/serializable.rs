//! Strict serializability of a whole history, from nothing but what clients asked and saw.
//!
//! The search is the `adya` crate's, an implementation of Kingsbury and Alvaro, "Elle" (VLDB 2020). Real-time
//! order is given by the order of the events; unknown operations may have happened. Histories must be all
//! list appends and reads, or all register writes and reads, and every written value unique for its key.
//! Registers hide their order of writes, so it is taken from real time and from reads before writes; where
//! commit timestamps are known [`crate::graph`] sees more.

use std::collections::{BTreeMap, BTreeSet};

use adya::history::{Interner, Mop, Op as AdyaOp, OpType, ReadValue, Scalar};
use adya::{Opts, Report, Valid, Workload};

use crate::history::{Datum, History, Key, Op, OpId, Outcome, Step, Value};
use crate::seen::seen;
use crate::verdict::{Anomaly, Verdict};

/// What adya calls a history whose operations do not depend on each other.
const NO_DEPENDENCIES: &str = "empty-transaction-graph";

/// Checks a history of lists or of registers.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let workload = match workload(history) {
        Ok(workload) => workload,
        Err(why) => return Verdict::Undecided(why),
    };
    if let Some(verdict) = ambiguous(history).or_else(|| invented(history)) {
        return verdict;
    }
    let options = Opts { wfr_keys: true, linearizable_keys: true, ..Opts::default() };
    verdict(history, &adya::check(&convert(history), workload, &options))
}

fn workload(history: &History) -> Result<Workload, String> {
    let (mut lists, mut registers) = (false, false);
    for step in history.ops.iter().flat_map(|op| &op.steps) {
        match step {
            Step::Append { .. } | Step::Read { found: Some(Datum::List(_)), .. } => lists = true,
            Step::Write { .. } | Step::Expect { .. } | Step::Read { found: Some(Datum::Number(_)), .. } => {
                registers = true;
            }
            Step::Add { .. } => return Err("additions hide their order; check the counter or bank instead".into()),
            Step::Read { .. } => {}
        }
    }
    match (lists, registers) {
        (true, true) => Err("lists and registers are mixed in one history".into()),
        (true, false) => Ok(Workload::ListAppend),
        _ => Ok(Workload::RwRegister),
    }
}

/// A value written twice to one key: nothing can be inferred then (and adya 0.1.0 would say "valid").
fn ambiguous(history: &History) -> Option<Verdict> {
    let mut writers: BTreeMap<(Key, Value), OpId> = BTreeMap::new();
    for (id, step) in history.ops.iter().enumerate().flat_map(|(id, op)| op.steps.iter().map(move |step| (id, step))) {
        let (Step::Append { key, value } | Step::Write { key, value }) = step else { continue };
        if let Some(first) = writers.insert((*key, *value), id) {
            let why = format!("ops {first} and {id} both wrote {value} to key {key}; written values must be unique");
            return Some(Verdict::Undecided(why));
        }
    }
    None
}

/// A value that was seen and never written: not one of Elle's anomalies.
fn invented(history: &History) -> Option<Verdict> {
    let mut written: BTreeSet<(Key, Value)> = BTreeSet::new();
    for step in history.ops.iter().flat_map(|op| &op.steps) {
        if let Step::Append { key, value } | Step::Write { key, value } = step {
            written.insert((*key, *value));
        }
    }
    let ((key, value), id) = seen(history).into_iter().find(|(seen, _)| !written.contains(seen))?;
    let why = format!("nobody wrote {value} to key {key}:\n{}", history.describe(id));
    Some(Verdict::invalid(Anomaly::Invented, [id], [key.to_string()], why))
}

/// The history in adya's terms. Each operation is a process of its own: process order is part of
/// real-time order here. Indexes are operation ids, so that explanations name those.
fn convert(history: &History) -> adya::History {
    let mut names = Interner::default();
    let mut events = BTreeMap::new();
    for (id, op) in history.ops.iter().enumerate() {
        let event = |kind, value| AdyaOp { index: id as u64, kind, process: Some(id as i64), value, time: None };
        let asked = steps(op, &mut names);
        let (kind, end) = match (op.outcome, op.finished) {
            (Outcome::Ok, Some(finished)) => (OpType::Ok, finished.index),
            (Outcome::Fail, Some(finished)) => (OpType::Fail, finished.index),
            _ => (OpType::Info, u64::MAX),
        };
        events.insert((op.invoked.index, id), event(OpType::Invoke, asked.clone()));
        events.insert((end, id), event(kind, asked));
    }
    adya::History::from_ops(events.into_values().collect(), names)
}

fn steps(op: &Op, names: &mut Interner) -> Vec<Mop> {
    // Keys and values are interned together; text and number keep them apart.
    let mut key_id = BTreeMap::new();
    let mut mops = Vec::with_capacity(op.steps.len());
    for step in &op.steps {
        let key = step.key();
        let id = *key_id.entry(key).or_insert_with(|| names.intern(Scalar::Str(key.to_string())));
        let mut value = |value: &Value| names.intern(Scalar::Int(*value));
        mops.push(match step {
            Step::Append { value: element, .. } => Mop::Append { key: id, value: value(element) },
            Step::Write { value: written, .. } => Mop::Write { key: id, value: value(written) },
            Step::Expect { value: expected, .. } if op.is_ok() => {
                let seen = expected.as_ref().map_or(ReadValue::Nil, |expected| ReadValue::Scalar(value(expected)));
                Mop::Read { key: id, value: seen }
            }
            Step::Read { found: Some(found), .. } if op.is_ok() => {
                let seen = match found {
                    Datum::Nothing => ReadValue::Nil,
                    Datum::Number(number) => ReadValue::Scalar(value(number)),
                    Datum::List(values) => ReadValue::List(values.iter().map(value).collect()),
                };
                Mop::Read { key: id, value: seen }
            }
            Step::Read { .. } | Step::Expect { .. } | Step::Add { .. } => continue,
        });
    }
    mops
}

fn verdict(history: &History, report: &Report) -> Verdict {
    let is_anomaly = |kind: &str| report.valid != Valid::False || kind != NO_DEPENDENCIES;
    let kinds = report.anomalies.iter().filter(|(kind, _)| is_anomaly(kind));
    let found = kinds.flat_map(|(kind, found)| found.iter().map(move |anomaly| (kind, anomaly)));
    // A cycle that was only shown to exist explains nothing, so one that is spelled out is preferred; of
    // those equally small the one with a telling name.
    let smallest =
        found.min_by_key(|(kind, anomaly)| (kind.ends_with("-exists"), anomaly.ops.len(), kind.starts_with("G-")));
    match (report.valid, smallest) {
        (Valid::True, _) => Verdict::Valid,
        // Operations that do not depend on each other fit into any order.
        (Valid::Unknown, Some((kind, _))) if kind == NO_DEPENDENCIES => Verdict::Valid,
        (Valid::False, Some((kind, anomaly))) => {
            let ops: BTreeSet<OpId> = anomaly.ops.iter().filter_map(|index| usize::try_from(*index).ok()).collect();
            let mut why = format!("{kind}: {}\n", anomaly.explanation.trim_end());
            for id in &ops {
                why += &format!("T{id} = {}\n", history.describe(*id));
            }
            Verdict::invalid(named(kind), ops, [], why)
        }
        (_, smallest) => {
            let why = smallest.map_or("the checker gave no reason", |(_, anomaly)| anomaly.explanation.as_str());
            Verdict::Undecided(why.to_owned())
        }
    }
}

fn named(kind: &str) -> Anomaly {
    match kind {
        "G0" => Anomaly::G0,
        "G1a" | "dirty-update" => Anomaly::G1a,
        "G1b" => Anomaly::G1b,
        "G1c" => Anomaly::G1c,
        "G-single-item" => Anomaly::GSingle,
        "lost-update" => Anomaly::LostUpdate,
        "G2-item" | "G-nonadjacent-item" => Anomaly::G2Item,
        "internal" | "future-read" => Anomaly::Internal,
        "duplicate-elements" => Anomaly::Duplicate,
        "incompatible-order" => Anomaly::IncompatibleOrder,
        // The order of a register's versions is inferred from real time, which is what does not fit.
        "cyclic-versions" => Anomaly::NotLinearizable,
        kind if kind.ends_with("-realtime") => Anomaly::Strict,
        _ => Anomaly::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, append, history, list, none, ok, op, r, serial, w};
    use crate::history::{Form, to_edn, to_json};

    fn anomaly(ops: Vec<Op>) -> Anomaly {
        let verdict = check(&history(ops));
        verdict.violation().unwrap_or_else(|| panic!("{verdict}")).anomaly
    }

    #[test]
    fn good_histories() {
        assert!(check(&History::default()).is_valid());
        let unknown = op(4, 5, Outcome::Unknown, vec![append(1, 2), append(2, 9)]);
        let good = vec![
            ok(0, 1, vec![append(1, 1), list(1, &[1])]),
            ok(2, 3, vec![list(1, &[1]), none(2)]),
            unknown,
            ok(6, 7, vec![list(1, &[1])]),
            ok(8, 9, vec![list(1, &[1, 2]), list(2, &[9])]),
        ];
        assert_eq!(check(&history(good)), Verdict::Valid);
    }

    #[test]
    fn random_serial_executions_pass() {
        for seed in 0..60 {
            for mix in [Mix::Lists, Mix::Registers, Mix::RegisterTransactions] {
                let verdict = check(&serial(seed, mix, 200, 6));
                assert!(verdict.is_valid(), "seed {seed}, {mix:?}: {verdict}");
            }
        }
    }

    #[test]
    fn bad_lists() {
        let stale = vec![ok(0, 1, vec![append(1, 1)]), ok(2, 3, vec![none(1)]), ok(4, 5, vec![list(1, &[1])])];
        assert_eq!(anomaly(stale), Anomaly::Strict);
        let lost_append =
            vec![ok(0, 1, vec![append(1, 1)]), ok(2, 3, vec![append(1, 2)]), ok(4, 5, vec![list(1, &[2])])];
        assert_eq!(anomaly(lost_append), Anomaly::Strict);
        let lost_update = vec![
            ok(0, 5, vec![none(1), append(1, 1)]),
            ok(1, 6, vec![none(1), append(1, 2)]),
            ok(7, 8, vec![list(1, &[1, 2])]),
        ];
        assert_eq!(anomaly(lost_update), Anomaly::LostUpdate);
        let aborted = vec![op(0, 1, Outcome::Fail, vec![append(1, 1)]), ok(2, 3, vec![list(1, &[1])])];
        assert_eq!(anomaly(aborted), Anomaly::G1a);
        let intermediate = vec![ok(0, 9, vec![append(1, 1), append(1, 2)]), ok(1, 8, vec![list(1, &[1])])];
        assert_eq!(anomaly(intermediate), Anomaly::G1b);
        let circular = vec![ok(0, 9, vec![append(1, 1), list(2, &[1])]), ok(1, 8, vec![append(2, 1), list(1, &[1])])];
        assert_eq!(anomaly(circular), Anomaly::G1c);
        let skew = vec![ok(0, 9, vec![none(1), append(2, 1)]), ok(1, 8, vec![none(2), append(1, 1)])];
        assert_eq!(anomaly(skew), Anomaly::G2Item);
        let duplicate = vec![ok(0, 1, vec![append(1, 1)]), ok(2, 3, vec![list(1, &[1, 1])])];
        assert_eq!(anomaly(duplicate), Anomaly::Duplicate);
        let order = vec![
            ok(0, 9, vec![append(1, 1)]),
            ok(1, 8, vec![append(1, 2)]),
            ok(10, 11, vec![list(1, &[1, 2])]),
            ok(12, 13, vec![list(1, &[2, 1])]),
        ];
        assert_eq!(anomaly(order), Anomaly::IncompatibleOrder);
        assert_eq!(anomaly(vec![ok(0, 1, vec![list(1, &[7])])]), Anomaly::Invented);
        let internal = vec![ok(0, 1, vec![append(1, 1), none(1)])];
        assert_eq!(anomaly(internal), Anomaly::Internal);
        let long_fork = vec![
            ok(0, 9, vec![append(1, 1)]),
            ok(1, 8, vec![append(2, 1)]),
            ok(2, 7, vec![list(1, &[1]), none(2)]),
            ok(3, 6, vec![list(2, &[1]), none(1)]),
        ];
        assert_eq!(anomaly(long_fork), Anomaly::G2Item);
    }

    #[test]
    fn bad_registers() {
        let stale = vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![w(1, 2)]), ok(4, 5, vec![r(1, 1)])];
        assert!(!check(&history(stale)).is_valid());
        let aborted = vec![op(0, 1, Outcome::Fail, vec![w(1, 1)]), ok(2, 3, vec![r(1, 1)])];
        assert_eq!(anomaly(aborted), Anomaly::G1a);
        let skew = vec![ok(0, 9, vec![none(1), none(2), w(1, 1)]), ok(1, 8, vec![none(1), none(2), w(2, 1)])];
        assert_eq!(anomaly(skew), Anomaly::G2Item);
        let both_swapped =
            vec![ok(0, 9, Step::compare_and_set(1, None, 1)), ok(1, 8, Step::compare_and_set(1, None, 2))];
        assert_eq!(anomaly(both_swapped), Anomaly::G2Item);
    }

    #[test]
    fn what_it_cannot_check_is_undecided() {
        let mixed = vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![append(2, 1)])];
        assert!(matches!(check(&history(mixed)), Verdict::Undecided(_)));
        let twice = vec![ok(0, 1, vec![w(1, 1)]), ok(2, 3, vec![w(1, 1)])];
        assert!(matches!(check(&history(twice)), Verdict::Undecided(_)));
    }

    /// The written form means to another reader of Jepsen's formats what it means here.
    #[test]
    fn written_histories_are_understood_elsewhere() {
        let verdicts = |history: &History| {
            let edn = adya::History::from_edn(&to_edn(history, Form::Transactions)).unwrap();
            let json = adya::History::from_json(&to_json(history, Form::Transactions)).unwrap();
            [edn, json].map(|read| adya::check(&read, Workload::ListAppend, &Opts::default()).valid)
        };
        for seed in 0..10 {
            assert_eq!(verdicts(&serial(seed, Mix::Lists, 100, 4)), [Valid::True; 2], "seed {seed}");
        }
        let stale = vec![ok(0, 1, vec![append(1, 1)]), ok(2, 3, vec![none(1)]), ok(4, 5, vec![list(1, &[1])])];
        assert_eq!(verdicts(&history(stale)), [Valid::False; 2]);
    }

    #[test]
    fn explanations_name_the_operations() {
        let stale = vec![ok(0, 1, vec![append(1, 1)]), ok(2, 3, vec![none(1)]), ok(4, 5, vec![list(1, &[1])])];
        let verdict = check(&history(stale));
        assert_eq!(verdict.violation().unwrap().ops, [0, 1]);
        assert!(verdict.to_string().contains("T1 = op 1: process 2 at node 0: read 1 = nothing"), "{verdict}");
    }
}
