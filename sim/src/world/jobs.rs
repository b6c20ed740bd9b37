//! Clients whose transactions are futures of the code of `relation/`: started, polled and dropped as a node
//! does it with its sessions. A node that crashes takes its sessions with it.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use annulus_base::id::TxnRef;
use annulus_base::{ErrorClass, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Database, Fate, Place, RangeCheck, TxnError, Unchanged};
use annulus_txn::member::{ClientId, Input, Reply, Request};

use super::clients::{Answer, Asked};
use super::{Phase, World};
use crate::history::{Call, EntryId, Outcome};
use crate::relational::line::{self, Ask, SimDatabase};
use crate::relational::tables;
use crate::relational::work::Work;
use crate::relational::{End, Running};
use crate::violation::{Verdict, Violation, wrong};

/// A transaction that a client wants done.
#[derive(Debug)]
pub(super) struct Job {
    work: Work,
    start: Timestamp,
    tries: u32,
    session: Option<Session>,
    /// A commit whose outcome is to be asked for.
    open: Option<(EntryId, TxnRef)>,
}

/// Readings of a node's clock that a session is given each time that it goes on.
const READINGS: usize = 4;

/// A request of a session that was not answered.
#[derive(Debug)]
struct Open {
    number: u64,
    entry: Option<EntryId>,
    aside: bool,
}

/// A try of a job, on one node.
struct Session {
    node: usize,
    db: SimDatabase,
    future: Running,
    /// All that it reads, as one.
    together: EntryId,
    reads: Vec<(Place, Stamp)>,
    ranges: Vec<RangeCheck>,
    /// Its last commit.
    commit: Option<EntryId>,
    /// Requests that were not answered.
    asked: BTreeMap<ClientId, Open>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at n{}, waiting for {:?}", self.node + 1, self.asked.keys())
    }
}

impl World {
    /// A client begins something, or tries again.
    pub(super) fn job_wakes(&mut self, client: usize) -> Verdict {
        match &self.clients[client].job {
            Some(Job { session: Some(_), .. }) => return Ok(()),
            Some(_) => {}
            None => {
                let Some(work) = self.next_work(client) else { return Ok(()) };
                let node = self.any_node();
                let start = self.begin_at(node);
                self.tell(|| format!("client {client} wants {work:?}"));
                self.clients[client].job = Some(Job { work, start, tries: 0, session: None, open: None });
            }
        }
        self.try_job(client)
    }

    fn next_work(&mut self, client: usize) -> Option<Work> {
        match self.phase {
            Phase::Faults | Phase::Healed if self.options.bare => Some(Work::bare(&self.layout, &mut self.rng)),
            Phase::Faults | Phase::Healed => {
                let node = self.any_node();
                let past = self.snapshot_at(node);
                Some(Work::random(&self.layout, past, &mut self.rng))
            }
            Phase::Final if client == 0 => self.errands.pop_front(),
            _ => None,
        }
    }

    fn try_job(&mut self, client: usize) -> Verdict {
        let node = self.any_node();
        let (low, high) = self.options.work.patience;
        let patience = self.rng.between(low, high.max(low));
        let Some(job) = &mut self.clients[client].job else { return Ok(()) };
        job.tries += 1;
        if self.nodes[node].member().is_none() {
            return self.try_job_again(client);
        }
        let db = SimDatabase::default();
        let (cached, home) = (self.cached[node].clone(), self.home);
        let session = tables::Session { db: db.clone(), cached, home, start: job.start, patience };
        let future: Running = match job.open {
            Some((_, txn)) => Box::pin(settle(session, txn)),
            None => Box::pin(job.work.clone().run(session)),
        };
        let together = self.history.invoke(client, Call::Together, self.time);
        let (reads, ranges, asked) = (Vec::new(), Vec::new(), BTreeMap::new());
        job.session = Some(Session { node, db, future, together, reads, ranges, commit: None, asked });
        self.poll_job(client)
    }

