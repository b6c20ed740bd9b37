//! Development commands: `cargo xtask verify | sim | bench | chaos`. They need nothing installed but Rust.
//!
//! CI calls the same commands, so what passes here passes there.

mod advisories;
mod beside;
mod licences;
mod step;

use std::process::{Command, ExitCode};

use beside::beside_the_node;
use step::{Failure, Step, cargo};

const USAGE: &str = "\
cargo xtask verify [--skip-tests]   format, licences, lints, docs, tests, a short simulation, some minutes of faults, advisories
cargo xtask sim [ARGUMENTS]         the simulator, in release: SEED, --seeds N, --seconds S; --help shows all
cargo xtask bench [ARGUMENTS]       the speed table of the README; --quick for a look, --help shows all
cargo xtask chaos [ARGUMENTS]       faults against real clusters: --minutes N, --seed S, --docker; --help shows all";

/// How many seeds `verify` simulates: a few minutes on two cores.
const SEEDS: &str = "--seeds=12000";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["verify"] => verify(true),
        ["verify", "--skip-tests"] => verify(false),
        ["sim", rest @ ..] => return run_simulator(rest),
        ["bench", rest @ ..] => return beside_the_node(&[], "annulus-bench", rest),
        ["chaos", rest @ ..] => return chaos(rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nverify: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Cheap steps first. No step sets flags that change how a crate is built, so builds are shared.
fn verify(with_tests: bool) -> Result<(), Failure> {
    let step = Step::begin("format");
    step.run(cargo(["fmt", "--all", "--check"]))?;
    let step = Step::begin("licences");
    step.check("cargo xtask verify", licences::check())?;
    let step = Step::begin("clippy");
    step.run(cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    let step = Step::begin("docs");
    let mut docs = cargo(["doc", "--workspace", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "--deny warnings");
    step.run(docs)?;
    if with_tests {
        let step = Step::begin("tests");
        step.run(cargo(["test", "--workspace"]))?;
    }
    let step = Step::begin("simulation");
    step.run(simulator(&[SEEDS, &format!("--first={}", first_seed())]))?;
    // In containers where Docker runs. All of the workspace, so that nothing is built with other features than for its tests.
    let step = Step::begin("chaos");
    step.run(cargo(["test", "--workspace", "--test", "chaos", "--", "--ignored", "--nocapture"]))?;
    let step = Step::begin("advisories");
    advisories::check(step)?;
    println!("\nverify: everything passed");
    Ok(())
}

/// The self-test runs a program of its own, which can be told to break rules.
fn chaos(arguments: &[&str]) -> ExitCode {
    let node: &[&str] =
        if arguments.contains(&"--self-test") { &["--bin", "annulus-mutated", "--features", "mutations"] } else { &[] };
    beside_the_node(node, "annulus-jepsen", arguments)
}

/// Fresh seeds for every commit, and the same ones for everybody who verifies it: a failure can be repeated.
fn first_seed() -> u64 {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let head = head.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    u64::from_str_radix(head.get(..12).unwrap_or("1"), 16).unwrap_or(1)
}

fn simulator(arguments: &[&str]) -> Command {
    let mut command = cargo(["run", "--release", "--package", "annulus-sim", "--"]);
    command.args(arguments);
    command
}

/// Runs the simulator and hands its exit code on.
fn run_simulator(arguments: &[&str]) -> ExitCode {
    match simulator(arguments).status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("sim: cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
