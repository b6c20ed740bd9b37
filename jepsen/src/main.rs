//! `cargo xtask chaos`: the suite's command line.

use std::process::ExitCode;

use annulus_check::workload::Kind;
use annulus_jepsen::Protocol;
use annulus_jepsen::nemesis::Nemesis;
use annulus_jepsen::options::Options;
use annulus_jepsen::suite::{self, Outcome};
use clap::Parser as _;

/// Something was wrong with the database.
const WRONG: u8 = 1;
/// The suite could not try.
const NOT_TRIED: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        list();
        return ExitCode::SUCCESS;
    }
    match if options.self_test { suite::test_itself(&options) } else { suite::run(&options) } {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Wrong) => ExitCode::from(WRONG),
        Ok(Outcome::NotTried) => ExitCode::from(NOT_TRIED),
        Err(failure) => {
            eprintln!("chaos: {failure}");
            ExitCode::from(NOT_TRIED)
        }
    }
}

fn list() {
    println!("workloads:");
    Kind::ALL.into_iter().for_each(|kind| println!("  {kind}"));
    println!("protocols:");
    Protocol::ALL.into_iter().for_each(|protocol| println!("  {:<16} {}", protocol.name(), protocol.about()));
    println!("nemeses:");
    Nemesis::ALL.iter().for_each(|nemesis| println!("  {:<16} {}", nemesis.name(), nemesis.about().trim()));
}
