//! Columns that are added to a table with rows, and whose values differ from row to row: identities, generated columns,
//! volatile defaults.
//!
//! The rows are written anew by the transaction that adds the column, so nobody ever sees it without values; and so there
//! may be no more rows than a transaction writes.

use std::sync::Arc;

use annulus_relation::Outcome;
use annulus_relation::catalog::{ColumnId, ObjectId};
use annulus_relation::ops::{Bounds, Checks, Cursor};
use annulus_relation::{SqlError, SqlResult, SqlState};
use annulus_txn::interface::Database;

use crate::dml::{Defaults, Ground, Target, Writing, finish};
use crate::statement::Work;

/// How many rows are read at a time.
const STRETCH: u32 = 1_000;

/// Gives all rows of a table values of some columns.
pub(super) async fn compute<D: Database>(work: &mut Work<'_, D>, table: ObjectId, columns: &[ColumnId]) -> Outcome<()> {
    let (target, defaults, positions) = prepared(work, table, columns)?;
    let ground = Ground::of(work);
    let evaluator = ground.evaluator();
    let mut writing = Writing::new(&ground, &evaluator, Checks::AtStatement);
    let given: Vec<usize> = (0..target.table.columns.len()).filter(|given| !positions.contains(given)).collect();
    let catalog = Arc::clone(&work.active.catalog);
    let mut cursor = Cursor::new(&target.physical, 0, &[Bounds::all()], None, false)?;
    loop {
        work.deadline.check()?;
        let left = work.deadline.left();
        let Some(tuples) = cursor.next(&mut work.active.transaction, &catalog, STRETCH, left).await? else { break };
        let rows = tuples.len() as u64;
        defaults.reserve(work, &given, rows).await?;
        for tuple in tuples {
            let mut row = tuple.values.clone();
            for position in &positions {
                row[*position] = work.evaluated(rows, || defaults.value(*position, &evaluator)).await?;
            }
            writing.writer.update(table, tuple, row).map_err(|error| of_definition(error, &target.table.name))?;
        }
    }
    finish(work, writing.writer).await
}

fn prepared<D: Database>(
    work: &Work<'_, D>,
    table: ObjectId,
    columns: &[ColumnId],
) -> SqlResult<(Target, Defaults, Vec<usize>)> {
    let missing = || SqlError::new(SqlState::INTERNAL_ERROR, "a column of a table that is not there");
    let setting = work.setting();
    let table = work.active.catalog.table_by_id(table).ok_or_else(missing)?;
    let position = |column: &ColumnId| table.columns.iter().position(|found| found.id == *column).ok_or_else(missing);
    let positions = columns.iter().map(position).collect::<SqlResult<_>>()?;
    let target = Target::of(&setting, Arc::clone(table), None)?;
    let defaults = Defaults::of(&target, &setting)?;
    Ok((target, defaults, positions))
}

/// A row's error as one of the definition that it does not fit.
fn of_definition(error: SqlError, table: &str) -> SqlError {
    let report = error.report();
    let message = match (report.state, &report.constraint, &report.column) {
        (SqlState::PROGRAM_LIMIT_EXCEEDED, ..) => {
            let hint =
                "Add the column without a default, update the rows in several transactions, and set the default.";
            return error.hint(hint);
        }
        (SqlState::CHECK_VIOLATION, Some(check), _) => {
            format!("check constraint \"{check}\" of relation \"{table}\" is violated by some row")
        }
        (SqlState::NOT_NULL_VIOLATION, _, Some(column)) => {
            format!("column \"{column}\" of relation \"{table}\" contains null values")
        }
        _ => return error,
    };
    SqlError::new(report.state, message)
}
