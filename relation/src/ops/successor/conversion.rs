//! How rows become those of a table of which columns have other types.

use std::sync::Arc;

use crate::catalog::{ColumnId, Retyping, Table};
use crate::codec;
use crate::error::SqlResult;
use crate::ops::Expressions;
use crate::value::{self, CastContext, Env, Row, SqlType, Value};

/// What becomes of the values of a row.
#[derive(Clone, Debug)]
pub(super) struct Conversion {
    /// The table as it is, for `USING`.
    before: Arc<Table>,
    columns: Vec<Converted>,
}

#[derive(Clone, Debug)]
struct Converted {
    id: ColumnId,
    position: usize,
    from: SqlType,
    to: SqlType,
    using: Option<String>,
}

impl Conversion {
    pub(super) fn new(table: &Arc<Table>, retyping: &Retyping) -> Self {
        let converted = retyping.columns.iter().filter_map(|retyped| {
            let position = table.columns.iter().position(|column| column.id == retyped.column)?;
            let (from, to) = (table.columns[position].ty.clone(), retyped.ty.clone());
            Some(Converted { id: retyped.column, position, from, to, using: retyped.using.clone() })
        });
        Self { before: Arc::clone(table), columns: converted.collect() }
    }

    /// A row with all of its values as they will be.
    pub(super) fn of_all<E: Expressions>(&self, row: &[Value], expressions: &E) -> SqlResult<Row> {
        self.of_some(row, &|_| true, expressions)
    }

    /// A row with the values of some columns as they will be.
    pub(super) fn of_some<E: Expressions>(
        &self,
        row: &[Value],
        wanted: &dyn Fn(ColumnId) -> bool,
        expressions: &E,
    ) -> SqlResult<Row> {
        let mut after = row.to_vec();
        for column in self.columns.iter().filter(|column| wanted(column.id)) {
            let value = match &column.using {
                Some(using) => expressions.convert(&self.before, using, &column.to, row)?,
                None => {
                    let value = row.get(column.position).cloned().unwrap_or(Value::Null);
                    value::cast(value, &column.from, &column.to, CastContext::Assignment, &Env::default())?
                }
            };
            codec::check_type(&value, &column.to)?;
            after.get_mut(column.position).into_iter().for_each(|place| place.clone_from(&value));
        }
        Ok(after)
    }

    /// The columns whose values are others, by position.
    pub(super) fn changed(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|column| column.position)
    }
}
