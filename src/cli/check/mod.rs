//! `annulus check`: whether a database keeps its promises, said in plain words.
//!
//! `--against` asks a live cluster for harmless transactions while its user does what they fear; `--history` judges
//! what somebody has recorded. `--clean-up` removes what a run that was killed has left behind.
//!
//! Exit codes: 0 everything held, 1 an anomaly was found, 2 the command line is wrong, 3 it could not be told.
//!
//! Nodes are named as HOST:PORT where they speak the Redis protocol, and by a connection string where they speak
//! PostgreSQL's: see `target`. What is made in the cluster, and removed, is in `scratch`.

mod against;
mod availability;
mod clean_up;
mod conclusion;
mod recorded;
mod round;
mod scratch;
mod stop;
mod target;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use annulus_check::workload::Kind;
use clap::ArgGroup;

use conclusion::Ending;
use target::Target;

/// Arguments of `annulus check`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["against", "history"])))]
pub struct Arguments {
    /// Watches a live cluster through these nodes: HOST:PORT,... of their key-value ports, or
    /// postgres://HOST:PORT,.../DATABASE of their SQL ports. Give all of them: each is measured by itself.
    #[arg(long, value_name = "NODES", value_parser = Target::parse)]
    against: Option<Target>,
    /// Checks a recorded history: JSON lines, or Jepsen's EDN.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How long to watch, in minutes; fractions are allowed. Ctrl-C ends it earlier.
    #[arg(long, default_value = "5", value_parser = parse_minutes, conflicts_with = "history")]
    minutes: Duration,
    /// What to do, separated by commas: register, list-append, bank, write-skew, counter, set, long-fork, foreign-keys.
    /// All but counter and set if not given; foreign-keys in SQL only.
    #[arg(long = "workload", value_name = "WORKLOADS", value_delimiter = ',', conflicts_with = "history")]
    workloads: Option<Vec<Kind>>,
    /// Transactions in a second at most, all together.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000), conflicts_with = "history")]
    rate: u64,
    /// Where the histories go that show an anomaly.
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "history")]
    output: PathBuf,
    /// Only removes what killed runs have left behind. Not while another one runs.
    #[arg(long, requires = "against")]
    clean_up: bool,
    /// The keys of the recorded history that are added to are accounts, which together always hold this.
    #[arg(long, value_name = "SUM", requires = "history", allow_negative_numbers = true)]
    total: Option<i64>,
}

/// From a second to a month.
fn parse_minutes(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map(|minutes| minutes * 60.0).ok();
    let seconds = seconds.filter(|seconds| (1.0..=2_678_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "allowed: 0.02 to 44640, such as 5 or 0.5".to_owned())
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome: Result<Ending, Box<dyn Error>> = match (&arguments.history, &arguments.against) {
        (Some(file), _) => recorded::run(file, arguments.total),
        (None, Some(target)) if arguments.clean_up => clean_up::run(target).map(|()| Ending::Held),
        (None, Some(target)) => against::run(target, arguments),
        (None, None) => unreachable!("one of them is required"),
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
    fn times_are_judged_before_anything_is_done() {
        assert_eq!(parse_minutes("0.5"), Ok(Duration::from_secs(30)));
        for bad in ["0", "-1", "x", "NaN", "inf", "1e300"] {
            assert!(parse_minutes(bad).is_err(), "{bad}");
        }
    }
}
