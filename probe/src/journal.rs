//! What was observed while a course ran: by all clients, who asks for outcomes, and who disturbs the cluster.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use annulus_check::agreement::{Decision, Observation};
use annulus_check::history::{AlreadyKnown, History, OpId, Outcome, Recorder, Step};

use crate::client::{Done, Doubt};

/// An operation as its client experienced it, whatever was learned of it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Microseconds since the start of the history.
    pub begun: u64,
    /// When the client knew how it ended, or gave up.
    pub ended: u64,
    /// The coordinator.
    pub node: usize,
    /// What the client knew then.
    pub outcome: Outcome,
}

/// A lost answer that somebody has to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which operation.
    pub op: OpId,
    /// What to ask by, and what is known.
    pub doubt: Doubt,
}

/// Everything that was written down.
#[derive(Debug)]
pub struct Record {
    /// What clients asked and were told.
    pub history: History,
    /// How that felt.
    pub samples: Vec<Sample>,
    /// Who learned what of which operation.
    pub observations: Vec<Observation<String, OpId>>,
    /// What must never happen, and no checker of histories sees.
    pub anomalies: Vec<String>,
    /// What did not go on although it should have.
    pub stuck: Vec<String>,
    /// Why operations failed, and how often.
    pub refusals: BTreeMap<String, u64>,
    /// What happened, by time.
    pub notes: Vec<String>,
}

/// One notebook for all threads of a course.
pub struct Journal {
    start: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    recorder: Recorder,
    record: Record,
    questions: VecDeque<Question>,
    names: Vec<(OpId, String)>,
}

impl Journal {
    /// An empty one, for so many clients; all times are counted from `start`.
    #[must_use]
    pub fn new(start: Instant, clients: u64) -> Self {
        let record = Record {
            history: History::default(),
            samples: Vec::new(),
            observations: Vec::new(),
            anomalies: Vec::new(),
            stuck: Vec::new(),
            refusals: BTreeMap::new(),
            notes: Vec::new(),
        };
        let inner = Inner { recorder: Recorder::new(clients), record, questions: VecDeque::new(), names: Vec::new() };
        Self { start, inner: Mutex::new(inner) }
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client is about to ask. The time is taken under the lock, so that times and order agree.
    pub fn invoke(&self, client: u64, node: usize, steps: Vec<Step>) -> OpId {
        let mut inner = self.lock();
        let now = self.now();
        inner.recorder.invoke(client, u32::try_from(node).unwrap_or(u32::MAX), steps, now)
    }

    /// The operation's outcome can be asked for by this name.
    pub fn named(&self, op: OpId, name: &str) {
        self.lock().names.push((op, name.to_owned()));
    }

    /// When the operation was committed, as a timestamp of the cluster.
    pub fn committed_at(&self, op: OpId, timestamp: u64) {
        self.lock().recorder.committed_at(op, timestamp);
    }

    /// The instant of the past that the operation reads, as a timestamp of the cluster.
    pub fn read_at(&self, op: OpId, timestamp: u64) {
        self.lock().recorder.read_at(op, timestamp);
    }

    /// All names by which outcomes can be asked for.
    pub fn names(&self) -> Vec<(OpId, String)> {
        self.lock().names.clone()
    }

    /// A client knows how its operation ended, or that it does not know.
    pub fn complete(&self, op: OpId, node: usize, done: Done) {
        let mut inner = self.lock();
        let ended = self.now();
        let begun = inner.recorder.history().ops[op].invoked.micros;
        let outcome = match done {
            Done::Ok(steps) => inner.finish(op, ended, Some(steps)),
            Done::Fail(why) => {
                *inner.record.refusals.entry(why).or_default() += 1;
                inner.finish(op, ended, None)
            }
            Done::Unknown(doubt) => {
                *inner.record.refusals.entry(doubt.why.clone()).or_default() += 1;
                let known = inner.recorder.unknown(op, ended);
                inner.contradiction(known);
                inner.names.extend(doubt.names.iter().map(|name| (op, name.clone())));
                inner.questions.push_back(Question { op, doubt });
                Outcome::Unknown
            }
        };
        inner.record.samples.push(Sample { begun, ended, node, outcome });
    }

    /// The cluster has told what became of an operation with a lost answer.
    pub fn learned(&self, op: OpId, steps: Option<Vec<Step>>) {
        let mut inner = self.lock();
        let now = self.now();
        inner.finish(op, now, steps);
    }

    /// Somebody was told the outcome of an operation.
    pub fn observed(&self, observer: String, op: OpId, decision: Decision) {
        self.lock().record.observations.push(Observation { observer, txn: op, decision });
    }

    /// The next lost answer to ask about.
    pub fn next_question(&self) -> Option<Question> {
        self.lock().questions.pop_front()
    }

    /// It could not be learned for now.
    pub fn ask_again(&self, question: Question) {
        self.lock().questions.push_back(question);
    }

    /// Something that must never happen.
    pub fn anomaly(&self, what: String) {
        self.note(&format!("ANOMALY: {what}"));
        self.lock().record.anomalies.push(what);
    }

    /// Something that should have gone on.
    pub fn lost_progress(&self, what: String) {
        self.note(&format!("LOST PROGRESS: {what}"));
        self.lock().record.stuck.push(what);
    }

    /// Something worth knowing.
    pub fn note(&self, what: &str) {
        let line = format!("{:9.3} s  {what}", self.now() as f64 / 1e6);
        self.lock().record.notes.push(line);
    }

    /// What was written down.
    pub fn finish(self) -> Record {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        Record { history: inner.recorder.into_history(), ..inner.record }
    }
}

impl Inner {
    fn finish(&mut self, op: OpId, now: u64, steps: Option<Vec<Step>>) -> Outcome {
        let (outcome, known) = match steps {
            Some(steps) => (Outcome::Ok, self.recorder.ok(op, steps, now)),
            None => (Outcome::Fail, self.recorder.fail(op, now)),
        };
        self.contradiction(known);
        outcome
    }

    fn contradiction(&mut self, known: Result<(), AlreadyKnown>) {
        if let Err(error) = known {
            self.record.anomalies.push(error.to_string());
        }
    }
}
