//! The simulator as a program: `cargo xtask sim [SEED]`. See `--help`.
//!
//! Exit codes: 0 all well, 1 a wrong answer, 2 no progress, 3 a crash, 64 bad arguments.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use annulus_base::mutation::Mutation;
use annulus_sim::run::{Case, catch_panics};
use annulus_sim::scenario::{self, Scenario};
use annulus_sim::violation::Violation;
use clap::{Parser, Subcommand};

/// One seed in so many is run twice.
const TWICE_EVERY: u64 = 20;
/// Most seeds tried to find a mutation, unless told otherwise.
const SEEDS_FOR_A_MUTATION: u64 = 2_000;

#[derive(Subcommand)]
enum Other {
    /// Print how many rounds of gossip news takes to reach everybody.
    Gossip,
    /// Run transcripts and print them with what happens.
    Transcript {
        /// The files.
        files: Vec<PathBuf>,
        /// Take a rule of the protocol out.
        #[arg(long)]
        mutation: Option<String>,
    },
}

#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
#[command(name = "annulus-sim", about = "Simulates whole clusters of Annulus from one seed")]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// Run this seed only, and print its options.
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// Run seeds for so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// The first of many seeds; without it, one that nobody has run.
    #[arg(long)]
    first: Option<u64>,
    /// Take a rule of the protocol out; without a seed, look for one that shows it.
    #[arg(long)]
    mutation: Option<String>,
    /// Bias the swarm towards a situation; without it, half of the seeds have a bias that follows from the seed.
    #[arg(long)]
    scenario: Option<String>,
    /// Threads.
    #[arg(long)]
    jobs: Option<usize>,
    /// Print every event of the seed.
    #[arg(long)]
    verbose: bool,
    /// Do not stop at the first failure: print each.
    #[arg(long)]
    keep_going: bool,
    /// List scenarios and mutations.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => {
            eprintln!("{what}");
            ExitCode::from(64)
        }
        Err(Failure::Violation(violation)) => ExitCode::from(violation.exit_code()),
    }
}

enum Failure {
    Usage(String),
    Violation(Violation),
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.other {
        Some(Other::Gossip) => {
            gossip();
            return Ok(());
        }
        Some(Other::Transcript { files, mutation }) => {
            let mutation = mutation.as_deref().map(find_mutation).transpose()?;
            return files.iter().try_for_each(|file| transcript(file, mutation));
        }
        None if arguments.list => {
            list();
            return Ok(());
        }
        None => {}
    }
    let mutation = arguments.mutation.as_deref().map(find_mutation).transpose()?;
    let scenario = match (&arguments.scenario, mutation) {
        (Some(name), _) => {
            let named = Scenario::named(name);
            Some(named.ok_or_else(|| Failure::Usage(format!("no scenario is named '{name}'; see --list")))?)
        }
        (None, mutation) => mutation.map(Scenario::for_mutation),
    };
    catch_panics();
    match arguments.seed {
        Some(seed) => one(case(seed, scenario, mutation), arguments.verbose),
        None => many(arguments, scenario, mutation),
    }
}

fn case(seed: u64, scenario: Option<&'static Scenario>, mutation: Option<Mutation>) -> Case {
    Case { seed, scenario: scenario.unwrap_or_else(|| Scenario::of_seed(seed)), mutation }
}

fn gossip() {
    println!("rounds of gossip until every node knows the news of every other one (smallest and largest of 100 runs):");
    for nodes in [3, 10, 100] {
        let rounds = (0..100).map(|seed| annulus_gossip::rounds::to_convergence(nodes, seed));
        let (least, most) = rounds.fold((u32::MAX, 0), |(least, most), rounds| (least.min(rounds), most.max(rounds)));
        println!("  {nodes:>3} nodes: {least} to {most}");
    }
}

fn transcript(file: &Path, mutation: Option<Mutation>) -> Result<(), Failure> {
    let wrong = |error: String| Failure::Usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    print!("{}", annulus_sim::transcript::run(&text, mutation).map_err(wrong)?);
    Ok(())
}

fn list() {
    println!("scenarios:");
    scenario::ALL.into_iter().for_each(|scenario| println!("  {:<24} {}", scenario.name, scenario.about));
    println!("mutations (and where each is looked for):");
    Mutation::ALL.into_iter().for_each(|mutation| {
        println!("  {:<24} {}", format!("{mutation:?}"), Scenario::for_mutation(mutation).name);
    });
}

