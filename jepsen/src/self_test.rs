//! Whether this suite can find anything: rules of the protocol are taken out of real nodes, and each must be missed.
//!
//! Each rule gets a workload and a nemesis that need it. First the same nodes with all their rules must pass that cell, so
//! that it is the missing rule that is noticed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use annulus_check::workload::Kind;
use annulus_probe::client::sql::Layout;

use crate::cell::{self, Outcome, Plan};
use crate::cluster::Shape;
use crate::cluster::local::{Local, Programs};
use crate::nemesis::Nemesis;
use crate::options::Options;
use crate::report::{Report, Row};
use crate::{Failure, Protocol};

/// How many seeds a rule may take to be missed.
const TRIES: u64 = 5;

/// A rule, and where it is missed.
struct Trial {
    /// As `annulus start --test-mutation` takes it.
    rule: &'static str,
    workload: Kind,
    protocol: Protocol,
    nemesis: Nemesis,
}

impl Trial {
    /// The first seed from `seed` on under which it can be noticed: in SQL, with whole tables read in many rounds.
    fn seed_from(&self, seed: u64) -> u64 {
        let suits = |seed: &u64| self.protocol == Protocol::Resp || Layout::of(self.workload, *seed) == Layout::Wide;
        (seed..).find(suits).unwrap_or(seed)
    }
}

const TRIALS: [Trial; 3] = [
    Trial { rule: "ReadIgnoresLocks", workload: Kind::Register, protocol: Protocol::Resp, nemesis: Nemesis::Slow },
    Trial { rule: "SecondRoundSkipped", workload: Kind::Bank, protocol: Protocol::Resp, nemesis: Nemesis::Slow },
    // What is read in many rounds is fresh by this rule alone where clocks differ.
    Trial { rule: "UnsettledNotTold", workload: Kind::Register, protocol: Protocol::Sql, nemesis: Nemesis::ClockSkew },
];

/// Runs all trials and prints how each went. Whether all rules were missed, and nothing else.
///
/// # Errors
/// If the suite itself fails.
pub fn run(options: &Options, program: &Path, report: &mut Report) -> Result<bool, Failure> {
    let mut good = true;
    let mut seed = options.seed;
    for trial in &TRIALS {
        let name = format!("{} under {}", trial.workload, trial.nemesis);
        seed = trial.seed_from(seed);
        let complaint = attempt(options, program, trial, None, seed, report)?;
        good &= complaint.is_none();
        println!("{:<24} {name}, all rules in force: {}", "", complaint.as_deref().unwrap_or("passed, as it should"));
        let mut found = None;
        for _ in 0..TRIES {
            seed = trial.seed_from(seed + 1);
            found = attempt(options, program, trial, Some(trial.rule), seed, report)?;
            if found.is_some() {
                break;
            }
        }
        good &= found.is_some();
        let what = found.map_or_else(|| format!("NOT MISSED in {TRIES} runs"), |found| format!("missed: {found}"));
        println!("{:<24} {name}, without the rule: {what} (seed {seed})", trial.rule);
        seed += 1;
    }
    Ok(good)
}

/// The program that has the feature `mutations`.
#[must_use]
pub fn program(node: &Path) -> PathBuf {
    node.with_file_name("annulus-mutated")
}

/// What was wrong first, if something was.
fn attempt(
    options: &Options,
    program: &Path,
    trial: &Trial,
    rule: Option<&str>,
    seed: u64,
    report: &mut Report,
) -> Result<Option<String>, Failure> {
    let plan = Plan {
        workload: trial.workload,
        protocol: trial.protocol,
        nemesis: trial.nemesis,
        seed,
        length: Duration::from_secs(options.seconds),
        clients: options.clients,
        rate: options.rate,
    };
    let shape = Shape { nodes: 3, replicas: 3, small_disks: false };
    let programs = Programs { mutation: rule.map(str::to_owned), ..program.into() };
    let outcome = cell::run(plan, &mut Local::start(programs, shape, &report.place(&plan), seed)?)?;
    report.add(Row::of(&outcome, shape), Some(&outcome))?;
    Ok(first_complaint(&outcome))
}

/// One line of it.
fn first_complaint(outcome: &Outcome) -> Option<String> {
    let complaints = outcome.complaints();
    complaints.first().map(|complaint| complaint.lines().next().unwrap_or_default().to_owned())
}
