//! Clients: each does one transaction after the other, at a coordinator picked at random for each try,
//! and writes down what it learns.

use annulus_base::id::TxnRef;
use annulus_base::time::{MILLISECOND, Micros};
use annulus_base::{ErrorClass, Timestamp, TxnId};
use annulus_txn::interface::{Fate, Seen, SeenRange, TxnError, When};
use annulus_txn::member::{ClientId, Input, Reply, Request};

use super::jobs::Job;
use super::{Event, Phase, World};
use crate::history::{Call, EntryId, Outcome};
use crate::violation::{Verdict, Violation, wrong};
use crate::workload::{Fetch, Kind, Plan, snapshot_timestamp, unchanged_since};

/// Longest way between a client and its coordinator.
const CLIENT_DELAY: Micros = MILLISECOND;
/// An answer may come this late after the patience of its request.
const GRACE: Micros = 5 * MILLISECOND;
/// Tries of one transaction, and questions about one outcome, while there are faults.
const MOST_TRIES: u32 = 6;
/// The same when there are none any more.
const MOST_FINAL_TRIES: u32 = 60;

/// What a client gets back.
#[derive(Debug)]
pub(super) enum Answer {
    Reply(Reply),
    /// The node was down: the request was not executed.
    Refused,
    /// The node crashed.
    Disconnected,
}

/// A request on its way to a node.
#[derive(Debug)]
pub(super) struct Sent {
    id: ClientId,
    request: Request,
    patience: Micros,
}

/// A request that has not been answered.
#[derive(Debug)]
pub(super) struct Pending {
    client: usize,
    life: u32,
    node: usize,
    /// The incarnation that is at work on it, once it has arrived.
    incarnation: Option<u32>,
    /// The commit that it is.
    entry: Option<EntryId>,
    /// The transaction whose outcome it asks for.
    pub(super) asked: Option<TxnId>,
    /// No answer is expected (any more).
    over: bool,
}

/// What a request is to the history.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The commit that it is.
    pub(super) entry: Option<EntryId>,
    /// The transaction whose outcome it asks for.
    pub(super) outcome_of: Option<TxnId>,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Fetching(Option<EntryId>),
    Committing(EntryId),
    Asking(EntryId, TxnRef),
    Recalling,
}

#[derive(Debug)]
struct Task {
    plan: Plan,
    start: Timestamp,
    node: usize,
    tries: u32,
    stage: Stage,
}

/// What a transaction has that is about to commit: locks, or perhaps a snapshot.
enum Held {
    Locks(TxnId),
    Nothing(Option<Timestamp>),
}

/// One client.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Grows when it dies and another takes its place.
    life: u32,
    task: Option<Task>,
    /// What it does if it is one that runs `relation/`.
    pub(super) job: Option<Job>,
}

impl Client {
    /// Which client this is in the row of those that took its place.
    pub(super) fn life(&self) -> u32 {
        self.life
    }

    /// What it is doing.
    pub(super) fn describe(&self) -> Option<String> {
        if let Some(job) = &self.job {
            return Some(format!("{job:?}"));
        }
        let Task { plan, node, tries, stage, .. } = self.task.as_ref()?;
        Some(format!("{:?} at n{} {stage:?} try {tries}", plan.kind, node + 1))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.task.is_none() && self.job.is_none()
    }
}

impl World {
    /// A client begins something, or tries again.
    pub(super) fn client_wakes(&mut self, client: usize, life: u32) -> Verdict {
        if self.clients[client].life != life {
            return Ok(());
        }
        if self.options.relational {
            return self.job_wakes(client);
        }
        if let Some(task) = &self.clients[client].task {
            return match task.stage {
                Stage::Waiting => self.fetch(client),
                Stage::Asking(..) => self.ask(client),
                Stage::Fetching(_) | Stage::Committing(_) | Stage::Recalling => Ok(()),
            };
        }
        let Some(plan) = self.next_plan(client) else { return Ok(()) };
        let node = self.any_node();
        let start = self.begin_at(node);
        self.clients[client].task = Some(Task { plan, start, node, tries: 0, stage: Stage::Waiting });
        self.fetch(client)
    }

    fn next_plan(&mut self, client: usize) -> Option<Plan> {
        match self.phase {
            Phase::Faults | Phase::Healed => Some(Plan::random(&self.options.work, &self.layout, &mut self.rng)),
            Phase::Final if client == 0 => self.script.pop_front(),
            _ => None,
        }
    }

