//! What nodes say to each other about transactions. Version 1 of the wire.
//!
//! Requests name the transaction by [`TxnRef`], so that a replica without a record of it can tell
//! whether it may have forgotten it. Every request may arrive late, twice or never.

use std::sync::Arc;

use annulus_base::id::TxnRef;
use annulus_base::{Ballot, Epoch, Incarnation, Key, KeyRange, NodeId, PartitionId, Timestamp, TxnId};
use bytes::Bytes;
use wincode::{SchemaRead, SchemaWrite};

use crate::store::{Placed, Stamp, Version, Write};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub enum Outcome {
    /// All its writes are versions at its timestamp.
    Commit,
    /// It had no effect.
    Abort,
}

/// Names one read request of one coordinator incarnation, so that answers find their question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct RequestId {
    /// The asking node's incarnation; answers to an earlier one are dropped.
    pub incarnation: u32,
    /// Counts the requests of that incarnation.
    pub sequence: u64,
}

/// What to read of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct ReadSet {
    /// Single keys.
    pub keys: Vec<Key>,
    /// Ranges, each with the most keys to return (the answer says where it stopped).
    pub ranges: Vec<(KeyRange, u32)>,
}

/// At which point of time to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum ReadAt {
    /// The newest committed versions. The read timestamps of the keys are raised to `raise` and to the
    /// newest version returned when there is more than one key.
    Latest {
        /// At least this (the maximum over all partitions, in the second round of a multi-partition read).
        raise: Timestamp,
    },
    /// The newest versions not above the timestamp.
    Snapshot(Timestamp),
}

/// Values or only their stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Detail {
    /// Stamps and values.
    Data,
    /// Stamps only.
    Digest,
    /// Nothing of the content: when it last changed. Answered by [`Message::Marks`]; of ranges, at a snapshot.
    Marks,
    /// Nothing of the content: which keys of ranges are not settled at a snapshot (the module `unsettled` says what that
    /// is). Answered by [`Message::Unsettled`].
    Unsettled {
        /// First wait for what is prepared at or below the snapshot, and hold writers back until the reader asks
        /// again without this.
        hold: bool,
    },
}

/// Stands for the content of an index at one replica: another content has another mark (the module `changes` says what
/// exactly it promises).
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Mark {
    /// Which start of the replica.
    pub incarnation: Incarnation,
    /// Which change since.
    pub number: u64,
}

/// What a replica says to whoever fixes an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Unsettled {
    /// The highest timestamp that it has voted for.
    pub highest: Timestamp,
    /// The keys that are not settled; `None` if it cannot tell.
    pub keys: Option<Vec<Key>>,
}

/// A read of one partition.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Read {
    /// Echoed in the answer.
    pub id: RequestId,
    /// The asker's epoch.
    pub epoch: Epoch,
    /// Where.
    pub partition: PartitionId,
    /// What.
    pub set: ReadSet,
    /// When.
    pub at: ReadAt,
    /// How much to return.
    pub detail: Detail,
}

/// One key's newest version as a replica has it.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Found {
    /// The key.
    pub key: Key,
    /// Its newest version, [`Stamp::NONE`] where there is none.
    pub stamp: Stamp,
    /// Whether that version is a tombstone (or there is none).
    pub absent: bool,
    /// The value, when data was asked for and it is present.
    pub value: Option<Bytes>,
}

impl Found {
    /// As a version to store; `None` without a version, or where the value was not sent.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        let whole = self.stamp != Stamp::NONE && (self.absent || self.value.is_some());
        whole.then(|| Version { stamp: self.stamp, value: self.value.clone() })
    }
}

/// What a replica found for a [`ReadSet`]: the keys in the order asked, then each range's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Answer {
    /// One per key asked, absent ones included.
    pub keys: Vec<Found>,
    /// One per range asked.
    pub ranges: Vec<RangeFound>,
    /// No transaction that this replica has voted for has a higher timestamp. So a reading above that of a
    /// majority is above every transaction that was acknowledged before they answered.
    pub highest: Timestamp,
}

/// What a replica found in a range.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct RangeFound {
    /// The part of the range that this covers: cut short where the limit was reached.
    pub range: KeyRange,
    /// Every key with a version (tombstones included), in key order.
    pub found: Vec<Found>,
}

