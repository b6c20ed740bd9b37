//! Which cells are run, in which order.

use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::workload::Kind;

use crate::Protocol;
use crate::cell::Plan;
use crate::cluster::Shape;
use crate::nemesis::Nemesis;
use crate::options::Options;

/// All cells of a run, without end: every workload meets every nemesis before one meets the same again. The order
/// is random, and among the first cells every workload and every nemesis is there as early as can be.
pub fn plans(options: &Options) -> impl Iterator<Item = Plan> {
    let mut rng = Rng::new(options.seed);
    let mut workloads = if options.workloads.is_empty() { Kind::ALL.to_vec() } else { options.workloads.clone() };
    let mut nemeses = if options.nemeses.is_empty() { Nemesis::ALL.to_vec() } else { options.nemeses.clone() };
    let protocols = if options.protocols.is_empty() { Protocol::ALL.to_vec() } else { options.protocols.clone() };
    rng.shuffle(&mut workloads);
    rng.shuffle(&mut nemeses);
    let (seed, length, clients, rate) =
        (options.seed, Duration::from_secs(options.seconds), options.clients, options.rate);
    let pairs = workloads.len() * nemeses.len();
    (0_u64..).map(move |number| {
        let (workload, nemesis) = pair(number as usize % pairs, workloads.len(), nemeses.len());
        let seed = seed.wrapping_add(number);
        let protocol = Rng::new(seed.rotate_left(32)).pick(&protocols).copied().unwrap_or(Protocol::Resp);
        Plan { workload: workloads[workload], protocol, nemesis: nemeses[nemesis], seed, length, clients, rate }
    })
}

/// The pair at a place of the order: both advance with every cell, and the nemesis one further after each time
/// around that would otherwise begin the same pairs again.
fn pair(at: usize, workloads: usize, nemeses: usize) -> (usize, usize) {
    let around = workloads * nemeses / greatest_common_divisor(workloads, nemeses);
    (at % workloads, (at + at / around) % nemeses)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The cluster for a plan: three nodes mostly, sometimes five, unless somebody wants it otherwise.
#[must_use]
pub fn shape(plan: &Plan, wanted: Option<usize>) -> Shape {
    let mut rng = Rng::new(!plan.seed);
    let nodes = wanted.unwrap_or(if rng.one_in(3) { 5 } else { 3 }).max(plan.nemesis.least_nodes());
    let replicas = if nodes >= 5 && rng.one_in(2) { 5 } else { 3 };
    Shape { nodes, replicas, small_disks: plan.nemesis.needs_small_disks() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pair_comes_once_before_one_comes_again() {
        for (workloads, nemeses) in [(9, 18), (7, 5), (1, 4), (6, 4), (3, 3)] {
            let count = workloads * nemeses;
            let pairs: BTreeSet<_> = (0..count).map(|at| pair(at, workloads, nemeses)).collect();
            assert_eq!(pairs.len(), count, "{workloads} x {nemeses}");
            let early = workloads.max(nemeses);
            let seen: BTreeSet<_> = (0..early).map(|at| pair(at, workloads, nemeses).0).collect();
            assert_eq!(seen.len(), workloads);
        }
    }
}
