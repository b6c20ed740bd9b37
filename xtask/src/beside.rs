//! Programs that start nodes, both built in release: the benchmark, and faults against real clusters.

use std::process::{Command, ExitCode};

use crate::step::cargo;

/// Builds the node, with `node` as further arguments of cargo, then builds and runs a package's program with these arguments, and hands its exit code on.
///
/// The builds are separate, so that the node has the features that it has for its users.
pub fn beside_the_node(node: &[&str], package: &str, arguments: &[&str]) -> ExitCode {
    let mut program = cargo(["run", "--release", "--package", package, "--"]);
    program.args(arguments);
    let mut build = cargo(["build", "--release", "--package", "annulus"]);
    build.args(node);
    match succeeds(build).and_then(|()| succeeds(program)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn succeeds(mut command: Command) -> Result<(), ExitCode> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))),
        Err(error) => {
            eprintln!("xtask: cargo cannot be run: {error}");
            Err(ExitCode::FAILURE)
        }
    }
}
