//! The transaction interface that servers use.
//!
//! A transaction is: reads (each of them remembered as a [`Seen`]), then one [`Commit`] that carries
//! every read to validate and every write to apply. Strict serializability follows from the validation,
//! whatever the reads saw; locks only make contended transactions wait in line instead of retrying.

use std::future::Future;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{ErrorClass, Key, KeyRange, PartitionId, Timestamp, TxnId};
use annulus_replica::message::Holder;
use annulus_replica::store::Stamp;
use annulus_ring::DEFAULT_REPLICATION_FACTOR;
use bytes::Bytes;

use crate::standing::Standing;

/// A key in its partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Where.
    pub partition: PartitionId,
    /// Which key.
    pub key: Key,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which version; [`Stamp::NONE`] where the key never existed.
    pub stamp: Stamp,
    /// Its value, `None` if the key is absent.
    pub value: Option<Bytes>,
}

/// A range that was read, and everything present in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRange {
    /// Where.
    pub partition: PartitionId,
    /// The stretch covered: cut short where the limit was reached.
    pub range: KeyRange,
    /// The present keys, in order.
    pub rows: Vec<(Key, Seen)>,
}

/// At which point of time to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Strictly serializable with everything acknowledged before.
    Latest,
    /// As it was at a timestamp.
    At(Timestamp),
}

/// A range that was read, to be validated: it still holds exactly these present keys and versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeCheck {
    /// Where.
    pub partition: PartitionId,
    /// The stretch.
    pub range: KeyRange,
    /// Its present keys, in order, with the version seen.
    pub rows: Vec<(Key, Stamp)>,
}

/// A range all of which was read at a snapshot, to be validated: nothing in it has a later version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// Where.
    pub partition: PartitionId,
    /// The stretch, within one index.
    pub range: KeyRange,
    /// The snapshot.
    pub since: Timestamp,
}

/// Everything a transaction read and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Keys read, each with the version seen: it must still be the newest.
    pub reads: Vec<(Place, Stamp)>,
    /// Ranges read, with every present key and its version: nothing in them may have changed.
    pub ranges: Vec<RangeCheck>,
    /// Ranges of which too much was read to tell it one by one.
    pub unchanged: Vec<Unchanged>,
    /// New values, `None` to delete. At most one per key.
    pub writes: Vec<(Place, Option<Bytes>)>,
}

impl Commit {
    /// The partitions that it touches, some of them several times.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        let places = self.reads.iter().map(|(place, _)| place).chain(self.writes.iter().map(|(place, _)| place));
        let ranges = self.ranges.iter().map(|range| range.partition);
        places.map(|place| place.partition).chain(ranges).chain(self.unchanged.iter().map(|range| range.partition))
    }
}

/// A committed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// What its outcome can be asked by.
    pub txn: TxnRef,
}

/// Why a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// A read was no longer the newest version: read again and retry.
    #[error("a concurrent transaction changed {0} after it was read; retry the transaction")]
    Conflict(Key),
    /// A lock was not granted.
    #[error("key {} is locked by transaction {} for {} ms{}; retry later",
        .0.key, .0.txn, .0.held_for / 1_000, if .0.prepared { " (prepared)" } else { "" })]
    Locked(Holder),
    /// An older transaction took the soft lock: retry with the same start time.
    #[error("an older transaction took a lock that this one held; retry the transaction")]
    Wounded,
    /// No majority of a replica ring answered in time; nothing was changed.
    #[error(
        "partition {partition}: {answered} of {needed} needed replicas answered in time; nothing was changed, retry later"
    )]
    Unavailable {
        /// Where.
        partition: PartitionId,
        /// How many answered.
        answered: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The outcome could not be learned in time. Ask for it by the id before trying again.
    #[error("the outcome of transaction {0} is not known yet; ask for it by this id before retrying")]
    Unknown(TxnRef),
    /// The snapshot is older than the kept history.
    #[error("the history before {oldest} is no longer kept")]
    TooOld {
        /// The oldest readable timestamp.
        oldest: Timestamp,
    },
    /// Clocks are too far apart.
    #[error(
        "clocks differ by more than the allowed drift: asked for {asked}, a replica is at {here}; check time synchronisation"
    )]
    ClockDrift {
        /// What was asked for.
        asked: Timestamp,
        /// The replica's clock.
        here: Timestamp,
    },
    /// A documented limit was exceeded.
    #[error("limit exceeded: {0}")]
    Limit(String),
    /// Too much work is waiting; nothing was changed.
    #[error("the node is overloaded or stopping; nothing was changed, retry later or on another node")]
    Overloaded,
    /// The disk is nearly full: only deletes are accepted.
    #[error("the disk is nearly full: writes are refused, deletes are accepted")]
    DiskFull,
}

