//! How far the `COPY` statements of a node's sessions are: what `pg_stat_progress_copy` shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use annulus_relation::Value;
use annulus_relation::catalog::ObjectId;

use super::shared::lock;

type Fields = Vec<(&'static str, Value)>;

/// The `COPY` statements at work, by their sessions' numbers. A session runs one at a time.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<BTreeMap<i32, Copied>>);

/// What is copied, and how much of it so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    /// `COPY FROM` or `COPY TO`.
    pub command: &'static str,
    /// The database's number.
    pub database: u32,
    /// 0 for the rows of a query.
    pub table: ObjectId,
    pub bytes: usize,
    pub rows: u64,
    /// Rows that `WHERE` has left out.
    pub excluded: u64,
}

/// A `COPY` at work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Copying {
    all: Arc<Copies>,
    session: i32,
}

impl Copies {
    /// A session begins to copy.
    pub fn begin(self: &Arc<Self>, session: i32, what: Copied) -> Copying {
        lock(&self.0).insert(session, what);
        Copying { all: Arc::clone(self), session }
    }

    /// The rows of `pg_stat_progress_copy`, but for the databases' names.
    pub fn rows(&self) -> Vec<Fields> {
        let count = |count: u64| Value::Int8(i64::try_from(count).unwrap_or(i64::MAX));
        let row = |(session, copied): (&i32, &Copied)| {
            vec![
                ("pid", Value::Int4(*session)),
                ("datid", Value::Oid(copied.database)),
                ("relid", Value::Oid(copied.table)),
                ("command", Value::text(copied.command)),
                ("type", Value::text("PIPE")),
                ("bytes_processed", count(copied.bytes as u64)),
                // How much there will be is known to the client alone.
                ("bytes_total", count(0)),
                ("tuples_processed", count(copied.rows)),
                ("tuples_excluded", count(copied.excluded)),
            ]
        };
        lock(&self.0).iter().map(row).collect()
    }
}

impl Copying {
    /// There was more.
    pub fn note(&self, bytes: usize, rows: u64, excluded: u64) {
        if let Some(copied) = lock(&self.all.0).get_mut(&self.session) {
            copied.bytes += bytes;
            copied.rows += rows;
            copied.excluded += excluded;
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        lock(&self.all.0).remove(&self.session);
    }
}
