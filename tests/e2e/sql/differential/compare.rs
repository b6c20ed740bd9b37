//! When two outcomes of a statement are the same.

use tokio_postgres::SimpleQueryMessage;

use super::super::client::{Sql, code, told};
use super::generator::Statement;

/// What a statement did.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Its rows, and how many rows it says it touched.
    Done { rows: Vec<Vec<Option<String>>>, count: u64 },
    /// Its SQLSTATE, message and detail.
    Failed { code: String, told: String },
}

impl Outcome {
    pub fn of(sql: &Sql, statement: &str) -> Self {
        match sql.runtime.block_on(sql.client.simple_query(statement)) {
            Err(error) => {
                let detail = error.as_db_error().and_then(|error| error.detail()).unwrap_or_default();
                Self::Failed { code: code(&error).to_owned(), told: format!("{} {detail}", told(&error)) }
            }
            Ok(messages) => {
                let (mut rows, mut touched) = (Vec::new(), 0);
                for message in messages {
                    match message {
                        SimpleQueryMessage::Row(row) => {
                            rows.push((0..row.len()).map(|place| row.get(place).map(str::to_owned)).collect());
                        }
                        SimpleQueryMessage::CommandComplete(count) => touched = count,
                        _ => {}
                    }
                }
                Self::Done { rows, count: touched }
            }
        }
    }

    pub fn succeeded(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// Whether ours did what PostgreSQL did.
///
/// Rows come in any order unless the statement fixes it. Where a statement breaks several constraints, or several of
/// its expressions fail, it is open which of them is told; and a filter may spare an expression a value on which it
/// would fail.
pub fn agree(statement: &Statement, found: &Outcome, expected: &Outcome) -> bool {
    match (found, expected) {
        (Outcome::Done { rows: ours, count: one }, Outcome::Done { rows: theirs, count: other }) => {
            one == other && if statement.ordered { ours == theirs } else { sorted(ours) == sorted(theirs) }
        }
        (Outcome::Failed { code: one, .. }, Outcome::Failed { code: other, .. }) => {
            one == other
                || [one, other].iter().all(|code| ["21", "22", "23"].iter().any(|class| code.starts_with(class)))
        }
        (Outcome::Failed { code, .. }, Outcome::Done { .. }) | (Outcome::Done { .. }, Outcome::Failed { code, .. }) => {
            statement.filters && code.starts_with("22")
        }
    }
}

fn sorted<T: Ord>(rows: &[T]) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort();
    rows
}
