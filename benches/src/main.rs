//! Annulus and other replicated databases under the same load, on one machine: what the README's figures come from.
//!
//! Each peer is three processes with durable writes on loopback, started here and stopped at the end; one closed-loop
//! load generator drives them all. The cells of the table are measured in short rounds that alternate between the
//! peers, so that a drift of the machine hits all of them; a round that other processes disturbed is left out where
//! there are others. Linux only: costs are read from `/proc`.

mod account;
mod client;
mod cost;
mod data;
mod failure;
mod floor;
mod goals;
mod load;
mod memory;
mod options;
mod peer;
mod report;
mod round;
mod run;
mod server;
mod suite;
mod tpch;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use failure::Failure;
use options::{Arguments, Command};
use suite::Suite;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match until_signalled(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A signal ends the work by dropping it, which stops all servers and removes their data.
async fn until_signalled(arguments: Arguments) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let work = async {
        match &arguments.command {
            None => run::compare(&arguments.options, Suite::KeyValue).await,
            Some(Command::Sql(options)) => run::compare(options, Suite::Sql).await,
            Some(Command::Tpch(options)) => tpch::compare(options).await,
            Some(Command::Memory(options)) => memory::measure(options).await,
        }
    };
    tokio::select! {
        outcome = work => outcome,
        _ = terminate.recv() => Err(Failure::Stopped),
        _ = interrupt.recv() => Err(Failure::Stopped),
    }
}