    pub(super) fn any_node(&mut self) -> usize {
        self.rng.below(self.nodes.len() as u64) as usize
    }

    /// A start time that no other transaction has.
    pub(super) fn begin_at(&mut self, node: usize) -> Timestamp {
        let mut start = Timestamp::from_micros(self.nodes[node].clock.now(self.time).wall);
        while !self.starts.insert(start) {
            start = start.next();
        }
        start
    }

    /// Sends the first request of a try.
    fn fetch(&mut self, client: usize) -> Verdict {
        let node = self.any_node();
        let Some(task) = &mut self.clients[client].task else { return Ok(()) };
        task.node = node;
        task.tries += 1;
        if task.plan.kind == Kind::Recall {
            return self.recall(client);
        }
        let (plan, start) = (task.plan.clone(), task.start);
        let keys = if plan.reads_keys() { plan.keys.clone() } else { Vec::new() };
        let when = match plan.fetch {
            Fetch::Snapshot => When::At(self.snapshot_at(node)),
            _ => When::Latest,
        };
        let request = match plan.fetch {
            Fetch::Nothing => return self.commit(client, &[], &[], Held::Nothing(None)),
            Fetch::Lock { nowait } => Request::Lock { start, keys, nowait },
            _ if plan.ranges.is_empty() => Request::Read(keys, when),
            _ => Request::Scan(plan.ranges.clone(), when),
        };
        let entry = match &request {
            Request::Read(keys, _) => Some(self.history.invoke(client, Call::Read(keys.clone(), when), self.time)),
            Request::Scan(..) => Some(self.history.invoke(client, Call::Scan(when), self.time)),
            _ => None,
        };
        self.set_stage(client, Stage::Fetching(entry));
        self.send_request(client, request, None);
        Ok(())
    }

    fn recall(&mut self, client: usize) -> Verdict {
        let Some(txn) = self.rng.pick(&self.committed).copied() else { return self.done(client) };
        self.set_stage(client, Stage::Recalling);
        self.send_request(client, Request::Outcome(txn), Some(txn.id));
        Ok(())
    }

    pub(super) fn snapshot_at(&mut self, node: usize) -> Timestamp {
        let clock = Timestamp::from_micros(self.nodes[node].clock.now(self.time).wall);
        let recent = &self.committed[self.committed.len().saturating_sub(8)..];
        let recent: Vec<_> = recent.iter().map(|txn| txn.ts).collect();
        snapshot_timestamp(clock, &recent, &mut self.rng)
    }

    fn set_stage(&mut self, client: usize, stage: Stage) {
        if let Some(task) = &mut self.clients[client].task {
            task.stage = stage;
        }
    }

    fn send_request(&mut self, client: usize, request: Request, asked: Option<TxnId>) {
        let Some(task) = &self.clients[client].task else { return };
        let entry = if let Stage::Committing(entry) = task.stage { Some(entry) } else { None };
        let node = task.node;
        let (low, high) = self.options.work.patience;
        let patience = self.rng.between(low, high.max(low));
        self.post_request(client, node, request, patience, Asked { entry, outcome_of: asked });
    }

    /// Sends a request to a node; the answer comes as an event.
    pub(super) fn post_request(
        &mut self,
        client: usize,
        node: usize,
        request: Request,
        patience: Micros,
        asked: Asked,
    ) -> ClientId {
        let id = ClientId(self.next_request);
        self.next_request += 1;
        let (life, Asked { entry, outcome_of }) = (self.clients[client].life, asked);
        let pending = Pending { client, life, node, incarnation: None, entry, asked: outcome_of, over: false };
        self.pending.insert(id, pending);
        self.tell(|| format!("client {client} {id:?} -> {}: {request:?}", self.nodes[node].id));
        let arrives = self.time + self.rng.below(CLIENT_DELAY);
        self.queue.push(arrives, Event::Request(Box::new(Sent { id, request, patience })));
        if self.phase == Phase::Faults && self.rng.below(100) < self.options.work.cancel_odds {
            self.queue.push(arrives + self.rng.below(patience), Event::GiveUp { id });
        }
        id
    }

