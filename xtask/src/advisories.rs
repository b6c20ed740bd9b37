//! No dependency has a known vulnerability, where the database of them can be reached.

use std::process::Command;

use crate::step::{Failure, Step, cargo};

/// Asks cargo-deny, if it is installed and can fetch its database; says SKIPPED and why otherwise.
pub fn check(step: Step) -> Result<(), Failure> {
    if let Err(reason) = succeeds(cargo(["deny", "--version"])) {
        step.skip(&format!("cargo-deny is not installed ({reason})"));
    } else if let Err(reason) = succeeds(cargo(["deny", "fetch", "db"])) {
        step.skip(&format!("the advisory database cannot be reached ({reason})"));
    } else {
        step.run(cargo(["deny", "--offline", "check", "advisories"]))?;
    }
    Ok(())
}

/// Runs a command quietly; the first line of what it complains about, if it fails.
fn succeeds(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").to_owned())
}
