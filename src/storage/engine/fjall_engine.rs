//! fjall: a log-structured engine; the default.
//!
//! Writes go to its journal unsynced; [`Engine::sync`] persists the journal. The data files that replace
//! journals are synced by fjall itself before it deletes them.
//!
//! Memory: the block cache as given, and at most five write buffers of [`MEMTABLE_BYTES`] per space (fjall halts writers when
//! four wait to be flushed); only the space of versions is written much. Large buffers make compaction cheap: at 16 MiB puts
//! took a third more processor time. Journals take about [`JOURNAL_BYTES`] on disk, or what the buffers hold if that is more.

use std::path::Path;

use bytes::Bytes;
use fjall::config::FilterPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{
    Batch, Bounds, Engine, EngineError, EngineKind, EngineResult, Entries, Entry, Order, Snapshot, Space, is_empty,
};

const MEMTABLE_BYTES: u64 = 64 << 20;
const JOURNAL_BYTES: u64 = 256 << 20;

/// Threads for flushes and compactions. fjall keeps the first one free for flushes: it puts compactions back into the queue,
/// again and again without a pause while all others compact. There are two of them seldom, three hardly ever; with the
/// default, as many threads as cores, a core was lost to that during each compaction on a machine with two.
const WORKERS: usize = 4;

/// The engine.
pub struct FjallEngine {
    database: Database,
    spaces: Spaces,
}

#[derive(Clone)]
struct Spaces([Keyspace; Space::ALL.len()]);

impl Spaces {
    fn of(&self, space: Space) -> &Keyspace {
        &self.0[space as usize]
    }
}

impl FjallEngine {
    /// Opens or creates it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(path: &Path, cache_bytes: u64) -> EngineResult<Self> {
        let opening = failed("open");
        let database = Database::builder(path)
            .cache_size(cache_bytes)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .worker_threads(WORKERS)
            .open()
            .map_err(opening)?;
        let keyspace = |space: Space| database.keyspace(space.name(), options).map_err(opening);
        let spaces = Spaces([keyspace(Space::Versions)?, keyspace(Space::System)?]);
        Ok(Self { database, spaces })
    }
}

fn options() -> KeyspaceCreateOptions {
    // Versions are found by seeking, which filters cannot help.
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES).filter_policy(FilterPolicy::disabled())
}

impl Engine for FjallEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Fjall
    }

    fn write(&self, batch: Batch) -> EngineResult<()> {
        let mut changes = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), batch.len());
        for change in batch {
            let space = self.spaces.of(change.space);
            match change.value {
                Some(value) => changes.insert(space, change.key, value),
                None => changes.remove(space, change.key),
            }
        }
        changes.commit().map_err(failed("write"))
    }

    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        let value = self.spaces.of(space).get(key).map_err(failed("read"))?;
        Ok(value.map(Bytes::from))
    }

    fn first(&self, space: Space, bounds: Bounds<'_>) -> EngineResult<Option<Entry>> {
        if is_empty(bounds) {
            return Ok(None);
        }
        self.spaces.of(space).range::<&[u8], _>(bounds).next().map(entry).transpose()
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(FjallSnapshot { snapshot: self.database.snapshot(), spaces: self.spaces.clone() })
    }

    fn sync(&self) -> EngineResult<()> {
        self.database.persist(PersistMode::SyncAll).map_err(failed("sync"))
    }

    fn disk_bytes(&self) -> EngineResult<u64> {
        self.database.disk_space().map_err(failed("read"))
    }
}

struct FjallSnapshot {
    snapshot: fjall::Snapshot,
    spaces: Spaces,
}

impl Snapshot for FjallSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        let value = self.snapshot.get(self.spaces.of(space), key).map_err(failed("read"))?;
        Ok(value.map(Bytes::from))
    }

    fn range<'a>(&'a self, space: Space, bounds: Bounds<'_>, order: Order) -> Entries<'a> {
        if is_empty(bounds) {
            return Box::new(std::iter::empty());
        }
        let entries = self.snapshot.range::<&[u8], _>(self.spaces.of(space), bounds);
        match order {
            Order::Forward => Box::new(entries.map(entry)),
            Order::Reverse => Box::new(entries.rev().map(entry)),
        }
    }
}

fn entry(guard: fjall::Guard) -> EngineResult<Entry> {
    let (key, value) = guard.into_inner().map_err(failed("read"))?;
    Ok((key.into(), value.into()))
}

/// For `map_err` on fjall's operations.
fn failed(action: &'static str) -> impl Fn(fjall::Error) -> EngineError + Copy {
    const KIND: EngineKind = EngineKind::Fjall;
    move |error| match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            EngineError::io(KIND, action)(error)
        }
        fjall::Error::Poisoned | fjall::Error::Locked | fjall::Error::KeyspaceDeleted => {
            EngineError::Failed { kind: KIND, detail: format!("could not {action}: {error:?}") }
        }
        other => EngineError::Damaged { kind: KIND, detail: format!("could not {action}: {other:?}") },
    }
}
