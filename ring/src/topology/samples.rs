//! Members, namespaces and topologies to test with.

use annulus_base::{Epoch, NamespaceId, NodeId};

use super::Topology;
use crate::namespace::{Basis, Namespace};
use crate::record::{ClusterId, Member};

pub fn member(id: u32, weight: u32, zone: &str) -> Member {
    Member { id: NodeId(id), weight, zone: zone.to_owned(), peer_address: format!("10.0.0.{id}:7000") }
}

/// Nodes 1 to `count`, of normal weight and in one zone.
pub fn members(count: u32) -> Vec<Member> {
    (1..=count).map(|id| member(id, 100, "a")).collect()
}

pub fn by_key(slots: u16) -> Vec<Namespace> {
    vec![Namespace::new(NamespaceId(1), "kv", Basis::ByKey { slots })]
}

/// Namespaces of one partition each, with `factor` replicas.
pub fn by_name(count: u32, factor: u8) -> Vec<Namespace> {
    let namespace = |id| Namespace {
        replication_factor: factor,
        ..Namespace::new(NamespaceId(id), format!("db{id}"), Basis::ByName)
    };
    (1..=count).map(namespace).collect()
}

pub fn topology(members: Vec<Member>, namespaces: Vec<Namespace>) -> Topology {
    Topology::new(Epoch(1), ClusterId(7), members, namespaces).expect("a valid topology")
}
