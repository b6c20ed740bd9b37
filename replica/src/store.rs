//! Committed versions, and the storage that keeps them.
//!
//! The store receives only decided versions. It need not sync them: the vote log can replay everything
//! since the last checkpoint.

use annulus_base::limits::STRETCH_BYTES;
use annulus_base::{Key, KeyRange, PartitionId, Timestamp, TxnId};
use bytes::Bytes;
use wincode::{SchemaRead, SchemaWrite};

/// From so many keys on they are looked up together ([`Store::newest_of`]).
pub(crate) const MANY: usize = 32;

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

/// How much of a range is wanted at once. What is found ends with the version that uses it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Most versions.
    pub versions: usize,
    /// From so many bytes of keys and values on it is enough.
    pub bytes: usize,
}

impl Limit {
    /// Everything.
    pub const NONE: Self = Self { versions: usize::MAX, bytes: usize::MAX };

    /// So many versions, and no more bytes than are held in memory for one answer.
    #[must_use]
    pub const fn versions(versions: usize) -> Self {
        Self { versions, bytes: STRETCH_BYTES }
    }

    /// One version was found.
    pub fn take(&mut self, key: &Key, version: &Version) {
        self.versions = self.versions.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size(key, version));
    }

    /// Whether nothing more is wanted.
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        self.versions == 0 || self.bytes == 0
    }

    /// Whether these use it up, so that there may be more behind them.
    #[must_use]
    pub fn is_used_up_by(mut self, found: &[(Key, Version)]) -> bool {
        found.iter().for_each(|(key, version)| self.take(key, version));
        self.is_used_up()
    }
}

/// Bytes of a version with its key, as limits count them.
#[must_use]
pub fn size(key: &Key, version: &Version) -> usize {
    /// The stamp, and what an encoding adds.
    const OVERHEAD: usize = 64;
    OVERHEAD + key.as_bytes().len() + version.value.as_ref().map_or(0, Bytes::len)
}

/// Result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Decided versions, by partition and key. One owner; calls are synchronous. All keys are whole ([`Key::is_whole`]),
/// only the ends of ranges need not be.
pub trait Store {
    /// The newest version of `key` with `stamp.ts <= at` (tombstones included).
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(&mut self, partition: PartitionId, key: &Key, at: Timestamp) -> StoreResult<Option<Version>>;

    /// The newest version of each of these keys, which are in order: for many at once, of which most will not be
    /// asked for again soon.
    ///
    /// # Errors
    /// [`StoreError`].
    fn newest_of(&mut self, partition: PartitionId, keys: &[&Key]) -> StoreResult<Vec<Option<Version>>> {
        keys.iter().map(|key| self.read(partition, key, Timestamp::MAX)).collect()
    }

    /// The newest version with `stamp.ts <= at` of each key in `range`, tombstones included, in key
    /// order, as far as `limit` goes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan(
        &mut self,
        partition: PartitionId,
        range: &KeyRange,
        at: Timestamp,
        limit: Limit,
    ) -> StoreResult<Vec<(Key, Version)>>;

    /// Every stored version of every key in `range`, in key order and newest first within a key. Stops
    /// after the first key that uses `limit` up: keys are never cut.
    ///
    /// # Errors
    /// [`StoreError`].
    fn history(&mut self, partition: PartitionId, range: &KeyRange, limit: Limit) -> StoreResult<Vec<(Key, Version)>>;

    /// The first partition, from `from` on, that holds a version (readable or not).
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn next_partition(&mut self, from: PartitionId) -> StoreResult<Option<PartitionId>>;

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
