//! Committed versions, and the storage that keeps them.
//!
//! The store receives only decided versions. It need not sync them: the vote log can replay everything
//! since the last checkpoint.

use annulus_base::{Key, KeyRange, PartitionId, Timestamp, TxnId};
use bytes::Bytes;
use wincode::{SchemaRead, SchemaWrite};

/// Identity of one version of one key: when it was committed and by whom. The order is the version order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct Stamp {
    /// Commit timestamp.
    pub ts: Timestamp,
    /// The transaction that wrote it; breaks ties.
    pub txn: TxnId,
}

impl Stamp {
    /// What is "seen" where a key has no version at all: older than every version.
    pub const NONE: Self = Self {
        ts: Timestamp::ZERO,
        txn: TxnId {
            start: Timestamp::ZERO,
            node: annulus_base::NodeId(0),
            incarnation: annulus_base::Incarnation(0),
            sequence: 0,
        },
    };
}

/// One committed version of a key.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Version {
    /// When and by whom.
    pub stamp: Stamp,
    /// The value, `None` for a tombstone.
    pub value: Option<Bytes>,
}

/// A write of a transaction: a new value, or `None` to delete.
pub type Write = (Key, Option<Bytes>);

/// A version at its place.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Placed {
    /// Where.
    pub partition: PartitionId,
    /// Which key.
    pub key: Key,
    /// What.
    pub version: Version,
}

/// Why the store could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A stored record fails its checksum; it is repaired from the replica ring and never served.
    #[error("the stored record of key {key} in partition {partition} is corrupt")]
    Corrupt {
        /// Where.
        partition: PartitionId,
        /// Which key.
        key: Key,
    },
    /// The engine itself failed; the node must stop.
    #[error("the storage engine failed: {0}")]
    Failed(String),
}

/// Result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Decided versions, by partition and key. One owner; calls are synchronous.
pub trait Store {
    /// The newest version of `key` with `stamp.ts <= at` (tombstones included).
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(&mut self, partition: PartitionId, key: &Key, at: Timestamp) -> StoreResult<Option<Version>>;

    /// The newest version with `stamp.ts <= at` of each key in `range`, tombstones included, in key
    /// order, at most `limit` keys.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        at: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<(Key, Version)>>;

    /// Every stored version of every key in `range`, in key order and newest first within a key. Stops
    /// after the first key that brings the number of versions to `limit` or above: keys are never cut.
    ///
    /// # Errors
    /// [`StoreError`].
    fn history(&mut self, partition: PartitionId, range: &KeyRange, limit: usize) -> StoreResult<Vec<(Key, Version)>>;

    /// Adds decided versions. Adding one that is there already changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn apply(&mut self, versions: Vec<Placed>) -> StoreResult<()>;

    /// Removes single versions that garbage collection or a purge found to be no longer needed, and
    /// those whose record is corrupt (they are then fetched anew).
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn remove(&mut self, versions: &[(PartitionId, Key, Stamp)]) -> StoreResult<()>;

    /// Drops whatever is stored for `key`, readable or not. Used before a corrupt key is fetched anew.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn erase(&mut self, partition: PartitionId, key: &Key) -> StoreResult<()>;
}
