//! Where a database keeps what.
//!
//! A database is one namespace. Its catalog is in the first partition, its rows are wherever their hash says.
//! Every partition has a *stamp* of each table: a record that each change of the table's descriptor writes anew in
//! all of them, so that a statement validates its cached descriptor in the partitions that it touches anyway.

use annulus_base::{Key, KeyRange, PartitionId};
use annulus_ring::DynamicNamespace;
use annulus_txn::interface::Place;

use super::ObjectId;

/// The object that the catalog's own records belong to.
const CATALOG: ObjectId = 1;
/// The generation of everything that has only one: the catalog, stamps, states of sequences.
const NO_GENERATION: u32 = 0;
/// Which index number a table's stamps have.
pub(super) const STAMP: u32 = u32::MAX;
/// Which index number a sequence's state has.
const STATE: u32 = 0;

/// The kinds of records in the catalog: the index number of their keys. Stored; never used for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Root = 0,
    Schema = 1,
    Table = 2,
    Sequence = 3,
    View = 4,
    Garbage = 5,
    Database = 6,
    Load = 7,
    Numbers = 8,
    Type = 9,
    Temporary = 10,
}

/// The place of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its namespace.
    pub namespace: DynamicNamespace,
}

impl Home {
    /// The place of the database that is this namespace.
    #[must_use]
    pub const fn new(namespace: DynamicNamespace) -> Self {
        Self { namespace }
    }

    /// Where its catalog is.
    #[must_use]
    pub const fn catalog(&self) -> PartitionId {
        self.namespace.first_partition()
    }

    /// All of its partitions, in order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = PartitionId> + use<> {
        self.namespace.partitions()
    }

    /// The partition of a row or an index entry: by the number of its table (rows) or index (entries) and the
    /// first field of its key, encoded as in the key.
    #[must_use]
    pub fn partition_of(&self, number: u32, field: &[u8]) -> PartitionId {
        let mut hashed = Vec::with_capacity(4 + field.len());
        hashed.extend(number.to_be_bytes());
        hashed.extend(field);
        self.namespace.partition_of(&hashed)
    }

    /// The stamp of a table in a partition.
    #[must_use]
    pub fn stamp(&self, table: ObjectId, partition: PartitionId) -> Place {
        Place { partition, key: Key::new(NO_GENERATION, table, STAMP, &[]) }
    }

    /// A place that is never written, for those who want no record but the partition's attention: the stamp of a
    /// table that cannot be.
    #[must_use]
    pub fn probe(partition: PartitionId) -> Place {
        Place { partition, key: Key::new(NO_GENERATION, 0, STAMP, &[]) }
    }

    /// The state of a sequence.
    #[must_use]
    pub fn sequence_state(&self, sequence: ObjectId) -> Place {
        let partition = self.partition_of(sequence, &[]);
        Place { partition, key: Key::new(NO_GENERATION, sequence, STATE, &[]) }
    }

    /// The catalog's record of an object (or garbage, or a database) of that number; the root has number 0.
    pub(super) fn record(&self, kind: Kind, number: u32) -> Place {
        Place { partition: self.catalog(), key: Key::new(NO_GENERATION, CATALOG, kind as u32, &number.to_be_bytes()) }
    }

    /// The record of a load into a generation of a table's data.
    pub(super) fn load(&self, table: ObjectId, generation: u32) -> Place {
        let number = (u64::from(table) << 32) | u64::from(generation);
        let key = Key::new(NO_GENERATION, CATALOG, Kind::Load as u32, &number.to_be_bytes());
        Place { partition: self.catalog(), key }
    }

    /// All records of a kind.
    pub(super) fn records(kind: Kind) -> KeyRange {
        KeyRange::of_index(NO_GENERATION, CATALOG, kind as u32)
    }

    /// All records of the catalog, in two ranges.
    pub(super) fn all_records() -> [KeyRange; 2] {
        let (first, last) = (Self::records(Kind::Root), Self::records(Kind::View));
        let (types, temporary) = (Self::records(Kind::Type), Self::records(Kind::Temporary));
        [KeyRange { start: first.start, end: last.end }, KeyRange { start: types.start, end: temporary.end }]
    }
}

/// Which record of the catalog a key is of.
pub(super) fn kind_and_number(key: &Key) -> Option<(u32, u32)> {
    let kind = u32::from_be_bytes(key.as_bytes().get(8..12)?.try_into().ok()?);
    let number = u32::from_be_bytes(key.field()?.try_into().ok()?);
    Some((kind, number))
}
