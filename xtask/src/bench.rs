//! `cargo xtask bench`: Annulus measured against other databases, both built in release.

use std::process::{Command, ExitCode};

use crate::step::cargo;

/// Builds the node, then builds and runs the benchmark, whose arguments these are, and hands its exit code on.
///
/// The builds are separate, so that the node has the features that it has for its users.
pub fn run(arguments: &[&str]) -> ExitCode {
    let mut benchmark = cargo(["run", "--release", "--package", "annulus-bench", "--"]);
    benchmark.args(arguments);
    match succeeds(cargo(["build", "--release", "--package", "annulus"])).and_then(|()| succeeds(benchmark)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn succeeds(mut command: Command) -> Result<(), ExitCode> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))),
        Err(error) => {
            eprintln!("bench: cargo cannot be run: {error}");
            Err(ExitCode::FAILURE)
        }
    }
}
