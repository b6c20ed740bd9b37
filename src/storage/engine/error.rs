//! What can go wrong with an engine, and what to do about it.

use std::io;
use std::sync::Arc;

use super::EngineKind;
use crate::storage::files::is_full;

/// Result of an engine's operation.
pub type EngineResult<T> = Result<T, EngineError>;

/// Why an engine cannot go on. The node must stop.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// No room on the disk.
    #[error("the storage engine {kind} found no space to {action}: {source}; free space, then start the node again")]
    Full {
        /// Which engine.
        kind: EngineKind,
        /// What it was doing.
        action: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The disk or file system failed.
    #[error("the storage engine {kind} could not {action}: {source}; check the disk, then start the node again")]
    Io {
        /// Which engine.
        kind: EngineKind,
        /// What it was doing.
        action: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// What is stored is damaged.
    #[error(
        "the storage engine {kind} is damaged: {detail}. Replace this node by a new one with an empty data directory \
         (its data comes back from its ring)"
    )]
    Damaged {
        /// Which engine.
        kind: EngineKind,
        /// What it said.
        detail: String,
    },
    /// The engine failed in another way.
    #[error("the storage engine {kind} failed: {detail}; start the node again")]
    Failed {
        /// Which engine.
        kind: EngineKind,
        /// What it said.
        detail: String,
    },
}

impl EngineError {
    /// For `map_err` on file operations.
    pub(super) fn io(kind: EngineKind, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let full = is_full(&error);
            let source = Arc::new(error);
            if full { Self::Full { kind, action, source } } else { Self::Io { kind, action, source } }
        }
    }
}
