//! Decision agreement and exactly-once, between clients and the ledger.

use std::collections::BTreeMap;

use annulus_base::TxnId;
use annulus_replica::message;

use crate::history::{Call, EntryId, History, Outcome};
use crate::ledger::Ledger;
use crate::violation::{Verdict, wrong};

pub(super) fn check(history: &History, ledger: &Ledger) -> Verdict {
    let mut committed: BTreeMap<EntryId, TxnId> = BTreeMap::new();
    for (txn, entry) in ledger.tries() {
        if ledger.outcome(txn) != Some(message::Outcome::Commit) {
            continue;
        }
        if let Some(other) = committed.insert(entry, txn) {
            return wrong(format!("commit {entry} took effect twice, as {other} and as {txn}"));
        }
        match history.get(entry).outcome {
            Outcome::Failed => return wrong(format!("commit {entry} failed for its client, but {txn} committed")),
            Outcome::Committed(told, _) if told != txn => {
                return wrong(format!("commit {entry} was told to have committed as {told}, but it did as {txn}"));
            }
            _ => {}
        }
    }
    for (id, entry) in history.entries.iter().enumerate() {
        if let (Call::Commit(_), Outcome::Committed(txn, _)) = (&entry.call, &entry.outcome)
            && ledger.outcome(*txn) != Some(message::Outcome::Commit)
        {
            return wrong(format!("commit {id} was told to have committed, but {txn} did not"));
        }
    }
    Ok(())
}
