//! What a topology is decided as: members and namespaces, checked and in one order.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use annulus_base::id::ParseIdError;
use annulus_base::{Epoch, NodeId};
use wincode::{SchemaRead, SchemaWrite};

use crate::dynamic::DynamicNamespace;
use crate::error::TopologyError;
use crate::namespace::{Basis, Namespace};

/// The smallest weight of a member: below it a node would own too few tokens for a fair share.
pub const MIN_WEIGHT: u32 = 10;
/// Most members of a cluster.
pub const MAX_MEMBERS: usize = 1_000;
/// The largest sum of weights: as many members of normal weight. Bounds the tokens, and so memory and time.
pub const MAX_TOTAL_WEIGHT: u64 = 100_000;
/// Most partitions of a cluster.
pub const MAX_PARTITIONS: u64 = 1 << 16;
/// Longest name of a namespace or zone, and longest address, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// Identity of a cluster: nodes of another one are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ClusterId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| ParseIdError(text.to_owned()))
    }
}

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Member {
    /// Its durable number.
    pub id: NodeId,
    /// How much it carries, relative to the others; 100 is normal.
    pub weight: u32,
    /// Where it stands: replicas of a partition are spread over zones.
    pub zone: String,
    /// Where the other nodes reach it, `host:port`.
    pub peer_address: String,
}

/// Everything that placement follows from. This is what is stored, sent and decided.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct TopologyRecord {
    /// The number of the topology.
    pub epoch: Epoch,
    /// Which cluster.
    pub cluster: ClusterId,
    /// Its nodes.
    pub members: Vec<Member>,
    /// Its namespaces.
    pub namespaces: Vec<Namespace>,
}

impl TopologyRecord {
    /// Its bytes, the same for equal records.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wincode::serialize(self).expect("a Vec grows as needed, and no list is longer than a u64 can say")
    }

    /// The record of some bytes, unchecked.
    ///
    /// # Errors
    /// [`TopologyError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TopologyError> {
        wincode::deserialize_exact(bytes).map_err(|error| TopologyError::Malformed(error.to_string()))
    }

    /// Brings members and namespaces into the order of their ids and checks every rule.
    pub(crate) fn into_valid(mut self) -> Result<Self, TopologyError> {
        self.members.sort_by_key(|member| member.id);
        self.namespaces.sort_by_key(|namespace| namespace.id);
        if self.epoch == Epoch(0) {
            return Err(TopologyError::NoEpoch);
        }
        check_members(&self.members)?;
        check_namespaces(&self.namespaces)?;
        for namespace in &self.namespaces {
            check_factor(namespace, self.members.len())?;
        }
        Ok(self)
    }
}

fn check_members(members: &[Member]) -> Result<(), TopologyError> {
    if members.is_empty() {
        return Err(TopologyError::NoMembers);
    }
    if members.len() > MAX_MEMBERS {
        return Err(TopologyError::TooManyMembers(members.len()));
    }
    if let Some(pair) = members.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(TopologyError::DuplicateNode(pair[0].id));
    }
    let mut addresses = BTreeSet::new();
    for member in members {
        if member.id == NodeId(0) {
            return Err(TopologyError::ReservedNode);
        }
        if member.weight < MIN_WEIGHT {
            return Err(TopologyError::WeightTooSmall { node: member.id, weight: member.weight });
        }
        check_text("a member's zone", &member.zone)?;
        check_text("a member's peer address", &member.peer_address)?;
        if !addresses.insert(&member.peer_address) {
            return Err(TopologyError::DuplicateAddress(member.peer_address.clone()));
        }
    }
    let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
    if total > MAX_TOTAL_WEIGHT { Err(TopologyError::WeightsTooLarge(total)) } else { Ok(()) }
}

fn check_namespaces(namespaces: &[Namespace]) -> Result<(), TopologyError> {
    if let Some(pair) = namespaces.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(TopologyError::DuplicateNamespace(pair[0].id));
    }
    let mut names = BTreeSet::new();
    for namespace in namespaces {
        check_text("a namespace's name", &namespace.name)?;
        if namespace.id >= DynamicNamespace::FIRST_ID {
            return Err(TopologyError::DynamicId(namespace.name.clone()));
        }
        if !names.insert(&namespace.name) {
            return Err(TopologyError::DuplicateName(namespace.name.clone()));
        }
        if namespace.basis == (Basis::ByKey { slots: 0 }) {
            return Err(TopologyError::NoSlots(namespace.name.clone()));
        }
    }
    let total: u64 = namespaces.iter().map(|namespace| u64::from(namespace.slots())).sum();
    if total > MAX_PARTITIONS { Err(TopologyError::TooManyPartitions(total)) } else { Ok(()) }
}

fn check_factor(namespace: &Namespace, members: usize) -> Result<(), TopologyError> {
    let factor = namespace.replication_factor;
    let name = || namespace.name.clone();
    match factor {
        1 | 3 | 5 if members == 1 || members >= usize::from(factor) => Ok(()),
        1 | 3 | 5 => Err(TopologyError::TooFewMembers { namespace: name(), factor, members }),
        _ => Err(TopologyError::BadFactor { namespace: name(), factor }),
    }
}

fn check_text(what: &'static str, text: &str) -> Result<(), TopologyError> {
    match text.len() {
        1..=MAX_NAME_LEN => Ok(()),
        len => Err(TopologyError::BadText { what, len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_survives_its_text_form() {
        let id = ClusterId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string().len(), 32);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "12", "+0000000000000000000000000000001", "g0000000000000000000000000000000"] {
            assert!(text.parse::<ClusterId>().is_err(), "{text}");
        }
    }
}