    pub(super) fn request_arrives(&mut self, sent: Sent) -> Verdict {
        let Sent { id, request, patience } = sent;
        let Some(pending) = self.pending.get_mut(&id) else { return Ok(()) };
        let node = pending.node;
        if pending.over {
            return Ok(());
        }
        if self.nodes[node].member().is_none() {
            return self.answer(id, Answer::Refused);
        }
        pending.incarnation = Some(self.nodes[node].incarnation().0);
        if let (Request::Commit { start, .. }, Some(entry)) = (&request, pending.entry) {
            self.commits.insert((node, *start), entry);
        }
        self.trace.note(id.0);
        self.queue.push(self.time + patience + GRACE, Event::Late { id });
        self.step(node, Input::Request(id, request, patience))
    }

    /// The member answers.
    pub(super) fn reply(&mut self, id: ClientId, reply: Reply) -> Verdict {
        self.tell(|| format!("  {id:?} <- {reply:?}"));
        match self.pending.get(&id) {
            Some(pending) if !pending.over => self.answer(id, Answer::Reply(reply)),
            // Given up; the answer crossed it on the way.
            Some(pending) if pending.incarnation.is_none() => Ok(()),
            _ => wrong(format!("request {id:?} was answered twice, or after its client had left")),
        }
    }

