//! Statements that change rows of one table by what a query finds: `UPDATE ... FROM`, `DELETE ... USING`, and conditions
//! with subqueries.
//!
//! The query gives the rows of the table that are meant, whole, and the new values. A row is found again by its primary
//! key, or by its hidden id.

use std::iter;

use annulus_relation::error::SqlState;
use annulus_relation::ops::Tuple;
use annulus_relation::{Outcome, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::{Database, Place};
use sqlparser::ast;

use super::assigned::Assigned;
use super::beside::Beside;
use super::projection::Projection;
use super::query::{Query, check_assignable};
use super::target::{Target, only_table};
use super::update::returning;
use super::{Changed, Writing};
use crate::bind::{ParamTypes, quote_name};
use crate::parse::{Parsed, parse_query};
use crate::query::ROW_ID_COLUMN;
use crate::statement::{Setting, Work};

/// An `UPDATE` or `DELETE` whose rows a query finds.
pub(crate) struct Joined {
    target: Target,
    query: Query,
    types: Vec<(String, SqlType)>,
    /// The new values; `None`: rows are deleted.
    change: Option<Assigned>,
    pub returning: Option<Projection>,
}

impl Joined {
    pub fn update(
        update: &ast::Update,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let Some((name, alias)) = only_table(&update.table) else {
            return Err(SqlError::unsupported("UPDATE of several tables"));
        };
        let target = Target::new(setting, name, alias)?;
        let from = update.from.as_ref().map_or(&[][..], |from| match from {
            ast::UpdateTableFromKind::BeforeSet(from) | ast::UpdateTableFromKind::AfterSet(from) => from,
        });
        let (change, values) = Assigned::new(&update.assignments, &target, setting)?;
        let found = Found { table: &update.table, beside: from, values, filter: update.selection.as_ref() };
        Self::new(target, &found, Some(change), update.returning.as_deref(), parsed, setting, params)
    }

    pub fn delete(
        delete: &ast::Delete,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let from = super::delete::from_of(delete).ok_or_else(|| SqlError::unsupported("DELETE from several tables"))?;
        let Some((name, alias)) = only_table(from) else {
            return Err(SqlError::unsupported("DELETE from a join"));
        };
        let target = Target::new(setting, name, alias)?;
        let beside = delete.using.as_deref().unwrap_or_default();
        let found = Found { table: from, beside, values: Vec::new(), filter: delete.selection.as_ref() };
        Self::new(target, &found, None, delete.returning.as_deref(), parsed, setting, params)
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.target.table.name
    }

    /// What it does, in a word.
    pub const fn word(&self) -> &'static str {
        if self.change.is_some() { "UPDATE" } else { "DELETE" }
    }

    fn new(
        target: Target,
        found: &Found<'_>,
        change: Option<Assigned>,
        items: Option<&[ast::SelectItem]>,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let column = |position: usize| {
            let column = &target.table.columns[position];
            (column.name.clone(), column.ty.clone())
        };
        let mut types: Vec<(String, SqlType)> = (0..target.table.columns.len()).map(column).collect();
        if target.physical.has_row_id() {
            types.push((ROW_ID_COLUMN.to_owned(), SqlType::Uuid));
        }
        types.extend(change.iter().flat_map(|change| change.columns(&target)));
        let beside = match items {
            None => Beside::default(),
            Some(_) => Beside::new(found.beside, &found.from(), setting, params).map_err(without_position)?,
        };
        types.extend(beside.columns());
        let targets: Vec<SqlType> = types.iter().map(|(_, ty)| ty.clone()).collect();
        let text = setting.with_text() + &found.query(&target, &beside);
        let query = parse_query(&text)?;
        let query = Query::new(&query, &text.into(), &targets, setting, params).map_err(without_position)?;
        check_assignable(&query.columns, &types)?;
        let returning = returning(items, &target, &beside.scope(&target), parsed, setting, params)?;
        Ok(Self { target, query, types, change, returning })
    }

    /// Gives the writer its rows.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        let found = self.query.assigned(work, params, &self.types).await?;
        let Writing { writer, evaluator } = writing;
        let (table, width) = (self.target.table.id, self.target.table.columns.len());
        let mut changed = Changed::default();
        for mut row in found {
            let mut values = row.split_off(width);
            let place = self.place(&row, &mut values)?;
            let beside = values.split_off(self.change.as_ref().map_or(0, Assigned::width));
            let old = Tuple { place, values: row };
            let stored = match &self.change {
                None => {
                    let row = old.values.clone();
                    writer.delete(table, old)?.then_some(row)
                }
                Some(change) => {
                    let new = change.apply(&old.values, values, evaluator)?;
                    writer.update(table, old, new)?
                }
            };
            if let Some(mut row) = stored {
                changed.count += 1;
                if self.returning.is_some() {
                    row.extend(beside);
                    changed.rows.push(row);
                }
            }
        }
        Ok(changed)
    }

    /// Where a row is: its hidden id, if it has one, is the first of the values behind its columns.
    fn place(&self, row: &[Value], values: &mut Vec<Value>) -> SqlResult<Place> {
        let keys = match self.target.physical.has_row_id() {
            true => vec![values.remove(0)],
            false => self.target.primary_key(row),
        };
        let place = self.target.place(&keys)?;
        place.ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, "a row without a key"))
    }
}

/// Positions in the query's text are none of the client's.
pub(super) fn without_position(error: SqlError) -> SqlError {
    let report = error.report();
    let mut plain = SqlError::new(report.state, report.message.clone());
    if let Some(detail) = &report.detail {
        plain = plain.detail(detail.clone());
    }
    if let Some(hint) = &report.hint {
        plain = plain.hint(hint.clone());
    }
    plain
}

/// What the statement says of the rows that are meant.
struct Found<'s> {
    /// The changed table, as the statement names it.
    table: &'s ast::TableWithJoins,
    beside: &'s [ast::TableWithJoins],
    /// The new values.
    values: Vec<String>,
    filter: Option<&'s ast::Expr>,
}

impl Found<'_> {
    fn from(&self) -> String {
        let all: Vec<String> = iter::once(self.table).chain(self.beside).map(ToString::to_string).collect();
        all.join(", ")
    }

    /// The query that gives a table's rows, whole, and the new values, and all columns of the tables beside it.
    fn query(&self, target: &Target, beside: &Beside) -> String {
        let name = quote_name(&target.name);
        let columns = target.table.columns.iter().map(|column| column.name.as_str());
        let id = target.physical.has_row_id().then_some(ROW_ID_COLUMN);
        let columns = columns.chain(id).map(|column| format!("{name}.{}", quote_name(column)));
        let list: Vec<String> = columns.chain(self.values.iter().cloned()).chain(beside.items()).collect();
        let filter = self.filter.map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        format!("SELECT {} FROM {}{filter}", list.join(", "), self.from())
    }
}
