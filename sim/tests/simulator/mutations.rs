//! The self-test: each rule of the protocol is taken out, and the simulator must notice.

use annulus_base::mutation::Mutation;
use annulus_sim::run::{catch_panics, hunt};
use annulus_sim::scenario::Scenario;

/// Mutations that need a chain of events too long for chance: not covered by this search.
const SCRIPTED: [Mutation; 2] = [Mutation::BallotReused, Mutation::DecidesTwice];

/// Most seeds tried for each of the others.
const MOST_SEEDS: u64 = 400;

#[test]
fn every_rule_is_missed_when_it_is_taken_out() {
    catch_panics();
    let mut unnoticed = Vec::new();
    for mutation in Mutation::ALL.into_iter().filter(|mutation| !SCRIPTED.contains(mutation)) {
        match hunt(mutation, Scenario::for_mutation(mutation), 1, MOST_SEEDS) {
            Some((seed, _)) => println!("{mutation:?} shows at seed {seed}"),
            None => unnoticed.push(mutation),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed within {MOST_SEEDS} seeds: {unnoticed:?}");
}
