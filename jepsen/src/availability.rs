//! How long nobody was served, and how long recovery took.

use std::time::Duration;

use annulus_check::history::Outcome;
use annulus_probe::journal::{Record, Sample};
use annulus_probe::served::Served;

use crate::nemesis::tormentor::Window;

/// A fault that leaves every key a majority and lasts at least this long must see a success. Long enough for locks
/// of the dead to be recovered and for a client to have given up on a frozen node.
const MUST_SERVE: u64 = 4_500_000;
/// A success this soon after a fault's first action says nothing: it was under way.
const UNDER_WAY: u64 = 500_000;
/// The time after healing that counts as recovering, microseconds.
const AFTER: u64 = 5_000_000;

/// What one fault cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Which fault, and when.
    pub window: Window,
    /// The longest time without any success between the fault's first action and healing, microseconds.
    pub unavailable: u64,
    /// Whether anybody was served in the fault but for what had been under way.
    pub served: bool,
    /// From the beginning of healing to the last of the nodes' first successes, microseconds; `None` if some node
    /// was never seen to serve again before the next fault.
    pub recovery: Option<u64>,
    /// Successes in a second: from the end of the fault before (or the start) to this one.
    pub before: u64,
    /// The same, during the fault.
    pub during: u64,
    /// The same, in the seconds after healing.
    pub after: u64,
}

/// What all faults cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// The longest time without success in a fault that leaves a majority.
    pub unavailable: Option<Duration>,
    /// The longest recovery of any fault.
    pub recovery: Option<Duration>,
}

/// The costs of all faults, in order.
#[must_use]
pub fn costs(samples: &[Sample], windows: &[Window], nodes: usize) -> Vec<Cost> {
    let served = Served::of(samples);
    let end = served.end();
    let cost = |at: usize, window: &Window| {
        let quiet_since = at.checked_sub(1).map_or(0, |before| windows[before].healed);
        let next = windows.get(at + 1).map_or(u64::MAX, |next| next.begun);
        Cost {
            window: window.clone(),
            unavailable: served.longest_gap(window.begun, window.ended).length(),
            served: served.gaps(window.begun + UNDER_WAY, window.ended).nth(1).is_some(),
            recovery: recovery(&served, window.ended, next, nodes),
            before: served.rate(quiet_since, window.begun),
            during: served.rate(window.begun, window.ended),
            after: served.rate(window.ended, next.min(end).min(window.ended + AFTER)),
        }
    };
    windows.iter().enumerate().map(|(at, window)| cost(at, window)).collect()
}

/// The worst of all.
#[must_use]
pub fn worst(costs: &[Cost]) -> Worst {
    let serving = costs.iter().filter(|cost| cost.window.has_majority);
    Worst {
        unavailable: serving.map(|cost| cost.unavailable).max().map(Duration::from_micros),
        recovery: costs.iter().filter_map(|cost| cost.recovery).max().map(Duration::from_micros),
    }
}

/// What did not go on although every key had a majority.
#[must_use]
pub fn stuck(costs: &[Cost]) -> Vec<String> {
    let length = |cost: &Cost| cost.window.ended - cost.window.begun;
    let stuck = |cost: &&Cost| cost.window.has_majority && length(cost) >= MUST_SERVE && !cost.served;
    let say = |cost: &Cost| {
        format!(
            "nobody was served for {:?}, although the fault '{}' leaves every key a majority",
            Duration::from_micros(cost.unavailable),
            cost.window.name
        )
    };
    costs.iter().filter(stuck).map(say).collect()
}

/// How many operations ended how: executed, failed, unknown at first, unknown to the end.
#[must_use]
pub fn counts(record: &Record) -> [usize; 4] {
    let of = |outcome| record.samples.iter().filter(|sample| sample.outcome == outcome).count();
    let still = record.history.ops.iter().filter(|op| op.outcome == Outcome::Unknown).count();
    [of(Outcome::Ok), of(Outcome::Fail), of(Outcome::Unknown), still]
}

fn recovery(served: &Served, healing: u64, next: u64, nodes: usize) -> Option<u64> {
    let all: Option<Vec<u64>> = (0..nodes).map(|node| served.first_of(node, healing, next)).collect();
    Some(all?.into_iter().max()? - healing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(begun: u64, ended: u64, has_majority: bool) -> Window {
        Window { name: "fault".to_owned(), begun, ended, healed: ended + 1, has_majority }
    }

    fn successes(times: &[(u64, usize)]) -> Vec<Sample> {
        times.iter().map(|(at, node)| Sample { begun: 0, ended: *at, node: *node, outcome: Outcome::Ok }).collect()
    }

    #[test]
    fn gaps_are_measured_from_the_fault_to_healing() {
        let samples = successes(&[(900_000, 0), (1_300_000, 0), (1_350_000, 1), (2_100_000, 0), (2_600_000, 1)]);
        let costs = costs(&samples, &[window(1_000_000, 2_000_000, true)], 2);
        assert_eq!(costs[0].unavailable, 650_000);
        assert_eq!(costs[0].recovery, Some(600_000), "both nodes have served again");
        assert_eq!(costs[0].during, 2);
        assert_eq!(worst(&costs).unavailable, Some(Duration::from_millis(650)));
    }

    #[test]
    fn a_majority_that_serves_nobody_is_stuck() {
        let stuck = |during, has_majority| {
            let samples = successes(&[(10, 0), (during, 0), (9_000_000, 0)]);
            stuck(&costs(&samples, &[window(1_000_000, 7_000_000, has_majority)], 1)).len()
        };
        assert_eq!((stuck(10, true), stuck(10, false)), (1, 0));
        assert_eq!((stuck(1_020_000, true), stuck(6_990_000, true)), (1, 0), "what was under way is no service");
    }

    #[test]
    fn a_node_that_never_serves_again_has_not_recovered() {
        let samples = successes(&[(10, 0), (10, 1), (5_000, 0)]);
        assert_eq!(costs(&samples, &[window(100, 200, true)], 2)[0].recovery, None);
    }
}
