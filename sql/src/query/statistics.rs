//! What is known about the data of tables, and what it says about conditions.
//!
//! Anything may be unknown or out of date: only speed depends on it.

use std::cmp::Ordering;
use std::sync::Arc;

use annulus_relation::Value;
use annulus_relation::catalog::{ColumnId, ObjectId};
use annulus_relation::value::compare;

/// Into how many parts of the same size a histogram divides values, as PostgreSQL does by default.
const PARTS: usize = 100;

/// What is known about the data of a database.
pub trait Statistics: std::fmt::Debug + Send + Sync {
    /// About how many rows a table has.
    fn rows(&self, table: ObjectId) -> Option<u64>;

    /// What a column's values are like.
    fn column(&self, table: ObjectId, column: ColumnId) -> Option<Arc<ColumnStatistics>>;
}

/// Nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStatistics;

impl Statistics for NoStatistics {
    fn rows(&self, _: ObjectId) -> Option<u64> {
        None
    }

    fn column(&self, _: ObjectId, _: ColumnId) -> Option<Arc<ColumnStatistics>> {
        None
    }
}

/// What a column's values are like.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStatistics {
    /// About how many different values there are, NULL not counted; 1 at least.
    pub distinct: f64,
    /// The part of the rows that have NULL.
    pub nulls: f64,
    /// Values in order, from the least to the greatest, between which there are about as many rows each; a frequent
    /// value is there several times. None if all rows have NULL.
    bounds: Vec<Value>,
}

impl ColumnStatistics {
    /// Made from a random sample of the values of a table with so many rows.
    ///
    /// Source of the number of different values: Haas and Stokes, IBM Research Report RJ 10025, estimator Duj1, which
    /// PostgreSQL's `ANALYZE` uses too.
    #[must_use]
    pub fn of_sample(mut sample: Vec<Value>, rows: u64) -> Self {
        let taken = sample.len();
        sample.retain(|value| !value.is_null());
        sample.sort_by(compare);
        let nulls = if taken == 0 { 0.0 } else { (taken - sample.len()) as f64 / taken as f64 };
        let (mut different, mut once) = (0_usize, 0_usize);
        for run in sample.chunk_by(|a, b| compare(a, b) == Ordering::Equal) {
            different += 1;
            once += usize::from(run.len() == 1);
        }
        let (size, different, once) = (sample.len() as f64, different as f64, once as f64);
        let all = (rows as f64 * (1.0 - nulls)).max(size);
        let distinct = match sample.is_empty() {
            true => 1.0,
            false => (size * different / (size - once + once * size / all)).clamp(different, all),
        };
        let parts = PARTS.min(sample.len().saturating_sub(1));
        let bound = |part: usize| sample[part * (sample.len() - 1) / parts.max(1)].clone();
        let bounds = if sample.is_empty() { Vec::new() } else { (0..=parts).map(bound).collect() };
        Self { distinct, nulls, bounds }
    }

    /// The part of all rows that have this value.
    #[must_use]
    pub fn equal(&self, value: &Value) -> f64 {
        let (Some(least), Some(greatest)) = (self.bounds.first(), self.bounds.last()) else { return 0.0 };
        let outside = compare(value, least) == Ordering::Less || compare(value, greatest) == Ordering::Greater;
        // What is there several times is frequent; the other values share what is left.
        let runs = self.bounds.chunk_by(|a, b| compare(a, b) == Ordering::Equal).filter(|run| run.len() > 1);
        let (frequent, taken) = runs.clone().fold((0, 0), |(runs, rows), run| (runs + 1, rows + run.len()));
        let all = self.bounds.len() as f64;
        let own = runs.clone().find(|run| compare(&run[0], value) == Ordering::Equal);
        let part = match own {
            _ if outside => 0.0,
            Some(run) => run.len() as f64 / all,
            None => (1.0 - taken as f64 / all) / (self.distinct - f64::from(frequent)).max(1.0),
        };
        part * (1.0 - self.nulls)
    }

    /// The part of all rows that have a lesser value.
    #[must_use]
    pub fn below(&self, value: &Value) -> f64 {
        let parts = self.bounds.len().saturating_sub(1).max(1) as f64;
        let below = self.bounds.partition_point(|bound| compare(bound, value) == Ordering::Less);
        let part = match below {
            0 => 0.0,
            all if all == self.bounds.len() => 1.0,
            // Somewhere between two bounds.
            some => (some as f64 - 0.5) / parts,
        };
        part * (1.0 - self.nulls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: impl IntoIterator<Item = i32>) -> Vec<Value> {
        numbers.into_iter().map(Value::Int4).collect()
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 0.02
    }

    #[test]
    fn a_whole_tables_values_are_counted() {
        let mut sample = numbers((0..1_000).map(|n| n % 250));
        sample.extend(std::iter::repeat_n(Value::Null, 1_000));
        let column = ColumnStatistics::of_sample(sample, 2_000);
        assert_eq!((column.distinct, column.nulls), (250.0, 0.5));
        assert!(near(column.equal(&Value::Int4(7)), 0.002), "{}", column.equal(&Value::Int4(7)));
        assert!(near(column.below(&Value::Int4(125)), 0.25) && near(column.below(&Value::Int4(25)), 0.05));
        assert!(column.below(&Value::Int4(-1)) == 0.0 && near(column.below(&Value::Int4(250)), 0.5));
        assert_eq!(column.equal(&Value::Int4(250)), 0.0);
    }

    #[test]
    fn a_samples_values_stand_for_many() {
        // All different in the sample: so they are in the table.
        let unique = ColumnStatistics::of_sample(numbers(0..1_000), 1_000_000);
        assert_eq!(unique.distinct, 1_000_000.0);
        // Each a hundred times: hardly any are missing in the sample.
        let few = ColumnStatistics::of_sample(numbers((0..1_000).map(|n| n % 10)), 1_000_000);
        assert_eq!(few.distinct, 10.0);
    }

    #[test]
    fn frequent_values_are_known() {
        let column = ColumnStatistics::of_sample(numbers((0..1_000).map(|n| if n < 800 { 5 } else { n })), 100_000);
        assert!(near(column.equal(&Value::Int4(5)), 0.8), "{}", column.equal(&Value::Int4(5)));
        assert!(column.equal(&Value::Int4(900)) < 0.01);
        // Of three values, one in ten: not one in three.
        let skewed = (0..1_000).map(|n| if n % 10 == 0 { 7 } else { 8 + n % 2 });
        let column = ColumnStatistics::of_sample(numbers(skewed), 1_000);
        assert!(near(column.equal(&Value::Int4(7)), 0.1), "{}", column.equal(&Value::Int4(7)));
    }

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        let column = ColumnStatistics::of_sample(Vec::new(), 0);
        assert_eq!((column.distinct, column.equal(&Value::Int4(1)), column.below(&Value::Int4(1))), (1.0, 0.0, 0.0));
        let one = ColumnStatistics::of_sample(numbers([3]), 1);
        assert_eq!(
            (one.equal(&Value::Int4(3)), one.below(&Value::Int4(3)), one.below(&Value::Int4(4))),
            (1.0, 0.0, 1.0)
        );
    }
}
