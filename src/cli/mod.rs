//! The command line: `annulus start | demo | status | health | kv | sql | check | config | version`.
//!
//! Exit codes: 0 done, 1 failed (the message says why), 2 the command line itself is wrong. `check` has its own.

mod check;
mod config;
mod demo;
mod flags;
mod health;
mod http;
pub(crate) mod kv;
mod sql;
mod start;
mod status;

use std::error::Error;
use std::io::{ErrorKind, Write as _, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A leaderless, ring-replicated, transactional database.
#[derive(Debug, Parser)]
#[command(name = "annulus", version = crate::VERSION.as_str(), arg_required_else_help = true)]
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
    /// Says whether a node can serve clients, by its exit code too.
    Health(health::Arguments),
    /// Talks to a node's key-value interface: one command, or a shell.
    Kv(kv::Arguments),
    /// Talks to a node's SQL interface: statements, or a shell.
    Sql(sql::Arguments),
    /// Checks whether a live cluster, or a recorded history, keeps its promises.
    Check(check::Arguments),
    /// Checks a configuration, or prints the default one.
    Config(config::Arguments),
    /// Prints the program's version.
    Version,
}

/// What a command ends with. The error is shown to the user as it is.
type Outcome = Result<(), Box<dyn Error>>;

/// Prints a text. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Outcome {
    match stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Start(arguments) => start::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Kv(arguments) => kv::run(&arguments),
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Check(arguments) => return check::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Version => print(&format!("annulus {}\n", *crate::VERSION)),
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
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    fn parse(line: &str) -> Command {
        Arguments::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}")).command
    }

    #[test]
    fn every_setting_is_a_flag_and_a_switch_may_stand_alone() {
        let Command::Config(arguments) =
            parse("annulus config --check --insecure --listen-kv 0.0.0.0:1 --advertise-kv=a:1")
        else {
            panic!("must be config")
        };
        let config = arguments.load().unwrap().config;
        assert!(config.insecure);
        assert_eq!(config.kv_address().to_string(), "a:1");
        assert!(Arguments::try_parse_from(["annulus", "start", "--no-such-setting=1"]).is_err());
    }

    #[test]
    fn what_follows_kv_is_the_command_whatever_it_looks_like() {
        let Command::Kv(arguments) = parse("annulus kv --addr a:1 INCRBY n -5 --help") else { panic!("must be kv") };
        assert_eq!(arguments.command, ["INCRBY", "n", "-5", "--help"]);
    }

    #[test]
    fn a_demo_has_one_node_or_enough() {
        for nodes in ["0", "2", "10", "x"] {
            assert!(Arguments::try_parse_from(["annulus", "demo", "--nodes", nodes]).is_err(), "{nodes}");
        }
        parse("annulus demo --nodes 5 --engine memory");
    }
}
