//! The line: commands that write the same keys through this node at the same time share transactions.
//!
//! Each of them alone would lose against the others again and again. Instead, while one transaction is at
//! work, all that arrive for its keys wait here; when it is done, those that wait are run one after the
//! other in the next one ([`Job`] takes several parts). So a hot key costs one transaction at a time and
//! node, however many clients want it, and the order in which they arrived is kept.
//!
//! Nothing but speed depends on it: what shares a transaction is executed, or fails, together; keys that
//! are not foreseen here are found by the validation as ever. Waiting ends with the request's time.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use annulus_base::id::TxnRef;
use annulus_txn::interface::Database;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Server;
use super::errors::Failure;
use super::shared::Patience;
use super::transaction::{self, Job, NotDone, Part, PartDone, Step, Verdict};
use super::view::Name;

/// Most clients that share a transaction, and most bytes of their arguments.
const MAX_PARTS: usize = 256;
const MAX_BYTES: usize = 1024 * 1024;
/// Commands that name more keys do not line up: they are no matter of hot keys.
const MAX_NAMES: usize = 64;

/// What came of one client's part, with the id of the transaction.
pub type Outcome = Result<(PartDone, Option<TxnRef>), NotDone>;

/// Commands at work and those that wait for them.
#[derive(Default)]
pub struct Line(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    /// How many, at work or waiting, want a key.
    wanted: HashMap<Name, usize>,
    /// Keys of transactions at work.
    busy: HashSet<Name>,
    /// In the order of their arrival.
    waiting: Vec<Waiting>,
    arrivals: u64,
}

/// One who waits.
struct Waiting {
    number: u64,
    names: Vec<Name>,
    steps: Vec<Step>,
    db: u8,
    patience: Patience,
    turn: oneshot::Sender<Turn>,
}

/// What one who waits is told.
enum Turn {
    /// Run your commands, and those of the others; the keys are yours.
    Lead(Vec<Waiting>, Claim),
    /// Somebody has run them.
    Done(Box<Outcome>),
}

/// Keys that a transaction works on; given up when this is dropped.
struct Claim {
    state: Rc<RefCell<State>>,
    names: Vec<Name>,
}

/// Runs the commands of one client, together with those of others where they want the same keys.
///
/// # Errors
/// They were not executed, or not certainly.
pub async fn run<D: Database>(server: &Server<D>, steps: &[Step], db: u8) -> Outcome {
    let shared = &server.shared;
    let patience = shared.patience();
    let own = Part { steps, db };
    let names = own.names(shared, |_| true);
    if names.len() > MAX_NAMES {
        return alone(server, own, patience).await;
    }
    let names = match shared.line.enter(names) {
        Ok(_claim) => return alone(server, own, patience).await,
        Err(names) => names,
    };
    let (turn, mut told) = oneshot::channel();
    let number = shared.line.join(Waiting { number: 0, names, steps: steps.to_vec(), db, patience, turn });
    let told = match tokio::time::timeout(shared.config.request_timeout, &mut told).await {
        Ok(told) => told,
        Err(_) if shared.line.withdraw(number) => return Err(not_done(WAITED_TOO_LONG)),
        // Its turn has come just now: what becomes of it will be told.
        Err(_) => told.await,
    };
    match told {
        Ok(Turn::Done(outcome)) => *outcome,
        Ok(Turn::Lead(others, _claim)) => lead(server, own, patience, others).await,
        Err(_) => Err(not_done(STOPPED)),
    }
}

const WAITED_TOO_LONG: Failure =
    Failure::fixed("TRYAGAIN too many others want the same key; nothing was changed, retry later");
const STOPPED: Failure = Failure::fixed("UNKNOWN the node stopped while this was executed; look before retrying");

const fn not_done(failure: Failure) -> NotDone {
    NotDone { failure, txn: None }
}

/// A transaction with one part.
async fn alone<D: Database>(server: &Server<D>, own: Part<'_>, patience: Patience) -> Outcome {
    let (done, txn) = together(server, &[own], patience).await?;
    Ok((done.into_iter().next().unwrap_or(PartDone { replies: Vec::new(), db: own.db }), txn))
}

