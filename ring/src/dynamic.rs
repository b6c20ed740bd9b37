//! Namespaces that are made at run time: their id says all that placement needs to know.
//!
//! The topology's record names the namespaces of the founding. A database that is created later cannot be
//! among them, so its id describes itself, most significant bit first:
//!
//! ```text
//! 1 | replicas: 2 bits (0: one, 1: three, 2: five) | log2 of the slots: 4 bits | number: 25 bits
//! ```
//!
//! Promises:
//! - A [`DynamicNamespace`] that exists is valid; ids that say something impossible are none.
//! - Founding namespaces never have such an id, see [`crate::TopologyError::DynamicId`].
//! - Whoever knows an id and the topology knows where its partitions are: nothing is to be agreed on.

use annulus_base::{NamespaceId, PartitionId};

use crate::namespace::Basis;
use crate::token::{hash, scale};

/// The bit that founding namespaces have not.
const DYNAMIC: u32 = 1 << 31;
const FACTOR_SHIFT: u32 = 29;
const SLOTS_SHIFT: u32 = 25;
/// Most binary digits of a slot.
const MAX_SLOT_BITS: u32 = 10;
/// Replication factors in the order of their codes.
const FACTORS: [u8; 3] = [1, 3, 5];

/// Most slots of a dynamic namespace.
pub const MAX_DYNAMIC_SLOTS: u16 = 1 << MAX_SLOT_BITS;
/// The largest number of a dynamic namespace.
pub const MAX_DYNAMIC_NUMBER: u32 = (1 << SLOTS_SHIFT) - 1;

/// Why there is no such dynamic namespace. Trying again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DynamicNamespaceError {
    /// No numbers are left.
    #[error("the number {0} is above {MAX_DYNAMIC_NUMBER}: reuse the numbers of dropped namespaces")]
    Number(u32),
    /// A number of slots that the id cannot say.
    #[error("{0} slots are not possible: choose a power of two up to {MAX_DYNAMIC_SLOTS}")]
    Slots(u16),
    /// A factor other than 1, 3, 5.
    #[error("{0} replicas are not possible: choose 1, 3 or 5")]
    Factor(u8),
}

/// A namespace made at run time: `BY NAME` with one slot, `BY KEY` with more. Strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DynamicNamespace(NamespaceId);

impl DynamicNamespace {
    /// The number of the list of databases. `BY NAME`, with as many replicas as the cluster keeps.
    pub const CATALOGUE: u32 = 0;
    /// The number of the database that exists from the start, which is made in the same way.
    pub const DEFAULT_DATABASE: u32 = 1;
    /// The number of the database that tools connect to before they make others. Others are numbered from below.
    pub const MAINTENANCE_DATABASE: u32 = MAX_DYNAMIC_NUMBER;
    /// The smallest id of any: all dynamic ids, and only these, are not below.
    pub const FIRST_ID: NamespaceId = NamespaceId(DYNAMIC);

    /// The namespace of that number, slots and replicas.
    ///
    /// # Errors
    /// [`DynamicNamespaceError`] says what is not possible.
    pub fn new(number: u32, slots: u16, replication_factor: u8) -> Result<Self, DynamicNamespaceError> {
        if number > MAX_DYNAMIC_NUMBER {
            return Err(DynamicNamespaceError::Number(number));
        }
        if !slots.is_power_of_two() || slots > MAX_DYNAMIC_SLOTS {
            return Err(DynamicNamespaceError::Slots(slots));
        }
        let code = FACTORS.into_iter().zip(0..).find(|(factor, _)| *factor == replication_factor);
        let (_, code) = code.ok_or(DynamicNamespaceError::Factor(replication_factor))?;
        let slots = slots.trailing_zeros();
        Ok(Self(NamespaceId(DYNAMIC | code << FACTOR_SHIFT | slots << SLOTS_SHIFT | number)))
    }

    /// The namespace that an id describes; `None` for an id of the founding, or an impossible one.
    #[must_use]
    pub const fn from_id(id: NamespaceId) -> Option<Self> {
        let this = Self(id);
        let known = id.0 & DYNAMIC != 0 && this.factor_code() < FACTORS.len() && this.slot_bits() <= MAX_SLOT_BITS;
        if known { Some(this) } else { None }
    }

    /// Its id.
    #[must_use]
    pub const fn id(self) -> NamespaceId {
        self.0
    }