    fn answer(&mut self, id: ClientId, answer: Answer) -> Verdict {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.over = true;
        }
        let arrives = self.time + self.rng.below(CLIENT_DELAY);
        self.queue.push(arrives, Event::Answer { id, answer });
        Ok(())
    }

    /// A node is gone: whoever waits for it notices.
    pub(super) fn disconnect(&mut self, node: usize) {
        let waiting = self
            .pending
            .iter_mut()
            .filter(|(_, pending)| pending.node == node && pending.incarnation.is_some() && !pending.over);
        let mut lost = Vec::new();
        for (id, pending) in waiting {
            pending.over = true;
            lost.push(*id);
        }
        self.lose_sessions(node);
        for id in lost {
            let arrives = self.time + self.rng.below(CLIENT_DELAY);
            self.queue.push(arrives, Event::Answer { id, answer: Answer::Disconnected });
        }
    }

    /// Every request is answered when its patience ends.
    pub(super) fn check_answered(&mut self, id: ClientId) -> Verdict {
        match self.pending.get(&id) {
            Some(pending) if !pending.over => Err(Violation::Progress(format!(
                "{} did not answer request {id:?} of client {} within its patience",
                self.nodes[pending.node].id, pending.client
            ))),
            _ => Ok(()),
        }
    }

    /// A client loses its patience (or its life) and cancels.
    pub(super) fn give_up(&mut self, id: ClientId) -> Verdict {
        let Some(pending) = self.pending.get(&id).filter(|pending| !pending.over) else { return Ok(()) };
        let (client, life) = (pending.client, pending.life);
        if self.clients[client].life == life {
            self.drop_session(client)?;
            (self.clients[client].task, self.clients[client].job) = (None, None);
            self.pause(client);
        }
        self.cancel(id)
    }

    /// The answer to a request is not wanted any more.
    pub(super) fn cancel(&mut self, id: ClientId) -> Verdict {
        let Some(pending) = self.pending.get_mut(&id) else { return Ok(()) };
        if std::mem::replace(&mut pending.over, true) {
            return Ok(());
        }
        let (node, arrived) = (pending.node, pending.incarnation.take());
        if arrived.is_some() { self.step(node, Input::Cancel(id)) } else { Ok(()) }
    }

    /// A client dies; another takes its place.
    pub(super) fn client_dies(&mut self, client: usize) -> Verdict {
        let id = self.pending.iter().find(|(_, pending)| pending.client == client && !pending.over).map(|(id, _)| *id);
        self.drop_session(client)?;
        self.clients[client] = Client { life: self.clients[client].life + 1, ..Client::default() };
        self.pause(client);
        id.map_or(Ok(()), |id| self.give_up(id))
    }

    pub(super) fn pause(&mut self, client: usize) {
        let most = if self.phase < Phase::Final { self.options.work.pause } else { MILLISECOND };
        let (at, life) = (self.time + self.rng.below(most), self.clients[client].life);
        self.queue.push(at, Event::Client { client, life });
    }

    pub(super) fn answer_arrives(&mut self, id: ClientId, answer: Answer) -> Verdict {
        let Some(pending) = self.pending.remove(&id) else { return Ok(()) };
        let client = pending.client;
        if self.clients[client].life != pending.life {
            return Ok(());
        }
        if self.clients[client].job.is_some() {
            return self.job_answered(client, id, answer);
        }
        let Some(task) = &mut self.clients[client].task else { return Ok(()) };
        let stage = std::mem::replace(&mut task.stage, Stage::Waiting);
        match (stage, answer) {
            (Stage::Fetching(entry), Answer::Reply(reply)) => self.fetched(client, entry, reply),
            (Stage::Committing(entry), Answer::Reply(Reply::Commit(result))) => self.finished(client, entry, result),
            (Stage::Asking(entry, txn), Answer::Reply(Reply::Outcome(fate))) => self.told(client, entry, txn, fate),
            (Stage::Asking(entry, txn), Answer::Refused | Answer::Disconnected) => self.ask_again(client, entry, txn),
            (Stage::Committing(_), Answer::Disconnected) => self.done(client),
            // What was answered, the ledger has compared with what is known.
            (Stage::Recalling, _) => self.done(client),
            (Stage::Fetching(entry), Answer::Refused | Answer::Disconnected) => self.failed(client, entry),
            (Stage::Committing(entry), Answer::Refused) => self.failed(client, Some(entry)),
            (stage, answer) => wrong(format!("a request in stage {stage:?} was answered by {answer:?}")),
        }
    }

    fn fetched(&mut self, client: usize, entry: Option<EntryId>, reply: Reply) -> Verdict {
        match (reply, entry) {
            (Reply::Read(Ok(seen)), Some(entry)) => {
                self.history.end(entry, Outcome::Read(seen.clone()), self.time);
                self.commit(client, &seen, &[], Held::Nothing(self.snapshot_of(entry)))
            }
            (Reply::Scan(Ok(ranges)), Some(entry)) => {
                self.history.end(entry, Outcome::Scanned(ranges.clone()), self.time);
                self.commit(client, &[], &ranges, Held::Nothing(self.snapshot_of(entry)))
            }
            (Reply::Lock(Ok((txn, _))), None) if self.rng.one_in(10) => {
                let Some(task) = self.clients[client].task.take() else { return Ok(()) };
                self.pause(client);
                self.step(task.node, Input::Unlock(txn, task.plan.keys))
            }
            (Reply::Lock(Ok((txn, seen))), None) => self.commit(client, &seen, &[], Held::Locks(txn)),
            (Reply::Read(Err(error)) | Reply::Scan(Err(error)), entry @ Some(_)) => self.refused(client, entry, &error),
            (Reply::Lock(Err(error)), None) => self.refused(client, None, &error),
            (reply, _) => wrong(format!("the wrong kind of answer: {reply:?}")),
        }
    }

    /// At which snapshot an entry has read.
    fn snapshot_of(&self, entry: EntryId) -> Option<Timestamp> {
        match self.history.get(entry).call {
            Call::Read(_, When::At(at)) | Call::Scan(When::At(at)) => Some(at),
            _ => None,
        }
    }

    fn commit(&mut self, client: usize, seen: &[Seen], ranges: &[SeenRange], held: Held) -> Verdict {
        let entry = self.history.next_id();
        let Some(task) = &mut self.clients[client].task else { return Ok(()) };
        let Some(commit) = task.plan.commit(seen, ranges, entry) else { return self.done(client) };
        let start = task.start;
        task.stage = Stage::Committing(entry);
        // Half of those that have read at a snapshot tell no more than where.
        let says_where = task.plan.dice >> 60 & 1 == 1;
        self.history.invoke(client, Call::Commit(commit.clone()), self.time);
        let (locked, commit) = match held {
            Held::Nothing(Some(at)) if says_where => (None, unchanged_since(commit, at)),
            Held::Nothing(_) => (None, commit),
            Held::Locks(txn) => (Some(txn), commit),
        };
        self.send_request(client, Request::Commit { start, locked, commit }, None);
        Ok(())
    }

    fn finished(
        &mut self,
        client: usize,
        entry: EntryId,
        result: Result<annulus_txn::interface::Committed, TxnError>,
    ) -> Verdict {
        match result {
            Ok(committed) => {
                let txn = committed.txn;
                self.history.end(entry, Outcome::Committed(txn.id, txn.ts), self.time);
                self.committed.push(txn);
                self.done(client)
            }
            Err(TxnError::Unknown(txn)) => {
                if let Some(task) = &mut self.clients[client].task {
                    task.tries = 0;
                }
                self.ask_again(client, entry, txn)
            }
            Err(error) => self.refused(client, Some(entry), &error),
        }
    }

    pub(super) fn most_tries(&self) -> u32 {
        if self.phase == Phase::Faults { MOST_TRIES } else { MOST_FINAL_TRIES }
    }

    fn ask_again(&mut self, client: usize, entry: EntryId, txn: TxnRef) -> Verdict {
        let most = self.most_tries();
        let Some(task) = &mut self.clients[client].task else { return Ok(()) };
        if task.tries >= most {
            return match self.phase {
                Phase::Faults => self.done(client),
                _ => Err(Violation::Progress(format!("the outcome of {txn} cannot be learned"))),
            };
        }
        task.stage = Stage::Asking(entry, txn);
        self.pause(client);
        Ok(())
    }

    fn ask(&mut self, client: usize) -> Verdict {
        let node = self.any_node();
        let Some(task) = &mut self.clients[client].task else { return Ok(()) };
        let Stage::Asking(_, txn) = task.stage else { return Ok(()) };
        task.node = node;
        task.tries += 1;
        self.send_request(client, Request::Outcome(txn), Some(txn.id));
        Ok(())
    }

    fn told(&mut self, client: usize, entry: EntryId, txn: TxnRef, fate: Result<Fate, TxnError>) -> Verdict {
        match fate {
            Ok(Fate::Committed) => {
                self.history.end(entry, Outcome::Committed(txn.id, txn.ts), self.time);
                self.committed.push(txn);
                self.done(client)
            }
            Ok(Fate::Aborted) => {
                self.history.end(entry, Outcome::Failed, self.time);
                self.done(client)
            }
            Ok(Fate::Forgotten) => self.done(client),
            Err(_) => self.ask_again(client, entry, txn),
        }
    }

    fn refused(&mut self, client: usize, entry: Option<EntryId>, error: &TxnError) -> Verdict {
        if !error.class().not_executed() {
            return wrong(format!("a request that was not a commit has an unknown outcome: {error}"));
        }
        if self.phase > Phase::Finishing || error.class() == ErrorClass::Retry {
            return self.failed(client, entry);
        }
        self.end_failed(entry);
        self.done(client)
    }

    fn end_failed(&mut self, entry: Option<EntryId>) {
        if let Some(entry) = entry {
            self.history.end(entry, Outcome::Failed, self.time);
        }
    }

    /// Not executed: tried again, up to a point.
    fn failed(&mut self, client: usize, entry: Option<EntryId>) -> Verdict {
        self.end_failed(entry);
        let most = self.most_tries();
        let given_up = self.phase == Phase::Finishing;
        let Some(task) = &mut self.clients[client].task else { return Ok(()) };
        if task.tries < most && !given_up {
            task.stage = Stage::Waiting;
            self.pause(client);
            return Ok(());
        }
        if self.phase == Phase::Final {
            return Err(Violation::Progress(format!("after {most} tries without faults: {:?}", task.plan)));
        }
        self.done(client)
    }

    fn done(&mut self, client: usize) -> Verdict {
        self.clients[client].task = None;
        self.pause(client);
        Ok(())
    }

    /// What is done in the end: everything is written and read once more.
    pub(super) fn last_script(&self) -> Vec<Plan> {
        use crate::workload::{Object, range_of};
        let layout = &self.layout;
        let plan = |kind, fetch| Plan { kind, fetch, keys: Vec::new(), ranges: Vec::new(), dice: 0xff };
        let keys = Object::ALL.iter().flat_map(|object| layout.all(*object)).collect();
        let ranges = Object::ALL
            .iter()
            .flat_map(|object| layout.partitions.iter().map(|partition| (*partition, range_of(*object), u32::MAX)));
        let ranges = ranges.collect();
        vec![
            Plan { keys: layout.all(Object::Register).collect(), ..plan(Kind::Write, Fetch::Nothing) },
            Plan {
                keys: layout.all(Object::Account).take(2).collect(),
                ..plan(Kind::Transfer, Fetch::Lock { nowait: false })
            },
            Plan { keys, ..plan(Kind::Read, Fetch::Latest) },
            Plan { keys: layout.all(Object::Account).collect(), ..plan(Kind::Audit, Fetch::Latest) },
            Plan { ranges, ..plan(Kind::Scan, Fetch::Latest) },
        ]
    }
}
