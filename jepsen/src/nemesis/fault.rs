//! One fault: what is done, to whom, for how long.

use std::time::Duration;

use super::partition::Links;
use crate::cluster::{ClockError, Node, Part};

/// Something that is done to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `SIGKILL`.
    Kill(Node),
    /// `SIGTERM`, and wait until it has ended.
    Stop(Node),
    /// Start a node that does not run.
    Start(Node),
    /// `SIGSTOP`.
    Pause(Node),
    /// Change links.
    Links(Links),
    /// Fill the disk.
    FillDisk(Node),
    /// Kill the node, take its disk away, and start it with an empty one.
    LoseDisk(Node),
    /// Make the clock wrong.
    SetClock(Node, ClockError),
    /// Let all syncs fail: the node must stop.
    FailSyncs(Node),
    /// Stop the node, flip a bit on its disk, chosen by a seed, and start it.
    Damage(Node, Part, u64),
    /// Stop the node and start it with the next build.
    Upgrade(Node),
    /// Let it be for a while.
    Wait(Duration),
    /// Wait until the node serves.
    UntilReady(Node),
}

impl Action {
    /// The node that may stop by itself because of that, and be started again after healing only.
    #[must_use]
    pub const fn may_end(&self) -> Option<Node> {
        match self {
            Self::FillDisk(node) | Self::FailSyncs(node) | Self::Damage(node, ..) => Some(*node),
            _ => None,
        }
    }
}

/// Actions, and what to expect of them. All faults end the same way: see [`crate::cluster::heal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// For people.
    pub name: String,
    /// What is done, in order.
    pub actions: Vec<Action>,
    /// How many nodes at a time do not take part as they should, at most.
    pub away: usize,
    /// How long it lasts once all is done.
    pub lasts: Duration,
}

impl Fault {
    /// A fault that takes some nodes away.
    pub(super) fn new(what: &str, nodes: &[Node], actions: Vec<Action>) -> Self {
        let names: Vec<_> = nodes.iter().map(|node| format!("n{}", node + 1)).collect();
        let name = format!("{what} {}", names.join(" ")).trim_end().to_owned();
        Self { name, actions, away: nodes.len(), lasts: Duration::ZERO }
    }

    /// The same, with another number of nodes away.
    pub(super) fn away(self, away: usize) -> Self {
        Self { away, ..self }
    }

    /// The same, for so long.
    pub(super) fn lasting(self, lasts: Duration) -> Self {
        Self { lasts, ..self }
    }

    /// Several at once.
    pub(super) fn mixed(parts: impl Iterator<Item = Self>) -> Self {
        let mut mix = Self::new("", &[], Vec::new());
        for part in parts {
            mix.name += if mix.name.is_empty() { "" } else { " + " };
            mix.name += &part.name;
            mix.actions.extend(part.actions);
            mix.away += part.away;
        }
        mix
    }
}
