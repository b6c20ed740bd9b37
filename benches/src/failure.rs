//! What can go wrong outside of a single operation.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::Refusal;

/// Why a peer or the whole benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A peer's programs are not there.
    #[error("{program} is not installed; get it with: {remedy}")]
    Missing {
        /// What was looked for.
        program: String,
        /// The command that brings it.
        remedy: &'static str,
    },
    /// A helper program failed.
    #[error("{program} failed ({how}):\n{output}")]
    Helper {
        /// Its name.
        program: String,
        /// Its exit status.
        how: String,
        /// What it wrote.
        output: String,
    },
    /// A server ended by itself.
    #[error("{name} ended ({how}); the end of its log:\n{log}")]
    Died {
        /// The server.
        name: String,
        /// Its exit status.
        how: String,
        /// The last lines it wrote.
        log: String,
    },
    /// A peer's servers run but do not serve.
    #[error("{name} did not serve within {within:?}: {last}")]
    NotReady {
        /// The peer.
        name: &'static str,
        /// How long it was given.
        within: Duration,
        /// What the last try said.
        last: String,
    },
    /// A client's operation failed where none may.
    #[error("{name}: {refusal}")]
    Client {
        /// The peer.
        name: &'static str,
        /// What it said.
        refusal: Refusal,
    },
    /// Money was made or lost.
    #[error("{name} lost updates: all accounts hold {found}, not {expected}")]
    NotConserved {
        /// The peer.
        name: &'static str,
        /// The sum read.
        found: i64,
        /// The sum at the start.
        expected: i64,
    },
    /// Answers are not those of another database.
    #[error("results differ from PostgreSQL's:\n{0}")]
    Wrong(String),
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No peer is left to measure.
    #[error("no peer can be measured")]
    NoPeers,
    /// A signal came.
    #[error("stopped by a signal")]
    Stopped,
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}
