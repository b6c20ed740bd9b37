//! Partitions: which links are changed.

use crate::cluster::{Link, Node};

/// Changes of links, by sender and receiver.
pub type Links = Vec<(Node, Node, Link)>;

/// Nothing from any of `senders` reaches any of `receivers`.
pub fn one_way(senders: &[Node], receivers: &[Node]) -> Links {
    let to_all = |from: Node| receivers.iter().map(move |to| (from, *to, Link::Cut));
    senders.iter().flat_map(|from| to_all(*from)).collect()
}

/// Nothing passes between two groups.
pub fn between(some: &[Node], others: &[Node]) -> Links {
    [one_way(some, others), one_way(others, some)].concat()
}

/// Nodes in a circle: each reaches itself and as many of its next neighbours to both sides as make a majority.
pub fn majority_ring(circle: &[Node]) -> Links {
    let size = circle.len();
    let reach = (size / 2).div_ceil(2);
    let mut links = Vec::new();
    for (at, from) in circle.iter().enumerate() {
        for (other, to) in circle.iter().enumerate() {
            let apart = at.abs_diff(other).min(size - at.abs_diff(other));
            if apart > reach {
                links.push((*from, *to, Link::Cut));
            }
        }
    }
    links
}

/// All links between nodes become like this.
pub fn all(nodes: &[Node], link: Link) -> Links {
    let pairs = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from != to).map(|(from, to)| (from, to, link)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn halves_are_cut_both_ways() {
        let cut: BTreeSet<_> = between(&[0], &[1, 2]).into_iter().map(|(from, to, _)| (from, to)).collect();
        assert_eq!(cut, BTreeSet::from([(0, 1), (0, 2), (1, 0), (2, 0)]));
    }

    #[test]
    fn in_a_majority_ring_everybody_sees_another_majority() {
        let links = majority_ring(&[4, 2, 0, 1, 3]);
        let seen = |node| {
            let cut = |other: &Node| links.contains(&(node, *other, Link::Cut));
            (0..5).filter(|other| !cut(other)).collect::<BTreeSet<Node>>()
        };
        let majorities: BTreeSet<_> = (0..5).map(seen).collect();
        assert_eq!(majorities.len(), 5, "no two see the same");
        assert!(majorities.iter().all(|majority| majority.len() == 3), "{majorities:?}");
        assert!(links.iter().all(|(from, to, _)| links.contains(&(*to, *from, Link::Cut))));
    }
}
