//! A whole run: cell after cell, a line for each, the report and the verdict.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cell::{self, Plan};
use crate::cluster::docker::Containers;
use crate::cluster::local::{Local, Programs};
use crate::cluster::{Cluster, Shape};
use crate::options::Options;
use crate::report::{self, About, Ending, Report, Row};
use crate::{Failure, matrix, self_test};

/// How a run came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was wrong, and nothing was stuck.
    Passed,
    /// Something was wrong with the database.
    Wrong,
    /// Something could not be tried.
    NotTried,
}

/// Runs cells until the time is over, and prints a line for each.
///
/// # Errors
/// If the suite itself fails, or what it needs is not there.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let program = program(options)?;
    let mut report = Report::begin(&options.report, about(options, &program))?;
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    println!("{}", report::head());
    for plan in matrix::plans(options).take(options.cells.unwrap_or(usize::MAX)) {
        if Instant::now() >= end {
            break;
        }
        let shape = matrix::shape(&plan, options.nodes.map(usize::from));
        let (row, outcome) = match attempt(options, &program, plan, shape, &report.place(&plan)) {
            Ok(outcome) => (Row::of(&outcome, shape), Some(outcome)),
            Err(failure @ (Failure::Missing { .. } | Failure::NoRoom { .. })) => return Err(failure),
            Err(Failure::Unsupported(why)) => (Row { plan, shape, ending: Ending::Skipped(why) }, None),
            Err(failure) => (Row { plan, shape, ending: Ending::Broken(failure.to_string()) }, None),
        };
        println!("{}", row.line());
        for complaint in outcome.iter().flat_map(cell::Outcome::complaints) {
            println!("{complaint}\n");
        }
        report.add(row, outcome.as_ref())?;
    }
    Ok(summary(report.rows(), &options.report))
}

/// Takes rules out of the nodes, and prints whether each was missed.
///
/// # Errors
/// If the suite itself fails, or what it needs is not there.
pub fn test_itself(options: &Options) -> Result<Outcome, Failure> {
    let program = self_test::program(&program(options)?);
    let mut report = Report::begin(&options.report, about(options, &program))?;
    let is_good = self_test::run(options, &program, &mut report)?;
    println!("\n{}", if is_good { "every rule is missed" } else { "SELF-TEST FAILED" });
    Ok(if is_good { Outcome::Passed } else { Outcome::Wrong })
}

fn attempt(
    options: &Options,
    program: &Path,
    plan: Plan,
    shape: Shape,
    place: &Path,
) -> Result<cell::Outcome, Failure> {
    let mut cluster: Box<dyn Cluster> = if options.docker {
        Box::new(Containers::start(shape, &options.image, options.upgrade_to.clone())?)
    } else {
        let next = options.upgrade_to.as_ref().map(PathBuf::from);
        Box::new(Local::start(Programs { next, ..program.into() }, shape, place, plan.seed)?)
    };
    cell::run(plan, &mut *cluster)
}

fn summary(rows: &[Row], dir: &Path) -> Outcome {
    let count = |wanted: fn(&Ending) -> bool| rows.iter().filter(|row| wanted(&row.ending)).count();
    let passed = count(|ending| matches!(ending, Ending::Run { passed: true, .. }));
    let wrong = count(|ending| matches!(ending, Ending::Run { passed: false, .. }));
    let skipped = count(|ending| matches!(ending, Ending::Skipped(_)));
    let broken = count(|ending| matches!(ending, Ending::Broken(_)));
    println!(
        "\n{passed} passed, {wrong} WRONG, {skipped} skipped, {broken} broken; see {}",
        dir.join("index.html").display()
    );
    match (wrong, broken, passed) {
        (0, 0, 1..) => Outcome::Passed,
        (0, ..) => Outcome::NotTried,
        _ => Outcome::Wrong,
    }
}

fn program(options: &Options) -> Result<PathBuf, Failure> {
    match &options.program {
        Some(program) => Ok(program.clone()),
        None => Ok(std::env::current_exe()?.with_file_name("annulus")),
    }
}

fn about(options: &Options, program: &Path) -> About {
    let output = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|_| output.status.success())
    };
    let version = if options.docker {
        output(Path::new("docker"), &["run", "--rm", &options.image, "version"])
    } else {
        output(program, &["version"])
    };
    let version = version.unwrap_or_else(|| "annulus".to_owned());
    let commit = output(Path::new("git"), &["describe", "--always", "--dirty"]).unwrap_or_else(|| "unknown".to_owned());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    About {
        command: format!("cargo xtask chaos {}", arguments.join(" ")).trim_end().to_owned(),
        version: format!("{version}, commit {commit}, seed {}", options.seed),
        place: if options.docker { "containers" } else { "processes on loopback" },
    }
}
