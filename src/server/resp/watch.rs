//! `WATCH`: keys whose versions `EXEC` validates.
//!
//! A watched key is remembered with the version seen at `WATCH`; any change until `EXEC` makes that
//! validation fail, which answers null. After a lost one the next `WATCH` takes leased soft locks under
//! the start time of the transaction that lost, so that those who watch a hot key line up, and so does any
//! connection of this node that watches the key within the next second ([`super::contention`]). The locks end
//! with `EXEC`, `DISCARD`, `UNWATCH` and the connection, before any write outside of `EXEC`, and after
//! [`super::config::Config::watch_lease`]; without them the validation still stands.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use annulus_base::{Timestamp, TxnId};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Place, Seen, TxnError};

use tokio::time::Instant;

use super::commands::connection;
use super::errors::Failure;
use super::keyspace;
use super::protocol::Reply;
use super::shared::{Patience, Shared};
use super::transaction::{Job, Part, PartDone, Stop, Transaction};
use super::value::UnixMillis;
use super::view::Name;

/// The keys that a connection watches.
#[derive(Debug, Default)]
pub struct Watch {
    /// The watched keys and the generations of their partitions, with the version seen.
    checks: BTreeMap<Place, Stamp>,
    /// When the first of them expires: from then on it counts as changed.
    expires: Option<UnixMillis>,
    /// The keys by name.
    names: BTreeSet<Name>,
    /// The start time of the transaction that was lost last and not won since.
    lost: Option<Timestamp>,
    /// Soft locks held.
    locks: RefCell<Option<Locks>>,
}

#[derive(Debug)]
struct Locks {
    txn: TxnId,
    places: Vec<Place>,
    /// When they are let go, `EXEC` or not.
    until: Instant,
}

