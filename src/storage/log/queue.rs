//! What the event loop hands to the log's writer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Position;
use super::group::GroupBuffer;

/// A group takes no more records from this size on, bytes: bounds how long one sync takes.
const FULL_GROUP: u64 = 4 << 20;

/// One thing for the writer to do.
#[derive(Debug)]
pub enum Work {
    /// Write these records.
    Records(GroupBuffer),
    /// Begin a checkpoint with this snapshot.
    BeginCheckpoint(GroupBuffer),
    /// Finish the checkpoint begun at this position, if it is the last one begun.
    FinishCheckpoint(Position),
}

/// Work with what is durable once it is done.
#[derive(Debug)]
pub struct Task {
    /// What to do.
    pub work: Work,
    /// The position that is then synced.
    pub position: Position,
    /// Bytes of it that count for the backlog.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    /// To do, in order; then comes the forming group.
    tasks: VecDeque<Task>,
    /// Takes the records appended next.
    forming: GroupBuffer,
    /// An empty buffer with memory, to form the next group in.
    reusable: GroupBuffer,
    /// Bytes of records in it.
    forming_bytes: u64,
    appended: Position,
    /// Whether the writer may take what is there.
    submitted: bool,
    /// Whether the writer sleeps.
    idle: bool,
    closed: bool,
    failed: bool,
}

/// The queue between one appender and one writer.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    synced: AtomicU64,
    backlog: AtomicU64,
}

impl Queue {
    /// Adds a record to the group that is forming.
    pub fn append(&self, kind: u8, version: u8, payload: &[u8]) -> Position {
        let mut state = self.lock();
        if !state.failed {
            if state.forming.len() >= FULL_GROUP {
                state.end_group();
            }
            let bytes = state.forming.push(kind, version, payload);
            state.forming_bytes += bytes;
            self.backlog.fetch_add(bytes, Ordering::Relaxed);
        }
        state.appended += 1;
        state.appended
    }

    /// Lets the writer take everything.
    pub fn submit(&self) {
        self.submit_locked(&mut self.lock());
    }

    fn submit_locked(&self, state: &mut State) {
        state.submitted = state.has_work();
        if state.submitted && state.idle {
            state.idle = false;
            self.wake.notify_one();
        }
    }

    /// Queues a snapshot of the live records behind all appended ones.
    pub fn begin_checkpoint<R: AsRef<[u8]>>(&self, live: impl IntoIterator<Item = (u8, u8, R)>) -> Position {
        let mut snapshot = GroupBuffer::default();
        for (kind, version, payload) in live {
            snapshot.push(kind, version, payload.as_ref());
        }
        let mut state = self.lock();
        state.end_group();
        state.appended += 1;
        let position = state.appended;
        state.push(Work::BeginCheckpoint(snapshot));
        self.submit_locked(&mut state);
        position
    }

    /// Queues the end of the checkpoint.
    pub fn finish_checkpoint(&self, begun: Position) {
        let mut state = self.lock();
        state.end_group();
        state.push(Work::FinishCheckpoint(begun));
        self.submit_locked(&mut state);
    }

    /// Ends the queue: what is in it is still written.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.submit_locked(&mut state);
        self.wake.notify_one();
    }

    /// For the writer: the next task, or `None` when the queue is closed and empty. Takes back the last
    /// group's buffer.
    pub fn next(&self, used: Option<GroupBuffer>) -> Option<Task> {
        let mut state = self.lock();
        if let Some(mut group) = used {
            group.reset();
            state.reusable = group;
        }
        loop {
            if state.submitted {
                if state.tasks.is_empty() {
                    state.end_group();
                }
                let task = state.tasks.pop_front();
                state.submitted = state.has_work();
                if task.is_some() {
                    return task;
                }
            }
            if state.closed {
                return None;
            }
            state.idle = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = false;
        }
    }

    /// For whoever writes in place of the writer: the forming group, if the writer waits for work, nothing else is to
    /// be done, and the group has at most `room` bytes.
    pub fn take_if_idle(&self, room: u64, used: Option<GroupBuffer>) -> Option<Task> {
        let mut state = self.lock();
        if let Some(mut group) = used {
            group.reset();
            state.reusable = group;
        }
        if !state.idle || !state.tasks.is_empty() || state.forming.len() > room {
            return None;
        }
        state.end_group();
        state.tasks.pop_front()
    }

    /// For the writer: a task is durably done.
    pub fn done(&self, position: Position, bytes: u64) {
        self.synced.store(position, Ordering::Release);
        self.backlog.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// For the writer: nothing more will be written.
    pub fn fail(&self) {
        let mut state = self.lock();
        *state = State { appended: state.appended, failed: true, ..State::default() };
    }

    /// The last position done.
    pub fn synced(&self) -> Position {
        self.synced.load(Ordering::Acquire)
    }

    /// Bytes appended and not done.
    pub fn backlog(&self) -> u64 {
        self.backlog.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock in an inconsistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.tasks.is_empty() || self.forming_bytes > 0
    }

    /// Lets the forming group have no more records.
    fn end_group(&mut self) {
        let bytes = std::mem::take(&mut self.forming_bytes);
        if bytes > 0 {
            let empty = std::mem::take(&mut self.reusable);
            let group = std::mem::replace(&mut self.forming, empty);
            self.tasks.push_back(Task { work: Work::Records(group), position: self.appended, bytes });
        }
    }

    /// Adds other work behind all records.
    fn push(&mut self, work: Work) {
        if !self.failed {
            self.tasks.push_back(Task { work, position: self.appended, bytes: 0 });
        }
    }
}
