//! One workload for about a minute, under keys of its own: so that what is remembered and what is checked at a time
//! stays small however long somebody watches.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use annulus_base::rng::Rng;
use annulus_check::history::{Form, Outcome, to_json};
use annulus_check::workload::{Kind, Workload};
use annulus_check::{Anomaly, Verdict, Violation};
use annulus_probe::client::Protocol;
use annulus_probe::course::{self, Course};
use annulus_probe::journal::{Journal, Record, Sample};
use annulus_probe::{Patience, sweep};

use super::conclusion::Finding;

/// Keys that a workload uses at a time.
const KEYS: u64 = 8;
/// Pause between two looks at whether it is time to end, and before the setup is tried again.
const LOOK: Duration = Duration::from_millis(50);

/// What all rounds have in common.
pub struct Ground<'a> {
    /// Where the nodes are.
    pub addresses: &'a [String],
    /// Before all keys of this run.
    pub prefix: &'a str,
    /// Transactions in a second at most, for each workload.
    pub rate: u64,
    /// When times are counted from.
    pub start: Instant,
    /// When final reads are given up.
    pub patience: &'a Patience,
    /// Where histories with an anomaly go.
    pub output: &'a Path,
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
    /// Whether keys may still be there.
    pub left: bool,
    /// What else the user must know.
    pub notes: Vec<String>,
}

impl Ground<'_> {
    /// Does it until `ended` is set, checks it, and removes its keys. A setup whose outcome is not known is tried again
    /// under other keys.
    pub fn play(&self, round: u64, kind: Kind, mut rng: Rng, ended: &AtomicBool) -> Report {
        let mut report =
            Report { kind, round, findings: vec![], samples: vec![], unknown: 0, left: false, notes: vec![] };
        for attempt in 0_u64.. {
            let prefix = format!("{}{kind}:{round}.{attempt}:", self.prefix);
            let clients = (2 * self.addresses.len() as u64).clamp(4, 20);
            let journal = Journal::new(self.start, clients + 1);
            let course = Course {
                protocol: Protocol::Resp,
                addresses: self.addresses,
                prefix: &prefix,
                clients,
                rate: self.rate,
                afterwards: Duration::ZERO,
                patience: self.patience,
            };
            let mut workload = kind.build(KEYS);
            let run = course.run(&mut *workload, &journal, &mut rng, |_| {
                while !ended.load(Ordering::Acquire) {
                    sleep(LOOK);
                }
            });
            let mut record = journal.finish();
            report.left |= !sweep::keys(self.addresses, &prefix, &record.history, self.patience);
            report.samples.append(&mut record.samples);
            if run.is_ok() {
                self.judge(&mut report, &*workload, &record);
                break;
            }
            if ended.load(Ordering::Acquire) {
                break;
            }
            sleep(LOOK);
        }
        report
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
