//! Where the partitions of namespaces made at run time are.

use std::collections::{BTreeMap, BTreeSet};

use super::samples::{by_key, member, members, topology};
use super::*;
use crate::dynamic::{MAX_DYNAMIC_NUMBER, MAX_DYNAMIC_SLOTS};
use crate::namespace::Basis;
use crate::placement::MAX_LOAD_PERCENT;

fn dynamic(number: u32, slots: u16, factor: u8) -> DynamicNamespace {
    DynamicNamespace::new(number, slots, factor).expect("a possible one")
}

fn rings(topology: &Topology, of: DynamicNamespace) -> Vec<ReplicaRing> {
    of.partitions().filter_map(|partition| topology.replicas(partition)).collect()
}

#[test]
fn rings_have_as_many_distinct_nodes_as_there_are_replicas() {
    for (nodes, factor, expected) in [(1, 3, 1), (2, 3, 2), (4, 5, 4), (5, 1, 1), (5, 3, 3), (7, 5, 5)] {
        let topology = topology(members(nodes), Vec::new());
        let namespace = dynamic(9, 64, factor);
        assert_eq!(rings(&topology, namespace).len(), 64);
        for ring in rings(&topology, namespace) {
            assert_eq!(ring.iter().collect::<BTreeSet<_>>().len(), expected, "{ring:?}");
        }
    }
}

/// A dynamic namespace is placed just as one of the founding would be.
#[test]
fn zones_and_bounded_loads_count() {
    let zoned = (1..=20).map(|id| member(id, 100, &format!("z{}", id % 4))).collect::<Vec<_>>();
    let topology = topology(zoned, Vec::new());
    let mut held: BTreeMap<NodeId, u64> = BTreeMap::new();
    for ring in rings(&topology, dynamic(3, 256, 3)) {
        assert_eq!(ring.iter().map(|node| node.0 % 4).collect::<BTreeSet<_>>().len(), 3, "{ring:?}");
        ring.into_iter().for_each(|node| *held.entry(node).or_default() += 1);
    }
    let most = (256 * 3 * MAX_LOAD_PERCENT).div_ceil(20 * 100);
    assert!(held.values().all(|held| *held <= most), "{held:?}");
}

#[test]
fn impossible_ids_and_slots_are_nowhere() {
    let topology = topology(members(5), by_key(4));
    let namespace = dynamic(2, 16, 3).id();
    assert_eq!(topology.replicas(PartitionId::new(namespace, 16)), None);
    assert_eq!(topology.replicas(PartitionId::new(dynamic(0, 1, 3).id(), 1)), None);
    assert_eq!(topology.replicas(PartitionId::new(NamespaceId(u32::MAX), 0)), None);
    assert_eq!(topology.dynamic.remembered(), 0);
}

#[test]
fn whoever_asks_for_everything_does_not_fill_the_memory() {
    let topology = topology(members(3), Vec::new());
    let first = topology.replicas(dynamic(0, 1, 3).first_partition());
    for number in 0..200 {
        assert!(topology.replicas(dynamic(number, MAX_DYNAMIC_SLOTS, 3).first_partition()).is_some());
        assert!(topology.dynamic.remembered() <= 1 << 16);
    }
    assert_eq!(topology.replicas(dynamic(0, 1, 3).first_partition()), first);
    assert!(topology.replicas(dynamic(MAX_DYNAMIC_NUMBER, 1, 5).first_partition()).is_some());
}

/// Placement is where the data is.
#[test]
fn placement_of_dynamic_namespaces_never_changes() {
    let topology = topology(members(5), by_key(256));
    let by_key = |slot| PartitionId::new(dynamic(7, 256, 3).id(), slot);
    let known = [DynamicNamespace::CATALOGUE, DynamicNamespace::DEFAULT_DATABASE];
    let by_name = known.map(|number| dynamic(number, 1, 3).first_partition());
    let rings = [by_name[0], by_name[1], by_key(0), by_key(200)].map(|partition| {
        let ring = topology.replicas(partition).unwrap_or_default();
        ring.iter().map(|node| node.0).collect::<Vec<_>>()
    });
    assert_eq!(rings, [[1, 2, 5], [3, 5, 4], [4, 1, 2], [2, 3, 5]]);
}

#[test]
fn what_says_nothing_has_as_many_replicas_as_the_records_of_the_cluster() {
    let of = |factor| {
        let system =
            Namespace { replication_factor: factor, ..Namespace::new(NamespaceId::SYSTEM, "s", Basis::ByName) };
        topology(members(5), vec![system]).replication_factor()
    };
    assert_eq!([1, 3, 5].map(of), [1, 3, 5]);
    assert_eq!(topology(members(5), Vec::new()).replication_factor(), 3);
}
