//! Agreement: nobody, replica or client, ever learns another outcome of a transaction than the others.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

use crate::verdict::{Anomaly, Verdict};

/// How a transaction was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It takes effect.
    Committed,
    /// It never takes effect.
    Aborted,
}

/// Somebody learned a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation<O, T> {
    /// Who.
    pub observer: O,
    /// The transaction.
    pub txn: T,
    /// What was learned.
    pub decision: Decision,
}

/// Checks that all observations of one transaction agree. Operations in the verdict are positions in
/// `observations`.
#[must_use]
pub fn check<O: Display, T: Ord + Debug>(observations: &[Observation<O, T>]) -> Verdict {
    let mut first: BTreeMap<&T, usize> = BTreeMap::new();
    for (at, seen) in observations.iter().enumerate() {
        let before = *first.entry(&seen.txn).or_insert(at);
        let other = &observations[before];
        if other.decision != seen.decision {
            let why = format!(
                "{} learned that transaction {:?} was {:?}, then {} that it was {:?}",
                other.observer, seen.txn, other.decision, seen.observer, seen.decision
            );
            return Verdict::invalid(Anomaly::SplitDecision, [before, at], [], why);
        }
    }
    Verdict::Valid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_outcomes_of_one_transaction_are_found() {
        let seen = |observer, txn: u128, decision| Observation { observer, txn, decision };
        let mut seen = vec![
            seen("n1", 7, Decision::Committed),
            seen("n2", 8, Decision::Aborted),
            seen("client 3", 7, Decision::Committed),
        ];
        assert_eq!(check(&seen), Verdict::Valid);
        seen[2].decision = Decision::Aborted;
        let verdict = check(&seen);
        assert_eq!(verdict.violation().unwrap().ops, [0, 2]);
        assert!(verdict.to_string().contains("client 3"), "{verdict}");
    }
}