fn find_mutation(name: &str) -> Result<Mutation, Failure> {
    Mutation::named(name).ok_or_else(|| Failure::Usage(format!("no mutation is named '{name}'; see --list")))
}

fn one(case: Case, verbose: bool) -> Result<(), Failure> {
    println!("{:#?}", case.options());
    if verbose {
        // Before the run, so that events come as they happen.
        case.run(true).map_err(|violation| report(&case, violation))?;
    }
    let report_of = case.run_twice().map_err(|violation| report(&case, violation))?;
    println!(
        "seed {}: clean, {} steps, {} commits, trace {:016x}",
        case.seed, report_of.steps, report_of.committed, report_of.trace
    );
    Ok(())
}

fn report(case: &Case, violation: Violation) -> Failure {
    println!("seed {}: {violation}\nreplay with: {}", case.seed, case.command());
    Failure::Violation(violation)
}

/// What all threads share.
struct Hunt {
    next: AtomicU64,
    end: u64,
    until: Option<Instant>,
    keep_going: bool,
    stop: AtomicBool,
    clean: AtomicU64,
    steps: AtomicU64,
    commits: AtomicU64,
    found: Mutex<Option<(Case, Violation)>>,
}

fn many(arguments: &Arguments, scenario: Option<&'static Scenario>, mutation: Option<Mutation>) -> Result<(), Failure> {
    let first = arguments.first.unwrap_or_else(fresh_seed);
    let seeds = match (arguments.seeds, arguments.seconds, mutation) {
        (Some(seeds), ..) => seeds,
        (None, None, Some(_)) => SEEDS_FOR_A_MUTATION,
        (None, None, None) => 100,
        (None, Some(_), _) => u64::MAX - first,
    };
    let began = Instant::now();
    let hunt = Hunt {
        next: AtomicU64::new(first),
        end: first.saturating_add(seeds),
        until: arguments.seconds.map(|seconds| began + Duration::from_secs(seconds)),
        keep_going: arguments.keep_going,
        stop: AtomicBool::new(false),
        clean: AtomicU64::new(0),
        steps: AtomicU64::new(0),
        commits: AtomicU64::new(0),
        found: Mutex::new(None),
    };
    let jobs = arguments.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        (0..jobs).for_each(|_| drop(scope.spawn(|| work(&hunt, scenario, mutation))));
    });
    summarise(&hunt, first, jobs, began.elapsed().as_secs_f64());
    let found = hunt.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    match (found, mutation) {
        (Some((case, violation)), _) => Err(report(&case, violation)),
        (None, Some(mutation)) => {
            println!("{mutation:?} was not found");
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// A seed that nobody is likely to have run.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_micros() as u64)
}

fn work(hunt: &Hunt, scenario: Option<&'static Scenario>, mutation: Option<Mutation>) {
    while !hunt.stop.load(Ordering::Relaxed) && hunt.until.is_none_or(|until| Instant::now() < until) {
        let seed = hunt.next.fetch_add(1, Ordering::Relaxed);
        if seed >= hunt.end {
            return;
        }
        let case = case(seed, scenario, mutation);
        let result = if seed.is_multiple_of(TWICE_EVERY) { case.run_twice() } else { case.run(false) };
        match result {
            Ok(report) => {
                hunt.clean.fetch_add(1, Ordering::Relaxed);
                hunt.steps.fetch_add(report.steps, Ordering::Relaxed);
                hunt.commits.fetch_add(report.committed, Ordering::Relaxed);
            }
            Err(violation) => {
                hunt.stop.store(!hunt.keep_going, Ordering::Relaxed);
                if hunt.keep_going {
                    println!("seed {seed} ({}): {violation}", case.scenario.name);
                }
                let mut found = hunt.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                found.get_or_insert((case, violation));
            }
        }
    }
}

fn summarise(hunt: &Hunt, first: u64, jobs: usize, seconds: f64) {
    let (clean, steps) = (hunt.clean.load(Ordering::Relaxed), hunt.steps.load(Ordering::Relaxed));
    let commits = hunt.commits.load(Ordering::Relaxed);
    println!(
        "{clean} clean seeds from {first}, {steps} steps, {commits} commits in {seconds:.1} s on {jobs} threads: {:.0} seeds/s, {:.0} steps/s",
        clean as f64 / seconds,
        steps as f64 / seconds
    );
}