impl Watch {
    /// Whether any key is watched.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.names.is_empty()
    }

    /// How many keys are watched.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.names.len()
    }

    /// What has to be read to see whether they have changed.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.checks.keys()
    }

    /// Whether a watched key has expired, be it deleted already or not.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Whether the newest versions of [`Watch::places`] are others than those watched.
    #[must_use]
    pub fn has_changed(&self, seen: &[Seen]) -> bool {
        seen.len() != self.checks.len() || self.checks.values().zip(seen).any(|(old, new)| *old != new.stamp)
    }

    /// Adds the checks to those that a transaction has anyway.
    pub(super) fn add_checks(&self, reads: &mut Vec<(Place, Stamp)>) -> Result<(), Stop> {
        let mut merged: BTreeMap<Place, Stamp> = self.checks.clone();
        for (place, stamp) in reads.drain(..) {
            if merged.insert(place.clone(), stamp).is_some_and(|watched| watched != stamp) {
                return Err(Stop::WatchLost);
            }
        }
        reads.extend(merged);
        Ok(())
    }

    /// The start time under which soft locks are held.
    #[must_use]
    pub fn locked_since(&self) -> Option<Timestamp> {
        self.locks.borrow().as_ref().map(|locks| locks.txn.start)
    }

    /// The id of the soft locks held.
    #[must_use]
    pub fn locked(&self) -> Option<TxnId> {
        self.locks.borrow().as_ref().map(|locks| locks.txn)
    }

    /// When the soft locks held are to be released.
    #[must_use]
    pub fn locked_until(&self) -> Option<Instant> {
        self.locks.borrow().as_ref().map(|locks| locks.until)
    }

    /// Drops the soft locks; the keys stay watched.
    pub fn release<D: Database>(&self, database: &D) {
        if let Some(Locks { txn, places, .. }) = self.locks.borrow_mut().take() {
            database.unlock(txn, &places);
        }
    }

    /// Watches nothing any more.
    pub fn clear<D: Database>(&mut self, database: &D) {
        self.release(database);
        *self = Self { lost: self.lost, ..Self::default() };
    }

    /// After `EXEC`: the next `WATCH` is optimistic after a success, and waits in line after a loss. So do the
    /// others on this node that watch one of these keys soon.
    pub fn settle<D: Database>(&mut self, database: &D, shared: &Shared, lost: bool) {
        if lost {
            shared.contention.lost(std::mem::take(&mut self.names));
        }
        let since = self.lost.or(self.locked_since()).unwrap_or_else(|| database.begin());
        self.clear(database);
        self.lost = lost.then_some(since);
    }

    /// Begins to watch more keys, and runs commands that read only these at the instant at which they were seen.
    /// Answers `None` for the commands if there was no such instant, since the keys were locked.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn add<D: Database>(
        &mut self,
        database: &D,
        shared: &Shared,
        names: BTreeSet<Name>,
        reads: &[Part<'_>],
    ) -> Result<Option<Vec<Reply>>, Failure> {
        let job = Job { parts: reads, patience: shared.patience(), watch: None, token: None, exec: true };
        let mut transaction = Transaction::new(database, shared, job);
        // A second WATCH takes no locks of its own: it would have to wait behind those of the first.
        let contended = self.lost.is_some() || shared.contention.about(&names);
        if contended && self.locked().is_none() {
            transaction.start = self.lost.unwrap_or(transaction.start);
            transaction.lock = true;
            transaction.patience = Patience::of(shared.config.request_timeout / 2);
        }
        transaction.plan.names = names;
        loop {
            match self.try_add(&mut transaction).await {
                Ok(replies) => return Ok(replies),
                Err(Stop::Failed(failure)) => return Err(failure),
                Err(Stop::Txn(error)) if !may_go_on(&error) => return Err(error.into()),
                // Nobody waits for a lock in vain: the keys are watched without it.
                Err(Stop::Txn(TxnError::Locked(_))) if transaction.lock => {
                    transaction.lock = false;
                    transaction.patience = Patience::of(shared.config.request_timeout / 2);
                }
                Err(Stop::Txn(_) | Stop::FetchMore | Stop::WatchLost) => {}
            }
            transaction.release();
            if transaction.patience.left() == 0 {
                return Err(Failure::fixed("TRYAGAIN the keys could not be read in time; retry later"));
            }
            tokio::task::yield_now().await;
        }
    }

    async fn try_add<D: Database>(&mut self, transaction: &mut Transaction<'_, D>) -> Result<Option<Vec<Reply>>, Stop> {
        let mut view = transaction.empty_view();
        let fetched = transaction.fetch(&mut view).await?;
        if view.writes() {
            // An expired key is deleted before its absence is watched.
            let commit = transaction.assemble(&view, &fetched, &[])?;
            let locked = transaction.held.as_ref().map(|(txn, _)| *txn);
            let patience = transaction.patience.left();
            transaction.database.commit(transaction.start, locked, commit, patience).await?;
            transaction.held = None;
            return Err(Stop::FetchMore);
        }
        for ((db, key), entry) in view.entries() {
            let partition = transaction.shared.keyspace.partition_of(*db, key).ok_or(connection::NO_SUCH_DATABASE)?;
            let (Some(found), Some(generation)) = (&entry.found, fetched.generations.get(&partition)) else { continue };
            let place = Place { partition, key: keyspace::stored_key(generation.number, key) };
            self.names.insert((*db, key.clone()));
            // The first version seen counts: a change since an earlier WATCH must be noticed.
            self.checks.entry(place).or_insert(found.stamp);
            self.checks.entry(keyspace::generation_place(partition)).or_insert(generation.stamp);
            let end = found.value.as_ref().and_then(|value| value.expires);
            self.expires = [self.expires, end].into_iter().flatten().min();
        }
        if let Some((txn, places)) = transaction.held.take() {
            let until = Instant::now() + transaction.shared.config.watch_lease;
            *self.locks.borrow_mut() = Some(Locks { txn, places, until });
        }
        let replies = |done: PartDone| done.replies.into_iter().map(|reply| reply.unwrap_or(Reply::Null));
        let done = fetched.at_one_instant.then(|| transaction.apply(&mut view));
        Ok(done.map(|parts| parts.into_iter().flat_map(replies).collect()))
    }
}

/// Whether to try again after an error.
const fn may_go_on(error: &TxnError) -> bool {
    matches!(error, TxnError::Conflict(_) | TxnError::Locked(_) | TxnError::Wounded)
}
