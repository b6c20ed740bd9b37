//! The fence: a durable ceiling on every timestamp that this node has answered on.
//!
//! What a node forgets in a crash (read timestamps, NO votes) it only ever gave at or below its fence,
//! so after a restart nothing at or below the fence is accepted any more.

use std::collections::VecDeque;

use annulus_base::Timestamp;

/// The fence, as logged and as known to be durable.
#[derive(Debug, Default)]
pub struct Fence {
    floor: Timestamp,
    durable: Timestamp,
    logged: Timestamp,
    unsynced: VecDeque<(u64, Timestamp)>,
}

impl Fence {
    /// A fence found in the log: the floor of this incarnation.
    pub fn restore(&mut self, fence: Timestamp) {
        self.floor = self.floor.max(fence);
        self.durable = self.floor;
        self.logged = self.floor;
    }

    /// The floor that follows from earlier incarnations.
    #[must_use]
    pub const fn floor(&self) -> Timestamp {
        self.floor
    }

    /// Forgets the floor: only for the self-test of the simulator.
    pub fn forget_floor(&mut self) {
        self.floor = Timestamp::ZERO;
    }

    /// The ceiling that a crash cannot lower.
    #[must_use]
    pub const fn durable(&self) -> Timestamp {
        self.durable
    }

    /// The ceiling as far as it is in the log.
    #[must_use]
    pub const fn logged(&self) -> Timestamp {
        self.logged
    }

    /// The record number `position` moves the fence to `fence`.
    pub fn extend(&mut self, fence: Timestamp, position: u64) {
        assert!(fence > self.logged, "a fence only rises");
        self.logged = fence;
        self.unsynced.push_back((position, fence));
    }

    /// All records up to `position` are durable.
    pub fn synced(&mut self, position: u64) {
        while let Some((_, fence)) = self.unsynced.pop_front_if(|(at, _)| *at <= position) {
            self.durable = fence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_synced_fences_are_durable() {
        let mut fence = Fence::default();
        fence.restore(Timestamp(10));
        fence.extend(Timestamp(20), 1);
        fence.extend(Timestamp(30), 3);
        assert_eq!((fence.floor(), fence.durable(), fence.logged()), (Timestamp(10), Timestamp(10), Timestamp(30)));
        fence.synced(2);
        assert_eq!(fence.durable(), Timestamp(20));
        fence.synced(3);
        assert_eq!(fence.durable(), Timestamp(30));
    }
}
