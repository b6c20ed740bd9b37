//! sled 0.34.7.
//!
//! Its `flush` hands data to `sync_file_range`, which waits for the data but neither for metadata nor for the
//! device's cache, and calls no `fsync` (upstream issue 1452; measured: a power loss after `flush` lost
//! everything). So after each flush we `fdatasync` its files ourselves. Between two checkpoints sled reuses
//! parts of its file without any barrier, so a power loss can still damage what was synced. It then
//! either refuses to open or comes up with less than it had, which [`crate::storage::checkpoint`] notices; the
//! node is refilled from its ring. Killed processes lose nothing.
//!
//! All spaces share one tree, because sled's batches are atomic per tree. Snapshots: see [`super::overlay`].

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::overlay::{Overlay, Table};
use super::{Batch, Bounds, Engine, EngineError, EngineKind, EngineResult, Entry, Order, Snapshot, Space};

/// How long an engine that was closed may hold its lock: its threads end some time after it was dropped.
const LETS_GO_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether somebody else has it open.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// The engine.
pub struct SledEngine {
    database: sled::Db,
    path: PathBuf,
    entries: Overlay<Tree>,
}

impl SledEngine {
    /// Opens or creates it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(path: &Path, cache_bytes: u64) -> EngineResult<Self> {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        let until = Instant::now() + LETS_GO_WITHIN;
        let database = loop {
            // sled panics on some damages instead of telling.
            let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
            let panicked =
                |_| EngineError::Damaged { kind: EngineKind::Sled, detail: "it panicked when opened".to_owned() };
            match opened.map_err(panicked)? {
                Err(error) if is_locked(&error) && Instant::now() < until => std::thread::sleep(PAUSE),
                opened => break opened.map_err(failed("open"))?,
            }
        };
        let tree = Tree(database.open_tree("annulus").map_err(failed("open"))?);
        Ok(Self { database, path: path.to_owned(), entries: Overlay::new(tree) })
    }
}

impl Engine for SledEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Sled
    }

    fn write(&self, batch: Batch) -> EngineResult<()> {
        self.entries.write(batch)
    }

    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        self.entries.get(space, key)
    }

    fn first(&self, space: Space, bounds: Bounds<'_>) -> EngineResult<Option<Entry>> {
        self.entries.first(space, bounds)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(self.entries.snapshot())
    }

    fn sync(&self) -> EngineResult<()> {
        self.database.flush().map_err(failed("flush"))?;
        sync_below(&self.path).map_err(EngineError::io(EngineKind::Sled, "sync"))
    }

    fn disk_bytes(&self) -> EngineResult<u64> {
        crate::storage::disk::occupied(&self.path).map_err(EngineError::io(EngineKind::Sled, "read"))
    }
}

/// Syncs all files in a directory and below, and the directories.
fn sync_below(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let synced = match entry.file_type()? {
            kind if kind.is_dir() => sync_below(&entry.path()),
            _ => File::open(entry.path()).and_then(|file| file.sync_data()),
        };
        match synced {
            // sled replaces its own snapshots in the background.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    File::open(path)?.sync_all()
}

struct Tree(sled::Tree);

impl Table for Tree {
    fn get(&self, key: &[u8]) -> EngineResult<Option<Bytes>> {
        Ok(self.0.get(key).map_err(failed("read"))?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn page(&self, bounds: Bounds<'_>, order: Order, limit: usize) -> EngineResult<Vec<Entry>> {
        let entries = self.0.range::<&[u8], _>(bounds);
        let copy = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, value) = entry.map_err(failed("read"))?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        };
        match order {
            Order::Forward => entries.take(limit).map(copy).collect(),
            Order::Reverse => entries.rev().take(limit).map(copy).collect(),
        }
    }

    fn write(&mut self, changes: Vec<(Bytes, Option<Bytes>)>) -> EngineResult<()> {
        let mut batch = sled::Batch::default();
        for (key, value) in &changes {
            match value {
                Some(value) => batch.insert(&key[..], &value[..]),
                None => batch.remove(&key[..]),
            }
        }
        self.0.apply_batch(batch).map_err(failed("write"))
    }
}

/// For `map_err` on sled's operations.
fn failed(action: &'static str) -> impl Fn(sled::Error) -> EngineError + Copy {
    const KIND: EngineKind = EngineKind::Sled;
    move |error| match error {
        sled::Error::Io(error) => EngineError::io(KIND, action)(error),
        sled::Error::Corruption { .. } => {
            EngineError::Damaged { kind: KIND, detail: format!("could not {action}: {error}") }
        }
        other => EngineError::Failed { kind: KIND, detail: format!("could not {action}: {other}") },
    }
}
