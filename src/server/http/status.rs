//! What a node says about itself: the JSON of `GET /status`, and how the node is asked for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// A node's view of itself and its cluster at one moment. Durations are in milliseconds, sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node that answers.
    pub node: NodeStatus,
    /// What it knows of the cluster.
    pub cluster: ClusterStatus,
    /// Locks held by its replica.
    pub locks: LockStatus,
    /// Transactions prepared here and undecided, the oldest first; at most [`LISTED`].
    pub undecided: Vec<UndecidedStatus>,
    /// How many there are in all.
    pub undecided_total: usize,
    /// The vote log.
    pub log: LogStatus,
    /// The storage engine.
    pub engine: EngineStatus,
    /// Key-value clients.
    pub clients: ClientStatus,
}

/// Most undecided transactions that a status lists.
pub const LISTED: usize = 100;

/// The node that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its number, once it is a member.
    pub id: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Its number of starts.
    pub incarnation: u32,
    /// Time since this start.
    pub uptime_ms: u64,
    /// Why it cannot serve now; `None` if it can.
    pub not_ready: Option<String>,
}

/// The cluster as the node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Its id, once it has formed.
    pub id: Option<String>,
    /// The number of the topology; 0 before the first.
    pub epoch: u64,
    /// The members in ring order, this node included.
    pub members: Vec<MemberStatus>,
    /// Timestamp below which decisions may be forgotten, as text.
    pub low_water: String,
}

/// One member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its number.
    pub id: u32,
    /// Its name, if known.
    pub name: String,
    /// Its failure zone.
    pub zone: String,
    /// Its share of the token space, in hundredths of a percent.
    pub share: u32,
    /// Whether it is believed alive.
    pub up: bool,
    /// Since when it was last heard of; 0 for the node itself, `None` if never.
    pub last_heard_ms: Option<u64>,
    /// How far its low-water mark lies behind, if known.
    pub lag_ms: Option<u64>,
    /// Its number of starts, if known.
    pub incarnation: Option<u32>,
    /// Its program's version, if known.
    pub version: Option<String>,
    /// Where it is reached, by what for: `peer`, `kv`, `sql`, `http`.
    pub addresses: BTreeMap<String, String>,
}

/// Locks of the node's replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockStatus {
    /// Keys that are locked, soft or prepared.
    pub keys: usize,
    /// Partitions that they lie in.
    pub partitions: usize,
}

/// An undecided transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecidedStatus {
    /// What its outcome can be asked by.
    pub transaction: String,
    /// Since when it is prepared here.
    pub age_ms: u64,
}

/// The vote log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Its size on disk.
    pub bytes: u64,
    /// Records appended and not yet synced.
    pub unsynced: u64,
    /// Since when the last checkpoint is finished; `None` if there was none since the start.
    pub checkpoint_age_ms: Option<u64>,
}

/// The storage engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStatus {
    /// Which one.
    pub name: String,
    /// Its size on disk.
    pub bytes: u64,
    /// Used share of the disk, in percent.
    pub disk_used_percent: u8,
}

/// Key-value clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// Connected now.
    pub connected: usize,
    /// Requests at work now.
    pub requests: usize,
}

/// A question to the node's event loop; it answers by sending, and need not care if nobody listens any more.
pub type StatusRequest = oneshot::Sender<Status>;

/// The asking end, for any thread.
#[derive(Clone, Debug)]
pub struct StatusHandle {
    questions: mpsc::Sender<StatusRequest>,
}

/// Why there is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// The event loop is busy or stuck.
    #[error("the node did not answer within {} s; it is overloaded or stuck, ask again later", PATIENCE.as_secs())]
    Busy,
    /// The event loop has ended.
    #[error("the node is stopping")]
    Stopping,
}

/// How long the event loop may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions that may wait at once.
const WAITING: usize = 16;

impl StatusHandle {
    /// The asking end, and the end that the node's event loop answers.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<StatusRequest>) {
        let (questions, answered) = mpsc::channel(WAITING);
        (Self { questions }, answered)
    }

    /// Asks the node.
    ///
    /// # Errors
    /// If it does not answer in time or has stopped.
    pub async fn ask(&self) -> Result<Status, StatusError> {
        let (answer, status) = oneshot::channel();
        let exchange = async {
            self.questions.send(answer).await.map_err(|_| StatusError::Stopping)?;
            status.await.map_err(|_| StatusError::Stopping)
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| StatusError::Busy)?
    }
}