/// Why a replica does not answer a read or grant a lock.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Refusal {
    /// The asker's epoch is not the replica's.
    Epoch(Epoch),
    /// The node holds no replica of that partition.
    NotMine,
    /// The timestamp is further ahead than the allowed clock drift.
    ClockDrift {
        /// What was asked.
        asked: Timestamp,
        /// The replica's clock.
        here: Timestamp,
    },
    /// The snapshot is older than the kept history.
    TooOld {
        /// The oldest readable timestamp.
        oldest: Timestamp,
    },
    /// Somebody else holds the lock and the request said not to wait, or waited long enough.
    Locked(Holder),
    /// The replica is overloaded or shutting down.
    Busy,
    /// The stored record is corrupt and being repaired.
    Corrupt,
    /// The disk is nearly full: only deletes are accepted.
    DiskFull,
    /// An older transaction took this transaction's soft lock.
    Wounded,
    /// What is asked for in one partition has more bytes than one answer may have.
    TooLarge,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Holder {
    /// The key (of several, the first found).
    pub key: Key,
    /// The transaction that holds it.
    pub txn: TxnId,
    /// For how long, microseconds.
    pub held_for: u64,
    /// Prepared (durable, until decided) rather than soft.
    pub prepared: bool,
}

/// Asks for soft locks, and for the newest versions of the locked keys.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Lock {
    /// Echoed in the answer.
    pub id: RequestId,
    /// The asker's epoch.
    pub epoch: Epoch,
    /// Who locks; the start time is the priority.
    pub txn: TxnId,
    /// Where.
    pub partition: PartitionId,
    /// The keys, in order.
    pub keys: Vec<Key>,
    /// Whether to be rejected at once instead of waiting.
    pub nowait: bool,
    /// How long to wait in the queue at most, microseconds.
    pub patience: u64,
    /// How much to return of the versions.
    pub detail: Detail,
}

/// A read that a transaction depends on, to be validated when it prepares.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Check {
    /// The key's newest version is still this one ([`Stamp::NONE`]: it has none).
    Key(Key, Stamp),
    /// The range still holds exactly these keys and versions (tombstones left out).
    Range(KeyRange, Vec<(Key, Stamp)>),
    /// The key has no value: no version, or a tombstone.
    Absent(Key),
    /// Nothing in the range, which was read at this snapshot, has a later version.
    Unchanged(KeyRange, Timestamp),
}

/// A transaction's part in one partition.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Part {
    /// Where.
    pub partition: PartitionId,
    /// What it read there.
    pub checks: Vec<Check>,
    /// What it writes there.
    pub writes: Vec<Write>,
}

/// Asks for a durable vote. Holds all parts of the transaction that the receiver replicates.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Prepare {
    /// The transaction, its timestamp and its anchor.
    pub txn: TxnRef,
    /// The epoch it runs in.
    pub epoch: Epoch,
    /// Every partition that it reads or writes.
    pub participants: Vec<PartitionId>,
    /// Whether it holds soft locks of a majority: then it overrides those of others.
    pub locked: bool,
    /// The receiver's parts.
    pub parts: Vec<Part>,
}

impl Prepare {
    /// The versions that its writes become when it commits.
    #[must_use]
    pub fn versions(&self) -> Vec<Placed> {
        let stamp = Stamp { ts: self.txn.ts, txn: self.txn.id };
        let writes = self.parts.iter().flat_map(|part| part.writes.iter().map(move |write| (part.partition, write)));
        let version = |value: &Option<Bytes>| Version { stamp, value: value.clone() };
        writes
            .map(|(partition, (key, value))| Placed { partition, key: key.clone(), version: version(value) })
            .collect()
    }
}

/// Why a replica votes NO.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum No {
    /// The transaction's epoch is not the replica's.
    Epoch(Epoch),
    /// It was refused here before, or promised to a recoverer.
    Refused,
    /// A conflicting lock is held.
    Locked(Holder),
    /// A read is no longer the newest.
    Stale(Key),
    /// The timestamp is too low; this is the lowest that would do.
    TooLow(Timestamp),
}

/// Answer to [`Prepare`].
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Vote {
    /// Durable; the locks are held until the decision.
    Yes,
    /// Final.
    No(No),
    /// It is decided already.
    Decided(Outcome),
    /// May have been known here once; no vote.
    Forgotten,
    /// No vote: the timestamp is too far ahead, the node is overloaded, or a record is corrupt.
    NotNow(Refusal),
}

/// Answer to [`Message::Accept`].
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Accepted {
    /// Durable.
    Yes,
    /// A higher ballot was promised.
    Promised(Ballot),
    /// It is decided already.
    Decided(Outcome),
    /// May have been known here once; no accept.
    Forgotten,
}

/// Answer to [`Message::Recover`].
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Recovered {
    /// The promise, with everything known here.
    Promise {
        /// The YES vote, with its writes; `None`: voted NO, or will.
        vote: Option<Arc<Prepare>>,
        /// What was accepted, at the anchor.
        accepted: Option<(Ballot, Outcome)>,
    },
    /// A higher ballot was promised.
    Promised(Ballot),
    /// It is decided already; with its YES vote where that is still known.
    Decided(Outcome),
    /// May have been known here once; no promise.
    Forgotten,
}

