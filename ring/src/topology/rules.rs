//! What makes a topology, what is refused, and what must never change.

use annulus_base::NamespaceId;

use super::samples::{by_key, by_name, member, members, topology};
use super::*;
use crate::namespace::Basis;
use crate::record::{MAX_MEMBERS, MAX_TOTAL_WEIGHT};

fn refused(members: Vec<Member>, namespaces: Vec<Namespace>) -> TopologyError {
    Topology::new(Epoch(1), ClusterId(7), members, namespaces).expect_err("must be refused")
}

#[test]
fn a_single_node_holds_everything_once() {
    let topology = topology(members(1), by_key(16));
    for partition in topology.partitions() {
        assert_eq!(topology.replicas(partition), Some(ReplicaRing::new(&[NodeId(1)])));
    }
    assert_eq!(topology.share(NodeId(1)), Some(1.0));
    assert_eq!(topology.partitions_of(NodeId(1)).count(), 16);
}

#[test]
fn more_than_one_node_but_fewer_than_replicas_is_refused() {
    let too_few = |factor, members| TopologyError::TooFewMembers { namespace: "db1".into(), factor, members };
    assert_eq!(refused(members(2), by_name(1, 3)), too_few(3, 2));
    assert_eq!(refused(members(4), by_name(1, 5)), too_few(5, 4));
    assert!(too_few(3, 2).to_string().contains("single node"));
    topology(members(2), by_name(1, 1));
}

#[test]
fn wrong_members_are_refused() {
    let twice = vec![member(1, 100, "a"), member(1, 100, "b")];
    assert_eq!(refused(twice, Vec::new()), TopologyError::DuplicateNode(NodeId(1)));
    let mut same_address = members(3);
    same_address[2].peer_address = same_address[0].peer_address.clone();
    assert!(matches!(refused(same_address, Vec::new()), TopologyError::DuplicateAddress(_)));
    assert_eq!(refused(vec![member(0, 100, "a")], Vec::new()), TopologyError::ReservedNode);
    assert!(matches!(refused(vec![member(1, 9, "a")], Vec::new()), TopologyError::WeightTooSmall { weight: 9, .. }));
    let heavy = vec![member(1, MAX_TOTAL_WEIGHT as u32, "a"), member(2, u32::MAX, "a")];
    assert!(matches!(refused(heavy, Vec::new()), TopologyError::WeightsTooLarge(_)));
    assert!(matches!(refused(vec![member(1, 100, "")], Vec::new()), TopologyError::BadText { len: 0, .. }));
    assert_eq!(refused(Vec::new(), Vec::new()), TopologyError::NoMembers);
    assert_eq!(refused(members(1_001), Vec::new()), TopologyError::TooManyMembers(MAX_MEMBERS + 1));
    let none = Topology::new(Epoch(0), ClusterId(7), members(1), Vec::new());
    assert_eq!(none, Err(TopologyError::NoEpoch));
}

#[test]
fn wrong_namespaces_are_refused() {
    let mut twice = by_name(2, 3);
    twice[1].id = twice[0].id;
    assert_eq!(refused(members(3), twice), TopologyError::DuplicateNamespace(NamespaceId(1)));
    let mut same_name = by_name(2, 3);
    same_name[1].name = same_name[0].name.clone();
    assert!(matches!(refused(members(3), same_name), TopologyError::DuplicateName(_)));
    assert!(matches!(refused(members(3), by_name(1, 2)), TopologyError::BadFactor { factor: 2, .. }));
    let mut dynamic = by_name(1, 3);
    dynamic[0].id = DynamicNamespace::FIRST_ID;
    assert_eq!(refused(members(3), dynamic), TopologyError::DynamicId("db1".into()));
    assert!(matches!(refused(members(3), by_key(0)), TopologyError::NoSlots(_)));
    let many = [1, 2].map(|id| Namespace::new(NamespaceId(id), format!("kv{id}"), Basis::ByKey { slots: u16::MAX }));
    assert_eq!(refused(members(3), many.to_vec()), TopologyError::TooManyPartitions(131_070));
}

#[test]
fn what_does_not_exist_is_not_found() {
    let topology = topology(members(3), by_key(16));
    assert_eq!(topology.replicas(PartitionId::new(NamespaceId(1), 16)), None);
    assert_eq!(topology.replicas(PartitionId::new(NamespaceId(2), 0)), None);
    assert_eq!(topology.namespace(NamespaceId(2)), None);
    assert_eq!(topology.namespace_by_name("nope"), None);
    assert_eq!(topology.member(NodeId(4)), None);
    assert_eq!(topology.share(NodeId(4)), None);
    assert_eq!(topology.successors(NodeId(4)).count(), 0);
}

#[test]
fn successors_go_once_around() {
    let topology = topology(members(5), Vec::new());
    let from_first: Vec<_> = topology.successors(NodeId(1)).collect();
    assert_eq!(from_first.len(), 4);
    let next: Vec<_> = topology.successors(from_first[0]).collect();
    assert_eq!(next[..3], from_first[1..]);
    assert_eq!(next[3], NodeId(1));
}

/// Placement is where the data is: whoever changes it moves every cluster's data.
#[test]
fn placement_never_changes() {
    let topology = topology(members(5), by_key(256));
    let ring = |slot| topology.replicas(PartitionId::new(NamespaceId(1), slot)).unwrap_or_default();
    let rings = [0, 1, 2, 255].map(|slot| ring(slot).iter().map(|node| node.0).collect::<Vec<_>>());
    assert_eq!(rings, [[1, 5, 2], [1, 3, 4], [3, 1, 2], [3, 5, 2]]);
    let around: Vec<u32> = topology.successors(NodeId(1)).map(|node| node.0).collect();
    assert_eq!(around, [5, 3, 2, 4]);
}

#[test]
fn damaged_bytes_give_an_error_or_another_valid_topology() {
    let bytes = topology(members(3), by_key(4)).encode();
    for length in 0..bytes.len() {
        assert!(matches!(Topology::decode(&bytes[..length]), Err(TopologyError::Malformed(_))), "{length}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        if let Ok(other) = Topology::decode(&damaged) {
            assert_eq!(Topology::decode(&other.encode()), Ok(other));
        }
    }
    let trailing = [&bytes[..], b"x"].concat();
    assert!(matches!(Topology::decode(&trailing), Err(TopologyError::Malformed(_))));
}