impl TxnError {
    /// What to do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Conflict(_) | Self::Locked(_) | Self::Wounded | Self::Overloaded => ErrorClass::Retry,
            Self::Unavailable { .. } | Self::ClockDrift { .. } => ErrorClass::Unavailable,
            Self::Unknown(_) => ErrorClass::Unknown,
            Self::TooOld { .. } => ErrorClass::Invalid,
            Self::Limit(_) | Self::DiskFull => ErrorClass::Limit,
        }
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It committed.
    Committed,
    /// It had no effect and never will.
    Aborted,
    /// Too long ago: its decision is forgotten.
    Forgotten,
}

/// The database as servers see it. All calls end by `deadline` (microseconds of the steady clock's
/// future, as a duration from now), with an error if they must.
///
/// Not `Send`: servers live on the thread of their node.
pub trait Database: Clone + 'static {
    /// The priority of a new transaction; keep it over retries, so that a loser becomes the oldest.
    fn begin(&self) -> Timestamp;

    /// Replicas of each partition of what is made at run time and does not say otherwise. Never changes.
    fn replication_factor(&self) -> u8 {
        DEFAULT_REPLICATION_FACTOR
    }

    /// Reads keys, all at one instant. The results are in the order asked.
    fn read(&self, keys: Vec<Place>, when: When, patience: Micros)
    -> impl Future<Output = Result<Vec<Seen>, TxnError>>;

    /// Reads ranges, all at one instant, each with the most keys to return.
    fn scan(
        &self,
        ranges: Vec<(PartitionId, KeyRange, u32)>,
        when: When,
        patience: Micros,
    ) -> impl Future<Output = Result<Vec<SeenRange>, TxnError>>;

    /// How ranges stand at a snapshot, each within one index: whether they have changed since another snapshot can be
    /// told from two of these, without reading them. Whoever holds no such promise answers that nothing is known.
    fn standing(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        patience: Micros,
    ) -> impl Future<Output = Result<Vec<Standing>, TxnError>> {
        let (_, _) = (at, patience);
        std::future::ready(Ok(vec![Standing::default(); ranges.len()]))
    }

    /// Which keys of ranges are not settled at a snapshot; `None` if that cannot be told: then a later snapshot is to be
    /// tried. Asked twice, it makes the snapshot an instant between the two for whoever reads, at the snapshot, no key
    /// that was named either time: all that was acknowledged before that instant is in it, and nothing that begins after
    /// it. `hold`: writers of the ranges are held back until the next question without it, for a short time at most.
    fn unsettled(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        hold: bool,
        patience: Micros,
    ) -> impl Future<Output = Result<Option<Vec<Place>>, TxnError>> {
        let (_, _, _, _) = (ranges, at, hold, patience);
        std::future::ready(Ok(None))
    }

    /// Takes soft locks for the transaction that began at `start` and reads the newest versions. The
    /// returned id names the locks: give it to [`Database::commit`] or [`Database::unlock`].
    fn lock(
        &self,
        start: Timestamp,
        keys: Vec<Place>,
        nowait: bool,
        patience: Micros,
    ) -> impl Future<Output = Result<(TxnId, Vec<Seen>), TxnError>>;

    /// Drops the soft locks of a transaction that will not commit.
    fn unlock(&self, txn: TxnId, keys: &[Place]);

    /// Validates and applies, atomically. `locked`: the id from [`Database::lock`], whose locks cover
    /// the writes and reads. Conflicts that a mere retry of the same commit can solve (a lock in the way,
    /// a timestamp too low) are retried inside, until `patience` ends.
    fn commit(
        &self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: Commit,
        patience: Micros,
    ) -> impl Future<Output = Result<Committed, TxnError>>;

    /// What became of a transaction; decides it (by recovery) if it is undecided.
    fn outcome(&self, txn: TxnRef, patience: Micros) -> impl Future<Output = Result<Fate, TxnError>>;
}
