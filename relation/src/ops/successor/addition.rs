//! How rows become those of a table with more columns.

use super::Of;
use crate::catalog::{Column, Default, Extension, Table};
use crate::codec;
use crate::error::SqlResult;
use crate::ops::{Expressions, Physical};
use crate::value::{Row, Value};

/// What a row gets.
#[derive(Clone, Debug)]
pub(super) struct Addition {
    /// The columns, with what rows have there that were stored before.
    columns: Vec<Column>,
}

impl Addition {
    pub(super) fn new(extension: &Extension) -> Self {
        Self { columns: extension.columns.clone() }
    }

    /// A whole row: with the values that it was given before, if it has a copy.
    pub(super) fn whole<E: Expressions>(
        &self,
        after: &Physical,
        row: &[Value],
        of: Of<'_>,
        expressions: &E,
    ) -> SqlResult<Row> {
        let table = &after.table;
        let mut whole = row.to_vec();
        match of.copied() {
            Some((place, record)) => {
                let copied = after.decode(place.clone(), record)?.values;
                whole.extend(copied.into_iter().skip(row.len()));
            }
            None => {
                for column in &self.columns {
                    whole.push(first_value(table, column, of, expressions)?);
                }
            }
        }
        let generated = table.columns.iter().enumerate().skip(row.len());
        for (position, column) in generated {
            if let Some(Default::Generated(text)) = &column.default {
                whole[position] = expressions.eval(table, text, &column.ty, &whole)?;
            }
        }
        for (column, value) in table.columns.iter().zip(&whole).skip(row.len()) {
            codec::check_type(value, &column.ty)?;
        }
        Ok(whole)
    }
}

/// What a row has in a column that it gets.
fn first_value<E: Expressions>(table: &Table, column: &Column, of: Of<'_>, expressions: &E) -> SqlResult<Value> {
    match (&column.missing, of) {
        (Some(missing), Of::Changed(_) | Of::Stored(_)) => codec::decode_value(missing),
        _ => expressions.default(table, column),
    }
}
