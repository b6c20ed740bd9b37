//! Which nodes form the replica ring of a partition.
//!
//! Walking clockwise from the partition's token, the nodes met first are taken, in this order of
//! preference: nodes of zones not yet in the ring, as far as there are zones; nodes that still have room.
//!
//! The room bounds the load: 256 slots scattered at random over many nodes would leave some with twice
//! their share, so a node that holds 125 % of its fair part of the namespace is passed over. With up to
//! some 16 nodes this hardly ever happens, and with more it moves little when the membership changes.
//! Each namespace is bounded by itself, so that a new one moves nothing.
//!
//! Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).

use annulus_base::{NodeId, PartitionId};

use crate::record::Member;
use crate::token::{TokenRing, partition_token};

/// Most that a node holds of a namespace, in percent of its fair part, where the others can take the rest.
pub(crate) const MAX_LOAD_PERCENT: u64 = 125;

/// Places the partitions of one namespace, in order.
pub(crate) struct Placement<'a> {
    members: &'a [Member],
    tokens: &'a TokenRing,
    replicas: usize,
    /// How many distinct zones each ring spans.
    zones: usize,
    /// How many more replicas each member should take.
    room: Vec<u64>,
}

impl<'a> Placement<'a> {
    pub fn new(members: &'a [Member], tokens: &'a TokenRing, partitions: u64, replicas: usize) -> Self {
        let mut zones: Vec<_> = members.iter().map(|member| &member.zone).collect();
        zones.sort_unstable();
        zones.dedup();
        let room = capacities(members, partitions * replicas as u64);
        Self { members, tokens, replicas, zones: zones.len().min(replicas), room }
    }

    /// The replica rings of all partitions of the namespace, one after the other.
    pub fn rings(mut self, partitions: impl Iterator<Item = PartitionId>) -> Vec<NodeId> {
        partitions.flat_map(|partition| self.ring(partition)).collect()
    }

    fn ring(&mut self, partition: PartitionId) -> Vec<NodeId> {
        let start = partition_token(partition);
        let mut ring = Vec::with_capacity(self.replicas);
        self.take(start, &mut ring, self.zones, |this, ring, node| this.has_room(node) && this.new_zone(ring, node));
        self.take(start, &mut ring, self.zones, Self::new_zone);
        self.take(start, &mut ring, self.replicas, |this, _, node| this.has_room(node));
        self.take(start, &mut ring, self.replicas, |_, _, _| true);
        for node in &ring {
            self.room[*node] = self.room[*node].saturating_sub(1);
        }
        ring.into_iter().map(|node| self.members[node].id).collect()
    }

    /// Walks from `start` and takes the nodes that fit, until the ring has `length`.
    fn take(&self, start: u64, ring: &mut Vec<usize>, length: usize, fits: impl Fn(&Self, &[usize], usize) -> bool) {
        if ring.len() >= length {
            return;
        }
        for node in self.tokens.walk(start) {
            if !ring.contains(&node) && fits(self, ring, node) {
                ring.push(node);
                if ring.len() == length {
                    return;
                }
            }
        }
    }

    fn has_room(&self, node: usize) -> bool {
        self.room[node] > 0
    }

    fn new_zone(&self, ring: &[usize], node: usize) -> bool {
        ring.iter().all(|other| self.members[*other].zone != self.members[node].zone)
    }
}

/// The bounded load of each member, rounded up, of so many replicas in all.
fn capacities(members: &[Member], replicas: u64) -> Vec<u64> {
    let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
    let most = |member: &Member| (replicas * u64::from(member.weight) * MAX_LOAD_PERCENT).div_ceil(total * 100);
    members.iter().map(most).collect()
}
