//! One step of a verification: announced, timed, and told how to run again when it fails.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::Command;
use std::time::Instant;

/// A step that did not pass.
#[derive(Debug)]
pub struct Failure {
    name: &'static str,
    reason: String,
    again: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}\nrun it again with: {}", self.name, self.reason, self.again)
    }
}

/// A step that has begun.
#[derive(Debug)]
pub struct Step {
    name: &'static str,
    begun: Instant,
}

impl Step {
    /// Announces a step.
    pub fn begin(name: &'static str) -> Self {
        println!("\n==> {name}");
        Self { name, begun: Instant::now() }
    }

    /// Passes if the command succeeds.
    pub fn run(self, mut command: Command) -> Result<(), Failure> {
        let outcome = command
            .status()
            .and_then(|status| if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) });
        self.check(&line_of(&command), outcome.map_err(|error| error.to_string()))
    }

    /// Passes if the outcome is good; `again` is the command that repeats it.
    pub fn check(self, again: &str, outcome: Result<(), String>) -> Result<(), Failure> {
        outcome.map_err(|reason| Failure { name: self.name, reason, again: again.to_owned() })?;
        println!("    {} passed in {:.1} s", self.name, self.begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Ends without a verdict.
    pub fn skip(self, reason: &str) {
        println!("    {} SKIPPED: {reason}", self.name);
    }
}

/// A cargo command, by the cargo that runs this program.
pub fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// A command as it is typed in a shell.
fn line_of(command: &Command) -> String {
    let text = |text: &OsStr| {
        let text = text.to_string_lossy();
        if text.contains(' ') { format!("'{text}'") } else { text.into_owned() }
    };
    let set = command.get_envs().filter_map(|(name, value)| Some(format!("{}={}", text(name), text(value?))));
    let words = command.get_args().map(text);
    set.chain(["cargo".to_owned()]).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_how_to_run_it_again() {
        let mut command = cargo(["--no-such-flag"]);
        command.env("A", "b c").stderr(std::process::Stdio::null());
        let failure = Step::begin("demo").run(command).unwrap_err().to_string();
        assert!(failure.starts_with("demo failed: exit status"), "{failure}");
        assert!(failure.ends_with("run it again with: A='b c' cargo --no-such-flag"), "{failure}");
    }
}
