//! `annulus kv`: key-value commands, one at a time or in a shell.
//!
//! `LIST`, `EXIT` and `HELP` are its own; every other command goes to the node as it is.

mod client;
mod commands;
mod print;
pub(crate) mod reply;
mod shell;
mod words;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::os::unix::ffi::OsStringExt as _;

use super::Outcome;
use client::Client;
use commands::Flow;

/// Arguments of `annulus kv`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's key-value address, as HOST:PORT.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6379")]
    addr: String,
    /// A command and its arguments; without one, a shell.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut client = Client::new(&arguments.addr);
    if arguments.command.is_empty() {
        client.connect()?;
        return if stdin().is_terminal() { shell::interactive(&mut client) } else { shell::batch(&mut client) };
    }
    let words: Vec<Vec<u8>> = arguments.command.iter().cloned().map(OsString::into_vec).collect();
    one_shot(&mut client, &words)
}

fn one_shot(client: &mut Client, words: &[Vec<u8>]) -> Outcome {
    let mut out = stdout().lock();
    let flow = commands::run(client, words, stdout().is_terminal(), &mut out)?;
    out.flush()?;
    match flow {
        Flow::Failed(error) => Err(error.into()),
        Flow::Done | Flow::Exit => Ok(()),
    }
}
