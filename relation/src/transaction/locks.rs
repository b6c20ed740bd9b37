//! Locking reads.

use std::collections::BTreeSet;

use annulus_base::time::Micros;
use annulus_base::{Timestamp, TxnId};
use annulus_txn::interface::{Database, Place, Seen, TxnError};
use bytes::Bytes;

use super::{Mode, Transaction};

/// The soft locks that a transaction holds, all under one id; dropping this frees them.
pub(super) struct Locks<D: Database> {
    db: D,
    id: Option<TxnId>,
    places: BTreeSet<Place>,
}

impl<D: Database> Locks<D> {
    pub(super) const fn new(db: D) -> Self {
        Self { db, id: None, places: BTreeSet::new() }
    }

    /// Hands the locks over to a commit, which frees them in its own way.
    pub(super) fn take(&mut self) -> Option<TxnId> {
        self.places.clear();
        self.id.take()
    }

    /// What is locked.
    pub(super) const fn places(&self) -> &BTreeSet<Place> {
        &self.places
    }

    fn free(&mut self) {
        if let Some(id) = self.id.take() {
            let places: Vec<Place> = std::mem::take(&mut self.places).into_iter().collect();
            self.db.unlock(id, &places);
        }
    }

    /// Locks further places; returns what was found at each place held then.
    ///
    /// Soft locks are taken under one id at once, so those held are taken anew with the others. Somebody else
    /// may come between: a change of theirs is found in the versions.
    async fn extend(
        &mut self,
        start: Timestamp,
        places: &[Place],
        nowait: bool,
        patience: Micros,
    ) -> Result<Vec<(Place, Seen)>, TxnError> {
        let mut wanted = self.places.clone();
        wanted.extend(places.iter().cloned());
        self.free();
        let wanted: Vec<Place> = wanted.into_iter().collect();
        let (id, seen) = self.db.lock(start, wanted.clone(), nowait, patience).await?;
        self.id = Some(id);
        self.places = wanted.iter().cloned().collect();
        Ok(wanted.into_iter().zip(seen).collect())
    }
}

impl<D: Database> Drop for Locks<D> {
    fn drop(&mut self) {
        self.free();
    }
}

impl<D: Database> Transaction<D> {
    /// Locks keys against other locking reads and writers, and reads their newest versions, in the order
    /// asked. `nowait`: fail instead of waiting. A block whose snapshot is older than what is found moves its
    /// snapshot up, if nothing that it read has changed.
    ///
    /// # Errors
    /// [`TxnError::Locked`] if somebody else holds a lock; [`TxnError::Conflict`] if something read before has
    /// changed: the transaction cannot commit any more. If it fails, no lock is held.
    pub async fn lock(
        &mut self,
        places: &[Place],
        nowait: bool,
        patience: Micros,
    ) -> Result<Vec<Option<Bytes>>, TxnError> {
        if places.iter().any(|place| !self.locks.places.contains(place)) {
            self.reads.rounds += 1;
            let found = self.locks.extend(self.start, places, nowait, patience).await?;
            if let Some(pinned) = &mut self.pinned {
                pinned.leave();
            }
            let newest = found.iter().map(|(_, seen)| seen.stamp.ts).max().unwrap_or_default();
            if self.mode == Mode::Block {
                match self.snapshot {
                    Some(snapshot) if newest > snapshot => self.move_up(newest, patience).await?,
                    Some(_) => {}
                    None => self.snapshot = Some(self.db.begin().max(newest)),
                }
            }
            for (place, seen) in found {
                self.remember_locked(place, seen);
            }
            if let Some(key) = self.reads.torn() {
                return Err(TxnError::Conflict(key.clone()));
            }
        }
        self.get(places, patience).await
    }
}
