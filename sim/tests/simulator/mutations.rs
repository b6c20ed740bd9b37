//! The self-test: each rule of the protocol is taken out, and the simulator must notice.

use annulus_base::mutation::Mutation;
use annulus_sim::run::{catch_panics, hunt};
use annulus_sim::scenario::Scenario;
use annulus_sim::transcript;

use crate::transcripts::folder;

/// Mutations that need a chain of events too long for chance, each with the transcript that plays it.
const SCRIPTED: [(Mutation, &str); 5] = [
    (Mutation::BallotReused, "ballot_of_a_restarted_recoverer.txt"),
    (Mutation::DecidesTwice, "coordinator_decides_once.txt"),
    (Mutation::NoVoteForgotten, "no_vote_is_remembered.txt"),
    (Mutation::RecoverWithoutRefusal, "promise_refuses_late_votes.txt"),
    (Mutation::VoteBeforeSync, "vote_before_the_sync_is_nothing.txt"),
];

/// Most seeds tried for each of the others.
const MOST_SEEDS: u64 = 1_000;

#[test]
fn every_rule_is_missed_when_it_is_taken_out() {
    catch_panics();
    let mut unnoticed = Vec::new();
    for mutation in
        Mutation::ALL.into_iter().filter(|mutation| SCRIPTED.iter().all(|(scripted, _)| scripted != mutation))
    {
        match hunt(mutation, Scenario::for_mutation(mutation), 1, MOST_SEEDS) {
            Some((seed, _)) => println!("{mutation:?} shows at seed {seed}"),
            None => unnoticed.push(mutation),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed within {MOST_SEEDS} seeds: {unnoticed:?}");
}

#[test]
fn scripted_situations_go_wrong_only_without_their_rule() {
    for (mutation, file) in SCRIPTED {
        let text = std::fs::read_to_string(folder().join(file)).unwrap();
        let run = |mutation| transcript::run(&text, mutation).unwrap_or_else(|error| panic!("{file}: {error}"));
        let wrong = |out: &str| out.lines().any(|line| line.starts_with("!!") || line.starts_with("wrong answer"));
        let right = run(None);
        // A replica that sees both outcomes panics: noticed as well.
        let mutated = std::panic::catch_unwind(|| run(Some(mutation))).unwrap_or_else(|_| "!! a panic".to_owned());
        assert!(!wrong(&right), "{file} goes wrong by itself:\n{right}");
        assert!(wrong(&mutated), "{file} does not show {mutation:?}:\n{mutated}");
    }
}
