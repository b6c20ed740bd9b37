//! New values of columns that a query gives.

use annulus_relation::error::SqlState;
use annulus_relation::{Row, SqlError, SqlResult, SqlType, Value};
use sqlparser::ast;

use super::insert::{Defaults, is_default};
use super::stored::Evaluator;
use super::target::Target;
use super::update::{check_assigned, column_of, pairs};
use crate::statement::Setting;

/// The columns that get new values, by position, and those that get their defaults.
pub(super) struct Assigned {
    positions: Vec<usize>,
    defaulted: Vec<usize>,
    defaults: Defaults,
}

impl Assigned {
    /// What a `SET` says, and the texts of the values that a query has to give.
    pub fn new(list: &[ast::Assignment], target: &Target, setting: &Setting<'_>) -> SqlResult<(Self, Vec<String>)> {
        let (mut positions, mut defaulted, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in pairs(list)? {
            let position = column_of(name, target)?;
            let column = &target.table.columns[position];
            if positions.contains(&position) || defaulted.contains(&position) {
                let message = format!("multiple assignments to same column \"{}\"", column.name);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            if is_default(&value) {
                defaulted.push(position);
            } else {
                check_assigned(column)?;
                positions.push(position);
                values.push(value.to_string());
            }
        }
        let defaults = Defaults::of(target, setting)?;
        Ok((Self { positions, defaulted, defaults }, values))
    }

    /// How many values the query gives.
    pub const fn width(&self) -> usize {
        self.positions.len()
    }

    /// The columns that they are for.
    pub fn columns(&self, target: &Target) -> Vec<(String, SqlType)> {
        let columns = self.positions.iter().map(|position| &target.table.columns[*position]);
        columns.map(|column| (column.name.clone(), column.ty.clone())).collect()
    }

    /// The new row of an old one.
    pub fn apply(&self, old: &[Value], values: Row, evaluator: &Evaluator<'_>) -> SqlResult<Row> {
        let mut new = old.to_vec();
        for (position, value) in self.positions.iter().zip(values) {
            new[*position] = value;
        }
        for position in &self.defaulted {
            new[*position] = self.defaults.value(*position, evaluator)?;
        }
        Ok(new)
    }
}