/// Answer to [`Message::Inquire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Inquired {
    /// It is still at work here.
    Active,
    /// The outcome.
    Decided(Outcome),
    /// Nothing is known of it here (any more).
    Unknown,
}

/// Compares a stretch of a partition between two replicas.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Compare {
    /// Echoed in the answer.
    pub id: RequestId,
    /// Where.
    pub partition: PartitionId,
    /// The stretch.
    pub range: KeyRange,
    /// Versions above are left out: they may still be under way.
    pub until: Timestamp,
    /// Versions that garbage collection may drop at this horizon are left out.
    pub horizon: Timestamp,
    /// What the asker has there: a hash over keys and stamps, and their number.
    pub digest: [u8; 32],
}

impl Compare {
    /// Asks for everything there is of a damaged key.
    #[must_use]
    pub fn of_damage(id: RequestId, partition: PartitionId, range: KeyRange) -> Self {
        // No digest of anything: the answer lists what is there.
        Self { id, partition, range, until: Timestamp::MAX, horizon: Timestamp::ZERO, digest: [0; 32] }
    }

    /// Whether it was made by [`Compare::of_damage`].
    #[must_use]
    pub fn is_of_damage(&self) -> bool {
        self.until == Timestamp::MAX
    }
}

/// Everything said between nodes about transactions.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Message {
    /// Read one partition. Answered by [`Message::ReadAnswer`], when no prepared write lock is in the way.
    Read(Read),
    /// Answer to [`Message::Read`].
    ReadAnswer(RequestId, Result<Answer, Refusal>),
    /// Take soft locks. Answered by [`Message::LockAnswer`] when all keys are granted.
    Lock(Lock),
    /// Answer to [`Message::Lock`].
    LockAnswer(RequestId, Result<Answer, Refusal>),
    /// Drop all soft locks (and queue places) of a transaction.
    Unlock(TxnId),
    /// Ask for a vote.
    Prepare(Arc<Prepare>),
    /// Answer to [`Message::Prepare`].
    Vote(TxnId, Vote),
    /// Ask the anchor's replicas to accept an outcome.
    Accept {
        /// The transaction.
        txn: TxnRef,
        /// The proposer's ballot.
        ballot: Ballot,
        /// The proposal.
        outcome: Outcome,
    },
    /// Answer to [`Message::Accept`].
    Accepted(TxnId, Ballot, Accepted),
    /// Take over an undecided transaction.
    Recover {
        /// The transaction.
        txn: TxnRef,
        /// The recoverer's ballot.
        ballot: Ballot,
    },
    /// Answer to [`Message::Recover`].
    Recovered(TxnId, Ballot, Recovered),
    /// The outcome. To a replica that may not have prepared it, with the writes to apply there.
    Decide {
        /// The transaction.
        txn: TxnRef,
        /// Its outcome.
        outcome: Outcome,
        /// All its writes in the receiver's partitions; empty where it is known to have voted YES.
        writes: Vec<Placed>,
    },
    /// Ask a transaction's coordinator what became of it.
    Inquire(TxnRef),
    /// Answer to [`Message::Inquire`].
    Inquired(TxnId, Inquired),
    /// Versions that the receiver lacks. Answered by [`Message::Repaired`] with the same id.
    Repair(RequestId, Vec<Placed>),
    /// Answer to [`Message::Repair`].
    Repaired(RequestId),
    /// Compare a stretch of a partition.
    Compare(Compare),
    /// Answer to [`Message::Compare`].
    Compared {
        /// The question.
        id: RequestId,
        /// What this covers: the stretch asked for, cut short where it holds too much.
        range: KeyRange,
        /// `None` when equal, else all keys and stamps there.
        here: Option<Vec<(Key, Stamp)>>,
    },
    /// Ask for versions by name. Answered by [`Message::Fetched`].
    Fetch(RequestId, PartitionId, Vec<(Key, Stamp)>),
    /// Answer to [`Message::Fetch`]: those that the sender has, as far as they fit into a message.
    Fetched(RequestId, Vec<Placed>),
    /// Tombstones that every replica has, so that all may drop them.
    Purge(PartitionId, Vec<(Key, Stamp)>),
    /// Partitions of dynamic namespaces in which the sender has data: the receiver is to compare them, and may
    /// have missed everything that was ever written there.
    Held(Vec<PartitionId>),
    /// Answer to a [`Message::Read`] for marks: one for each range asked, `None` where there is none to give.
    Marks(RequestId, Vec<Option<Mark>>),
    /// Answer to a [`Message::Read`] for what is not settled.
    Unsettled(RequestId, Unsettled),
}

/// A message and where it goes; several receivers share one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The receivers.
    pub to: Vec<NodeId>,
    /// The message.
    pub message: Message,
}
