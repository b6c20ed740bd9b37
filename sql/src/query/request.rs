//! How a running query asks its session for rows.
//!
//! Storage is read on the node's thread, through the session's transaction, while queries run on threads of their own.
//! A scan asks for one stretch of rows at a time and gets it in one answer, so that the session keeps nothing between
//! two requests, no order of requests can block either side, and a scan that nobody continues costs nothing.

use std::any::Any;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use annulus_base::PartitionId;
use annulus_relation::catalog::{ColumnId, Index, ObjectId, Table};
use annulus_relation::{Row, SqlError, SqlResult, SqlState, Value};
use tokio::sync::{mpsc, oneshot};

use super::columns::{Collecting, Kept};

/// What a scan reads.
#[derive(Clone, Debug)]
pub struct ScanSpec {
    /// The table.
    pub table: Arc<Table>,
    /// The index to read; the first of the table's is the primary one, which holds the rows.
    pub index: ObjectId,
    /// Which keys: disjoint ranges in no particular order. More rows than these may be given: the query checks its
    /// conditions itself. None means no row.
    pub ranges: Vec<KeyRange>,
    /// The columns that rows consist of, in this order.
    pub columns: Vec<ColumnId>,
    /// Whether rows must come in the index's order. Otherwise any order does.
    pub ordered: bool,
    /// No more rows than these will be wanted.
    pub limit: Option<u64>,
    /// Whether all rows of a large table are read, so that their columns may be kept, and kept ones be given.
    pub keeps: bool,
}

impl ScanSpec {
    /// The descriptor of the index.
    #[must_use]
    pub fn descriptor(&self) -> Option<&Index> {
        self.table.indexes.iter().find(|index| index.id == self.index)
    }
}

/// Keys of an index: those that begin with `equal`, and whose next part lies between the bounds. Values have the types
/// of the key's parts; bounds are in the order of values (not of the index: a descending part is read backwards).
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRange {
    /// The first parts' values; NULL means NULL.
    pub equal: Vec<Value>,
    /// The least value of the next part.
    pub lower: Bound<Value>,
    /// The greatest value of the next part. If either bound is given, NULL does not lie between them.
    pub upper: Bound<Value>,
}

impl KeyRange {
    /// All keys.
    #[must_use]
    pub const fn all() -> Self {
        Self { equal: Vec::new(), lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    /// Keys that begin with some values.
    #[must_use]
    pub const fn equal(values: Vec<Value>) -> Self {
        Self { equal: values, lower: Bound::Unbounded, upper: Bound::Unbounded }
    }
}

/// Where a scan stands: whatever the session needs to go on, made by it and given back to it.
pub type Resume = Box<dyn Any + Send>;

/// A request for one stretch of rows.
pub struct ScanRequest {
    /// What is read.
    pub spec: Arc<ScanSpec>,
    /// Where to go on; `None` at the beginning.
    pub resume: Option<Resume>,
    /// About how many rows are wanted.
    pub rows: usize,
    /// Where the answer goes.
    pub reply: oneshot::Sender<SqlResult<Stretch>>,
}

impl fmt::Debug for ScanRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanRequest")
            .field("spec", &self.spec)
            .field("resumed", &self.resume.is_some())
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// Some rows of a scan.
#[derive(Default)]
pub struct Stretch {
    /// The rows: values of the columns asked for.
    pub rows: Vec<Row>,
    /// The partitions that they are of, with the number of rows of each, where that matters.
    pub parts: Vec<(PartitionId, usize)>,
    /// More rows: whatever is kept of whole partitions.
    pub kept: Vec<Arc<Kept>>,
    /// Where the rows of this stretch and those after it are to be kept.
    pub collecting: Option<Collecting>,
    /// Where to go on; `None` if this was the end.
    pub resume: Option<Resume>,
    /// How many bytes were read.
    pub bytes: u64,
    /// How many round trips to other nodes it took.
    pub round_trips: u64,
}

impl fmt::Debug for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stretch").field("rows", &self.rows.len()).field("ended", &self.resume.is_none()).finish()
    }
}

/// A running query's way to its session.
pub type Scans = mpsc::Sender<ScanRequest>;

fn gone() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "the session of this query has ended")
}

/// Asks for one stretch.
pub(super) async fn begin(
    scans: &Scans,
    spec: &Arc<ScanSpec>,
    resume: Option<Resume>,
    rows: usize,
) -> SqlResult<oneshot::Receiver<SqlResult<Stretch>>> {
    let (reply, answer) = oneshot::channel();
    let request = ScanRequest { spec: Arc::clone(spec), resume, rows, reply };
    scans.send(request).await.map_err(|_| gone())?;
    Ok(answer)
}

/// Waits for it.
pub(super) async fn finish(answer: oneshot::Receiver<SqlResult<Stretch>>) -> SqlResult<Stretch> {
    answer.await.map_err(|_| gone())?
}
