//! Clients whose transactions are futures of the code of `relation/`: started, polled and dropped as a node
//! does it with its sessions. A node that crashes takes its sessions with it.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{ErrorClass, Timestamp};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Database, Fate, Place, RangeCheck, TxnError};
use annulus_txn::member::{ClientId, Input, Reply, Request};

use super::clients::{Answer, Asked};
use super::{Phase, World};
use crate::history::{Call, EntryId, Outcome};
use crate::relational::line::{Ask, SimDatabase};
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
    /// Requests that were not answered, each with its number there and its entry.
    asked: BTreeMap<ClientId, (u64, Option<EntryId>)>,
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
        let (low, high) = self.options.work.patience;
        let patience = self.rng.between(low, high.max(low));
        match self.phase {
            Phase::Faults | Phase::Healed => {
                let node = self.any_node();
                let past = self.snapshot_at(node);
                Some(Work::random(&self.layout, past, patience, &mut self.rng))
            }
            Phase::Final if client == 0 => self.errands.pop_front(),
            _ => None,
        }
    }

    /// What is done in the end: everything is read once more.
    pub(super) fn last_errands(&self) -> Vec<Work> {
        vec![Work::everything(&self.layout, self.options.work.patience.1)]
    }

    fn try_job(&mut self, client: usize) -> Verdict {
        let node = self.any_node();
        let Some(job) = &mut self.clients[client].job else { return Ok(()) };
        job.tries += 1;
        let Some(clock) = self.nodes[node].begin(self.time) else { return self.try_job_again(client) };
        let db = SimDatabase::new(clock);
        let future: Running = match job.open {
            Some((_, txn)) => Box::pin(settle(db.clone(), txn, self.options.work.patience.1)),
            None => Box::pin(job.work.clone().run(db.clone(), job.start)),
        };
        let together = self.history.invoke(client, Call::Together, self.time);
        let (reads, ranges, asked) = (Vec::new(), Vec::new(), BTreeMap::new());
        job.session = Some(Session { node, db, future, together, reads, ranges, commit: None, asked });
        self.poll_job(client)
    }

    /// Lets a session go on as far as it can, and does what it asks for.
    fn poll_job(&mut self, client: usize) -> Verdict {
        let Some(job) = &mut self.clients[client].job else { return Ok(()) };
        let Some(session) = &mut job.session else { return Ok(()) };
        if let Some(clock) = self.nodes[session.node].begin(self.time) {
            session.db.set_clock(clock);
        }
        let polled = session.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.carry_out(client)?;
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(end) => self.job_ended(client, end),
        }
    }

    fn carry_out(&mut self, client: usize) -> Verdict {
        let Some(session) = self.session(client) else { return Ok(()) };
        let (node, asks) = (session.node, session.db.take_asked());
        for ask in asks {
            match ask {
                Ask::Request(number, request, patience) => self.job_asks(client, number, request, patience),
                Ask::Unlock(txn, places) => self.step(node, Input::Unlock(txn, places))?,
                Ask::Cancel(number) => self.job_cancels(client, number)?,
            }
        }
        Ok(())
    }

    fn session(&mut self, client: usize) -> Option<&mut Session> {
        self.clients[client].job.as_mut()?.session.as_mut()
    }

    fn job_asks(&mut self, client: usize, number: u64, request: Request, patience: Micros) {
        let call = match &request {
            Request::Read(keys, when) => Some(Call::Read(keys.clone(), *when)),
            Request::Scan(_, when) => Some(Call::Scan(*when)),
            Request::Commit { commit, .. } => Some(Call::Commit(commit.clone())),
            Request::Lock { .. } | Request::Outcome(_) => None,
        };
        let entry = call.map(|call| self.history.invoke(client, call, self.time));
        let Some(session) = self.session(client) else { return };
        let node = session.node;
        let commit = entry.filter(|_| matches!(request, Request::Commit { .. }));
        session.commit = commit.or(session.commit);
        let outcome_of = if let Request::Outcome(txn) = &request { Some(txn.id) } else { None };
        let id = self.post_request(client, node, request, patience, Asked { entry: commit, outcome_of });
        if let Some(session) = self.session(client) {
            session.asked.insert(id, (number, entry));
        }
    }

    fn job_cancels(&mut self, client: usize, number: u64) -> Verdict {
        let Some(session) = self.session(client) else { return Ok(()) };
        let id = session.asked.iter().find(|(_, (asked, _))| *asked == number).map(|(id, _)| *id);
        id.map_or(Ok(()), |id| self.cancel(id))
    }

    /// An answer has come for the session of a client, if that is still there.
    pub(super) fn job_answered(&mut self, client: usize, id: ClientId, answer: Answer) -> Verdict {
        let Some((number, entry)) = self.session(client).and_then(|session| session.asked.remove(&id)) else {
            return Ok(());
        };
        let Answer::Reply(reply) = answer else { return self.job_done(client) };
        self.learn(client, entry, &reply)?;
        if let Some(session) = self.session(client) {
            session.db.answer(number, reply);
        }
        self.poll_job(client)
    }

    /// Writes down what an answer says.
    fn learn(&mut self, client: usize, entry: Option<EntryId>, reply: &Reply) -> Verdict {
        let outcome = match reply {
            Reply::Read(Ok(seen)) => Outcome::Read(seen.clone()),
            Reply::Scan(Ok(ranges)) => Outcome::Scanned(ranges.clone()),
            Reply::Commit(Ok(committed)) => {
                self.committed.push(committed.txn);
                Outcome::Committed(committed.txn.id, committed.txn.ts)
            }
            Reply::Commit(Err(TxnError::Unknown(_))) | Reply::Lock(_) | Reply::Outcome(_) => return Ok(()),
            Reply::Read(Err(error)) | Reply::Scan(Err(error)) | Reply::Commit(Err(error)) => {
                if !error.class().not_executed() {
                    return wrong(format!("a request that was not a commit has an unknown outcome: {error}"));
                }
                Outcome::Failed
            }
        };
        let Some(entry) = entry else { return Ok(()) };
        let keys = if let Call::Read(keys, _) = &self.history.get(entry).call { keys.clone() } else { Vec::new() };
        if let Some(session) = self.session(client) {
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
            End::ReadOnly => {
                let saw = Outcome::Saw(session.reads, session.ranges);
                self.history.end(session.together, saw, self.time);
                self.job_done(client)
            }
            End::Committed | End::Past => self.job_done(client),
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
async fn settle(db: SimDatabase, txn: TxnRef, patience: Micros) -> End {
    End::Told(db.outcome(txn, patience).await)
}