async fn together<D: Database>(
    server: &Server<D>,
    parts: &[Part<'_>],
    patience: Patience,
) -> Result<(Vec<PartDone>, Option<TxnRef>), NotDone> {
    let job = Job { parts, patience, watch: None, token: None, exec: true };
    match transaction::run(&server.database, &server.shared, job).await? {
        Verdict::Done { parts, txn } => Ok((parts, txn)),
        Verdict::WatchLost => Err(not_done(Failure::fixed("ERR nothing was watched"))),
    }
}

/// Runs the own part and those of the others in one transaction, and tells them.
async fn lead<D: Database>(server: &Server<D>, own: Part<'_>, patience: Patience, others: Vec<Waiting>) -> Outcome {
    server.shared.stats.combined.add(others.len() as u64);
    let parts = std::iter::once(own).chain(others.iter().map(Waiting::part)).collect::<Vec<_>>();
    // The last to come has the most time left.
    let patience = others.last().map_or(patience, |last| last.patience);
    match together(server, &parts, patience).await {
        // Together they are too large. Each may still do alone.
        Err(NotDone { failure, txn: None }) if failure.is_limit() && !others.is_empty() => {
            let outcome = alone(server, own, patience).await;
            for other in others {
                let outcome = alone(server, other.part(), other.patience).await;
                other.tell(outcome);
            }
            outcome
        }
        Err(not_done) => {
            others.into_iter().for_each(|other| other.tell(Err(not_done.clone())));
            Err(not_done)
        }
        Ok((done, txn)) => {
            let mut done = done.into_iter();
            let own = done.next().unwrap_or(PartDone { replies: Vec::new(), db: own.db });
            others.into_iter().zip(done).for_each(|(other, done)| other.tell(Ok((done, txn))));
            Ok((own, txn))
        }
    }
}

impl Waiting {
    fn part(&self) -> Part<'_> {
        Part { steps: &self.steps, db: self.db }
    }

    fn bytes(&self) -> usize {
        self.steps.iter().flat_map(|step| &step.arguments).map(Bytes::len).sum()
    }

    /// Somebody who has gone needs no answer.
    fn tell(self, outcome: Outcome) {
        let _ = self.turn.send(Turn::Done(Box::new(outcome)));
    }
}

impl Line {
    /// Claims keys if nobody wants any of them; else gives them back.
    fn enter(&self, names: Vec<Name>) -> Result<Claim, Vec<Name>> {
        let mut state = self.0.borrow_mut();
        if names.iter().any(|name| state.wanted.contains_key(name)) {
            return Err(names);
        }
        state.want(&names);
        state.busy.extend(names.iter().cloned());
        Ok(Claim { state: Rc::clone(&self.0), names })
    }

    fn join(&self, mut newcomer: Waiting) -> u64 {
        let mut state = self.0.borrow_mut();
        state.arrivals += 1;
        newcomer.number = state.arrivals;
        state.want(&newcomer.names);
        let number = newcomer.number;
        state.waiting.push(newcomer);
        number
    }

    /// Leaves the line; false if the turn has come already.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(index) = state.waiting.iter().position(|waiting| waiting.number == number) else { return false };
        let gone = state.waiting.remove(index);
        state.unwant(&gone.names);
        true
    }
}

impl Drop for Claim {
    /// The keys are free: whoever waited for them begins.
    fn drop(&mut self) {
        let groups = {
            let mut state = self.state.borrow_mut();
            state.unwant(&self.names);
            state.busy.retain(|name| !self.names.contains(name));
            if state.waiting.is_empty() { Vec::new() } else { state.take_ready() }
        };
        for mut group in groups {
            let names = group.iter().flat_map(|waiting| waiting.names.iter().cloned()).collect();
            let claim = Self { state: Rc::clone(&self.state), names };
            let leader = group.remove(0);
            // If the leader has gone, its claim is dropped here and the rest are told that they are not run.
            let _ = leader.turn.send(Turn::Lead(group, claim));
        }
    }
}

impl State {
    fn want(&mut self, names: &[Name]) {
        names.iter().for_each(|name| *self.wanted.entry(name.clone()).or_default() += 1);
    }

    fn unwant(&mut self, names: &[Name]) {
        for name in names {
            if let Some(count) = self.wanted.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(name);
                }
            }
        }
    }

    /// Takes out those who can begin, in groups that share a transaction. Nobody overtakes one who waits
    /// longer for the same key.
    fn take_ready(&mut self) -> Vec<Vec<Waiting>> {
        let mut groups: Vec<(Vec<Waiting>, usize)> = Vec::new();
        let mut group_of: HashMap<Name, usize> = HashMap::new();
        let mut reserved: HashSet<Name> = HashSet::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let blocked = waiting.names.iter().any(|name| self.busy.contains(name) || reserved.contains(name));
            let mut overlaps = waiting.names.iter().filter_map(|name| group_of.get(name).copied());
            let group = overlaps.next().unwrap_or(groups.len());
            let bytes = waiting.bytes();
            let full =
                groups.get(group).is_some_and(|(parts, size)| parts.len() == MAX_PARTS || size + bytes > MAX_BYTES);
            if blocked || full || overlaps.any(|other| other != group) {
                reserved.extend(waiting.names.iter().cloned());
                self.waiting.push(waiting);
                continue;
            }
            group_of.extend(waiting.names.iter().map(|name| (name.clone(), group)));
            if group == groups.len() {
                groups.push((Vec::new(), 0));
            }
            groups[group].0.push(waiting);
            groups[group].1 += bytes;
        }
        self.busy.extend(group_of.into_keys());
        groups.into_iter().map(|(parts, _)| parts).collect()
    }
}
