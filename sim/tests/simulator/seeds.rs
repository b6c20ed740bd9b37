//! Seeds: fresh ones are for the program, these must always pass.

use annulus_sim::run::{Case, catch_panics};
use annulus_sim::scenario::{self, Scenario};

fn run(seed: u64, scenario: &'static Scenario) {
    let case = Case { seed, scenario, mutation: None };
    if let Err(violation) = case.run(false) {
        panic!("{violation}\nreplay with: {}", case.command());
    }
}

#[test]
fn a_few_seeds_of_every_scenario_are_clean() {
    catch_panics();
    for scenario in scenario::ALL {
        (0..10).for_each(|seed| run(seed, scenario));
    }
}

#[test]
fn seeds_that_once_failed_are_clean() {
    catch_panics();
    let lines = include_str!("../../seeds.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let mut words = line.split_whitespace();
        let seed = words.next().and_then(|seed| seed.parse().ok()).expect("a line begins with a seed");
        let name = words.next().expect("a seed is followed by its scenario");
        run(seed, Scenario::named(name).expect("the scenario is known"));
    }
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in 0..5 {
        let case = Case { seed, scenario: &scenario::SWARM, mutation: None };
        assert_eq!(case.run(false).map(|report| report.trace), case.run(false).map(|report| report.trace));
    }
}
