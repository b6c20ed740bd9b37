//! Whether ranges still have the content that they had: without reading it again.

use std::collections::BTreeMap;

use annulus_base::{Epoch, NodeId};
use annulus_replica::message::Mark;

/// What a majority of replicas says about when a range last changed, at a snapshot. Empty where one of them could not
/// tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    epoch: Epoch,
    marks: BTreeMap<NodeId, Mark>,
}

impl Standing {
    /// What the replicas of a majority answered.
    pub(crate) fn new(epoch: Epoch, marks: impl Iterator<Item = (NodeId, Option<Mark>)>) -> Self {
        let marks: Option<BTreeMap<NodeId, Mark>> = marks.map(|(node, mark)| Some((node, mark?))).collect();
        Self { epoch, marks: marks.unwrap_or_default() }
    }

    /// Whether the replicas could tell.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether the content is the same as at another snapshot, whichever is the earlier one. A transaction between the two
    /// was voted for by a majority, and so by one of the replicas that answered, which then gave another mark. No means
    /// only that it is not known.
    #[must_use]
    pub fn is_still(&self, other: &Self) -> bool {
        let unchanged = |(node, mark): (&NodeId, &Mark)| other.marks.get(node) == Some(mark);
        self.is_known() && self.epoch == other.epoch && self.marks.iter().all(unchanged)
    }
}

#[cfg(test)]
mod tests {
    use annulus_base::Incarnation;

    use super::*;

    fn standing(epoch: u32, marks: &[(u32, Option<u64>)]) -> Standing {
        let mark = |number: u64| Mark { incarnation: Incarnation(1), number };
        Standing::new(Epoch(epoch.into()), marks.iter().map(|(node, number)| (NodeId(*node), number.map(mark))))
    }

    #[test]
    fn content_is_the_same_where_a_whole_majority_says_so() {
        let before = standing(1, &[(1, Some(5)), (2, Some(9))]);
        assert!(before.is_still(&before));
        assert!(!standing(1, &[(1, Some(5)), (2, Some(10))]).is_still(&before));
        assert!(!standing(1, &[(1, Some(5)), (3, Some(9))]).is_still(&before));
        assert!(!standing(2, &[(1, Some(5)), (2, Some(9))]).is_still(&before));
        let unknown = standing(1, &[(1, Some(5)), (2, None)]);
        assert!(!unknown.is_known() && !unknown.is_still(&unknown) && !unknown.is_still(&before));
    }
}
