//! Programs that are run to their end.

use std::process::Command;

use crate::Failure;

/// Runs a program; what it printed, if it succeeded.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let command = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().map_err(|error| Failure::Command {
        command: command(),
        how: "it cannot be started".to_owned(),
        output: error.to_string(),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    Err(Failure::Command { command: command(), how: output.status.to_string(), output: text })
}
