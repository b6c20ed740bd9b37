//! The end of a transaction.

use annulus_base::time::Micros;
use annulus_txn::interface::{Commit, Database, TxnError};

use super::{Done, MOST_VALIDATED, Mode, Transaction};

impl<D: Database> Transaction<D> {
    /// Validates what was read and makes the writes durable.
    ///
    /// What wrote nothing needs no validation if its instant was fixed ([`Transaction::pin`]), nor does a statement that
    /// asked once: its answer held at one instant.
    ///
    /// # Errors
    /// [`TxnError::Conflict`] if something read is no longer the newest, and every other [`TxnError`].
    /// [`TxnError::Unknown`] alone leaves open whether it committed.
    pub async fn commit(mut self, patience: Micros) -> Result<Done, TxnError> {
        let writes = !self.overlay.is_empty();
        if let Some(key) = self.reads.torn() {
            return Err(TxnError::Conflict(key.clone()));
        }
        if !writes && self.needs_no_validation() {
            return Ok(Done::ReadOnly);
        }
        if self.reads.overflowed() {
            return Err(too_many());
        }
        if self.reads.len() + self.overlay.size().0 > MOST_VALIDATED {
            self.reads.shorten();
        }
        let commit = Commit { writes: std::mem::take(&mut self.overlay).into_writes(), ..self.demands() };
        let locked = self.locks.take();
        let committed = self.db.commit(self.start, locked, commit, patience).await?;
        Ok(if writes { Done::Committed(committed.txn) } else { Done::ReadOnly })
    }

    /// Whether what was read so far is still the newest. To be asked before a client is told of an error that
    /// follows from several reads of a statement, since these may never have held together.
    ///
    /// # Errors
    /// [`TxnError::Conflict`] if something has changed; [`TxnError::Unavailable`] if it could not be learned in time.
    pub async fn validate(&mut self, patience: Micros) -> Result<(), TxnError> {
        if let Some(key) = self.reads.torn() {
            return Err(TxnError::Conflict(key.clone()));
        }
        if self.reads.overflowed() && self.snapshot.is_none() {
            return Err(too_many());
        }
        if self.needs_no_validation() || self.reads.overflowed() {
            return Ok(());
        }
        self.reads.rounds += 1;
        match self.db.commit(self.start, None, self.demands(), patience).await {
            // Nothing was written of which it could be unknown whether it is there.
            Err(TxnError::Unknown(txn)) => {
                let needed = usize::from(self.db.replication_factor()) / 2 + 1;
                Err(TxnError::Unavailable { partition: txn.anchor, answered: 0, needed })
            }
            validated => validated.map(drop),
        }
    }

    /// What has to hold at a commit.
    pub(super) fn demands(&self) -> Commit {
        let (reads, ranges, unchanged) = (self.reads.versions(), self.reads.ranges(), self.reads.whole());
        Commit { reads, ranges, unchanged, writes: Vec::new() }
    }

    fn needs_no_validation(&self) -> bool {
        match self.mode {
            Mode::AsOf(_) => true,
            Mode::Statement | Mode::Block if self.reads.is_empty() => true,
            Mode::Statement => self.reads.is_found() && (self.is_at_one_instant() || self.reads.rounds <= 1),
            Mode::Block => self.reads.is_found() && self.is_at_one_instant(),
        }
    }
}

pub(super) fn too_many() -> TxnError {
    TxnError::Limit(format!(
        "a transaction that writes or locks rows read more than {MOST_VALIDATED} keys; split it, or read in a transaction of its own"
    ))
}
