//! The node: starts up in order, drives the pure crates, serves clients, and stops in order.
//!
//! Everything runs on one thread, inside a `LocalSet`; only the vote log's writer and the engine have
//! threads of their own.

mod clock;
mod counted;
mod database;
mod driver;
mod housekeeping;
mod open_files;
mod sql;
mod startup;
mod status;

pub use clock::{Clock, ClockError};
pub use database::NodeDatabase;
pub use driver::Driver;
pub use startup::run;

use std::path::PathBuf;

use annulus_relation::SqlError;
use annulus_replica::store::StoreError;
use annulus_ring::TopologyError;

use crate::config::ListenError;
use crate::net::bootstrap::FoundingError;
use crate::net::gossip::GossipError;
use crate::storage::checkpoint::CheckpointError;
use crate::storage::data_dir::DataDirError;
use crate::storage::log::LogError;
use crate::storage::meta::MetaError;
use crate::storage::records::RecordError;

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A port cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The node's own records cannot be used.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The record of the cluster's founding cannot be understood.
    #[error("the record of this node's founding cannot be read; it was written by another version of this program")]
    Founder,
    /// The cluster could not be formed.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// The stored topology cannot be used.
    #[error("the stored topology cannot be used: {0}")]
    Topology(#[from] TopologyError),
    /// The vote log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log record cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The storage engine cannot be used, or not be synced.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The store failed.
    #[error("the store failed: {0}; nothing acknowledged is lost, it is in the vote log")]
    Store(#[from] StoreError),
    /// The node stopped by itself.
    #[error("the node in {} stopped because it cannot go on safely: {failure}{advice}", data_dir.display())]
    Stopped {
        /// Where its data is.
        data_dir: PathBuf,
        /// What happened.
        failure: Box<NodeError>,
        /// What to do about it, if the failure does not say so.
        advice: &'static str,
    },
    /// Queries cannot be run.
    #[error("the threads of queries cannot be started: {0}")]
    Sql(#[from] SqlError),
    /// Gossip cannot start.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
