//! What can go wrong with the log, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::storage::files::is_full;

/// Why the log cannot be opened, or has stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// A record that had been durable cannot be read.
    #[error(
        "the vote log is damaged in the middle: {file} at byte {offset}: {reason}. This node cannot keep what it \
         promised to others; replace it by a new node with an empty data directory (its data comes back from its ring)"
    )]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A segment, or all of them, is gone.
    #[error(
        "the vote log lacks {file}. Put the file back; if it is lost, replace this node by a new one with an empty \
         data directory (its data comes back from its ring)"
    )]
    Missing {
        /// What was expected.
        file: PathBuf,
    },
    /// Written by a later release.
    #[error("{file} has format version {version}, which this release does not know; start the release that wrote it")]
    Version {
        /// The segment.
        file: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk has no room for the log.
    #[error("no space to {action} {file} of the vote log: {source}; free space, then start the node again")]
    Full {
        /// What was being done.
        action: &'static str,
        /// To which file.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The disk or file system failed.
    #[error(
        "could not {action} {file} of the vote log: {source}; nothing more can be made durable, the node must stop. \
         Check the disk, then start the node again"
    )]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The log's thread could not be started.
    #[error("could not start a thread of the vote log: {0}; raise the limit on processes")]
    Thread(Arc<io::Error>),
    /// A checkpoint was finished too early; nothing was changed.
    #[error("the checkpoint is not durable yet; wait until its position is synced")]
    CheckpointNotSynced,
}

impl LogError {
    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, file: PathBuf) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let full = is_full(&error);
            let source = Arc::new(error);
            if full { Self::Full { action, file, source } } else { Self::Io { action, file, source } }
        }
    }
}
