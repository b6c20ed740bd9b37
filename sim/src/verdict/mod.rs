//! Judging a finished run: what clients were told against what the ledger knows.
//!
//! - `outcomes`: no client was told the opposite of the decision, no commit took effect twice;
//! - `values`: each version read has the value that was written, and was committed;
//! - `order`: the history is strictly serializable (snapshot reads aside), and with the snapshot reads
//!   it is serializable;
//! - `snapshot`: a read at a timestamp is exactly the prefix of the versions up to it;
//! - `values_only`: adya and linearizability agree, for those who know values alone (slower: on a sample);
//! - `invariants`: money is conserved, lists only grow, counters count every increment.
//!
//! All but the last compare versions by their stamps, so they are exact and fast.

mod invariants;
mod order;
mod outcomes;
mod snapshot;
mod values;
mod values_only;

use crate::history::History;
use crate::ledger::Ledger;
use crate::violation::Verdict;
use crate::workload::Layout;

/// Looks for a broken promise in what clients were told.
///
/// # Errors
/// The first one found.
pub fn judge(history: &History, ledger: &Ledger) -> Verdict {
    outcomes::check(history, ledger)?;
    values::check(history, ledger)?;
    snapshot::check(history, ledger)?;
    order::check(history, ledger)
}

/// Looks for data that breaks the rules of the simulated workload.
///
/// # Errors
/// The first one found.
pub fn judge_data(history: &History, layout: &Layout) -> Verdict {
    invariants::check(history, layout)
}

/// A second, slower opinion on the simulated workload, by checkers that know values alone.
///
/// # Errors
/// The first violation found.
pub fn judge_again(history: &History, ledger: &Ledger, layout: &Layout) -> Verdict {
    values_only::check(history, ledger, layout)
}
