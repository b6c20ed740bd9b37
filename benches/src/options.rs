//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::peer::Kind;
use crate::suite::{Suite, Workload};

/// Measures Annulus against other replicated databases on this machine.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What else than the comparison is wanted.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How the comparison is made.
    #[command(flatten)]
    pub options: Options,
}

/// Other measurements.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The comparison of SQL databases: the same statements, prepared, over each one's protocol.
    Sql(Options),
    /// TPC-H's 22 queries: whether their results are PostgreSQL's, and times beside its and DataFusion's over Parquet.
    Tpch(TpchOptions),
    /// Loads keys of 100 B into Annulus and prints the memory of each node before and after.
    Memory(MemoryOptions),
}

/// How the comparison is made.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Which databases, instead of all of the comparison; those that are not installed are skipped.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Which workloads, instead of all of the comparison; those that a database has no means for are left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    workloads: Vec<Workload>,
    /// How many clients at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64], value_parser = clap::value_parser!(u16).range(1..=250))]
    pub clients: Vec<u16>,
    /// Length of one round of one cell in seconds; 2, or 1 with --quick.
    #[arg(long, value_parser = parse_seconds)]
    secs: Option<Duration>,
    /// Rounds of each cell, of which the median is taken; 3, or 1 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// A short run: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// Appends every round to this file as a line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Writes the tables to this file.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Where and what to run.
    #[command(flatten)]
    pub place: Place,
}

impl Options {
    /// The databases that are compared.
    pub fn peers(&self, suite: Suite) -> &[Kind] {
        if self.peers.is_empty() { suite.peers() } else { &self.peers }
    }

    /// The workloads they are compared with.
    pub fn workloads(&self, suite: Suite) -> &[Workload] {
        if self.workloads.is_empty() { suite.workloads() } else { &self.workloads }
    }

    /// Length of one round of one cell.
    pub fn length(&self) -> Duration {
        self.secs.unwrap_or(Duration::from_secs(if self.quick { 1 } else { 2 }))
    }

    /// Rounds of each cell.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }
}

/// How memory is measured.
#[derive(Debug, Args)]
pub struct MemoryOptions {
    /// How many keys are loaded.
    #[arg(long, default_value_t = 1_000_000)]
    pub keys: u32,
    /// Where and what to run.
    #[command(flatten)]
    pub place: Place,
}

/// How TPC-H is run.
#[derive(Debug, Args)]
pub struct TpchOptions {
    /// The scale factor: gigabytes of data.
    #[arg(long, default_value_t = 0.1)]
    pub scale: f64,
    /// Which queries, by number, instead of all.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=22))]
    pub queries: Vec<u32>,
    /// Runs of each query, of which the fastest counts.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Longest time of one run, seconds.
    #[arg(long, default_value = "300", value_parser = parse_seconds)]
    pub timeout: Duration,
    /// Where and what to run.
    #[command(flatten)]
    pub place: Place,
}

/// Where data goes and which node is measured.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// Data is kept in a new folder in here, which is removed at the end. It must be on a disk: with a file system in
    /// memory nothing is durable.
    #[arg(long, default_value = "/var/tmp")]
    pub dir: PathBuf,
    /// The node's program, instead of the one built next to this program.
    #[arg(long, value_name = "FILE")]
    pub annulus: Option<PathBuf>,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("allowed: 0.1 to 600".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Options {
        Arguments::try_parse_from([&["bench"], words].concat()).unwrap().options
    }

    #[test]
    fn quick_changes_only_what_is_not_given() {
        let full = options(&[]);
        assert_eq!((full.length(), full.rounds()), (Duration::from_secs(2), 3));
        let quick = options(&["--quick", "--rounds=4", "--peers=redis,annulus"]);
        assert_eq!((quick.length(), quick.rounds()), (Duration::from_secs(1), 4));
        assert_eq!(quick.peers(Suite::Sql), [Kind::Redis, Kind::Annulus]);
        assert_eq!(quick.workloads(Suite::KeyValue).len(), 5);
        assert_eq!(full.peers(Suite::Sql), Suite::Sql.peers());
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [["--secs=0"], ["--secs=x"], ["--clients=0"], ["--peers=mongo"], ["--rounds=0"]] {
            assert!(Arguments::try_parse_from([&["bench"], words.as_slice()].concat()).is_err(), "{words:?}");
        }
    }
}
