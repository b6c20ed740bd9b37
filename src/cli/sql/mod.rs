//! `annulus sql`: SQL statements, one at a time or in a shell.

mod client;
mod complete;
mod event;
mod input;
mod meta;
mod run;
mod shell;
mod table;

use std::io::{IsTerminal as _, stdin, stdout};

use super::Outcome;
use client::{Client, Target};
use run::Look;
use shell::Shell;
use table::Style;

/// Arguments of `annulus sql`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's SQL address, as HOST:PORT.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5432")]
    addr: String,
    /// The database.
    #[arg(long, default_value = "annulus")]
    database: String,
    /// Who connects.
    #[arg(long, default_value = "annulus")]
    user: String,
    /// Statements; without any, a shell.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub statements: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    let Arguments { addr, database, user, statements } = arguments;
    let target = Target { address: addr.clone(), database: database.clone(), user: user.clone() };
    let mut client = Client::connect(target)?;
    let for_people = stdout().is_terminal();
    let style = if for_people { Style::Aligned } else { Style::Bare };
    let look = Look { style, timing: false, for_people };
    if !statements.is_empty() {
        return match run::run(&mut client, &statements.join(" "), look)? {
            Some(report) => Err(format!("the statement failed with {}", report.code).into()),
            None => Ok(()),
        };
    }
    let mut shell = Shell::new(client, look);
    if stdin().is_terminal() { shell.interactive() } else { shell.batch() }
}
