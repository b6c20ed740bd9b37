//! Relations that a query is given with its statement: what the statement's parts before it have found or changed.

use std::fmt;
use std::sync::Arc;

use annulus_relation::{Row, SqlType};

/// Rows under a name. They can be named where a common table expression could.
#[derive(Clone)]
pub struct Given {
    /// The name.
    pub name: String,
    /// The columns' names and types; `None` where there are no rows, only a change.
    pub columns: Option<Vec<(String, SqlType)>>,
    /// The rows; none yet while the statement is planned.
    pub rows: Arc<[Row]>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("name", &self.name).field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}
