//! Identities: nodes, partitions, transactions, ballots, epochs.

use std::fmt;
use std::str::FromStr;

use wincode::{SchemaRead, SchemaWrite};

use crate::time::Timestamp;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $repr:ty, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// A node's durable number. Never reused: a node that lost its disk comes back under a new one.
    NodeId, u32, "n"
);
number!(
    /// Grows by one at every start of a node.
    Incarnation, u32, "i"
);
number!(
    /// A namespace's number; [`NamespaceId::SYSTEM`] holds the cluster's own records.
    NamespaceId, u32, "ns"
);
number!(
    /// The number of a topology. Epoch 0 means "none yet"; the first decided one is 1.
    Epoch, u64, "e"
);

impl NamespaceId {
    /// The cluster's own records: namespace descriptors and outcome records of client tokens.
    pub const SYSTEM: Self = Self(0);
}

/// The unit of placement, locking and repair: one slot of a namespace (or all of it, slot 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct PartitionId {
    /// The namespace it belongs to.
    pub namespace: NamespaceId,
    /// The hash slot, 0 for a namespace partitioned by name.
    pub slot: u16,
}

impl PartitionId {
    /// The partition of `slot` in `namespace`.
    #[must_use]
    pub const fn new(namespace: NamespaceId, slot: u16) -> Self {
        Self { namespace, slot }
    }

    /// The next one in their order, whether it exists or not; `None` after the last.
    #[must_use]
    pub fn successor(self) -> Option<Self> {
        match self.slot.checked_add(1) {
            Some(slot) => Some(Self { slot, ..self }),
            None => self.namespace.0.checked_add(1).map(|next| Self::new(NamespaceId(next), 0)),
        }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace.0, self.slot)
    }
}

/// Identity of one try of a transaction. Its order is its priority: the older (smaller) wins a conflict.
///
/// The start time survives retries, so that a transaction that keeps losing becomes the oldest; each
/// try has its own sequence number and so its own id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct TxnId {
    /// When the transaction (its first try) began.
    pub start: Timestamp,
    /// The coordinator.
    pub node: NodeId,
    /// The coordinator's incarnation.
    pub incarnation: Incarnation,
    /// Counts the tries that this incarnation coordinated.
    pub sequence: u32,
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}-{:x}", self.start.0, self.node.0, self.incarnation.0, self.sequence)
    }
}

/// A text that is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a valid id")]
pub struct ParseIdError(pub String);

impl FromStr for TxnId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseIdError(text.to_owned());
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or_else(wrong);
        let (start, node, incarnation, sequence) = (next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(wrong());
        }
        let number = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| wrong());
        Ok(Self {
            start: Timestamp(u64::from_str_radix(start, 16).map_err(|_| wrong())?),
            node: NodeId(number(node)?),
            incarnation: Incarnation(number(incarnation)?),
            sequence: number(sequence)?,
        })
    }
}

/// What a client is given to ask about a transaction later: the try's id, its timestamp and its anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct TxnRef {
    /// The try.
    pub id: TxnId,
    /// Its commit timestamp, if it commits.
    pub ts: Timestamp,
    /// The partition whose replicas accept its decision.
    pub anchor: PartitionId,
}

impl fmt::Display for TxnRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let anchor = self.anchor;
        write!(f, "{}-{:x}-{:x}-{:x}", self.id, self.ts.0, anchor.namespace.0, anchor.slot)
    }
}

impl FromStr for TxnRef {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseIdError(text.to_owned());
        let cut = text.match_indices('-').nth(3).ok_or_else(wrong)?.0;
        let mut rest = text[cut + 1..].split('-').map(|digits| u64::from_str_radix(digits, 16));
        let mut next = || rest.next().and_then(Result::ok).ok_or_else(wrong);
        let (ts, namespace, slot) = (next()?, next()?, next()?);
        if rest.next().is_some() {
            return Err(wrong());
        }
        let namespace = u32::try_from(namespace).map_err(|_| wrong())?;
        let slot = u16::try_from(slot).map_err(|_| wrong())?;
        let anchor = PartitionId::new(NamespaceId(namespace), slot);
        Ok(Self { id: text[..cut].parse()?, ts: Timestamp(ts), anchor })
    }
}

/// The number of a recovery attempt. No node uses one twice, not even after a restart, because the
/// incarnation is part of it. [`Ballot::COORDINATOR`] is the transaction's own coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct Ballot {
    /// Grows above every ballot seen.
    pub round: u32,
    /// Who recovers.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: Incarnation,
}

impl Ballot {
    /// Ballot 0: smaller than every recoverer's.
    pub const COORDINATOR: Self = Self { round: 0, node: NodeId(0), incarnation: Incarnation(0) };
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}.{}.{}", self.round, self.node.0, self.incarnation.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_form() {
        let id = TxnId { start: Timestamp(0xabcdef), node: NodeId(3), incarnation: Incarnation(7), sequence: 99 };
        assert_eq!(id.to_string().parse(), Ok(id));
        let anchor = PartitionId::new(NamespaceId(1), 255);
        let reference = TxnRef { id, ts: Timestamp(0xffff_0000_1234), anchor };
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }

    #[test]
    fn nonsense_is_refused_and_never_panics() {
        for text in ["", "-", "x-1-1-1", "1-1-1", "1-1-1-1-1", "1-2-3-4-5-6-7-8", "1-1-1-1-1-1-fffff"] {
            assert!(text.parse::<TxnRef>().is_err(), "{text}");
        }
        assert!("1-1-1-1-1".parse::<TxnId>().is_err());
    }

    #[test]
    fn between_a_partition_and_its_successor_is_none() {
        let of = |namespace, slot| PartitionId::new(NamespaceId(namespace), slot);
        assert_eq!(of(1, 7).successor(), Some(of(1, 8)));
        assert_eq!(of(1, u16::MAX).successor(), Some(of(2, 0)));
        assert_eq!(of(u32::MAX, u16::MAX).successor(), None);
    }

    #[test]
    fn the_coordinators_ballot_is_the_smallest() {
        let first = Ballot { round: 1, node: NodeId(0), incarnation: Incarnation(0) };
        assert!(Ballot::COORDINATOR < first);
    }
}
