//! Conservation: transfers move money and never make or lose any, so that whoever reads all accounts at one
//! instant finds the same total.

use std::collections::BTreeMap;

use crate::history::{Datum, History, Key, Op, Outcome, Value};
use crate::verdict::{Anomaly, Verdict};

/// Checks every read-only operation that read all of `accounts`. An account never written counts as 0.
#[must_use]
pub fn check(history: &History, accounts: &[Key], total: Value) -> Verdict {
    for (id, op) in history.executed().filter(|(_, op)| !op.steps.iter().any(|step| step.changes())) {
        let found: BTreeMap<Key, &Datum> = op.found().collect();
        if accounts.iter().all(|account| found.contains_key(account)) {
            let sum = accounts.iter().try_fold(0, |sum, account| Some(sum + balance(found[account])?));
            if sum != Some(i128::from(total)) {
                let sum = sum.map_or("not a number".to_owned(), |sum| sum.to_string());
                let why = format!("the total is {sum} instead of {total}:\n{}", history.describe(id));
                return Verdict::invalid(Anomaly::TotalChanged, [id], accounts.iter().map(Key::to_string), why);
            }
        }
    }
    Verdict::Valid
}

/// The same for reads of the past, where there may have been no account yet.
#[must_use]
pub fn check_past(history: &History, accounts: &[Key], total: Value) -> Verdict {
    let mut since = history.clone();
    let is_empty = |op: &Op| op.found().all(|(_, found)| *found == Datum::Nothing);
    since.ops.iter_mut().filter(|op| is_empty(op)).for_each(|op| op.outcome = Outcome::Fail);
    check(&since, accounts, total)
}

fn balance(found: &Datum) -> Option<i128> {
    match found {
        Datum::Nothing => Some(0),
        Datum::Number(value) => Some(i128::from(*value)),
        Datum::List(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{add, history, list, none, ok, r};

    #[test]
    fn the_total_stays() {
        let transfer = ok(0, 1, vec![add(1, -5), add(2, 5), r(1, 5)]);
        let good = vec![transfer.clone(), ok(2, 3, vec![r(1, 5), r(2, 15), none(3)]), ok(4, 5, vec![r(1, 7)])];
        assert_eq!(check(&history(good), &[1, 2, 3], 20), Verdict::Valid);
        let torn = history(vec![transfer, ok(2, 3, vec![r(1, 5), r(2, 10)])]);
        let violation = check(&torn, &[1, 2], 20).violation().unwrap().clone();
        assert_eq!((violation.anomaly, violation.ops), (Anomaly::TotalChanged, vec![1]));
        assert!(!check(&history(vec![ok(0, 1, vec![list(1, &[])])]), &[1], 0).is_valid());
        let huge = history(vec![ok(0, 1, vec![r(1, Value::MAX), r(2, Value::MAX)])]);
        assert!(!check(&huge, &[1, 2], -2).is_valid());
        let before = history(vec![ok(0, 1, vec![none(1), none(2)])]);
        assert!(check_past(&before, &[1, 2], 20).is_valid() && !check(&before, &[1, 2], 20).is_valid());
        assert!(!check_past(&torn, &[1, 2], 20).is_valid());
    }
}
