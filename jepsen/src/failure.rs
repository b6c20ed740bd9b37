//! What can go wrong with the suite itself, as opposed to the database.

use std::io;
use std::path::{Path, PathBuf};

use annulus_probe::course::NotSetUp;

/// Why a cell, or everything, cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The node's program is not there.
    #[error("{program} is not there; build it with: {remedy}")]
    Missing {
        /// What was looked for.
        program: PathBuf,
        /// The command that makes it.
        remedy: &'static str,
    },
    /// A cluster without faults did not come to serve.
    #[error("the cluster was not ready within {seconds} s; the end of node {node}'s log:\n{log}")]
    NotReady {
        /// A node that was not ready, from 1.
        node: usize,
        /// How long was waited.
        seconds: u64,
        /// The last lines that it wrote.
        log: String,
    },
    /// What the workload needs at its start was refused without any fault.
    #[error("before any fault: {0}")]
    Setup(#[from] NotSetUp),
    /// This machine's disk is so full that nodes would refuse writes.
    #[error(
        "the disk of {dir} is {used} % full: for more than {most} % nodes may refuse writes; make room, or set TMPDIR"
    )]
    NoRoom {
        /// Where the nodes' data would be.
        dir: PathBuf,
        /// How much is used, in percent.
        used: u64,
        /// How much may be.
        most: u64,
    },
    /// This machine or this kind of cluster cannot do that.
    #[error("not possible here: {0}")]
    Unsupported(String),
    /// A program that drives the cluster failed.
    #[error("`{command}` failed ({how}):\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        how: String,
        /// What it wrote.
        output: String,
    },
    /// A file or directory.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure {
    /// For `map_err` where a path is known.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
