//! What the simulator, who sees everything, knows to be true: every decision and every version.
//!
//! Told of each step's effects, it finds at once when two outcomes of one transaction are known anywhere,
//! or two values of one version.

use std::collections::BTreeMap;

use annulus_base::TxnId;
use annulus_replica::effects::Effects;
use annulus_replica::message::{Accepted, Inquired, Message, Outcome, Recovered, Vote};
use annulus_replica::record::Record;
use annulus_replica::store::{Placed, Stamp};
use annulus_txn::interface::{Fate, Place};
use annulus_txn::member::Reply;
use bytes::Bytes;

use crate::history::EntryId;
use crate::violation::{Verdict, wrong};

/// All versions of a key that ever were in any store.
pub type Versions = BTreeMap<Stamp, Option<Bytes>>;

/// All decisions and versions of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    outcomes: BTreeMap<TxnId, (Outcome, &'static str)>,
    /// By key, all versions.
    pub versions: BTreeMap<Place, Versions>,
    /// Which commit entry of the history each transaction is a try of.
    tries: BTreeMap<TxnId, EntryId>,
}

impl Ledger {
    /// The known outcome of a transaction.
    #[must_use]
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        self.outcomes.get(&txn).map(|(outcome, _)| *outcome)
    }

    /// The commit entry that a transaction is a try of.
    #[must_use]
    pub fn entry_of(&self, txn: TxnId) -> Option<EntryId> {
        self.tries.get(&txn).copied()
    }

    /// All transactions, each with the commit entry that it is a try of.
    pub fn tries(&self) -> impl Iterator<Item = (TxnId, EntryId)> {
        self.tries.iter().map(|(txn, entry)| (*txn, *entry))
    }

    /// An outcome is known to somebody.
    ///
    /// # Errors
    /// When the other outcome is known too.
    pub fn decided(&mut self, txn: TxnId, outcome: Outcome, who: &'static str) -> Verdict {
        let (known, by) = *self.outcomes.entry(txn).or_insert((outcome, who));
        if known == outcome {
            return Ok(());
        }
        wrong(format!("transaction {txn} ended both ways: {known:?} by {by}, {outcome:?} by {who}"))
    }

    /// Looks through what a step says and stores. `entry_of` finds the commit that a new transaction
    /// of the stepping node belongs to.
    ///
    /// # Errors
    /// When something contradicts what is known.
    pub fn observe(&mut self, effects: &Effects, entry_of: impl Fn(TxnId) -> Option<EntryId>) -> Verdict {
        for record in &effects.records {
            match record {
                Record::Vote(prepare) => self.began(prepare.txn.id, &entry_of),
                Record::Decision { txn, outcome, .. } => self.decided(txn.id, *outcome, "a record")?,
                _ => {}
            }
        }
        for send in effects.at_once.iter().chain(&effects.after_sync) {
            match &send.message {
                Message::Prepare(prepare) => self.began(prepare.txn.id, &entry_of),
                Message::Decide { txn, outcome, .. } => self.decided(txn.id, *outcome, "a decide message")?,
                Message::Vote(txn, Vote::Decided(outcome)) => self.decided(*txn, *outcome, "a vote")?,
                Message::Accepted(txn, _, Accepted::Decided(outcome)) => {
                    self.decided(*txn, *outcome, "an answer to accept")?;
                }
                Message::Recovered(txn, _, Recovered::Decided(outcome)) => {
                    self.decided(*txn, *outcome, "an answer to recover")?;
                }
                Message::Inquired(txn, Inquired::Decided(outcome)) => {
                    self.decided(*txn, *outcome, "an answer to inquire")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn began(&mut self, txn: TxnId, entry_of: impl Fn(TxnId) -> Option<EntryId>) {
        if !self.tries.contains_key(&txn)
            && let Some(entry) = entry_of(txn)
        {
            self.tries.insert(txn, entry);
        }
    }

    /// Looks at an answer to a client.
    ///
    /// # Errors
    /// When it contradicts a known outcome.
    pub fn replied(&mut self, asked: Option<TxnId>, reply: &Reply) -> Verdict {
        match (reply, asked) {
            (Reply::Commit(Ok(committed)), _) => self.decided(committed.txn.id, Outcome::Commit, "a commit's reply"),
            (Reply::Outcome(Ok(Fate::Committed)), Some(txn)) => {
                self.decided(txn, Outcome::Commit, "an outcome's reply")
            }
            (Reply::Outcome(Ok(Fate::Aborted)), Some(txn)) => self.decided(txn, Outcome::Abort, "an outcome's reply"),
            _ => Ok(()),
        }
    }

    /// Versions were added to a store.
    ///
    /// # Errors
    /// When the same version has another value somewhere, or its transaction aborted.
    pub fn stored(&mut self, added: Vec<Placed>) -> Verdict {
        for Placed { partition, key, version } in added {
            if self.outcome(version.stamp.txn) == Some(Outcome::Abort) {
                return wrong(format!("a version of {key} by {} is stored, but that aborted", version.stamp.txn));
            }
            let known = self.versions.entry(Place { partition, key }).or_default();
            let value = known.entry(version.stamp).or_insert_with(|| version.value.clone());
            if *value != version.value {
                return wrong(format!(
                    "two values of the version {:?}: {value:?} and {:?}",
                    version.stamp, version.value
                ));
            }
        }
        Ok(())
    }
}