    /// Lets a session go on as far as it can, and does what it asks for.
    fn poll_job(&mut self, client: usize) -> Verdict {
        let Some(node) = self.session(client).map(|session| session.node) else { return Ok(()) };
        let readings = (0..READINGS).filter_map(|_| self.reading(node)).collect();
        let Some(session) = self.session(client) else { return Ok(()) };
        session.db.set_clock(readings);
        let polled = session.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.carry_out(client)?;
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(end) => self.job_ended(client, end),
        }
    }

    /// A reading of a node's clock that is nobody's start time.
    fn reading(&mut self, node: usize) -> Option<Timestamp> {
        loop {
            let reading = self.nodes[node].begin(self.time)?;
            if self.starts.insert(reading) {
                return Some(reading);
            }
        }
    }

    fn carry_out(&mut self, client: usize) -> Verdict {
        let Some(session) = self.session(client) else { return Ok(()) };
        let (node, asks) = (session.node, session.db.take_asked());
        for ask in asks {
            match ask {
                Ask::Request(asked) => self.job_asks(client, asked),
                Ask::Unlock(txn, places) => self.step(node, Input::Unlock(txn, places))?,
                Ask::Cancel(number) => self.job_cancels(client, number)?,
            }
        }
        Ok(())
    }

    fn session(&mut self, client: usize) -> Option<&mut Session> {
        self.clients[client].job.as_mut()?.session.as_mut()
    }

    fn job_asks(&mut self, client: usize, asked: line::Asked) {
        let line::Asked { number, request, patience, aside } = asked;
        let call = match &request {
            Request::Read(keys, when) => Some(Call::Read(keys.clone(), *when)),
            Request::Scan(_, when) => Some(Call::Scan(*when)),
            Request::Commit { commit, .. } => Some(Call::Commit(self.in_full(client, commit.clone()))),
            Request::Lock { .. } | Request::Outcome(_) | Request::Standing(..) | Request::Unsettled(..) => None,
        };
        let entry = call.map(|call| self.history.invoke(client, call, self.time));
        let Some(session) = self.session(client) else { return };
        let node = session.node;
        let commit = entry.filter(|_| matches!(request, Request::Commit { .. }));
        session.commit = commit.or(session.commit);
        let outcome_of = if let Request::Outcome(txn) = &request { Some(txn.id) } else { None };
        let id = self.post_request(client, node, request, patience, Asked { entry: commit, outcome_of });
        if let Some(session) = self.session(client) {
            session.asked.insert(id, Open { number, entry, aside });
        }
    }

    /// A commit with all that its session has read where it tells no more than that nothing has changed.
    fn in_full(&mut self, client: usize, mut commit: Commit) -> Commit {
        let Some(session) = self.session(client) else { return commit };
        for Unchanged { partition, range, .. } in &commit.unchanged {
            let is_in = |place: &Place| place.partition == *partition && range.contains(&place.key);
            commit.reads.extend(session.reads.iter().filter(|(place, _)| is_in(place)).cloned());
            let within = |check: &&RangeCheck| {
                check.partition == *partition && range.start <= check.range.start && check.range.end <= range.end
            };
            commit.ranges.extend(session.ranges.iter().filter(within).cloned());
        }
        commit
    }

    fn job_cancels(&mut self, client: usize, number: u64) -> Verdict {
        let Some(session) = self.session(client) else { return Ok(()) };
        let id = session.asked.iter().find(|(_, open)| open.number == number).map(|(id, _)| *id);
        id.map_or(Ok(()), |id| self.cancel(id))
    }

    /// An answer has come for the session of a client, if that is still there.
    pub(super) fn job_answered(&mut self, client: usize, id: ClientId, answer: Answer) -> Verdict {
        let Some(open) = self.session(client).and_then(|session| session.asked.remove(&id)) else {
            return Ok(());
        };
        let Answer::Reply(reply) = answer else { return self.job_done(client) };
        self.learn(client, &open, &reply)?;
        if let Some(session) = self.session(client) {
            session.db.answer(open.number, reply);
        }
        self.poll_job(client)
    }

    /// Writes down what an answer says.
    fn learn(&mut self, client: usize, open: &Open, reply: &Reply) -> Verdict {
        let outcome = match reply {
            Reply::Read(Ok(seen)) => Outcome::Read(seen.clone()),
            Reply::Scan(Ok(ranges)) => Outcome::Scanned(ranges.clone()),
            Reply::Commit(Ok(committed)) => {
                self.committed.push(committed.txn);
                Outcome::Committed(committed.txn.id, committed.txn.ts)
            }
            Reply::Commit(Err(TxnError::Unknown(_)))
            | Reply::Lock(_)
            | Reply::Outcome(_)
            | Reply::Standing(_)
            | Reply::Unsettled(_) => {
                return Ok(());
            }
            Reply::Read(Err(error)) | Reply::Scan(Err(error)) | Reply::Commit(Err(error)) => {
                if !error.class().not_executed() {
                    return wrong(format!("a request that was not a commit has an unknown outcome: {error}"));
                }
                Outcome::Failed
            }
        };
        let Some(entry) = open.entry else { return Ok(()) };
        let keys = if let Call::Read(keys, _) = &self.history.get(entry).call { keys.clone() } else { Vec::new() };
        if let Some(session) = self.session(client).filter(|_| !open.aside) {
            match &outcome {
                Outcome::Read(seen) => {
                    session.reads.extend(keys.into_iter().zip(seen.iter().map(|seen| seen.stamp)));
                }
                Outcome::Scanned(ranges) => session.ranges.extend(ranges.iter().map(crate::workload::check_of)),
                _ => {}
            }
        }
        self.history.end(entry, outcome, self.time);
        Ok(())
    }

    fn job_ended(&mut self, client: usize, end: End) -> Verdict {
        self.tell(|| format!("client {client}: {end:?}"));
        let Some(job) = &mut self.clients[client].job else { return Ok(()) };
        let Some(session) = job.session.take() else { return Ok(()) };
        match end {
            End::Saw => {
                let saw = Outcome::Saw(session.reads, session.ranges);
                self.history.end(session.together, saw, self.time);
                self.job_done(client)
            }
            End::Apart => self.job_done(client),
            End::Broken(what) => wrong(format!("client {client}, {:?}: {what}", job.work)),
            End::Failed(TxnError::Unknown(txn)) => {
                job.open = session.commit.map(|entry| (entry, txn));
                job.tries = 0;
                self.try_job_again(client)
            }
            End::Failed(error) if error.class() == ErrorClass::Retry || self.phase > Phase::Finishing => {
                self.try_job_again(client)
            }
            End::Failed(_) => self.job_done(client),
            End::Told(fate) => self.job_told(client, fate),
        }
    }

    fn job_told(&mut self, client: usize, fate: Result<Fate, TxnError>) -> Verdict {
        let Some((entry, txn)) = self.clients[client].job.as_ref().and_then(|job| job.open) else { return Ok(()) };
        match fate {
            Ok(Fate::Committed) => {
                self.history.end(entry, Outcome::Committed(txn.id, txn.ts), self.time);
                self.committed.push(txn);
            }
            Ok(Fate::Aborted) => self.history.end(entry, Outcome::Failed, self.time),
            Ok(Fate::Forgotten) => {}
            Err(_) => return self.try_job_again(client),
        }
        self.job_done(client)
    }

    /// Not executed, or unknown: goes on later, up to a point.
    fn try_job_again(&mut self, client: usize) -> Verdict {
        let most = self.most_tries();
        let Some(job) = &self.clients[client].job else { return Ok(()) };
        if job.tries < most && (self.phase != Phase::Finishing || job.open.is_some()) {
            self.pause(client);
            return Ok(());
        }
        if self.phase == Phase::Final || (self.phase > Phase::Faults && job.open.is_some()) {
            return Err(Violation::Progress(format!("after {most} tries without faults: {job:?}")));
        }
        self.job_done(client)
    }

    fn job_done(&mut self, client: usize) -> Verdict {
        self.drop_session(client)?;
        self.clients[client].job = None;
        self.pause(client);
        Ok(())
    }

    /// A session ends in the middle, as when its client goes away: its requests are cancelled, its locks freed.
    pub(super) fn drop_session(&mut self, client: usize) -> Verdict {
        let Some(session) = self.session(client) else { return Ok(()) };
        // Whoever drops a future hears what it has to say to that.
        session.future = Box::pin(std::future::pending());
        self.carry_out(client)?;
        if let Some(job) = &mut self.clients[client].job {
            job.session = None;
        }
        Ok(())
    }

    /// A node is gone, and with it its sessions.
    pub(super) fn lose_sessions(&mut self, node: usize) {
        for client in 0..self.clients.len() {
            if self.session(client).is_some_and(|session| session.node == node) {
                self.clients[client].job = None;
                self.pause(client);
            }
        }
    }
}

/// Asks what became of a transaction.
async fn settle(session: tables::Session, txn: TxnRef) -> End {
    End::Told(session.db.outcome(txn, session.patience).await)
}
