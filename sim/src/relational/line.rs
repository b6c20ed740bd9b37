//! The database as a simulated session sees it: futures that ask the world, and end once it has answered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{KeyRange, PartitionId, Timestamp, TxnId};
use annulus_txn::interface::{Commit, Committed, Database, Fate, Place, Seen, SeenRange, TxnError, When};
use annulus_txn::member::{Reply, Request};

/// Something that a session wants of its node.
#[derive(Debug)]
pub enum Ask {
    /// A request, to be answered under its number.
    Request(u64, Request, Micros),
    /// The answer to a request is not wanted any more.
    Cancel(u64),
    /// Soft locks are dropped.
    Unlock(TxnId, Vec<Place>),
}

/// One session's way to its node. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SimDatabase(Rc<RefCell<Line>>);

#[derive(Debug)]
struct Line {
    /// The latest reading of the node's clock.
    clock: Timestamp,
    asked: Vec<Ask>,
    answers: BTreeMap<u64, Reply>,
    requests: u64,
}

impl SimDatabase {
    /// A way to a node whose clock shows `clock`.
    #[must_use]
    pub fn new(clock: Timestamp) -> Self {
        Self(Rc::new(RefCell::new(Line { clock, asked: Vec::new(), answers: BTreeMap::new(), requests: 0 })))
    }

    /// The node's clock was read.
    pub fn set_clock(&self, clock: Timestamp) {
        let mut line = self.0.borrow_mut();
        line.clock = line.clock.max(clock);
    }

    /// What was asked since the last time.
    #[must_use]
    pub fn take_asked(&self) -> Vec<Ask> {
        std::mem::take(&mut self.0.borrow_mut().asked)
    }

    /// The node answers a request.
    pub fn answer(&self, number: u64, reply: Reply) {
        self.0.borrow_mut().answers.insert(number, reply);
    }

    async fn ask(&self, request: Request, patience: Micros) -> Reply {
        let number = {
            let mut line = self.0.borrow_mut();
            line.requests += 1;
            let number = line.requests;
            line.asked.push(Ask::Request(number, request, patience));
            number
        };
        let mut open = Open { line: self, number: Some(number) };
        poll_fn(|_| match self.0.borrow_mut().answers.remove(&number) {
            Some(reply) => {
                open.number = None;
                Poll::Ready(reply)
            }
            None => Poll::Pending,
        })
        .await
    }
}

/// Cancels the request when its future is dropped early.
struct Open<'a> {
    line: &'a SimDatabase,
    number: Option<u64>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.line.0.borrow_mut().asked.push(Ask::Cancel(number));
        }
    }
}

macro_rules! expect_reply {
    ($reply:expr, $kind:ident) => {
        match $reply {
            Reply::$kind(result) => result,
            other => panic!("the wrong kind of answer: {other:?}"),
        }
    };
}

impl Database for SimDatabase {
    fn begin(&self) -> Timestamp {
        let mut line = self.0.borrow_mut();
        line.clock = line.clock.next();
        line.clock
    }

    async fn read(&self, keys: Vec<Place>, when: When, patience: Micros) -> Result<Vec<Seen>, TxnError> {
        expect_reply!(self.ask(Request::Read(keys, when), patience).await, Read)
    }

    async fn scan(
        &self,
        ranges: Vec<(PartitionId, KeyRange, u32)>,
        when: When,
        patience: Micros,
    ) -> Result<Vec<SeenRange>, TxnError> {
        expect_reply!(self.ask(Request::Scan(ranges, when), patience).await, Scan)
    }

    async fn lock(
        &self,
        start: Timestamp,
        keys: Vec<Place>,
        nowait: bool,
        patience: Micros,
    ) -> Result<(TxnId, Vec<Seen>), TxnError> {
        expect_reply!(self.ask(Request::Lock { start, keys, nowait }, patience).await, Lock)
    }

    fn unlock(&self, txn: TxnId, keys: &[Place]) {
        self.0.borrow_mut().asked.push(Ask::Unlock(txn, keys.to_vec()));
    }

    async fn commit(
        &self,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: Commit,
        patience: Micros,
    ) -> Result<Committed, TxnError> {
        expect_reply!(self.ask(Request::Commit { start, locked, commit }, patience).await, Commit)
    }

    async fn outcome(&self, txn: TxnRef, patience: Micros) -> Result<Fate, TxnError> {
        expect_reply!(self.ask(Request::Outcome(txn), patience).await, Outcome)
    }
}
