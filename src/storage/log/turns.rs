//! Who writes: the log's thread, or the appender itself.
//!
//! Handing a group to the thread and being told of its sync costs two switches between threads, which is as much
//! as a fast disk's sync. So where the thread has nothing to do, the group is small and syncs have been fast, the
//! appender may write it itself. A disk that was slow once is left to the thread for a while: what blocks the
//! appender is at most one slow sync every [`MEMORY`].
//!
//! Invariant: one of them at a time, and groups in their order. The appender writes only while the thread waits for
//! work, which only the appender can give it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::LogError;
use super::group::{GroupBuffer, GroupKind};
use super::queue::{Queue, Task, Work};
use super::writer::Writer;
use super::{OnSynced, Position, Synced};

/// Syncs that take longer on average are left to the thread.
const FAST: Duration = Duration::from_micros(300);
/// One that takes longer is a sign of more to come.
const HICCUP: Duration = Duration::from_millis(5);
/// For how long after a hiccup the appender does not write.
const MEMORY: Duration = Duration::from_secs(1);
/// Most bytes that the appender writes at once.
const SMALL: u64 = 64 << 10;

/// The writer, shared by the log's thread and the appender.
pub struct Turns {
    queue: Arc<Queue>,
    state: Mutex<State>,
}

struct State {
    writer: Writer,
    /// The last group's buffer, for the next one.
    used: Option<GroupBuffer>,
    synced: Position,
    on_synced: OnSynced,
    pace: Pace,
    failed: bool,
}

/// How fast syncs have been.
#[derive(Default)]
struct Pace {
    average: Duration,
    slow_until: Option<Instant>,
}

impl Turns {
    /// Both take their work from `queue`.
    pub fn new(writer: Writer, queue: Arc<Queue>, on_synced: OnSynced) -> Self {
        let synced = queue.synced();
        let state = State { writer, used: None, synced, on_synced, pace: Pace::default(), failed: false };
        Self { queue, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log's thread: works until the queue is closed or a write fails.
    pub fn run(&self) {
        loop {
            let used = self.lock().used.take();
            let Some(task) = self.queue.next(used) else { break };
            if !self.lock().turn(&self.queue, task) {
                return;
            }
        }
        let mut state = self.lock();
        if state.failed {
            return;
        }
        if let Err(error) = state.writer.close() {
            state.fail(&self.queue, error);
        }
    }

    /// The appender: writes and syncs what was appended, if that is quickly done. False: it has to be submitted.
    pub fn here(&self) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        if !state.pace.is_fast() {
            return false;
        }
        let room = state.writer.room().min(SMALL);
        let used = state.used.take();
        let Some(task) = self.queue.take_if_idle(room, used) else { return false };
        // A failure is reported like any other.
        state.turn(&self.queue, task);
        true
    }
}

impl State {
    /// Does one task and reports it; false if nothing may be written any more.
    fn turn(&mut self, queue: &Queue, task: Task) -> bool {
        let (position, bytes) = (task.position, task.bytes);
        let is_group = matches!(task.work, Work::Records(_));
        let begun = Instant::now();
        if let Err(error) = self.work(task) {
            self.fail(queue, error);
            return false;
        }
        let took = begun.elapsed();
        if is_group {
            self.pace.note(took);
        }
        queue.done(position, bytes);
        (self.on_synced)(Ok(Synced { position, records: position - self.synced, took }));
        self.synced = position;
        true
    }

    fn work(&mut self, task: Task) -> Result<(), LogError> {
        match task.work {
            Work::Records(mut group) => {
                self.writer.write(&mut group, GroupKind::Records)?;
                self.used = Some(group);
                Ok(())
            }
            Work::BeginCheckpoint(mut snapshot) => self.writer.begin_checkpoint(task.position, &mut snapshot),
            Work::FinishCheckpoint(begun) => self.writer.finish_checkpoint(begun),
        }
    }

    fn fail(&mut self, queue: &Queue, error: LogError) {
        self.failed = true;
        queue.fail();
        (self.on_synced)(Err(error));
    }
}

impl Pace {
    fn note(&mut self, took: Duration) {
        self.average = (self.average * 7 + took) / 8;
        if took > HICCUP {
            self.slow_until = Some(Instant::now() + MEMORY);
        }
    }

    fn is_fast(&self) -> bool {
        self.average <= FAST && self.slow_until.is_none_or(|end| Instant::now() >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_is_left_to_the_thread() {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.note(FAST / 2));
        assert!(pace.is_fast());
        pace.note(HICCUP * 2);
        (0..1_000).for_each(|_| pace.note(FAST / 2));
        assert!(!pace.is_fast());
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.note(FAST * 2));
        assert!(!pace.is_fast());
    }
}
