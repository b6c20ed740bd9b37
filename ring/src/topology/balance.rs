//! How evenly the token space and the partitions are spread, for every cluster size that is promised.

use super::samples::{by_key, member, members, topology};
use super::*;
use crate::placement::MAX_LOAD_PERCENT;

/// The largest relative distance between a node's share of the circle and its share of the weights.
fn worst_share(members: Vec<Member>) -> f64 {
    let total: u32 = members.iter().map(|member| member.weight).sum();
    let topology = topology(members, Vec::new());
    let distance = |member: &Member| {
        let fair = f64::from(member.weight) / f64::from(total);
        (topology.share(member.id).expect("a member") / fair - 1.0).abs()
    };
    topology.members().iter().map(distance).fold(0.0, f64::max)
}

#[test]
fn equal_nodes_own_equal_shares_within_a_tenth() {
    for count in 3..=100 {
        let worst = worst_share(members(count));
        assert!(worst < 0.10, "{count} nodes: {worst}");
    }
}

#[test]
fn unequal_nodes_own_their_weight_within_a_tenth() {
    for count in 3..=100 {
        let weights = [50, 100, 200, 75, 300].into_iter().cycle();
        let members = (1..=count).zip(weights).map(|(id, weight)| member(id, weight, "a")).collect();
        let worst = worst_share(members);
        assert!(worst < 0.10, "{count} nodes: {worst}");
    }
}

#[test]
fn all_shares_together_are_the_whole_circle() {
    for count in [1, 2, 7] {
        let topology = topology(members(count), Vec::new());
        assert_eq!(topology.shares.iter().sum::<u128>(), 1 << 64);
    }
}

#[test]
fn no_node_holds_many_more_partitions_than_its_part() {
    for count in 3..=100 {
        let topology = topology(members(count), by_key(256));
        let mut held = vec![0_u64; count as usize];
        for partition in topology.partitions() {
            for node in topology.replicas(partition).expect("a partition") {
                held[node.0 as usize - 1] += 1;
            }
        }
        let most = (256 * 3 * MAX_LOAD_PERCENT).div_ceil(u64::from(count) * 100);
        assert!(held.iter().all(|held| *held <= most), "{count} nodes: {held:?}, most {most}");
    }
}
