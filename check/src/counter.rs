//! Counters: a read lies between what certainly was added before it and what may have been added by its end.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, OpId, Step};
use crate::kind::{Kind, kinds};
use crate::verdict::{Anomaly, Verdict};

/// Checks every read of every key that is only ever added to.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let sums = Sums::of(history);
    for (id, op) in history.executed() {
        let mut own: BTreeMap<Key, i128> = BTreeMap::new();
        for step in &op.steps {
            match step {
                Step::Add { key, amount } => *own.entry(*key).or_default() += i128::from(*amount),
                Step::Read { key, found: Some(found) } => {
                    let read = Read { key: *key, invoked: op.invoked.index, ended: op.ended(), by: id };
                    let own = own.get(key).copied().unwrap_or(0);
                    if let Some(verdict) = sums.judge(history, read, found, own) {
                        return verdict;
                    }
                }
                _ => {}
            }
        }
    }
    Verdict::Valid
}

/// A read of a counter.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    pub(crate) key: Key,
    pub(crate) invoked: u64,
    pub(crate) ended: u64,
    /// Who reads; its own additions are counted apart.
    pub(crate) by: OpId,
}

struct Addition {
    op: OpId,
    amount: i128,
    invoked: u64,
    ended: u64,
}

/// The additions to each counter.
pub(crate) struct Sums(BTreeMap<Key, Vec<Addition>>);

impl Sums {
    pub(crate) fn of(history: &History) -> Self {
        let mut sums: BTreeMap<Key, Vec<Addition>> = BTreeMap::new();
        for (key, kind) in kinds(history) {
            if matches!(kind, Kind::Growing | Kind::Counter) {
                sums.insert(key, Vec::new());
            }
        }
        for (op, asked) in history.possible() {
            for step in &asked.steps {
                let Step::Add { key, amount } = step else { continue };
                let (invoked, ended) = (asked.invoked.index, asked.ended());
                if let Some(additions) = sums.get_mut(key) {
                    additions.push(Addition { op, amount: i128::from(*amount), invoked, ended });
                }
            }
        }
        Self(sums)
    }

    /// What is wrong with a read, if something is; `own` was added before by the reading operation itself.
    pub(crate) fn judge(&self, history: &History, read: Read, found: &Datum, own: i128) -> Option<Verdict> {
        let additions = self.0.get(&read.key)?;
        let (mut lowest, mut highest) = (own, own);
        for addition in additions.iter().filter(|addition| addition.op != read.by) {
            let amount = addition.amount;
            if addition.ended < read.invoked {
                lowest += amount;
                highest += amount;
            } else if addition.invoked < read.ended {
                lowest += amount.min(0);
                highest += amount.max(0);
            }
        }
        let value = match found {
            Datum::Nothing => Some(0),
            Datum::Number(value) => Some(i128::from(*value)),
            Datum::List(_) => None,
        };
        if value.is_some_and(|value| (lowest..=highest).contains(&value)) {
            return None;
        }
        let key = read.key;
        let why = format!(
            "counter {key} was read as {found}; what was added allows {lowest} to {highest}\n{}",
            history.describe(read.by)
        );
        Some(Verdict::invalid(Anomaly::CounterOutOfBounds, [read.by], [key.to_string()], why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Mix, add, history, none, ok, op, r, serial};
    use crate::history::{Op, Outcome};

    fn wrong(ops: Vec<Op>) -> bool {
        let verdict = check(&history(ops));
        verdict.violation().is_some_and(|violation| violation.anomaly == Anomaly::CounterOutOfBounds)
    }

    #[test]
    fn reads_within_bounds_pass() {
        let good = vec![
            ok(0, 1, vec![add(1, 5)]),
            ok(2, 9, vec![add(1, 3)]),
            ok(3, 4, vec![r(1, 5)]),
            ok(5, 6, vec![r(1, 8)]),
            op(10, 11, Outcome::Unknown, vec![add(1, -2)]),
            op(12, 13, Outcome::Fail, vec![add(1, 100)]),
            ok(14, 15, vec![r(1, 8), add(1, 1), r(1, 9)]),
            ok(16, 17, vec![r(1, 7)]),
        ];
        assert_eq!(check(&history(good)), Verdict::Valid);
        for seed in 0..100 {
            let verdict = check(&serial(seed, Mix::Counters, 200, 3));
            assert!(verdict.is_valid(), "seed {seed}: {verdict}");
        }
    }

    #[test]
    fn reads_out_of_bounds_are_found() {
        assert!(wrong(vec![ok(0, 1, vec![add(1, 5)]), ok(2, 3, vec![none(1)])]), "lost");
        assert!(wrong(vec![ok(0, 1, vec![add(1, 5)]), ok(2, 3, vec![r(1, 10)])]), "twice");
        let aborted = vec![op(0, 1, Outcome::Fail, vec![add(1, 5)]), ok(2, 3, vec![r(1, 5)])];
        assert!(wrong(aborted), "aborted");
        assert!(wrong(vec![ok(0, 1, vec![r(1, 5)]), ok(2, 3, vec![add(1, 5)])]), "from the future");
        assert!(wrong(vec![ok(0, 1, vec![add(1, 5), r(1, 4)])]), "its own");
    }
}
