//! Clients: half of them ask a random node for each transaction, the others stay with one. All say honestly what
//! they know.
//!
//! [`resp`] speaks the Redis protocol, [`sql`] the PostgreSQL protocol; `session` is either.

mod done;
pub mod outcomes;
pub mod resp;
mod session;
pub mod sql;

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::agreement::Decision;
use annulus_check::history::{OpId, Step};
use annulus_check::workload::Program;

use crate::Patience;
use crate::journal::Journal;
pub use done::{Done, Doubt};
use session::Session;
pub use session::{Manner, Protocol};

/// Pause before another try, or after a node could not be reached.
const PAUSE: Duration = Duration::from_millis(10);

/// What a client is told to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Try it once. What only reads may read the past.
    Once(Program),
    /// It must succeed while there is patience, on the latest state.
    Insist(Program),
}

/// One client.
pub struct Client<'a> {
    /// From 0.
    pub number: u64,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where the nodes are, as in [`crate::course::Course`].
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
    pub fn new(
        number: u64,
        protocol: Protocol,
        addresses: &'a [String],
        prefix: &'a str,
        journal: &'a Journal,
        rng: Rng,
    ) -> Self {
        let sessions = addresses.iter().map(|_| None).collect();
        Self { number, protocol, addresses, prefix, journal, rng, sessions, tokens: 0 }
    }

    /// Works until there are no more jobs.
    pub fn work(&mut self, jobs: &Mutex<Receiver<Job>>, patience: &Patience) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match job {
                Ok(Job::Once(program)) => {
                    let node = self.usual();
                    self.attempt(node, &program, true);
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

    /// Whether it was executed, on the latest state, by any node: the usual one may be away. A node that cannot be reached
    /// was not asked.
    pub fn once(&mut self, program: &[Step]) -> bool {
        let node = self.any();
        self.attempt(node, program, false)
    }

    /// Whether that node has executed it. `past`: what only reads may read the past instead, where the protocol can.
    fn attempt(&mut self, node: usize, program: &[Step], past: bool) -> bool {
        let Some(mut session) = self.session(node) else {
            sleep(PAUSE);
            return false;
        };
        let manner = self.protocol.manner(program, past, &mut self.rng);
        let token = if manner.tells_by_token(program) { self.token() } else { None };
        let op = self.journal.invoke(self.number, node, program.to_vec());
        if let Some(token) = &token {
            self.journal.named(op, token);
        }
        if let Some(timestamp) = manner.read_at() {
            self.journal.read_at(op, timestamp);
        }
        let done = session.execute(self.prefix, program, manner, token.as_deref());
        if let Some(what) = done.nonsense() {
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
        if is_done && program.iter().any(Step::changes) {
            self.learn(&mut session, op);
        }
        if session.is_usable() {
            self.sessions[node] = Some(session);
        }
        is_done
    }

    /// By which name the transaction that was just executed can be asked for, and when it was committed, where that is
    /// told.
    fn learn(&self, session: &mut Session, op: OpId) {
        if let Some((name, timestamp)) = session.last() {
            self.journal.named(op, &name);
            self.journal.committed_at(op, timestamp);
            self.journal.observed(format!("client {}", self.number), op, Decision::Committed);
        }
    }

    /// Every second client stays with one node: otherwise all would soon wait for a frozen one, and nobody would
    /// notice that the others serve.
    fn usual(&mut self) -> usize {
        let nodes = self.addresses.len() as u64;
        if self.number.is_multiple_of(2) { self.any() } else { (self.number / 2 % nodes) as usize }
    }

    fn any(&mut self) -> usize {
        self.rng.below(self.addresses.len() as u64) as usize
    }

    fn session(&mut self, node: usize) -> Option<Session> {
        self.sessions[node].take().or_else(|| self.protocol.connect(&self.addresses[node]).ok())
    }

    /// Half of the changes carry a token.
    fn token(&mut self) -> Option<String> {
        self.rng.one_in(2).then(|| {
            self.tokens += 1;
            format!("{}token:{}:{}", self.prefix, self.number, self.tokens)
        })
    }
}
