//! The operations that clients asked of this node, each brought to its end.

mod tries;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use annulus_base::id::TxnRef;
use annulus_base::time::Micros;
use annulus_base::{NodeId, PartitionId, Timestamp, TxnId};
use annulus_replica::message::{Answer, Detail, Message, Outcome, ReadSet, Refusal, RequestId};

use crate::admission::admit;
use crate::commit::{self, Try};
use crate::common::{self, Common};
use crate::interface::{Commit, TxnError, When};
use crate::lock::{self, LockOp};
use crate::member::{ClientId, Reply, Request};
use crate::read::{self, ReadOp, Told};
use crate::replies::{count, failure, of_nothing};
use crate::sets::{Position, Shape, by_partition, changed, of_ranges, positions, seen_of, validation};

/// What an operation is doing.
#[derive(Debug)]
enum Work {
    Read { read: ReadOp, shape: Shape, validating: Option<(Box<Try>, Vec<Answer>)> },
    Lock { lock: LockOp, shape: Vec<Position> },
    Commit { commit: Commit, start: Timestamp, step: Step, held: Option<TxnId> },
}

/// Where a commit is.
#[derive(Debug)]
enum Step {
    Trying(Box<Try>),
    Locking(LockOp),
    /// Waiting a moment before the next try (until then, steady clock).
    Pausing(Micros),
    /// Somebody else recovers this try: the recovery will tell.
    TakenOver(TxnRef),
}

#[derive(Debug)]
struct Operation {
    /// Nobody, once the client was answered or went away.
    client: Option<ClientId>,
    deadline: Micros,
    work: Work,
}

/// All operations under way.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    next: u64,
    operations: BTreeMap<u64, Operation>,
    clients: BTreeMap<ClientId, u64>,
    /// Which operation a try belongs to.
    tries: BTreeMap<TxnId, u64>,
    /// Ids under which locks were granted, and which no try has used yet.
    unused: BTreeSet<TxnId>,
    timers: BTreeSet<(Micros, u64)>,
    /// Decisions taken here lately, for those who inquire, oldest first.
    recent: VecDeque<(Micros, TxnId)>,
    outcomes: BTreeMap<TxnId, Outcome>,
    /// Transactions that others recover and a client here waits for.
    pub(crate) taken_over: Vec<TxnRef>,
}

impl Coordinator {
    /// How many client requests are at work.
    pub(crate) fn busy(&self) -> usize {
        self.operations.len()
    }

    /// When the next timer is due (steady clock).
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether a transaction is being coordinated here.
    pub(crate) fn is_active(&self, txn: TxnId) -> bool {
        let operation = self.tries.get(&txn).and_then(|op| self.operations.get(op));
        operation.is_some_and(|operation| match &operation.work {
            Work::Read { validating: Some((attempt, _)), .. } => attempt.txn.id == txn,
            Work::Commit { step: Step::Trying(attempt), .. } => attempt.txn.id == txn,
            _ => false,
        })
    }

