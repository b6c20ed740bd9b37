//! The genesis: a pure function of the members' identities and of the settings that they share.

use std::fmt;

use annulus_base::{Epoch, NodeId};
use wincode::{SchemaRead, SchemaWrite};

use super::message::{BootstrapError, Identity};
use crate::error::TopologyError;
use crate::namespace::Namespace;
use crate::record::{ClusterId, Member, TopologyRecord};

/// The blake3 hash of an encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, SchemaRead, SchemaWrite)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a record.
    #[must_use]
    pub fn of(record: &TopologyRecord) -> Self {
        Self(*blake3::hash(&record.encode()).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a node is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its own peer address, one of the initial members.
    pub address: String,
    /// Its weight, 100 is normal.
    pub weight: u32,
    /// Its zone.
    pub zone: String,
    /// The peer addresses of all first members, in any order, the same on every node.
    pub initial_members: Vec<String>,
    /// The first namespaces, the same on every node.
    pub namespaces: Vec<Namespace>,
}

impl Settings {
    /// Refuses what can never become a cluster.
    pub(super) fn check(&self) -> Result<(), BootstrapError> {
        if !self.initial_members.contains(&self.address) {
            return Err(BootstrapError::NotAMember(self.address.clone()));
        }
        if let Some(pair) = self.initial_members.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BootstrapError::NamedTwice(pair[0].clone()));
        }
        let like_this = |address: &String| Identity { address: address.clone(), ..self.identity(0) };
        let members: Vec<_> = self.initial_members.iter().map(like_this).collect();
        compute(members.iter(), &self.namespaces).map(|_| ()).map_err(BootstrapError::Topology)
    }

    pub(super) fn identity(&self, nonce: u128) -> Identity {
        let (address, zone) = (self.address.clone(), self.zone.clone());
        Identity { address, zone, weight: self.weight, nonce, settings: self.shared() }
    }

    /// What all members must have in common, as a digest. Expects the members to be sorted.
    fn shared(&self) -> Digest {
        let mut namespaces = self.namespaces.clone();
        namespaces.sort_by_key(|namespace| namespace.id);
        let bytes = wincode::serialize(&(&self.initial_members, &namespaces));
        Digest(*blake3::hash(&bytes.expect("a Vec grows as needed")).as_bytes())
    }
}

/// The first topology of these nodes: numbered from 1 in the order of their addresses.
pub(super) fn compute<'a>(
    identities: impl Iterator<Item = &'a Identity>,
    namespaces: &[Namespace],
) -> Result<TopologyRecord, TopologyError> {
    let mut identities: Vec<_> = identities.collect();
    identities.sort_by(|one, other| one.address.cmp(&other.address));
    let number = |(identity, id): (&&Identity, u32)| Member {
        id: NodeId(id),
        weight: identity.weight,
        zone: identity.zone.clone(),
        peer_address: identity.address.clone(),
    };
    let members = identities.iter().zip(1..).map(number).collect();
    let cluster = cluster_id(&identities);
    TopologyRecord { epoch: Epoch(1), cluster, members, namespaces: namespaces.to_vec() }.into_valid()
}

fn cluster_id(identities: &[&Identity]) -> ClusterId {
    let mut nonces: Vec<_> = identities.iter().map(|identity| identity.nonce).collect();
    nonces.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"annulus cluster");
    for nonce in nonces {
        hasher.update(&nonce.to_be_bytes());
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    ClusterId(u128::from_be_bytes(id))
}
