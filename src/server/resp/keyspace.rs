//! Where the keys of the numbered databases live, and which generation of them is current.
//!
//! Database `n` is the namespace `dbn`. A user key is stored as `Key(generation, 1, 0, user key)` in the
//! partition of the user key. Each partition holds its current generation's number under
//! `Key(0, 0, 0, "generation")` (absent: 1), so `FLUSHDB` writes one small key per partition; what is left
//! of older generations is collected by the sweeper.
//!
//! Every read asks for the generation of its partition together with the keys, and every commit validates
//! it: so a command works in exactly one generation, as an ordinary part of its transaction. The cache
//! here only saves asking first.

use std::cell::RefCell;
use std::collections::HashMap;

use annulus_base::{Key, KeyRange, NamespaceId, PartitionId};
use annulus_replica::store::Stamp;
use annulus_ring::{Namespace, Topology};
use annulus_txn::interface::{Place, Seen};
use annulus_txn::token::Tokens;
use bytes::Bytes;

/// How many databases there are.
pub const DATABASES: u8 = 16;

/// The object of user keys; object 0 holds what describes the partition itself.
const USER: u32 = 1;
/// The key that holds the number of a partition's current generation.
const GENERATION: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0generation\0\x01";
/// The generation of a partition that was never flushed.
const FIRST: u32 = 1;

/// A partition's generation, and the version in which it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// Of the key that holds the number.
    pub stamp: Stamp,
}

/// The databases, and what is known of their generations.
#[derive(Debug)]
pub struct Keyspace {
    databases: Vec<Option<Namespace>>,
    tokens: Option<Tokens>,
    generations: RefCell<HashMap<PartitionId, Generation>>,
}

impl Keyspace {
    /// The databases that a topology has.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let named = |db| topology.namespace_by_name(&format!("db{db}")).cloned();
        Self {
            databases: (0..DATABASES).map(named).collect(),
            tokens: topology.namespace(NamespaceId::SYSTEM).cloned().map(Tokens::new),
            generations: RefCell::default(),
        }
    }

    /// The namespace of a database, if there is such a one.
    #[must_use]
    pub fn database(&self, db: u8) -> Option<&Namespace> {
        self.databases.get(usize::from(db))?.as_ref()
    }

    /// The partitions of a database; none if there is no such one.
    pub fn partitions(&self, db: u8) -> impl Iterator<Item = PartitionId> + use<> {
        self.database(db).map(Namespace::partitions).into_iter().flatten()
    }

    /// The partition of a user key, if the database exists.
    #[must_use]
    pub fn partition_of(&self, db: u8, user_key: &[u8]) -> Option<PartitionId> {
        Some(self.database(db)?.partition_of(user_key))
    }

    /// The outcome records of clients' tokens, if the system namespace exists.
    #[must_use]
    pub const fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// The partitions that hold outcome records.
    pub fn outcome_partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        self.tokens.as_ref().map(Tokens::partitions).into_iter().flatten()
    }

    /// The generation that was last seen, with its version; `None` if it must be asked for.
    #[must_use]
    pub fn known_generation(&self, partition: PartitionId) -> Option<Generation> {
        self.generations.borrow().get(&partition).copied()
    }

    /// The generation to try first.
    #[must_use]
    pub fn likely_generation(&self, partition: PartitionId) -> u32 {
        self.known_generation(partition).map_or(FIRST, |known| known.number)
    }

    /// Remembers what a read of the generation's key found.
    pub fn learn_generation(&self, partition: PartitionId, seen: &Seen) -> Generation {
        let found = Generation { number: decode_generation(seen.value.as_ref()), stamp: seen.stamp };
        self.generations.borrow_mut().insert(partition, found);
        found
    }

    /// Forgets a generation that turned out to be an old one.
    pub fn forget_generation(&self, partition: PartitionId) {
        self.generations.borrow_mut().remove(&partition);
    }
}

/// Where a partition's generation is stored.
#[must_use]
pub fn generation_place(partition: PartitionId) -> Place {
    Place { partition, key: Key(Bytes::from_static(GENERATION)) }
}

/// Whether a key is the one that holds a partition's generation.
#[must_use]
pub fn is_generation(key: &Key) -> bool {
    key.0 == GENERATION
}

/// The key and nothing else.
#[must_use]
pub fn generation_range() -> KeyRange {
    let start = Key(Bytes::from_static(GENERATION));
    KeyRange { end: start.successor(), start }
}

/// A generation's number as it is stored.
#[must_use]
pub fn encode_generation(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn decode_generation(stored: Option<&Bytes>) -> u32 {
    stored.and_then(|stored| stored.as_ref().try_into().ok()).map_or(FIRST, u32::from_be_bytes)
}

/// A user key as it is stored in a generation.
#[must_use]
pub fn stored_key(generation: u32, user_key: &[u8]) -> Key {
    Key::new(generation, USER, 0, user_key)
}

/// All user keys of a generation.
#[must_use]
pub fn user_range(generation: u32) -> KeyRange {
    KeyRange::of_index(generation, USER, 0)
}

/// All user keys of the generations before one.
#[must_use]
pub fn older_generations(generation: u32) -> KeyRange {
    KeyRange { start: user_range(FIRST).start, end: KeyRange::of_index(generation, 0, 0).start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_key_is_a_key() {
        assert_eq!(Key(Bytes::from_static(GENERATION)), Key::new(0, 0, 0, b"generation"));
        assert!(generation_range().contains(&Key::new(0, 0, 0, b"generation")));
        assert!(!user_range(FIRST).contains(&Key::new(0, 0, 0, b"generation")));
    }

    #[test]
    fn older_generations_end_before_the_current_one() {
        let older = older_generations(3);
        assert!(older.contains(&stored_key(1, b"")) && older.contains(&stored_key(2, b"\xff")));
        assert!(!older.contains(&stored_key(3, b"")) && !older.contains(&Key::new(0, 0, 0, b"generation")));
        let nothing_older = older_generations(1);
        assert!(nothing_older.start >= nothing_older.end);
    }

    #[test]
    fn generations_survive_their_stored_form() {
        assert_eq!(decode_generation(Some(&encode_generation(77))), 77);
        assert_eq!(decode_generation(None), FIRST);
    }
}
