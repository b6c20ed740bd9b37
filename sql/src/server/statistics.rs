//! What tables hold, as far as what ran has shown: scans of whole tables count their rows and sample their values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use annulus_base::PartitionId;
use annulus_base::rng::Rng;
use annulus_relation::catalog::{ColumnId, ObjectId, Table};
use annulus_relation::{Row, Value};

use super::shared::lock;
use crate::query::{ColumnStatistics, Statistics};

/// Rows in a sample.
const SAMPLE: usize = 1_000;
/// Longer texts are cut in a sample, bytes.
const MOST_BYTES: usize = 128;
/// Tables that are remembered.
const MOST_TABLES: usize = 4_096;

/// A table of some database, which is told by where its catalog is.
type TableKey = (PartitionId, ObjectId);

#[derive(Debug, Default)]
struct TableStatistics {
    rows: u64,
    columns: HashMap<ColumnId, Arc<ColumnStatistics>>,
}

/// What is known about the tables of a node's databases.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    tables: Mutex<HashMap<TableKey, TableStatistics>>,
}

impl Sampled {
    /// A scan of a whole table has come to its end.
    pub fn note(&self, database: PartitionId, sampling: Sampling) {
        let (key, rows) = ((database, sampling.table), sampling.seen);
        let columns = sampling.into_columns();
        let mut tables = lock(&self.tables);
        if tables.len() >= MOST_TABLES && !tables.contains_key(&key) {
            let other = tables.keys().next().copied();
            other.and_then(|other| tables.remove(&other));
        }
        let table = tables.entry(key).or_default();
        table.rows = rows;
        table.columns.extend(columns);
    }

    /// What is known about one database.
    pub fn of(self: &Arc<Self>, database: PartitionId) -> Arc<dyn Statistics> {
        Arc::new(OfDatabase { sampled: Arc::clone(self), database })
    }
}

#[derive(Debug)]
struct OfDatabase {
    sampled: Arc<Sampled>,
    database: PartitionId,
}

impl Statistics for OfDatabase {
    fn rows(&self, table: ObjectId) -> Option<u64> {
        lock(&self.sampled.tables).get(&(self.database, table)).map(|table| table.rows)
    }

    fn column(&self, table: ObjectId, column: ColumnId) -> Option<Arc<ColumnStatistics>> {
        lock(&self.sampled.tables).get(&(self.database, table))?.columns.get(&column).map(Arc::clone)
    }
}

/// A random sample of the rows that a scan finds.
///
/// Source: reservoir sampling, Waterman's algorithm R, in Knuth, The Art of Computer Programming, volume 2, 3.4.2.
#[derive(Debug)]
pub(crate) struct Sampling {
    table: ObjectId,
    columns: Vec<ColumnId>,
    seen: u64,
    rows: Vec<Row>,
    rng: Rng,
}

impl Sampling {
    /// Of scans that find these columns of a table.
    pub fn new(table: &Table, columns: &[ColumnId]) -> Self {
        let rng = Rng::new(u64::from(table.id));
        Self { table: table.id, columns: columns.to_vec(), seen: 0, rows: Vec::new(), rng }
    }

    /// The scan has found these.
    pub fn add(&mut self, rows: &[Row]) {
        for row in rows {
            self.seen += 1;
            if self.rows.len() < SAMPLE {
                self.rows.push(row.iter().map(cut).collect());
                continue;
            }
            let place = self.rng.below(self.seen) as usize;
            if let Some(other) = self.rows.get_mut(place) {
                *other = row.iter().map(cut).collect();
            }
        }
    }

    fn into_columns(mut self) -> Vec<(ColumnId, Arc<ColumnStatistics>)> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (place, column) in self.columns.iter().enumerate() {
            let values = self.rows.iter_mut().filter_map(|row| row.get_mut(place));
            let sample = values.map(|value| std::mem::replace(value, Value::Null)).collect();
            columns.push((*column, Arc::new(ColumnStatistics::of_sample(sample, self.seen))));
        }
        columns
    }
}

/// The value, or its beginning if it is a long text, which has nearly the same place in the order.
fn cut(value: &Value) -> Value {
    match value {
        Value::Text(text) if text.len() > MOST_BYTES => Value::text(&text[..text.floor_char_boundary(MOST_BYTES)]),
        Value::Bytea(bytes) if bytes.len() > MOST_BYTES => Value::Bytea(bytes.slice(..MOST_BYTES)),
        // Neither has an order that a part of it would keep.
        Value::Json(text) | Value::Jsonb(text) if text.len() > MOST_BYTES => Value::Null,
        Value::Array(values) if values.len() > MOST_BYTES => Value::Null,
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_all_rows_alike() {
        let mut sampling = Sampling { table: 1, columns: vec![1, 2], seen: 0, rows: Vec::new(), rng: Rng::new(1) };
        for stretch in 0..100 {
            let row = |n: i32| vec![Value::Int4(stretch * 100 + n), Value::text("x".repeat(1_000))];
            sampling.add(&(0..100).map(row).collect::<Vec<_>>());
        }
        assert_eq!(sampling.rows.len(), SAMPLE);
        assert!(sampling.rows.iter().all(|row| row[1] == Value::text("x".repeat(MOST_BYTES))));
        let sampled = Arc::new(Sampled::default());
        let database = PartitionId::default();
        sampled.note(database, sampling);
        let known = sampled.of(database);
        assert_eq!(known.rows(1), Some(10_000));
        let numbers = known.column(1, 1).expect("sampled");
        let below = numbers.below(&Value::Int4(5_000));
        assert!((0.45..0.55).contains(&below) && numbers.distinct > 9_000.0, "{below} {numbers:?}");
        assert_eq!(known.column(1, 2).expect("sampled").distinct, 1.0);
        assert!(known.column(1, 3).is_none() && known.rows(2).is_none());
    }
}
