//! Operations on the rows of tables: reading by index, writing with every constraint kept, and filling indexes.
//!
//! Promises and invariants:
//! - A row and all of its index entries change in one transaction.
//! - Constraints hold at the end of every statement ([`Writer::finish`]), whatever the statement's rows did to each
//!   other: a statement that shifts unique keys does not fail, where PostgreSQL's may (it checks row by row). Deferred
//!   ones hold once [`check_deferred`] has found so, before the commit.
//! - Whatever is read to decide is validated at commit; whatever is touched validates the table's descriptor.
//! - Keys are read forward only: who wants another order than an index gives has to sort.

mod conflict;
mod deferral;
mod errors;
mod fill;
mod foreign;
mod load;
mod physical;
mod rekey;
mod scan;
mod successor;
#[cfg(test)]
mod tests;
mod write;

pub use conflict::{Conflicting, confirm, conflicting, explain};
pub use deferral::{Deferrals, Pending, Violations, check_deferred};
pub use errors::{not_null_violation, unique_violation};
pub use fill::{Position, Validation, fill, validate};
pub use load::{commit_part, write_batch};
pub use physical::{Physical, ROW_ID, RowId, Tuple};
pub use rekey::{Copies, rekey};
pub use scan::{Bounds, Cursor, read_rows};
pub use write::{Checks, Claims, Writer, check_changed};

use crate::catalog::{Catalog, Column, Table};
use crate::error::SqlResult;
use crate::value::{SqlType, Value};

/// Evaluates the expressions that the catalog stores as text. Implemented where SQL is known.
pub trait Expressions {
    /// The value of an expression, as one of type `ty`, over a row of a table (in the order of its columns).
    ///
    /// # Errors
    /// What the evaluation fails with.
    fn eval(&self, table: &Table, expression: &str, ty: &SqlType, row: &[Value]) -> SqlResult<Value>;

    /// The same for what makes another type's value of a row: it depends on no settings of whoever writes the row.
    ///
    /// # Errors
    /// What the evaluation fails with.
    fn convert(&self, table: &Table, expression: &str, ty: &SqlType, row: &[Value]) -> SqlResult<Value> {
        self.eval(table, expression, ty, row)
    }

    /// What a row of a table has in a column that it is given nothing for; NULL if that is computed from the row.
    ///
    /// # Errors
    /// What the evaluation fails with.
    fn default(&self, table: &Table, column: &Column) -> SqlResult<Value>;

    /// So many rows of a table are about to be given what they have in the columns that it is being given.
    ///
    /// # Errors
    /// If that cannot be evaluated for so many.
    fn expect(&self, table: &Table, rows: usize) -> SqlResult<()> {
        let _ = (table, rows);
        Ok(())
    }
}

/// What operations need to know of the statement that they are part of.
pub struct Surroundings<'a, E> {
    /// The catalog that the statement was planned with.
    pub catalog: &'a Catalog,
    /// What evaluates stored expressions.
    pub expressions: &'a E,
}

impl<E> Clone for Surroundings<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Surroundings<'_, E> {}
