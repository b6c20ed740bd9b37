//! How many rows tables have, as far as what ran has shown.

use std::collections::HashMap;
use std::sync::Mutex;

use annulus_relation::catalog::{ColumnId, ObjectId};

use super::shared::lock;
use crate::query::Statistics;

/// Counts that complete scans have come to, by table.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    rows: Mutex<HashMap<ObjectId, u64>>,
}

impl Sampled {
    /// A scan of a whole table has found so many rows.
    pub fn note(&self, table: ObjectId, rows: u64) {
        lock(&self.rows).insert(table, rows);
    }
}

impl Statistics for Sampled {
    fn rows(&self, table: ObjectId) -> Option<u64> {
        lock(&self.rows).get(&table).copied()
    }

    fn distinct(&self, _: ObjectId, _: ColumnId) -> Option<u64> {
        None
    }
}
