//! The command line: `annulus start | demo | status | kv | config | version`.
//!
//! Exit codes: 0 done, 1 failed (the message says why), 2 the command line itself is wrong.

mod config;
mod demo;
mod flags;
mod http;
mod kv;
mod start;
mod status;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A leaderless, ring-replicated, transactional database.
#[derive(Debug, Parser)]
#[command(name = "annulus", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node.
    Start(start::Arguments),
    /// Runs a small durable cluster on this machine, for trying out.
    Demo(demo::Arguments),
    /// Shows a node's view of its cluster.
    Status(status::Arguments),
    /// Talks to a node's key-value interface: one command, or a shell.
    Kv(kv::Arguments),
    /// Checks a configuration, or prints the default one.
    Config(config::Arguments),
    /// Prints the program's version.
    Version,
}

/// What a command ends with. The error is shown to the user as it is.
type Outcome = Result<(), Box<dyn Error>>;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Start(arguments) => start::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Kv(arguments) => kv::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Version => {
            println!("annulus {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("annulus: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
