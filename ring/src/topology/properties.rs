//! What holds for every cluster.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::samples::{by_key, by_name, member, topology};
use super::*;

/// Clusters of any node ids, weights and up to `zones` zones.
fn clusters(least: usize, most: usize, zones: u8) -> impl Strategy<Value = Vec<Member>> {
    let properties = (50_u32..300, 0..zones);
    proptest::collection::btree_map(1_u32..10_000, properties, least..=most).prop_map(|nodes| {
        nodes.into_iter().map(|(id, (weight, zone))| member(id, weight, &format!("z{zone}"))).collect()
    })
}

fn ring(topology: &Topology, partition: PartitionId) -> BTreeSet<NodeId> {
    topology.replicas(partition).expect("a partition").iter().copied().collect()
}

/// The number of replicas that `after` has and `before` has not.
fn moved(before: &Topology, after: &Topology) -> usize {
    after.partitions().map(|partition| ring(after, partition).difference(&ring(before, partition)).count()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn placement_is_a_pure_function_of_the_record(
        (members, shuffled) in clusters(5, 12, 4).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let namespaces: Vec<_> = by_key(32).into_iter().chain(by_name(9, 5).into_iter().skip(1)).collect();
        let backwards = namespaces.iter().rev().cloned().collect();
        let one = topology(members, namespaces);
        prop_assert_eq!(&one, &topology(shuffled, backwards));
        prop_assert_eq!(Topology::decode(&one.encode()), Ok(one));
    }

    #[test]
    fn rings_are_distinct_nodes_in_distinct_zones(members in clusters(5, 20, 7)) {
        let zone_of: BTreeMap<_, _> = members.iter().map(|member| (member.id, member.zone.clone())).collect();
        let zones = zone_of.values().collect::<BTreeSet<_>>().len();
        for (namespaces, factor) in [(by_key(64), 3), (by_name(30, 5), 5)] {
            let topology = topology(members.clone(), namespaces);
            for partition in topology.partitions() {
                let nodes = ring(&topology, partition);
                prop_assert_eq!(nodes.len(), factor);
                let spanned: BTreeSet<_> = nodes.iter().map(|node| &zone_of[node]).collect();
                prop_assert_eq!(spanned.len(), zones.min(factor));
            }
        }
    }

    /// Without bounded loads (a namespace by name has one partition) movement is exactly minimal.
    #[test]
    fn a_change_moves_only_what_it_must(members in clusters(6, 20, 5), index in any::<prop::sample::Index>()) {
        let changed = members[index.index(members.len())].id;
        let rest: Vec<_> = members.iter().filter(|member| member.id != changed).cloned().collect();
        for factor in [1, 3, 5] {
            let with = topology(members.clone(), by_name(100, factor));
            let without = topology(rest.clone(), by_name(100, factor));
            for partition in with.partitions() {
                let (with, without) = (ring(&with, partition), ring(&without, partition));
                if with.contains(&changed) {
                    prop_assert_eq!(with.difference(&without).collect::<Vec<_>>(), [&changed]);
                } else {
                    prop_assert_eq!(with, without);
                }
            }
        }
    }

    /// With bounded loads some more may move: never much more than the changed node's fair part.
    #[test]
    fn bounded_loads_move_little_more(members in clusters(4, 30, 1), index in any::<prop::sample::Index>()) {
        let changed = index.index(members.len());
        let total: u32 = members.iter().map(|member| member.weight).sum();
        let fair = 256 * 3 * members[changed].weight as usize / total as usize;
        let mut rest = members.clone();
        rest.remove(changed);
        let (with, without) = (topology(members, by_key(256)), topology(rest, by_key(256)));
        prop_assert!(moved(&without, &with) <= fair * 2 + 16, "joined: {} of {fair}", moved(&without, &with));
        prop_assert!(moved(&with, &without) <= fair * 2 + 16, "left: {} of {fair}", moved(&with, &without));
    }
}
