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
use annulus_txn::standing::Standing;

/// A request of a session.
#[derive(Debug)]
pub struct Asked {
    /// What it is answered under.
    pub number: u64,
    /// The request.
    pub request: Request,
    /// How long it may take.
    pub patience: Micros,
    /// It is not part of the session's transaction.
    pub aside: bool,
}

/// Something that a session wants of its node.
#[derive(Debug)]
pub enum Ask {
    /// A request.
    Request(Asked),
    /// The answer to a request is not wanted any more.
    Cancel(u64),
    /// Soft locks are dropped.
    Unlock(TxnId, Vec<Place>),
}

/// One session's way to its node. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct SimDatabase {
    line: Rc<RefCell<Line>>,
    aside: bool,
}

#[derive(Debug, Default)]
struct Line {
    /// Readings of the node's clock that nobody else has, the earliest last.
    readings: Vec<Timestamp>,
    latest: Timestamp,
    asked: Vec<Ask>,
    answers: BTreeMap<u64, Reply>,
    requests: u64,
}

impl SimDatabase {
    /// The same way, for what is not part of the session's transaction.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { aside: true, ..self.clone() }
    }

    /// The node's clock was read, some times one after the other.
    pub fn set_clock(&self, mut readings: Vec<Timestamp>) {
        readings.reverse();
        self.line.borrow_mut().readings = readings;
    }

    /// What was asked since the last time.
    #[must_use]
    pub fn take_asked(&self) -> Vec<Ask> {
        std::mem::take(&mut self.line.borrow_mut().asked)
    }

    /// The node answers a request.
    pub fn answer(&self, number: u64, reply: Reply) {
        self.line.borrow_mut().answers.insert(number, reply);
    }

    async fn ask(&self, request: Request, patience: Micros) -> Reply {
        let number = {
            let mut line = self.line.borrow_mut();
            line.requests += 1;
            let number = line.requests;
            line.asked.push(Ask::Request(Asked { number, request, patience, aside: self.aside }));
            number
        };
        let mut open = Open { database: self, number: Some(number) };
        poll_fn(|_| match self.line.borrow_mut().answers.remove(&number) {
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
    database: &'a SimDatabase,
    number: Option<u64>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.database.line.borrow_mut().asked.push(Ask::Cancel(number));
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
        let mut line = self.line.borrow_mut();
        line.latest = line.readings.pop().unwrap_or_else(|| line.latest.next());
        line.latest
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

    async fn standing(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        patience: Micros,
    ) -> Result<Vec<Standing>, TxnError> {
        expect_reply!(self.ask(Request::Standing(ranges, at), patience).await, Standing)
    }

    async fn unsettled(
        &self,
        ranges: Vec<(PartitionId, KeyRange)>,
        at: Timestamp,
        hold: bool,
        patience: Micros,
    ) -> Result<Option<Vec<Place>>, TxnError> {
        expect_reply!(self.ask(Request::Unsettled(ranges, at, hold), patience).await, Unsettled)
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
        self.line.borrow_mut().asked.push(Ask::Unlock(txn, keys.to_vec()));
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
