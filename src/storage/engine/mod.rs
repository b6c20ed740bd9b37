//! Storage engines behind one small trait.
//!
//! An engine keeps ordered byte strings in a few fixed [`Space`]s. What it promises:
//! - [`Engine::write`] applies a batch atomically, also with regard to crashes; it need not be durable.
//! - [`Engine::sync`] makes durable everything written before it was called. What is written later may
//!   be lost, wholly or in part (whole batches), but never harms what was synced; sled makes an
//!   exception, told in `sled_engine.rs`.
//! - A [`Snapshot`] does not change while writes go on.
//! - An engine that finds itself damaged refuses to open or to answer, with a typed error.
//!
//! Callers add their own checksums: engines are not trusted with the contents.

mod error;
mod fjall_engine;
mod memory;
mod overlay;
mod sled_engine;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

pub use error::{EngineError, EngineResult};

use super::files::OsDirectory;

/// A named keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Committed versions of keys.
    Versions,
    /// The storage layer's own records.
    System,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Versions, Self::System];

    /// Its name in the engine.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Versions => "versions",
            Self::System => "system",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub space: Space,
    /// Which key.
    pub key: Bytes,
    /// Its new value, `None` to delete.
    pub value: Option<Bytes>,
}

/// Changes that happen together. Later ones to the same key win.
pub type Batch = Vec<Change>;

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// From where to where.
pub type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// From the first to the last.
pub const EVERYTHING: Bounds<'static> = (Bound::Unbounded, Bound::Unbounded);

/// Whether no key can lie within, as when the end is before the start.
fn is_empty(bounds: Bounds<'_>) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}

/// The direction of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Reverse,
}

/// Entries in order; ends after an error.
pub type Entries<'a> = Box<dyn Iterator<Item = EngineResult<Entry>> + 'a>;

/// An open storage engine. Shared between threads; calls block on the disk.
pub trait Engine: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> EngineKind;

    /// Applies a batch atomically, without making it durable.
    ///
    /// # Errors
    /// [`EngineError`]; whether the batch was applied is then unknown, and the engine must not be used on.
    fn write(&self, batch: Batch) -> EngineResult<()>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`EngineError`].
    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>>;

    /// The smallest entry within bounds.
    ///
    /// # Errors
    /// [`EngineError`].
    fn first(&self, space: Space, bounds: Bounds<'_>) -> EngineResult<Option<Entry>>;

    /// The state as it is now, for as long as the snapshot is held.
    fn snapshot(&self) -> Box<dyn Snapshot>;

    /// Makes durable what was written before the call. Writes may go on meanwhile.
    ///
    /// # Errors
    /// [`EngineError`]; the engine must not be used on.
    fn sync(&self) -> EngineResult<()>;

    /// Bytes it occupies on disk.
    ///
    /// # Errors
    /// [`EngineError`].
    fn disk_bytes(&self) -> EngineResult<u64>;
}

/// An unchanging view of an engine. Hold it briefly: it keeps old data from being removed.
pub trait Snapshot: Send {
    /// The value of a key.
    ///
    /// # Errors
    /// [`EngineError`].
    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>>;

    /// The entries within bounds.
    fn range<'a>(&'a self, space: Space, bounds: Bounds<'_>, order: Order) -> Entries<'a>;
}

/// The engines to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// fjall: log-structured, the default.
    #[default]
    Fjall,
    /// sled 0.34.
    Sled,
    /// All data in memory, with a snapshot file.
    Memory,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fjall, Self::Sled, Self::Memory];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("'{text}' is no storage engine; choose fjall, sled or memory"))
    }
}

/// Opens an engine, creating it if the directory is missing or empty. `cache_bytes` bounds its block
/// cache; write buffers come on top, bounded as each engine says.
///
/// # Errors
/// [`EngineError`].
pub fn open(kind: EngineKind, path: &Path, cache_bytes: u64) -> EngineResult<Arc<dyn Engine>> {
    let directory = OsDirectory::open(path).map_err(EngineError::io(kind, "create its directory"))?;
    Ok(match kind {
        EngineKind::Fjall => Arc::new(fjall_engine::FjallEngine::open(path, cache_bytes)?),
        EngineKind::Sled => Arc::new(sled_engine::SledEngine::open(path, cache_bytes)?),
        EngineKind::Memory => Arc::new(memory::MemoryEngine::open(Arc::new(directory))?),
    })
}

/// Deletes everything an engine stored in a directory. It must not be open.
///
/// # Errors
/// If it cannot be deleted completely.
pub fn destroy(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