    /// The decision that was taken here, if it was lately.
    pub(crate) fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        self.outcomes.get(&txn).copied()
    }

    /// The smallest timestamp of a try under way.
    pub(crate) fn oldest_try(&self) -> Option<Timestamp> {
        self.operations
            .values()
            .filter_map(|operation| match &operation.work {
                Work::Read { validating: Some((attempt, _)), .. } => Some(attempt.txn.ts),
                Work::Commit { step: Step::Trying(attempt), .. } => Some(attempt.txn.ts),
                Work::Commit { step: Step::TakenOver(txn), .. } => Some(txn.ts),
                _ => None,
            })
            .min()
    }

    /// The oldest snapshot being read.
    pub(crate) fn oldest_snapshot(&self) -> Option<Timestamp> {
        let reads = self.operations.values().filter_map(|operation| match &operation.work {
            Work::Read { read, .. } => read.snapshot(),
            _ => None,
        });
        reads.min()
    }

    /// Begins a client's request.
    pub(crate) fn request(&mut self, client: ClientId, request: Request, patience: Micros, common: &mut Common) {
        if let Err(error) = admit(&request, common) {
            common.replies.push((client, failure(&request, error)));
            return;
        }
        if let Some(reply) = of_nothing(&request) {
            common.replies.push((client, reply));
            return;
        }
        if self.operations.len() >= common.settings.max_requests {
            common.counters.shed += 1;
            common.replies.push((client, failure(&request, TxnError::Overloaded)));
            return;
        }
        self.next += 1;
        let op = self.next;
        let deadline = common.now.steady.saturating_add(patience);
        let work = match request {
            Request::Read(keys, when) => {
                let (sets, shape) = by_partition(keys.iter().map(|place| (place.partition, &place.key)));
                let sets = sets.into_iter().map(|(partition, keys)| (partition, ReadSet { keys, ranges: Vec::new() }));
                start_read(op, when, sets.collect(), Shape::Keys(shape), common)
            }
            Request::Scan(ranges, when) => {
                let keyed = ranges.iter().map(|(partition, range, limit)| (*partition, (range.clone(), *limit)));
                let (sets, shape) = of_ranges(keyed);
                let shape = ranges.iter().map(|(partition, ..)| *partition).zip(shape).collect();
                start_read(op, when, sets, Shape::Ranges(shape), common)
            }
            Request::Standing(ranges, at) => {
                let (sets, shape) = of_ranges(ranges.into_iter().map(|(partition, range)| (partition, (range, 0))));
                let read = ReadOp::instead(op, at, Detail::Marks, sets, common);
                Work::Read { read, shape: Shape::Standings(shape), validating: None }
            }
            Request::Unsettled(ranges, at, hold) => {
                let (sets, _) = of_ranges(ranges.into_iter().map(|(partition, range)| (partition, (range, 0))));
                let read = ReadOp::instead(op, at, Detail::Unsettled { hold }, sets, common);
                Work::Read { read, shape: Shape::Unsettled, validating: None }
            }
            Request::Lock { start, mut keys, nowait } => {
                let asked = keys.clone();
                keys.sort();
                keys.dedup();
                let (sets, _) = by_partition(keys.iter().map(|place| (place.partition, &place.key)));
                let shape = positions(&asked, &sets);
                let txn = common.new_txn(start);
                Work::Lock { lock: LockOp::start(op, txn, sets, nowait, deadline, common), shape }
            }
            Request::Commit { start, locked, commit } => {
                let attempt = self.new_try(op, start, locked, &commit, Timestamp::ZERO, deadline, common);
                Work::Commit { commit, start, step: Step::Trying(attempt), held: locked }
            }
            Request::Outcome(_) => unreachable!("outcomes are asked of the recoveries"),
        };
        self.clients.insert(client, op);
        let operation = Operation { client: Some(client), deadline, work };
        self.operations.insert(op, operation);
        self.set_timer(op);
    }

    #[expect(clippy::too_many_arguments, reason = "a try is just that much")]
    fn new_try(
        &mut self,
        op: u64,
        start: Timestamp,
        locked: Option<TxnId>,
        commit: &Commit,
        above: Timestamp,
        deadline: Micros,
        common: &mut Common,
    ) -> Box<Try> {
        let seen = commit.reads.iter().map(|(_, stamp)| stamp.ts);
        let rows = commit.ranges.iter().flat_map(|range| range.rows.iter().map(|(_, stamp)| stamp.ts));
        if !common.settings.mutations.has(annulus_base::Mutation::TimestampBelowReads) {
            let since = commit.unchanged.iter().map(|range| range.since);
            common.clock.observe(seen.chain(rows).chain(since).max().unwrap_or_default());
        }
        common.clock.observe(above);
        let ts = common.timestamp();
        // A lock's id is used up by its first try: a vote on it never changes.
        let id = locked.filter(|id| self.unused.remove(id)).unwrap_or_else(|| common.new_txn(start));
        self.tries.insert(id, op);
        let give_up_at = deadline.saturating_sub((deadline.saturating_sub(common.now.steady)) / 5);
        Box::new(Try::start(id, ts, commit::split(commit), locked.is_some(), give_up_at, common))
    }

    fn set_timer(&mut self, op: u64) {
        let Some(operation) = self.operations.get(&op) else { return };
        let timer = match &operation.work {
            Work::Read { validating: Some((attempt, _)), .. } => attempt.timer(),
            Work::Read { read, .. } => read.timer(),
            Work::Lock { lock, .. } => lock.timer(),
            Work::Commit { step, .. } => match step {
                Step::Trying(attempt) => attempt.timer(),
                Step::Locking(lock) => lock.timer(),
                Step::Pausing(until) => *until,
                Step::TakenOver(_) => Micros::MAX,
            },
        };
        let timer = if operation.client.is_some() { timer.min(operation.deadline) } else { timer };
        if timer < Micros::MAX {
            self.timers.insert((timer, op));
        }
    }

    /// Takes out the operation that an answer is for.
    fn take(&mut self, op: u64) -> Option<Operation> {
        self.operations.remove(&op)
    }

    fn put_back(&mut self, op: u64, operation: Operation) {
        self.operations.insert(op, operation);
        self.set_timer(op);
    }

    fn finish(&mut self, operation: Operation, reply: Reply, common: &mut Common) {
        count(&reply, common);
        if let Some(client) = operation.client {
            self.clients.remove(&client);
            common.replies.push((client, reply));
        }
    }

    /// The client went away. Reads and locks end; a commit is brought to its end.
    pub(crate) fn cancel(&mut self, client: ClientId, common: &mut Common) {
        let Some(op) = self.clients.remove(&client) else { return };
        let Some(operation) = self.operations.get_mut(&op) else { return };
        operation.client = None;
        let ended = match &operation.work {
            Work::Read { validating, .. } => validating.is_none(),
            Work::Lock { lock, .. } => {
                lock.give_up(common);
                true
            }
            Work::Commit { step: Step::Trying(_), .. } => false,
            Work::Commit { step, held, commit, .. } => {
                if let Step::Locking(lock) = step {
                    lock.give_up(common);
                }
                release_held(*held, commit, common);
                true
            }
        };
        if ended {
            self.operations.remove(&op);
        }
    }

    /// An answer to a read.
    pub(crate) fn read_answer(
        &mut self,
        from: NodeId,
        id: RequestId,
        answer: Result<Answer, Refusal>,
        common: &mut Common,
    ) {
        self.with_read(id, common, |read, tag, common| read.answered(from, tag, answer, common));
    }

    /// A replica tells something else than the content of ranges.
    pub(crate) fn told(&mut self, from: NodeId, id: RequestId, told: Told, common: &mut Common) {
        self.with_read(id, common, |read, tag, common| read.told(from, tag, told, common));
    }

    /// A laggard has what it lacked.
    pub(crate) fn repaired(&mut self, from: NodeId, id: RequestId, common: &mut Common) {
        self.with_read(id, common, |read, tag, common| read.repaired(from, tag, common));
    }

    fn with_read(
        &mut self,
        id: RequestId,
        common: &mut Common,
        step: impl FnOnce(&mut ReadOp, u32, &mut Common) -> read::Progress,
    ) {
        let (op, tag) = common::split(id);
        if let Some(Work::Read { read, .. }) = self.operations.get_mut(&op).map(|operation| &mut operation.work) {
            let progress = step(read, tag, common);
            self.advance_read(op, progress, common);
        }
    }

    fn advance_read(&mut self, op: u64, progress: read::Progress, common: &mut Common) {
        if matches!(progress, read::Progress::Waiting) {
            return;
        }
        let Some(mut operation) = self.take(op) else { return };
        let Work::Read { shape, read, validating } = &mut operation.work else { return };
        match progress {
            read::Progress::Waiting => {}
            read::Progress::Done(answers) => {
                let reply = shape.reply(Ok(answers));
                self.finish(operation, reply, common);
            }
            read::Progress::Stands(standings) => {
                let reply = shape.stands(&standings);
                self.finish(operation, reply, common);
            }
            read::Progress::Unsettled(unsettled) => self.finish(operation, Reply::Unsettled(Ok(unsettled)), common),
            read::Progress::Failed(error) => {
                let reply = shape.reply(Err(error));
                self.finish(operation, reply, common);
            }
            read::Progress::Validate(answers) => {
                let commit = validation(read, &answers);
                let start = common.timestamp();
                let deadline = operation.deadline;
                let attempt = self.new_try(op, start, None, &commit, Timestamp::ZERO, deadline, common);
                *validating = Some((attempt, answers));
                self.put_back(op, operation);
            }
        }
    }

    /// An answer to a lock request.
    pub(crate) fn lock_answer(
        &mut self,
        from: NodeId,
        id: RequestId,
        answer: Result<Answer, Refusal>,
        common: &mut Common,
    ) {
        let (op, tag) = common::split(id);
        let Some(operation) = self.operations.get_mut(&op) else { return };
        let (Work::Lock { lock, .. } | Work::Commit { step: Step::Locking(lock), .. }) = &mut operation.work else {
            return;
        };
        match lock.answered(from, tag, answer, common) {
            lock::Progress::Waiting => {}
            lock::Progress::Done(answers) => self.locked(op, &answers, common),
            lock::Progress::Failed(error) => self.fail(op, error, common),
        }
    }

    fn locked(&mut self, op: u64, answers: &[Answer], common: &mut Common) {
        let Some(mut operation) = self.take(op) else { return };
        match &mut operation.work {
            Work::Lock { lock, shape } => {
                self.unused.insert(lock.txn);
                if self.unused.len() > common.settings.max_requests {
                    self.unused.pop_first();
                }
                let seen = shape.iter().filter_map(|(part, index)| answers.get(*part)?.keys.get(*index));
                let reply = Reply::Lock(Ok((lock.txn, seen.map(seen_of).collect())));
                self.finish(operation, reply, common);
            }
            Work::Commit { commit, start, step, held } => {
                let Step::Locking(lock) = step else { return };
                let id = lock.txn;
                if let Some(key) = changed(commit, lock, answers) {
                    let reply = Reply::Commit(Err(TxnError::Conflict(key)));
                    lock.give_up(common);
                    release_held(*held, commit, common);
                    self.finish(operation, reply, common);
                    return;
                }
                *held = Some(id);
                self.unused.insert(id);
                let (start, deadline) = (*start, operation.deadline);
                *step = Step::Trying(self.new_try(op, start, Some(id), commit, Timestamp::ZERO, deadline, common));
                self.put_back(op, operation);
            }
            Work::Read { .. } => {}
        }
    }

    /// The client drops its locks.
    pub(crate) fn unlocked(&mut self, txn: TxnId) {
        self.unused.remove(&txn);
    }

    /// Ends an operation that is not in the middle of a try with an error.
    fn fail(&mut self, op: u64, error: TxnError, common: &mut Common) {
        let Some(operation) = self.take(op) else { return };
        let reply = match &operation.work {
            Work::Read { shape, .. } => shape.reply(Err(error)),
            Work::Lock { .. } => Reply::Lock(Err(error)),
            Work::Commit { held, commit, .. } => {
                release_held(*held, commit, common);
                Reply::Commit(Err(error))
            }
        };
        self.finish(operation, reply, common);
    }

    fn reread(&mut self, op: u64, common: &mut Common) {
        if let Some(Work::Read { read, .. }) = self.operations.get_mut(&op).map(|operation| &mut operation.work) {
            read.restart(common);
        }
        self.set_timer(op);
    }

    /// Time has passed: timers fire, patience ends.
    pub(crate) fn tick(&mut self, common: &mut Common) {
        while let Some((at, op)) = self.timers.first().copied() {
            if at > common.now.steady {
                break;
            }
            self.timers.pop_first();
            self.tick_one(op, common);
        }
        while let Some((_, txn)) = self.recent.pop_front_if(|(until, _)| *until <= common.now.steady) {
            self.outcomes.remove(&txn);
        }
    }

    fn tick_one(&mut self, op: u64, common: &mut Common) {
        let Some(operation) = self.operations.get_mut(&op) else { return };
        if operation.client.is_some() && common.now.steady >= operation.deadline {
            self.out_of_time(op, common);
            return;
        }
        let mut trying = None;
        match &mut operation.work {
            Work::Read { validating: Some((attempt, _)), .. } => trying = Some((attempt.txn.id, attempt.tick(common))),
            Work::Read { read, .. } => read.tick(common),
            Work::Lock { lock, .. } => lock.tick(common),
            Work::Commit { step, start, commit, held } => match step {
                Step::Trying(attempt) => trying = Some((attempt.txn.id, attempt.tick(common))),
                Step::Locking(lock) => lock.tick(common),
                Step::Pausing(until) if *until <= common.now.steady => {
                    let (start, held, commit, deadline) = (*start, *held, commit.clone(), operation.deadline);
                    let attempt = self.new_try(op, start, held, &commit, Timestamp::ZERO, deadline, common);
                    if let Some(Operation { work: Work::Commit { step, .. }, .. }) = self.operations.get_mut(&op) {
                        *step = Step::Trying(attempt);
                    }
                }
                Step::Pausing(_) | Step::TakenOver(_) => {}
            },
        }
        self.set_timer(op);
        if let Some((txn, progress)) = trying {
            self.advance_try(op, txn, progress, common);
        }
    }

    /// The client's patience has ended: it is told what can be said now.
    fn out_of_time(&mut self, op: u64, common: &mut Common) {
        let Some(mut operation) = self.take(op) else { return };
        let client = operation.client.take();
        let (reply, undecided) = match &operation.work {
            Work::Read { read, shape, validating } => (shape.reply(Err(read.shortfall(common))), validating.is_some()),
            Work::Lock { lock, .. } => {
                lock.give_up(common);
                (Reply::Lock(Err(lock.shortfall(common))), false)
            }
            Work::Commit { step, commit, held, .. } => {
                let (error, undecided) = match step {
                    Step::Trying(attempt) => (TxnError::Unknown(attempt.txn), true),
                    Step::TakenOver(txn) => (TxnError::Unknown(*txn), true),
                    Step::Locking(lock) => {
                        lock.give_up(common);
                        (lock.shortfall(common), false)
                    }
                    Step::Pausing(_) => (TxnError::Overloaded, false),
                };
                if !undecided {
                    release_held(*held, commit, common);
                }
                (Reply::Commit(Err(error)), undecided)
            }
        };
        if let Some(client) = client {
            self.clients.remove(&client);
            count(&reply, common);
            common.replies.push((client, reply));
        }
        // What is undecided is brought to its end without the client.
        if undecided {
            self.put_back(op, operation);
        }
    }
}

fn start_read(op: u64, when: When, sets: Vec<(PartitionId, ReadSet)>, shape: Shape, common: &mut Common) -> Work {
    Work::Read { read: ReadOp::start(op, when, sets, common), shape, validating: None }
}

/// Frees soft locks that are held under an id which no decision will free.
fn release_held(held: Option<TxnId>, commit: &Commit, common: &mut Common) {
    let Some(txn) = held else { return };
    let partitions = commit.writes.iter().map(|(place, _)| place.partition);
    let partitions = partitions.chain(commit.reads.iter().map(|(place, _)| place.partition));
    let nodes = common.replicas(partitions);
    common.broadcast(nodes.into_iter().collect(), Message::Unlock(txn));
}
