//! Faults within a node: its clock, its syncs, the bits on its disk.

use std::time::Duration;

use annulus_base::rng::Rng;

use super::{Action, Fault};
use crate::cluster::{ClockError, Node, Part};

/// How far a clock jumps, milliseconds: from what nobody notices to what every other node refuses.
const JUMP: (u64, u64) = (10, 20_000);
/// How much too fast or too slow all clocks run, parts per million: far more than any crystal, but so little that they
/// do not come further apart during a fault than nodes accept of each other.
const FAST: u64 = 30_000;
/// The same for a clock that has jumped.
const VERY_FAST: u64 = 500_000;
/// How often a clock jumps to and fro.
const STROBES: usize = 10;
/// How long it stays there, milliseconds.
const STROBE: (u64, u64) = (20, 500);

/// Clocks jump by amounts of all magnitudes, each node's by another one, and run at any rate from then on.
pub(super) fn clock_jump(nodes: &[Node], rng: &mut Rng) -> Fault {
    let jumps: Vec<(Node, i64)> = nodes.iter().map(|node| (*node, jump(rng))).collect();
    let names: Vec<String> = jumps.iter().map(|(_, ahead)| format!("{ahead} ms")).collect();
    let set =
        |(node, ahead): &(Node, i64)| Action::SetClock(*node, ClockError { ahead: *ahead, fast: rate(VERY_FAST, rng) });
    let actions = jumps.iter().map(set);
    Fault::new(&format!("clocks jump by {} of", names.join(", ")), nodes, actions.collect())
}

/// The clocks drift apart, but within what nodes accept of each other: nobody is away.
pub(super) fn clock_skew(nodes: &[Node], rng: &mut Rng) -> Fault {
    let actions = nodes.iter().map(|node| Action::SetClock(*node, ClockError { ahead: 0, fast: rate(FAST, rng) }));
    Fault::new("clocks run at other rates of", nodes, actions.collect()).away(0)
}

/// A clock that jumps to and fro.
pub(super) fn clock_strobe(node: Node, rng: &mut Rng) -> Fault {
    let mut actions = Vec::new();
    let far = jump(rng);
    for _ in 0..STROBES {
        for ahead in [far, 0] {
            actions.push(Action::SetClock(node, ClockError { ahead, fast: 0 }));
            actions.push(Action::Wait(Duration::from_millis(rng.between(STROBE.0, STROBE.1))));
        }
    }
    Fault::new(&format!("clock jumps to and fro by {far} ms of"), &[node], actions)
}

/// Nodes that must stop.
pub(super) fn fail_syncs(nodes: &[Node]) -> Fault {
    Fault::new("failing syncs of", nodes, nodes.iter().map(|node| Action::FailSyncs(*node)).collect())
}

/// A bit of the vote log or of the engine, more rarely of the node's own records.
pub(super) fn bit_flip(node: Node, rng: &mut Rng) -> Fault {
    let part = match rng.below(5) {
        0 | 1 => Part::Log,
        2 | 3 => Part::Engine,
        _ => Part::Records,
    };
    let seed = rng.below(u64::MAX);
    Fault::new("bit flip on the disk of", &[node], vec![Action::Damage(node, part, seed)])
}

/// A rate's error, to both sides.
fn rate(most: u64, rng: &mut Rng) -> i64 {
    rng.below(2 * most) as i64 - most as i64
}

/// Small and large jumps are equally likely, to both sides.
fn jump(rng: &mut Rng) -> i64 {
    let magnitudes = (JUMP.1 / JUMP.0).ilog2();
    let least = JUMP.0 << rng.below(u64::from(magnitudes));
    let ahead = rng.between(least, least * 2) as i64;
    if rng.one_in(2) { ahead } else { -ahead }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_of_all_magnitudes_within_bounds() {
        let mut rng = Rng::new(1);
        let jumps: Vec<u64> = (0..1_000).map(|_| jump(&mut rng).unsigned_abs()).collect();
        assert!(jumps.iter().all(|ahead| (JUMP.0..=JUMP.1).contains(ahead)));
        assert!(jumps.iter().any(|ahead| *ahead < 50) && jumps.iter().any(|ahead| *ahead > 5_000));
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_ends_right() {
        let fault = clock_strobe(1, &mut Rng::new(1));
        let last = fault.actions.iter().rev().find(|action| matches!(action, Action::SetClock(..)));
        assert_eq!(last, Some(&Action::SetClock(1, ClockError::default())));
    }
}
