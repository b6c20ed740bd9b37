//! Namespaces: how keys are grouped into partitions, and how many replicas they have.

use annulus_base::{NamespaceId, PartitionId};
use wincode::{SchemaRead, SchemaWrite};

use crate::token::{hash, scale};

/// Replicas of a namespace that does not say otherwise.
pub const DEFAULT_REPLICATION_FACTOR: u8 = 3;
/// Hash slots of a namespace by key that does not say otherwise.
pub const DEFAULT_SLOTS: u16 = 256;

/// What decides the partition of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Basis {
    /// The namespace's name: all of it is one partition, on one replica ring.
    ByName,
    /// The key's hash.
    ByKey {
        /// The number of hash slots, each one partition.
        slots: u16,
    },
}

/// What a namespace promises its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Consistency {
    /// Strictly serializable transactions.
    Strong,
}

/// A namespace and its placement rule.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Namespace {
    /// Its number.
    pub id: NamespaceId,
    /// Its name, unique in the cluster.
    pub name: String,
    /// How keys become partitions.
    pub basis: Basis,
    /// Replicas of each partition: 1, 3 or 5. A cluster of a single node keeps one.
    pub replication_factor: u8,
    /// What readers are promised.
    pub consistency: Consistency,
}

impl Namespace {
    /// A strong namespace with three replicas.
    #[must_use]
    pub fn new(id: NamespaceId, name: impl Into<String>, basis: Basis) -> Self {
        let name = name.into();
        let replication_factor = DEFAULT_REPLICATION_FACTOR;
        Self { id, name, basis, replication_factor, consistency: Consistency::Strong }
    }

    /// The number of its partitions.
    #[must_use]
    pub const fn slots(&self) -> u16 {
        match self.basis {
            Basis::ByName => 1,
            Basis::ByKey { slots } => slots,
        }
    }

    /// Its partitions, in order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = PartitionId> + use<> {
        let id = self.id;
        (0..self.slots()).map(move |slot| PartitionId::new(id, slot))
    }

    /// The partition that a user key belongs to: the slot is given by the high bits of the blake3 hash of
    /// the key, or of its hash tag. Keys that share a `{tag}` share a partition, as in Redis.
    #[must_use]
    pub fn partition_of(&self, user_key: &[u8]) -> PartitionId {
        let slot = match self.basis {
            Basis::ByName => 0,
            Basis::ByKey { slots } => scale(hash(hash_tag(user_key)), slots),
        };
        PartitionId::new(self.id, slot)
    }
}

/// The part of a key that is hashed: what stands between the first `{` and the next `}`, if that is not
/// empty, else all of it.
///
/// Source: the Redis Cluster specification, "Hash tags".
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let inside = &key[open + 1..];
    match inside.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(close) => &inside[..close],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tags_follow_the_redis_rule() {
        let cases: [(&[u8], &[u8]); 8] = [
            (b"plain", b"plain"),
            (b"{user1000}.following", b"user1000"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
            (b"}foo{a}", b"a"),
            (b"", b""),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key), tag, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn keys_of_one_tag_share_a_partition() {
        let namespace = Namespace::new(NamespaceId(1), "kv", Basis::ByKey { slots: 256 });
        assert_eq!(namespace.partition_of(b"{u}.a"), namespace.partition_of(b"{u}.b"));
        assert_eq!(namespace.partition_of(b"{u}.a"), namespace.partition_of(b"u"));
        assert_eq!(namespace.partitions().count(), 256);
    }

    #[test]
    fn a_namespace_by_name_is_one_partition() {
        let namespace = Namespace::new(NamespaceId(2), "db", Basis::ByName);
        assert_eq!(namespace.partition_of(b"a"), PartitionId::new(NamespaceId(2), 0));
        assert_eq!(namespace.partitions().collect::<Vec<_>>(), [namespace.partition_of(b"b")]);
    }

    #[test]
    fn keys_spread_evenly_over_slots() {
        let namespace = Namespace::new(NamespaceId(1), "kv", Basis::ByKey { slots: 10 });
        let mut counts = [0_u32; 10];
        for number in 0..100_000 {
            counts[usize::from(namespace.partition_of(format!("key:{number}").as_bytes()).slot)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    /// Slots are stored data: a change of the hash would lose every key.
    #[test]
    fn the_slot_of_a_key_never_changes() {
        let namespace = Namespace::new(NamespaceId(1), "kv", Basis::ByKey { slots: 256 });
        // blake3 of the empty input begins with af, of "a" with 17: the highest of 256 slots' 8 bits.
        assert_eq!(namespace.partition_of(b"").slot, 0xaf);
        assert_eq!(namespace.partition_of(b"a").slot, 0x17);
    }
}
