//! `annulus check`: whether a database keeps its promises, said in plain words.
//!
//! `--against` asks a live cluster for harmless transactions while its user does what they fear; `--history` judges
//! what somebody has recorded. `--clean-up` removes what a run that was killed has left behind.
//!
//! Exit codes: 0 everything held, 1 an anomaly was found, 2 the command line is wrong, 3 it could not be told.
//!
//! A connection is HOST:PORT of the Redis protocol. URLs are kept for the PostgreSQL protocol, whose workloads follow.

mod against;
mod availability;
mod clean_up;
mod conclusion;
mod recorded;
mod round;
mod stop;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use annulus_check::workload::Kind;
use clap::ArgGroup;

use conclusion::Ending;

/// What all keys begin with that `--against` makes.
const PREFIX: &str = "annulus-check:";

/// Arguments of `annulus check`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["against", "history"])))]
pub struct Arguments {
    /// Watches a live cluster through these nodes: their key-value addresses, as HOST:PORT, separated by commas. Give
    /// all of them: each is measured by itself.
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',', value_parser = parse_address)]
    against: Vec<String>,
    /// Checks a recorded history: JSON lines, or Jepsen's EDN.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How long to watch, in minutes; fractions are allowed. Ctrl-C ends it earlier.
    #[arg(long, default_value = "5", value_parser = parse_minutes, conflicts_with = "history")]
    minutes: Duration,
    /// What to do, separated by commas: register, list-append, bank, write-skew, counter, set, long-fork.
    #[arg(
        long = "workload",
        value_delimiter = ',',
        default_value = "register,list-append,bank,write-skew,long-fork",
        conflicts_with = "history"
    )]
    workloads: Vec<Kind>,
    /// Transactions in a second at most, all together.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000), conflicts_with = "history")]
    rate: u64,
    /// Where the histories go that show an anomaly.
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "history")]
    output: PathBuf,
    /// Only removes the keys that a killed run has left behind. Not while another one runs.
    #[arg(long, requires = "against")]
    clean_up: bool,
    /// The keys of the recorded history that are added to are accounts, which together always hold this.
    #[arg(long, value_name = "SUM", requires = "history", allow_negative_numbers = true)]
    total: Option<i64>,
}

fn parse_address(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err("only the Redis protocol can be checked yet; write HOST:PORT, such as 127.0.0.1:6379".to_owned());
    }
    let is_address = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
    if text.rsplit_once(':').is_some_and(is_address) {
        Ok(text.to_owned())
    } else {
        Err("not an address; write HOST:PORT, such as 127.0.0.1:6379".to_owned())
    }
}

/// From a second to a month.
fn parse_minutes(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map(|minutes| minutes * 60.0).ok();
    let seconds = seconds.filter(|seconds| (1.0..=2_678_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "allowed: 0.02 to 44640, such as 5 or 0.5".to_owned())
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome: Result<Ending, Box<dyn Error>> = match &arguments.history {
        Some(file) => recorded::run(file, arguments.total),
        None if arguments.clean_up => clean_up::run(&arguments.against).map(|()| Ending::Held),
        None => against::run(arguments),
    };
    match outcome {
        Ok(ending) => ending.code(),
        Err(error) => {
            eprintln!("annulus: {error}");
            Ending::Undecided.code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_times_are_judged_before_anything_is_done() {
        for good in ["127.0.0.1:7001", "node1:6379", "[::1]:80"] {
            assert_eq!(parse_address(good).as_deref(), Ok(good));
        }
        for bad in ["node1", ":80", "node1:0", "node1:x", "node1:70000", ""] {
            assert!(parse_address(bad).unwrap_err().contains("write HOST:PORT"), "{bad}");
        }
        assert!(parse_address("postgres://node1:5432").unwrap_err().contains("Redis protocol"));
        assert_eq!(parse_minutes("0.5"), Ok(Duration::from_secs(30)));
        for bad in ["0", "-1", "x", "NaN", "inf", "1e300"] {
            assert!(parse_minutes(bad).is_err(), "{bad}");
        }
    }
}
