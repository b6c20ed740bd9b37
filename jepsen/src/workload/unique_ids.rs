//! Numbers handed out by adding one to a counter and reading it: each only once, later ones larger.

use std::collections::BTreeMap;

use annulus_base::rng::Rng;
use annulus_check::history::{Datum, History, Key, OpId, Step, Value};
use annulus_check::workload::{Program, Workload};
use annulus_check::{Anomaly, Verdict, Violation, counter};

/// Where the counter is.
const KEY: Key = 0;

/// One counter.
#[derive(Clone, Copy, Debug)]
pub struct UniqueIds;

impl Workload for UniqueIds {
    fn next(&mut self, _: &mut Rng) -> Program {
        vec![Step::Add { key: KEY, amount: 1 }, Step::read(KEY)]
    }

    fn closing(&self) -> Vec<Program> {
        vec![vec![Step::read(KEY)]]
    }

    fn check(&self, history: &History) -> Vec<(&'static str, Verdict)> {
        vec![("unique", unique(history)), ("growing", growing(history)), ("counter", counter::check(history))]
    }
}

/// What executed operations found after adding, by invocation.
fn handed_out(history: &History) -> impl Iterator<Item = (OpId, Value)> {
    let adding = history.executed().filter(|(_, op)| op.steps.iter().any(Step::changes));
    adding.flat_map(|(id, op)| {
        op.found().filter_map(move |(_, found)| match found {
            Datum::Number(number) => Some((id, *number)),
            _ => None,
        })
    })
}

/// No number is handed out twice.
fn unique(history: &History) -> Verdict {
    let mut first: BTreeMap<Value, OpId> = BTreeMap::new();
    for (id, number) in handed_out(history) {
        if let Some(other) = first.insert(number, id) {
            return invalid(history, Anomaly::Duplicate, [other, id], &format!("{number} was handed out twice"));
        }
    }
    Verdict::Valid
}

/// A number that is asked for after another one was handed out is larger than that.
fn growing(history: &History) -> Verdict {
    let mut ends: Vec<(u64, OpId, Value)> =
        handed_out(history).map(|(id, number)| (history.ops[id].ended(), id, number)).collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().peekable();
    let mut largest: Option<(Value, OpId)> = None;
    for (id, number) in handed_out(history) {
        while let Some((_, ended, value)) = ends.next_if(|(end, ..)| *end < history.ops[id].invoked.index) {
            largest = largest.max(Some((value, ended)));
        }
        if let Some((before, other)) = largest.filter(|(before, _)| *before >= number) {
            return invalid(history, Anomaly::WentBack, [other, id], &format!("{number} came after {before}"));
        }
    }
    Verdict::Valid
}

fn invalid(history: &History, anomaly: Anomaly, ops: [OpId; 2], what: &str) -> Verdict {
    let why = format!("{what}:\n{}\n{}", history.describe(ops[0]), history.describe(ops[1]));
    Verdict::Invalid(Violation { anomaly, ops: ops.to_vec(), keys: vec![KEY.to_string()], why })
}

#[cfg(test)]
mod tests {
    use annulus_check::history::Recorder;

    use super::*;

    fn one_after_the_other(numbers: [Value; 2]) -> History {
        let mut recorder = Recorder::new(2);
        for number in numbers {
            let op = recorder.invoke(0, 0, vec![], 0);
            let found = Step::Read { key: KEY, found: Some(Datum::Number(number)) };
            recorder.ok(op, vec![Step::Add { key: KEY, amount: 1 }, found], 1).unwrap();
        }
        recorder.into_history()
    }

    #[test]
    fn numbers_handed_out_twice_or_backwards_are_found() {
        let good = one_after_the_other([1, 2]);
        assert!(unique(&good).is_valid() && growing(&good).is_valid());
        let twice = unique(&one_after_the_other([2, 2]));
        assert_eq!(twice.violation().unwrap().ops, [0, 1]);
        let backwards = one_after_the_other([2, 1]);
        assert!(unique(&backwards).is_valid());
        assert_eq!(growing(&backwards).violation().unwrap().anomaly, Anomaly::WentBack);
    }
}
