//! `--against`: watches a live cluster while its user does what they fear.
//!
//! All workloads run at once, in rounds of a minute. A round ends when the next one is set up, and that goes on until the
//! earlier one is checked and what it made is removed: at most two are there at a time, and somebody always asks.

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
use annulus_probe::journal::Sample;
use annulus_probe::served::Served;

use super::conclusion::{Ending, Finding, conclude};
use super::round::{Ground, Report, Stage};
use super::scratch::Scratch;
use super::target::Target;
use super::{Arguments, availability, stop};
use crate::cli::print;

/// How long a round lasts, unless the one before it is not done.
const ROUND: Duration = Duration::from_secs(60);
/// How long final reads are tried again at the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at what goes on.
const LOOK: Duration = Duration::from_millis(20);

/// Watches, and says what came out.
pub fn run(target: &Target, arguments: &Arguments) -> Result<Ending, Box<dyn Error>> {
    target.greet()?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let scratch = Scratch::new(target, seed);
    let over = Arc::new(AtomicBool::new(false));
    stop::at_signal(Arc::clone(&over), scratch.left_behind())?;
    print(&format!(
        "Watching {target} for {}: {} transactions a second in {scratch}\n",
        humantime::format_duration(arguments.minutes),
        arguments.rate
    ))?;
    scratch.make()?;
    let kinds = arguments.workloads.as_deref().unwrap_or(target.usual());
    let patience = Patience::new(PATIENCE);
    let ground = Ground {
        scratch: &scratch,
        rate: (arguments.rate / kinds.len() as u64).max(1),
        start: Instant::now(),
        patience: &patience,
        output: &arguments.output,
    };
    let watch = Watch { ground: &ground, kinds, length: arguments.minutes, over: &over };
    let mut seen = Seen::default();
    thread::scope(|scope| watch.rounds(scope, &mut Rng::new(seed), &mut seen));
    seen.left |= !scratch.remove(&patience);
    seen.notes.extend(seen.left.then(|| scratch.left_behind()));
    seen.tell(kinds, target)
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
        let mut last = Arc::new(Stage::default());
        for round in 1.. {
            let begun = Instant::now();
            let stage = Arc::new(Stage::default());
            let play = |kind: &Kind| {
                let (kind, rng, stage) = (*kind, rng.fork(), Arc::clone(&stage));
                scope.spawn(move || self.ground.play(round, kind, rng, &stage))
            };
            let running: Vec<_> = self.kinds.iter().map(play).collect();
            self.wait(&mut earlier, seen, |_| stage.is_set_up(self.kinds.len()));
            last.end();
            if round == 1 && !self.is_over() {
                seen.begin = self.now();
                // Whoever does not read this still wants everything to be removed.
                let _ = print("Do what you fear. Ctrl-C ends it.\n");
            }
            self.wait(&mut earlier, seen, |earlier| begun.elapsed() >= ROUND && earlier.is_empty());
            earlier.extend(running);
            last = stage;
            if self.is_over() {
                break;
            }
        }
        last.end();
        seen.end = self.now();
        self.ground.patience.begin();
        while !earlier.is_empty() {
            self.collect(&mut earlier, seen);
            sleep(LOOK);
        }
    }

    /// Takes in what comes out until it is enough, or over.
    fn wait<'scope>(
        &self,
        running: &mut Vec<ScopedJoinHandle<'scope, Report>>,
        seen: &mut Seen,
        enough: impl Fn(&[ScopedJoinHandle<'scope, Report>]) -> bool,
    ) {
        while !self.is_over() && !enough(running) {
            self.collect(running, seen);
            sleep(LOOK);
        }
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        self.ground.start.elapsed().as_micros() as u64
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
    /// When everything was set up, microseconds from the start.
    begin: u64,
    /// When it was over.
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

    fn tell(mut self, kinds: &[Kind], target: &Target) -> Result<Ending, Box<dyn Error>> {
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
            availability::describe(&Served::of(&self.samples), target.nodes(), self.begin, self.end)
        ))?;
        self.notes.iter().try_for_each(|note| print(&format!("{note}\n")))?;
        Ok(ending)
    }
}
