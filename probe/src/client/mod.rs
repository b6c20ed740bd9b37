//! Clients: half of them ask a random node for each transaction, the others stay with one. All say honestly what
//! they know.
//!
//! [`resp`] speaks the Redis protocol. The PostgreSQL protocol gets its module beside it once there is SQL.

pub mod outcomes;
pub mod resp;

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::agreement::Decision;
use annulus_check::history::Step;
use annulus_check::workload::Program;

use crate::Patience;
use crate::journal::Journal;
use resp::{Session, Style};

/// Pause before another try, or after a node could not be reached.
const PAUSE: Duration = Duration::from_millis(10);

/// What a client is told to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Try it once.
    Once(Program),
    /// It must succeed while there is patience.
    Insist(Program),
}

/// What became of a transaction, as far as the client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Executed: the steps, with what the reads found.
    Ok(Vec<Step>),
    /// Certainly not executed, and why.
    Fail(String),
    /// Not known.
    Unknown(Doubt),
}

impl Done {
    /// The same; if it is not known, then by no name either.
    fn without_names(self) -> Self {
        match self {
            Self::Unknown(doubt) => Self::Unknown(Doubt { names: Vec::new(), ..doubt }),
            known => known,
        }
    }
}

/// What is known of a transaction whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What happened instead of an answer.
    pub why: String,
    /// Its token or id, or both: what its outcome can be asked by.
    pub names: Vec<String>,
    /// Its steps, with what its reads found if it was executed, where that is known.
    pub steps: Vec<Step>,
}

/// One client.
pub struct Client<'a> {
    /// From 0.
    pub number: u64,
    /// Where the nodes are, each as HOST:PORT.
    pub addresses: &'a [String],
    /// Before every key.
    pub prefix: &'a str,
    /// Where everything is written down.
    pub journal: &'a Journal,
    /// Chooses nodes and manners.
    pub rng: Rng,
    sessions: Vec<Option<Session>>,
    tokens: u64,
}

impl<'a> Client<'a> {
    /// A client that is not connected yet.
    #[must_use]
    pub fn new(number: u64, addresses: &'a [String], prefix: &'a str, journal: &'a Journal, rng: Rng) -> Self {
        let sessions = addresses.iter().map(|_| None).collect();
        Self { number, addresses, prefix, journal, rng, sessions, tokens: 0 }
    }

    /// Works until there are no more jobs.
    pub fn work(&mut self, jobs: &Mutex<Receiver<Job>>, patience: &Patience) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match job {
                Ok(Job::Once(program)) => {
                    self.once(&program);
                }
                Ok(Job::Insist(program)) => self.insist(&program, patience),
                Err(_) => return,
            }
        }
    }

    fn insist(&mut self, program: &[Step], patience: &Patience) {
        while !self.once(program) {
            if patience.is_over() {
                let keys: Vec<_> = program.iter().map(|step| format!("{}{}", self.prefix, step.key())).collect();
                return self.journal.lost_progress(format!("no answer about {} to the end", keys.join(" ")));
            }
            sleep(PAUSE);
        }
    }

    /// Whether it was executed. A node that cannot be reached was not asked.
    pub fn once(&mut self, program: &[Step]) -> bool {
        let node = self.coordinator();
        let Some(mut session) = self.session(node) else {
            sleep(PAUSE);
            return false;
        };
        let style = Style::any(program, &mut self.rng);
        let token = self.token(program);
        let op = self.journal.invoke(self.number, node, program.to_vec());
        if let Some(token) = &token {
            self.journal.named(op, token);
        }
        let done = session.execute(self.prefix, program, style, token.as_deref());
        if session.is_usable() {
            self.sessions[node] = Some(session);
        }
        if let Some(what) = resp::nonsense(&done) {
            self.journal.anomaly(format!("n{} answered nonsense to {program:?}: {what}", node + 1));
        }
        let decision = match &done {
            Done::Ok(_) => Some(Decision::Committed),
            Done::Fail(_) => Some(Decision::Aborted),
            Done::Unknown(_) => None,
        };
        if let (Some(decision), Some(_)) = (decision, &token) {
            self.journal.observed(format!("client {}", self.number), op, decision);
        }
        let is_done = matches!(done, Done::Ok(_));
        self.journal.complete(op, node, done);
        is_done
    }

    /// Every second client stays with one node: otherwise all would soon wait for a frozen one, and nobody would
    /// notice that the others serve.
    fn coordinator(&mut self) -> usize {
        let nodes = self.addresses.len() as u64;
        let node = if self.number.is_multiple_of(2) { self.rng.below(nodes) } else { self.number / 2 % nodes };
        node as usize
    }

    fn session(&mut self, node: usize) -> Option<Session> {
        self.sessions[node].take().or_else(|| Session::connect(&self.addresses[node]).ok())
    }

    /// Half of the changes carry a token.
    fn token(&mut self, program: &[Step]) -> Option<String> {
        (program.iter().any(Step::changes) && self.rng.one_in(2)).then(|| {
            self.tokens += 1;
            format!("{}token:{}:{}", self.prefix, self.number, self.tokens)
        })
    }
}
