//! Asking the cluster what became of transactions: turns unknown into known, and compares what it says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use annulus_base::id::TxnRef;
use annulus_base::rng::Rng;
use annulus_check::agreement::Decision;
use annulus_check::history::OpId;

use super::Protocol;
use super::session::Session;
use crate::Patience;
use crate::journal::{Journal, Question};

/// Pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(20);
/// For how long outcomes are asked for a second time at the end.
const AUDIT: Duration = Duration::from_secs(5);

/// Asks any node.
pub struct Clerk<'a> {
    protocol: Protocol,
    addresses: &'a [String],
    journal: &'a Journal,
    rng: Rng,
    sessions: Vec<Option<Session>>,
}

impl<'a> Clerk<'a> {
    /// One that is not connected yet.
    #[must_use]
    pub fn new(protocol: Protocol, addresses: &'a [String], journal: &'a Journal, rng: Rng) -> Self {
        Self { protocol, addresses, journal, rng, sessions: addresses.iter().map(|_| None).collect() }
    }

    /// Asks about every lost answer until none is left and `finished` says that no more will come.
    pub fn work(&mut self, finished: &AtomicBool, patience: &Patience) {
        loop {
            let is_finished = finished.load(Ordering::Acquire);
            match self.journal.next_question() {
                None if is_finished => return,
                Some(question) if !self.settle(&question) => {
                    if is_finished && patience.is_over() {
                        let names = question.doubt.names.join(" ");
                        self.journal.lost_progress(format!("the outcome of {names} cannot be learned"));
                    } else {
                        self.journal.ask_again(question);
                        sleep(PAUSE);
                    }
                }
                None => sleep(PAUSE),
                Some(_) => {}
            }
        }
    }

    /// Whether nothing is left to ask.
    fn settle(&mut self, question: &Question) -> bool {
        let mut known = None;
        for name in &question.doubt.names {
            match self.ask(question.op, name) {
                Ok(decision) => {
                    if let (Some(Decision::Committed), Ok(txn)) = (decision, name.parse::<TxnRef>()) {
                        self.journal.committed_at(question.op, txn.ts.0);
                    }
                    known = known.or(decision);
                }
                Err(_) => return false,
            }
        }
        match known {
            Some(Decision::Committed) => self.journal.learned(question.op, Some(question.doubt.steps.clone())),
            Some(Decision::Aborted) => self.journal.learned(question.op, None),
            None => {}
        }
        true
    }

    /// What a random node says; nothing if it was forgotten.
    fn ask(&mut self, op: OpId, name: &str) -> Result<Option<Decision>, String> {
        let node = self.rng.below(self.addresses.len() as u64) as usize;
        let session = self.sessions[node].take();
        let mut session = session.map_or_else(|| self.protocol.connect(&self.addresses[node]), Ok)?;
        let told = session.outcome(name);
        if session.is_usable() {
            self.sessions[node] = Some(session);
        }
        let decision = match told?.as_str() {
            "committed" => Decision::Committed,
            "aborted" => Decision::Aborted,
            "forgotten" => return Ok(None),
            other => {
                self.journal.anomaly(format!("n{} says that the outcome of {name} is '{other}'", node + 1));
                return Ok(None);
            }
        };
        self.journal.observed(format!("who asked n{} about {name}", node + 1), op, decision);
        Ok(Some(decision))
    }

    /// Asks for outcomes once more, in random order, known ones included: they must not have changed.
    pub fn audit(&mut self, patience: &Patience) {
        let mut names = self.journal.names();
        self.rng.shuffle(&mut names);
        let begun = Instant::now();
        for (op, name) in names {
            while let Err(why) = self.ask(op, &name) {
                if patience.is_over() {
                    return self.journal.lost_progress(format!("the outcome of {name} cannot be learned: {why}"));
                }
                sleep(PAUSE);
            }
            if begun.elapsed() > AUDIT {
                return;
            }
        }
    }
}
