//! One workload for about a minute, under keys or in tables of its own: so that what is remembered and what is checked at a time
//! stays small however long somebody watches.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use annulus_base::rng::Rng;
use annulus_check::history::{Form, Outcome, to_json};
use annulus_check::workload::{Kind, Workload};
use annulus_check::{Anomaly, Verdict, Violation};
use annulus_probe::Patience;
use annulus_probe::course::{self, Course};
use annulus_probe::journal::{Journal, Record, Sample};

use super::conclusion::Finding;
use super::scratch::{Part, Scratch};

/// Keys that a workload uses at a time.
const KEYS: u64 = 8;
/// Pause between two looks at whether it is time to end, and before the setup is tried again.
const LOOK: Duration = Duration::from_millis(50);

/// What all rounds have in common.
pub struct Ground<'a> {
    /// Where it happens.
    pub scratch: &'a Scratch<'a>,
    /// Transactions in a second at most, for each workload.
    pub rate: u64,
    /// When times are counted from.
    pub start: Instant,
    /// When final reads are given up.
    pub patience: &'a Patience,
    /// Where histories with an anomaly go.
    pub output: &'a Path,
}

/// How far a round is.
#[derive(Default)]
pub struct Stage {
    set_up: AtomicUsize,
    ended: AtomicBool,
}

impl Stage {
    /// Whether that many workloads are set up.
    pub fn is_set_up(&self, workloads: usize) -> bool {
        self.set_up.load(Ordering::Acquire) >= workloads
    }

    /// Nobody begins anything any more, but for final reads.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// What came out of a round.
pub struct Report {
    /// What was done.
    pub kind: Kind,
    /// Which round.
    pub round: u64,
    /// What the checkers say; nothing if the workload could not be set up in all the time.
    pub findings: Vec<Finding>,
    /// How it felt.
    pub samples: Vec<Sample>,
    /// How many transactions stayed unknown.
    pub unknown: usize,
    /// Whether something may still be there.
    pub left: bool,
    /// What else the user must know.
    pub notes: Vec<String>,
}

impl Ground<'_> {
    /// Does it until its round is ended, checks it, and removes what it has made. A setup whose outcome is not known is tried
    /// again in another place.
    pub fn play(&self, round: u64, kind: Kind, mut rng: Rng, stage: &Stage) -> Report {
        let mut report =
            Report { kind, round, findings: vec![], samples: vec![], unknown: 0, left: false, notes: vec![] };
        for attempt in 0_u64.. {
            let part = self.scratch.part(kind, round, attempt, &mut rng);
            if self.attempt(&part, &mut report, &mut rng, stage) || stage.has_ended() {
                break;
            }
            sleep(LOOK);
        }
        report
    }

    /// Whether it could be set up.
    fn attempt(&self, part: &Part, report: &mut Report, rng: &mut Rng, stage: &Stage) -> bool {
        let clients = (2 * part.addresses.len() as u64).clamp(4, 20);
        let journal = Journal::new(self.start, clients + 1);
        let prefix = part.prefix();
        let course = Course {
            protocol: part.protocol,
            addresses: &part.addresses,
            prefix: &prefix,
            clients,
            rate: self.rate,
            afterwards: Duration::ZERO,
            patience: self.patience,
        };
        let mut workload = report.kind.build(KEYS);
        let is_set_up = part.make(rng).is_ok()
            && course
                .run(&mut *workload, &journal, rng, |_| {
                    stage.set_up.fetch_add(1, Ordering::Release);
                    while !stage.has_ended() {
                        sleep(LOOK);
                    }
                })
                .is_ok();
        let mut record = journal.finish();
        report.left |= !part.remove(&record.history, self.patience);
        report.samples.append(&mut record.samples);
        if is_set_up {
            self.judge(report, &*workload, &record);
        }
        is_set_up
    }

    fn judge(&self, report: &mut Report, workload: &dyn Workload, record: &Record) {
        report.unknown = record.history.ops.iter().filter(|op| op.outcome == Outcome::Unknown).count();
        let mut verdicts = course::verdicts(workload, record);
        verdicts.extend(record.anomalies.iter().map(|why| ("answers", contradiction(why))));
        if !record.history.executed().any(|(_, op)| !op.steps.is_empty()) {
            // Of nothing, everything is true.
            verdicts = vec![("progress", Verdict::Undecided("nothing was executed".to_owned()))];
        }
        if verdicts.iter().any(|(_, verdict)| verdict.violation().is_some()) {
            let path = self.output.join(format!("annulus-check-{}-{}.json", report.kind, report.round));
            report.notes.push(match std::fs::write(&path, to_json(&record.history, Form::Transactions)) {
                Ok(()) => format!("The history is in {0}; to check it: annulus check --history {0}", path.display()),
                Err(error) => format!("The history could not be written to {}: {error}", path.display()),
            });
        }
        let finding = |(checker, verdict)| Finding { what: report.kind.to_string(), checker, verdict };
        report.findings = verdicts.into_iter().map(finding).collect();
    }
}

/// An answer that no node may ever give.
fn contradiction(why: &str) -> Verdict {
    Verdict::Invalid(Violation { anomaly: Anomaly::Other, ops: vec![], keys: vec![], why: why.to_owned() })
}
