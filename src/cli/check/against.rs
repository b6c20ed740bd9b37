//! `--against`: watches a live cluster while its user does what they fear.
//!
//! All workloads run at once, in rounds of a minute. A round begins when the one before it ends, and goes on until the
//! one before that is checked and its keys are removed: at most two are there at a time, and somebody always asks.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use annulus_base::rng::Rng;
use annulus_check::Verdict;
use annulus_check::history::Outcome;
use annulus_check::workload::Kind;
use annulus_probe::Patience;
use annulus_probe::client::resp::Session;
use annulus_probe::journal::Sample;
use annulus_probe::served::Served;

use super::conclusion::{Ending, Finding, conclude};
use super::round::{Ground, Report};
use super::{Arguments, PREFIX, availability, stop};
use crate::cli::print;

/// How long a round lasts, unless the one before it is not done.
const ROUND: Duration = Duration::from_secs(60);
/// How long final reads are tried again at the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at what goes on.
const LOOK: Duration = Duration::from_millis(20);

/// Watches, and says what came out.
pub fn run(arguments: &Arguments) -> Result<Ending, Box<dyn Error>> {
    arguments.against.iter().try_for_each(|address| greet(address))?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let prefix = format!("{PREFIX}{seed:016x}:");
    let over = Arc::new(AtomicBool::new(false));
    stop::at_signal(Arc::clone(&over), left_behind(&prefix))?;
    print(&format!(
        "Watching {} for {}: {} transactions a second under keys that begin with {prefix}\nDo what you fear. Ctrl-C ends it.\n",
        arguments.against.join(", "),
        humantime::format_duration(arguments.minutes),
        arguments.rate
    ))?;
    let patience = Patience::new(PATIENCE);
    let ground = Ground {
        addresses: &arguments.against,
        prefix: &prefix,
        rate: (arguments.rate / arguments.workloads.len() as u64).max(1),
        start: Instant::now(),
        patience: &patience,
        output: &arguments.output,
    };
    let watch = Watch { ground: &ground, kinds: &arguments.workloads, length: arguments.minutes, over: &over };
    let mut seen = Seen::default();
    thread::scope(|scope| watch.rounds(scope, &mut Rng::new(seed), &mut seen));
    seen.tell(&arguments.workloads, &ground)
}

/// Somebody who is not there, or no node of Annulus, is told apart before anything is done.
fn greet(address: &str) -> Result<(), String> {
    let mut session = Session::connect(address)
        .map_err(|error| format!("cannot reach {address}: {error}; the cluster must be whole at the start"))?;
    session.greet().map_err(|why| format!("{address} is no node of Annulus: {why}"))
}

fn left_behind(prefix: &str) -> String {
    format!("Keys that begin with {prefix} may still be there; annulus check --clean-up --against ... removes them.")
}

struct Watch<'a> {
    ground: &'a Ground<'a>,
    kinds: &'a [Kind],
    length: Duration,
    over: &'a AtomicBool,
}

impl Watch<'_> {
    fn rounds<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, rng: &mut Rng, seen: &mut Seen) {
        let mut earlier = Vec::new();
        for round in 1.. {
            let begun = Instant::now();
            let ended = Arc::new(AtomicBool::new(false));
            let play = |kind: &Kind| {
                let (kind, rng, ended) = (*kind, rng.fork(), Arc::clone(&ended));
                scope.spawn(move || self.ground.play(round, kind, rng, &ended))
            };
            let running = self.kinds.iter().map(play).collect();
            while !self.is_over() && (begun.elapsed() < ROUND || !earlier.is_empty()) {
                self.collect(&mut earlier, seen);
                sleep(LOOK);
            }
            ended.store(true, Ordering::Release);
            let before = std::mem::replace(&mut earlier, running);
            if self.is_over() {
                seen.end = self.ground.start.elapsed().as_micros() as u64;
                self.ground.patience.begin();
                earlier.extend(before);
                break;
            }
        }
        while !earlier.is_empty() {
            self.collect(&mut earlier, seen);
            sleep(LOOK);
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.ground.start.elapsed() >= self.length
    }

    /// Takes in what has come out meanwhile. An anomaly ends the watch: there is nothing better to be found.
    fn collect(&self, running: &mut Vec<ScopedJoinHandle<'_, Report>>, seen: &mut Seen) {
        for handle in running.extract_if(.., |handle| handle.is_finished()) {
            let report = handle.join().expect("a round does not panic");
            if report.findings.iter().any(|finding| finding.verdict.violation().is_some()) {
                self.over.store(true, Ordering::Release);
            }
            seen.add(report);
        }
    }
}

/// What has come out so far.
#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    samples: Vec<Sample>,
    notes: Vec<String>,
    unknown: usize,
    left: bool,
    /// When it was over, microseconds from the start.
    end: u64,
}

impl Seen {
    fn add(&mut self, report: Report) {
        self.findings.extend(report.findings);
        self.samples.extend(report.samples);
        self.notes.extend(report.notes);
        self.unknown += report.unknown;
        self.left |= report.left;
    }

    fn tell(mut self, kinds: &[Kind], ground: &Ground<'_>) -> Result<Ending, Box<dyn Error>> {
        for kind in kinds {
            let what = kind.to_string();
            if !self.findings.iter().any(|finding| finding.what == what) {
                let verdict = Verdict::Undecided("it could not be set up in all the time".to_owned());
                self.findings.push(Finding { what, checker: "setup", verdict });
            }
        }
        let (ending, text) = conclude(&self.findings);
        let count = |outcome| self.samples.iter().filter(|sample| sample.outcome == outcome).count();
        print(&format!(
            "{text}Transactions: {} executed, {} failed, {} lost their answer; {} of those stayed unknown.\n{}",
            count(Outcome::Ok),
            count(Outcome::Fail),
            count(Outcome::Unknown),
            self.unknown,
            availability::describe(&Served::of(&self.samples), ground.addresses, self.end)
        ))?;
        self.notes.extend(self.left.then(|| left_behind(ground.prefix)));
        self.notes.iter().try_for_each(|note| print(&format!("{note}\n")))?;
        Ok(ending)
    }
}
