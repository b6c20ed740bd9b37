//! Checkpoints of the engine, and the check that it still holds the last one.
//!
//! The vote log is trimmed once the engine is synced, so an engine that is emptied, exchanged for another or
//! put back from an old copy afterwards would silently lack decided versions. Each checkpoint therefore
//! has a number, written into the engine before its sync and into the node's records ([`Meta`]) after
//! it; at start the engine's number must not be the lower one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::engine::{self, Change, Engine, EngineError, EngineKind, Space};
use super::meta::{Meta, MetaError};

const KEY: &[u8] = b"checkpoint";
const RECORD: &str = "engine";

/// Why an engine cannot be used, or a checkpoint failed. The node must stop.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The node's records could not be read or written.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The configuration names another engine than the one that holds the data.
    #[error(
        "this node's data is kept by the storage engine {stored}, but the configuration says {configured}; set it back"
    )]
    OtherEngine {
        /// What the data is in.
        stored: String,
        /// What the configuration says.
        configured: EngineKind,
    },
    /// The engine holds less than it did.
    #[error(
        "the storage engine in {path} has lost data: it holds checkpoint {found}, but checkpoint {expected} was reached. \
         Put its files back; if they are lost, replace this node by a new one with an empty data directory \
         (its data comes back from its ring)"
    )]
    Older {
        /// The engine's directory.
        path: PathBuf,
        /// What it holds.
        found: u64,
        /// What it held.
        expected: u64,
    },
}

/// Opens the engine and takes its checkpoints.
pub struct Checkpoints {
    engine: Arc<dyn Engine>,
    meta: Arc<Meta>,
}

impl Checkpoints {
    /// Opens an engine, and checks that it is the one and holds what it did.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(kind: EngineKind, path: &Path, cache_bytes: u64, meta: Arc<Meta>) -> Result<Self, CheckpointError> {
        let (stored, expected) = read_record(&meta);
        if stored.as_ref().is_some_and(|stored| stored != kind.name()) {
            let stored = stored.unwrap_or_default();
            return Err(CheckpointError::OtherEngine { stored, configured: kind });
        }
        let engine = engine::open(kind, path, cache_bytes)?;
        let found = number(engine.get(Space::System, KEY)?.as_deref());
        if found < expected {
            return Err(CheckpointError::Older { path: path.to_owned(), found, expected });
        }
        let checkpoints = Self { engine, meta };
        if stored.is_none() {
            checkpoints.write_record(found)?;
        }
        Ok(checkpoints)
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.engine)
    }

    /// Makes durable everything written to the engine before the call. Blocks; writes may go on meanwhile,
    /// but only one checkpoint at a time.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn run(&self) -> Result<(), CheckpointError> {
        let next = number(self.engine.get(Space::System, KEY)?.as_deref()) + 1;
        let value = Some(Bytes::copy_from_slice(&next.to_le_bytes()));
        self.engine.write(vec![Change { space: Space::System, key: Bytes::from_static(KEY), value }])?;
        self.engine.sync()?;
        self.write_record(next)
    }

    fn write_record(&self, checkpoint: u64) -> Result<(), CheckpointError> {
        let record = [&checkpoint.to_le_bytes()[..], self.engine.kind().name().as_bytes()].concat();
        Ok(self.meta.put(RECORD, &record)?)
    }
}

/// The engine's name and its last checkpoint.
fn read_record(meta: &Meta) -> (Option<String>, u64) {
    let Some(record) = meta.get(RECORD) else { return (None, 0) };
    let name = record.get(8..).map(|name| String::from_utf8_lossy(name).into_owned());
    (name, number(record.get(..8)))
}

fn number(value: Option<&[u8]>) -> u64 {
    value.and_then(|value| value.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::OsDirectory;

    fn meta(dir: &Path) -> Arc<Meta> {
        Arc::new(Meta::open(Arc::new(OsDirectory::open(&dir.join("meta")).unwrap()), false).unwrap())
    }

    fn open(kind: EngineKind, dir: &Path) -> Result<Checkpoints, CheckpointError> {
        Checkpoints::open(kind, &dir.join("engine"), 1 << 20, meta(dir))
    }

    #[test]
    fn an_engine_that_lost_its_checkpoint_is_refused() {
        for kind in EngineKind::ALL {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            drop(open(kind, dir).unwrap());
            for _ in 0..3 {
                open(kind, dir).unwrap().run().unwrap();
            }
            let other = EngineKind::ALL.into_iter().find(|other| *other != kind).unwrap();
            assert!(matches!(open(other, dir), Err(CheckpointError::OtherEngine { .. })));
            drop(open(kind, dir).unwrap());
            engine::destroy(&dir.join("engine")).unwrap();
            let refused = open(kind, dir).err().unwrap();
            assert!(matches!(refused, CheckpointError::Older { found: 0, expected: 3, .. }), "{refused}");
        }
    }

    #[test]
    fn a_checkpoint_whose_record_was_not_written_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = open(EngineKind::Fjall, dir.path()).unwrap();
        checkpoints.run().unwrap();
        checkpoints.write_record(0).unwrap();
        drop(checkpoints);
        open(EngineKind::Fjall, dir.path()).unwrap();
    }
}