    /// What tells it from others of the same shape.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.0 & MAX_DYNAMIC_NUMBER
    }

    /// The number of its partitions, a power of two.
    #[must_use]
    pub const fn slots(self) -> u16 {
        1 << self.slot_bits()
    }

    /// How keys become partitions.
    #[must_use]
    pub const fn basis(self) -> Basis {
        match self.slots() {
            1 => Basis::ByName,
            slots => Basis::ByKey { slots },
        }
    }

    /// Replicas of each partition. A cluster with fewer nodes keeps one on each.
    #[must_use]
    pub const fn replication_factor(self) -> u8 {
        FACTORS[self.factor_code()]
    }

    /// Its partitions, in order.
    pub fn partitions(self) -> impl ExactSizeIterator<Item = PartitionId> {
        (0..self.slots()).map(move |slot| PartitionId::new(self.0, slot))
    }

    /// Its first partition: the only one, `BY NAME`.
    #[must_use]
    pub const fn first_partition(self) -> PartitionId {
        PartitionId::new(self.0, 0)
    }

    /// The partition of whatever has that hash: its high bits are the slot.
    #[must_use]
    pub fn partition_of_hash(self, hash: u64) -> PartitionId {
        PartitionId::new(self.0, scale(hash, self.slots()))
    }

    /// The partition of what belongs together by these bytes: by their blake3 hash.
    #[must_use]
    pub fn partition_of(self, bytes: &[u8]) -> PartitionId {
        self.partition_of_hash(hash(bytes))
    }

    const fn factor_code(self) -> usize {
        (self.0.0 >> FACTOR_SHIFT & 0b11) as usize
    }

    const fn slot_bits(self) -> u32 {
        self.0.0 >> SLOTS_SHIFT & 0b1111
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_was_made_of() {
        for number in [0, 1, 77, 1 << 20, MAX_DYNAMIC_NUMBER] {
            for slots in (0..=MAX_SLOT_BITS).map(|bits| 1 << bits) {
                for factor in FACTORS {
                    let made = DynamicNamespace::new(number, slots, factor).unwrap();
                    assert_eq!((made.number(), made.slots(), made.replication_factor()), (number, slots, factor));
                    assert_eq!(DynamicNamespace::from_id(made.id()), Some(made));
                    assert_eq!(made.partitions().count(), usize::from(slots));
                    assert!(made.id() >= DynamicNamespace::FIRST_ID);
                }
            }
        }
    }

    #[test]
    fn what_an_id_cannot_say_is_refused() {
        use DynamicNamespaceError::{Factor, Number, Slots};
        let too_high = MAX_DYNAMIC_NUMBER + 1;
        assert_eq!(DynamicNamespace::new(too_high, 1, 3), Err(Number(too_high)));
        for slots in [0, 3, 2_048, u16::MAX] {
            assert_eq!(DynamicNamespace::new(1, slots, 3), Err(Slots(slots)));
        }
        for factor in [0, 2, 4, 7] {
            assert_eq!(DynamicNamespace::new(1, 1, factor), Err(Factor(factor)));
        }
    }

    #[test]
    fn an_id_describes_itself_or_nothing() {
        for id in [0, 1, DYNAMIC - 1, DYNAMIC | 3 << FACTOR_SHIFT, DYNAMIC | 11 << SLOTS_SHIFT, u32::MAX] {
            assert_eq!(DynamicNamespace::from_id(NamespaceId(id)), None, "{id:x}");
        }
    }

    /// Ids and slots are stored data.
    #[test]
    fn ids_and_slots_never_change() {
        let known = [DynamicNamespace::CATALOGUE, DynamicNamespace::DEFAULT_DATABASE];
        for (factor, first) in [(1, 0x8000_0000), (3, 0xa000_0000), (5, 0xc000_0000)] {
            let [list, database] = known.map(|number| DynamicNamespace::new(number, 1, factor).unwrap());
            assert_eq!((list.id(), database.id()), (NamespaceId(first), NamespaceId(first + 1)));
            assert_eq!((list.basis(), database.basis()), (Basis::ByName, Basis::ByName));
        }
        let by_key = DynamicNamespace::new(5, 256, 5).unwrap();
        assert_eq!((by_key.id(), by_key.basis()), (NamespaceId(0xd000_0005), Basis::ByKey { slots: 256 }));
        assert_eq!((by_key.partition_of(b"").slot, by_key.partition_of(b"a").slot), (0xaf, 0x17));
        assert_eq!(by_key.partition_of_hash(u64::MAX), PartitionId::new(by_key.id(), 255));
        let by_name = DynamicNamespace::new(0, 1, 3).unwrap();
        assert_eq!(by_name.partition_of(b"a"), by_name.first_partition());
    }
}
