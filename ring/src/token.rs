//! The token space: the circle of 64-bit numbers, who owns which part of it, and the clockwise walk.

use annulus_base::{NodeId, PartitionId};

use crate::record::Member;

/// Tokens per unit of weight, so 4 000 for a node of normal weight.
///
/// A node's share of the circle is the sum of its gaps; with `k` random tokens its relative standard
/// deviation is about `1 / sqrt(k)`, here 1.6 %. So 10 % are six deviations away for a node of weight
/// 100 and four and a half for one of weight 50.
const TOKENS_PER_WEIGHT: usize = 40;

/// The high 64 bits of the blake3 hash.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    leading_bits(blake3::hash(bytes).as_bytes())
}

/// Maps a hash uniformly onto `0..count`: its high bits, where `count` is a power of two.
pub(crate) fn scale(hash: u64, count: u16) -> u16 {
    ((u128::from(hash) * u128::from(count)) >> 64) as u16
}

fn leading_bits(bytes: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *bytes;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Where a partition's walk begins.
pub(crate) fn partition_token(partition: PartitionId) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"annulus partition");
    hasher.update(&partition.namespace.0.to_be_bytes());
    hasher.update(&partition.slot.to_be_bytes());
    leading_bits(hasher.finalize().as_bytes())
}

/// The endless stream of a node's tokens; its first one is its place on the cluster ring.
fn node_tokens(node: NodeId) -> impl Iterator<Item = u64> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"annulus node");
    hasher.update(&node.0.to_be_bytes());
    let mut stream = hasher.finalize_xof();
    std::iter::from_fn(move || {
        let mut token = [0; 8];
        stream.fill(&mut token);
        Some(u64::from_be_bytes(token))
    })
}

/// The nodes in clockwise order of their first tokens.
pub(crate) fn clockwise(members: &[Member]) -> Vec<NodeId> {
    let mut placed: Vec<_> = members.iter().map(|member| (node_tokens(member.id).next(), member.id)).collect();
    placed.sort_unstable();
    placed.into_iter().map(|(_, node)| node).collect()
}

/// All tokens of all members in order. Speaks of members by their index.
#[derive(Debug)]
pub(crate) struct TokenRing {
    members: usize,
    /// Token and owner.
    tokens: Vec<(u64, u32)>,
}

impl TokenRing {
    /// The tokens of `members`, which are in the order of their ids.
    pub fn new(members: &[Member]) -> Self {
        let mut tokens = Vec::new();
        for (member, owner) in members.iter().zip(0..) {
            let count = member.weight as usize * TOKENS_PER_WEIGHT;
            tokens.extend(node_tokens(member.id).take(count).map(|token| (token, owner)));
        }
        tokens.sort_unstable();
        Self { members: members.len(), tokens }
    }

    /// Every member once, in the order in which a clockwise walk from `start` meets them.
    pub fn walk(&self, start: u64) -> impl Iterator<Item = usize> {
        let (before, behind) = self.tokens.split_at(self.tokens.partition_point(|(token, _)| *token < start));
        let mut met = vec![false; self.members];
        let owners = behind.iter().chain(before).map(|(_, owner)| *owner as usize);
        // `take` ends the walk as soon as all have been met, mostly long before the circle closes.
        owners.filter(move |owner| !std::mem::replace(&mut met[*owner], true)).take(self.members)
    }

    /// Each member's part of the circle, in units of 2^-64: the sum of the gaps that end at its tokens.
    pub fn shares(&self) -> Vec<u128> {
        let mut shares = vec![0; self.members];
        let mut before = self.tokens.last().map_or(0, |(token, _)| *token);
        for (token, owner) in &self.tokens {
            shares[*owner as usize] += u128::from(token.wrapping_sub(before));
            before = *token;
        }
        shares
    }
}
