//! The vote log: one append-only sequence of records, durable in groups.
//!
//! # Promises
//! - A record whose position was reported as synced is replayed after any crash or power loss, in
//!   order. Nothing is replayed that was not appended.
//! - Groups form by themselves: the writer takes whatever was submitted while the previous `fdatasync`
//!   ran, and never waits for more.
//! - After a failed write or sync nothing is ever reported as synced again, and the failure is reported.
//!   (A sync that failed cannot be repeated: the kernel may have dropped the pages. Rebello et al.,
//!   "Can Applications Recover from fsync Failures?", ATC 2020.)
//!
//! # Files
//! Segments are numbered without gaps, `<number>.base` the oldest that counts and `<number>.log` the
//! later ones. All of a segment's bytes are written once before it is used (or it is an old segment
//! recycled), so that `fdatasync` has no metadata to write. `<number>.spare` waits to become a segment.
//! A segment starts with a header that was synced before the file got its name.
//! Then come groups: a header with the group's sequence number, then the records.
//!
//! # Torn tail or corrupt middle
//! After a power loss any subset of the sectors of the last, unsynced group may be there, and that is
//! legal: nobody was told that it is durable. Anything else that cannot be read was synced before, so
//! starting without it could break a promise made to others, and the log refuses to open.
//! The two are told apart by one rule of the writer: *group k+1 is written only after the sync of group
//! k returned*. So a valid header of a later group, anywhere behind the damage, proves that the damaged
//! group had been synced. If there is none, the damaged group was the last one ever written; it is cut.
//! For this the header of a group must be unmistakable: its checksum covers its place and a random salt
//! of the segment, so neither a recycled segment's old groups nor bytes inside of a record (a stored
//! copy of a log, say) can pass for a group of this segment.
//! Where a segment ends is told by the next one, whose header names its first sequence number.
//! One thing cannot be told: damage to the very last group, synced but with nothing behind it, looks
//! like a torn one. A clean shutdown therefore ends with an empty group.
//! (The rule is that of other logs, made explicit: LevelDB's and etcd's readers accept damage only at
//! the end, and PostgreSQL stops at the first damage without telling the two apart.)
//!
//! Opening ends what was there: the last valid group is written and synced once more (it may only be in
//! the page cache, or its sync may have failed), the file is cut behind it, and a new segment begins.
//! So remains of a torn group are never written over and cannot mix with later groups.
//!
//! # Checkpoint
//! [`Log::begin_checkpoint`] starts a segment with one group holding a snapshot of all live records; new
//! records follow. When that is synced and the engine is too, [`Log::finish_checkpoint`] renames the segment to
//! `.base` and then deletes the older ones. The rename is the one atomic moment: before it a restart
//! replays the old segments and skips the snapshot, after it the older segments do not count.

mod depot;
mod error;
pub(crate) mod group;
mod pool;
mod queue;
mod replay;
mod segment;
mod turns;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use error::LogError;
pub use replay::{Cut, Record, Replay};

use super::files::Directory;
use queue::Queue;
use turns::Turns;
use writer::Writer;

/// How many records have been appended since the log was opened; the first one has position 1.
pub type Position = u64;

/// What one turn of the log's thread has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Everything up to here is durable.
    pub position: Position,
    /// How many positions were not before; none after a turn without a sync.
    pub records: u64,
    /// How long writing and syncing them took.
    pub took: Duration,
}

/// Called after each sync by whoever did it, and must not block. Told of a failure once; nothing comes after that.
pub type OnSynced = Box<dyn Fn(Result<Synced, LogError>) + Send>;

/// What can be chosen about a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Length of a segment in bytes. A group that does not fit gets a longer segment of its own.
    pub segment_bytes: u64,
    /// Whether an empty directory starts a new log. `false` for a node that has had one: it must not
    /// answer under its old identity when its log is gone.
    pub create: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, create: true }
    }
}

/// Proof of a begun checkpoint.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a checkpoint that is not finished frees nothing"]
pub struct Checkpoint {
    position: Position,
}

impl Checkpoint {
    /// Once this position is synced (and the engine is), the checkpoint may be finished.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }
}

/// An open log. Dropping it writes what was submitted and closes it.
pub struct Log {
    queue: Arc<Queue>,
    turns: Arc<Turns>,
    thread: Option<JoinHandle<()>>,
    cut: Option<Cut>,
}

impl Log {
    /// Reads the log in a directory: iterate over the result, then [`Replay::start`] it. The caller
    /// owns the directory (see [`super::data_dir`]).
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(directory: Arc<dyn Directory>, options: LogOptions) -> Result<Replay, LogError> {
        Replay::open(directory, options)
    }

    fn start(writer: Writer, cut: Option<Cut>, on_synced: OnSynced) -> Result<Self, LogError> {
        let queue = Arc::new(Queue::default());
        let turns = Arc::new(Turns::new(writer, Arc::clone(&queue), on_synced));
        let shared = Arc::clone(&turns);
        let thread = std::thread::Builder::new()
            .name("vote-log".to_owned())
            .spawn(move || shared.run())
            .map_err(|error| LogError::Thread(Arc::new(error)))?;
        Ok(Self { queue, turns, thread: Some(thread), cut })
    }

    /// Adds a record, by copying it. It is written at the latest after the next [`Log::submit`]: all records
    /// of one turn of the event loop wake the writer once and share a sync.
    pub fn append(&self, kind: u8, version: u8, payload: &[u8]) -> Position {
        self.queue.append(kind, version, payload)
    }

    /// Hands all appended records to the writer. Cheap while a sync is running.
    pub fn submit(&self) {
        self.queue.submit();
    }

    /// Writes and syncs all appended records on the caller's thread, if the log's thread is idle and the disk fast
    /// enough that this is over sooner than handing them over; false if they are to be submitted. The end is
    /// reported as ever, before this returns.
    #[must_use]
    pub fn sync_here(&self) -> bool {
        self.turns.here()
    }

    /// The last position known to be durable.
    #[must_use]
    pub fn synced(&self) -> Position {
        self.queue.synced()
    }

    /// Bytes appended that are not yet durable, to shed load by.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.queue.backlog()
    }

    /// The torn group that opening cut off, if there was one. It was never reported as synced.
    #[must_use]
    pub const fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Begins a checkpoint: the given records are all that is still needed of what was appended so
    /// far. Submits. A checkpoint begun before and not finished is abandoned.
    pub fn begin_checkpoint<R: AsRef<[u8]>>(&self, live: impl IntoIterator<Item = (u8, u8, R)>) -> Checkpoint {
        Checkpoint { position: self.queue.begin_checkpoint(live) }
    }

    /// Frees everything before the checkpoint. The engine must have been synced since it was begun. An
    /// abandoned checkpoint frees nothing.
    ///
    /// # Errors
    /// [`LogError::CheckpointNotSynced`] if its position is not synced yet.
    pub fn finish_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), LogError> {
        if self.synced() < checkpoint.position {
            return Err(LogError::CheckpointNotSynced);
        }
        self.queue.finish_checkpoint(checkpoint.position);
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}
