//! A transaction as relations see it: reads that are remembered, writes that are buffered, one commit that
//! validates the former and applies the latter.
//!
//! Promises and invariants:
//! - Strictly serializable: a commit succeeds only if everything read is still the newest. Without writes, all may
//!   instead have been read at one instant ([`Transaction::pin`]), and [`Mode::AsOf`] reads the past.
//! - Own writes are seen; they are dropped, unseen by others, unless the commit succeeds.
//! - In a block all reads see one instant, also if the transaction is doomed.
//! - Soft locks are freed whatever way the transaction ends, dropping it included.

mod commit;
mod instant;
mod locks;
mod overlay;
mod reading;
mod reads;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::BTreeMap;

use annulus_base::id::TxnRef;
use annulus_base::limits::{MAX_TXN_KEYS, MAX_WRITE_BYTES};
use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Place, TxnError};
use bytes::Bytes;

pub use instant::Grip;
use instant::Pinned;
use locks::Locks;
use overlay::Overlay;
pub use overlay::Savepoint;
pub use reads::ReadMark;
use reads::Reads;

/// Most keys whose versions a commit can validate.
pub const MOST_VALIDATED: usize = MAX_TXN_KEYS;

/// How a transaction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A single statement: the newest versions.
    Statement,
    /// Several statements: all at one snapshot, which locking reads may move up.
    Block,
    /// The past, without writes.
    AsOf(Timestamp),
}

/// A range of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where.
    pub partition: PartitionId,
    /// Which keys.
    pub range: KeyRange,
}

impl Span {
    /// One key.
    fn of(place: &Place) -> Self {
        Self { partition: place.partition, range: KeyRange { start: place.key.clone(), end: place.key.successor() } }
    }
}

/// What was found in a span, own writes included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The present keys, in order.
    pub rows: Vec<(Key, Bytes)>,
    /// Where to go on: the first key that was not looked at. `None` at the span's end. There may be no rows
    /// and yet more to come.
    pub next: Option<Key>,
}

/// How a transaction ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It wrote nothing.
    ReadOnly,
    /// Its writes are durable.
    Committed(TxnRef),
}

/// What a transaction has read, and what else it demands.
#[derive(Debug)]
pub struct Premises(Reads);

/// A transaction under way.
pub struct Transaction<D: Database> {
    db: D,
    start: Timestamp,
    mode: Mode,
    /// At which timestamp the reads are made: from the first read of a block on, and of a pinned statement.
    snapshot: Option<Timestamp>,
    /// What makes the snapshot an instant.
    pinned: Option<Pinned>,
    /// After how many keys a block takes an instant, and which partitions it may read.
    pins_after: Option<(usize, Vec<PartitionId>)>,
    reads: Reads,
    overlay: Overlay,
    locks: Locks<D>,
}

impl<D: Database> Transaction<D> {
    /// A transaction that has done nothing yet. `start` is its priority, from [`Database::begin`]: keep it over
    /// retries.
    pub fn new(db: D, mode: Mode, start: Timestamp) -> Self {
        let snapshot = match mode {
            Mode::AsOf(at) => Some(at),
            Mode::Statement | Mode::Block => None,
        };
        let locks = Locks::new(db.clone());
        let (reads, overlay) = (Reads::default(), Overlay::default());
        Self { db, start, mode, snapshot, pinned: None, pins_after: None, reads, overlay, locks }
    }

    /// A transaction that has done nothing yet, and demands at commit what another one went by.
    pub(crate) fn with_premises(db: D, mode: Mode, start: Timestamp, premises: Premises) -> Self {
        Self { reads: premises.0, ..Self::new(db, mode, start) }
    }

    /// What it goes by so far, but for the absence of some keys.
    pub fn premises<'a>(&self, besides: impl IntoIterator<Item = &'a Place>) -> Premises {
        Premises(self.reads.besides(besides.into_iter()))
    }

    /// Nobody else writes in a range, in any partition: what it reads there needs no validation.
    pub fn own(&mut self, range: KeyRange) {
        self.reads.own(range);
    }

    /// Demands at commit, too, what another transaction went by that has committed for this one.
    ///
    /// # Errors
    /// [`TxnError::Limit`] if that is more than can be validated.
    pub fn adopt(&mut self, premises: Premises) -> Result<(), TxnError> {
        self.reads.adopt(premises.0)
    }

    /// Its priority.
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// How it reads.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The database that it is a transaction of.
    pub const fn database(&self) -> &D {
        &self.db
    }

    /// How many times it asked the cluster so far.
    pub const fn rounds(&self) -> u64 {
        self.reads.rounds
    }

    /// How many bytes of keys and values the cluster gave it so far.
    pub const fn bytes(&self) -> u64 {
        self.reads.bytes
    }

    /// Whether it has buffered writes.
    pub fn has_writes(&self) -> bool {
        !self.overlay.is_empty()
    }

    /// Whether it has buffered writes in a range, of any partition.
    pub fn has_written_in(&self, range: &KeyRange) -> bool {
        self.overlay.writes().keys().any(|place| range.contains(&place.key))
    }

    /// Writes a value at commit.
    pub fn put(&mut self, place: Place, value: Bytes) {
        self.overlay.write(place, Some(value));
    }

    /// Deletes a key at commit.
    pub fn delete(&mut self, place: Place) {
        self.overlay.write(place, None);
    }

    /// Takes back what it has written in a range, in any partition.
    pub fn take_back(&mut self, range: &KeyRange) {
        self.overlay.take_back(range);
    }

    /// What it itself has written at a place: `None` if nothing, `Some(None)` if it deleted the key.
    pub fn peek(&self, place: &Place) -> Option<Option<&Bytes>> {
        self.overlay.get(place).map(Option::as_ref)
    }

    /// Demands at commit that a version read elsewhere (a cached descriptor's) is still the newest.
    pub fn expect(&mut self, place: Place, stamp: Stamp) {
        self.reads.expect(place, stamp);
    }

    /// Demands at commit that no value is at a place, without a round trip now.
    pub fn expect_absent(&mut self, place: Place) {
        self.reads.expect_absent(place);
    }

    /// How many keys it writes so far, and how many bytes these and their values have.
    pub fn size(&self) -> (usize, usize) {
        self.overlay.size()
    }

    /// Refuses more writes than a commit can carry, or validate, before they take more memory.
    ///
    /// # Errors
    /// [`TxnError::Limit`].
    pub fn check_size(&self) -> Result<(), TxnError> {
        self.check_reads()?;
        let (keys, bytes) = self.overlay.size();
        let what = match (keys > MAX_TXN_KEYS, bytes > MAX_WRITE_BYTES) {
            (true, _) => format!("a transaction writes more than {MAX_TXN_KEYS} rows and index entries; split it"),
            (_, true) => format!("a transaction writes more than {MAX_WRITE_BYTES} bytes; split it"),
            _ => return Ok(()),
        };
        Err(TxnError::Limit(what))
    }

    /// A point to return to.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        self.overlay.savepoint()
    }

    /// Undoes the writes made since `savepoint`. What was read since is still validated, and locks are kept:
    /// that can cost a retry, never a wrong answer.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        self.overlay.rollback_to(savepoint);
    }

    /// Ends without any effect; dropping it does the same.
    pub fn rollback(self) {}

    /// All buffered writes, for tests and invariants.
    pub fn writes(&self) -> &BTreeMap<Place, Option<Bytes>> {
        self.overlay.writes()
    }
}
