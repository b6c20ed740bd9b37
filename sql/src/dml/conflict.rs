//! `ON CONFLICT`.

use std::collections::BTreeMap;

use annulus_relation::catalog::{Column, Default, KeyPart};
use annulus_relation::codec::is_exact;
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Conflicting, Writer, conflicting};
use annulus_relation::{Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, OnConflictAction};

use super::arbiter::arbiters;
use super::asked::{Asked, Named, asks};
use super::assigned::Assigned;
use super::insert::row_id;
use super::stored::Evaluator;
use super::target::Target;
use super::update::{Assignments, pairs};
use super::{Writing, around};
use crate::bind::{Binder, Expr, ParamTypes};
use crate::parse::Parsed;
use crate::statement::{Setting, Work};

/// What happens to a row whose unique key exists already.
pub(crate) struct OnConflict {
    /// The indexes that count, by position.
    indexes: Vec<usize>,
    /// `DO UPDATE`; `None`: `DO NOTHING`.
    update: Option<DoUpdate>,
    /// Whether what is stored does not depend on the row that is there: then nobody needs to know it.
    overwrites: bool,
}

enum DoUpdate {
    Plain(Assignments, Option<Expr>),
    /// With subqueries.
    Asked(Assigned, Asked),
}

impl OnConflict {
    pub fn new(
        on: &ast::OnConflict,
        target: &Target,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let indexes = arbiters(on, target, parsed, setting, params)?;
        let update = match &on.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(update) => {
                if on.conflict_target.is_none() && parsed.arbiter.is_none() {
                    let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                    return Err(
                        SqlError::new(SqlState::SYNTAX_ERROR, message).hint("For example, ON CONFLICT (column_name).")
                    );
                }
                Some(DoUpdate::new(update, target, parsed, setting, params)?)
            }
        };
        let overwrites = indexes == [0] && update.as_ref().is_some_and(|update| update.overwrites(target));
        Ok(Self { indexes, update, overwrites })
    }

    /// Inserts rows, or does what is said with those that conflict; returns the rows stored.
    pub async fn resolve<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        writing: &mut Writing<'_>,
        target: &Target,
        rows: Vec<Row>,
        params: &[Value],
    ) -> Outcome<Vec<Row>> {
        let Writing { writer, evaluator } = writing;
        let evaluator: &Evaluator<'_> = evaluator;
        if self.overwrites {
            return Ok(self.overwrite(writer, target, rows)?);
        }
        let table = target.table.id;
        // A row that is refused is so even if it would not be inserted.
        let rows = rows.into_iter().map(|row| writer.complete(table, row)).collect::<SqlResult<Vec<Row>>>()?;
        let catalog = std::sync::Arc::clone(&work.active.catalog);
        let left = work.deadline.left();
        let transaction = &mut work.active.transaction;
        let found =
            conflicting(transaction, around(&catalog, evaluator), &target.physical, &self.indexes, &rows, left).await?;
        let answers = self.asked(&rows, &found, work, params).await?;
        let mut stored = Vec::new();
        for (number, (row, conflict)) in rows.into_iter().zip(found).enumerate() {
            if writer.has_proposed(table, &self.indexes, &row)? {
                if self.update.is_some() {
                    return Err(second_time().into());
                }
                continue;
            }
            match (conflict, &self.update) {
                (None, _) => {
                    let id = row_id(work, target);
                    stored.push(writer.insert(table, row, id)?);
                }
                (Some(_), None) => {}
                (Some(conflict), Some(DoUpdate::Plain(assignments, filter))) => {
                    let context = evaluator.context();
                    let both: Row = conflict.row.values.iter().cloned().chain(row).collect();
                    if !filter.as_ref().map_or(Ok(true), |filter| filter.is_true(&both, params, &context))? {
                        continue;
                    }
                    let new = assignments.apply(&conflict.row.values, &both, params, evaluator)?;
                    stored.extend(writer.update(table, conflict.row, new)?);
                }
                (Some(conflict), Some(DoUpdate::Asked(assigned, _))) => {
                    let Some(values) = answers.get(&number) else { continue };
                    let new = assigned.apply(&conflict.row.values, values.clone(), evaluator)?;
                    stored.extend(writer.update(table, conflict.row, new)?);
                }
            }
        }
        Ok(stored)
    }

    /// What a query says of the rows that conflict, by their numbers.
    async fn asked<D: Database>(
        &self,
        rows: &[Row],
        found: &[Option<Conflicting>],
        work: &mut Work<'_, D>,
        params: &[Value],
    ) -> Outcome<BTreeMap<usize, Row>> {
        let Some(DoUpdate::Asked(_, asked)) = &self.update else { return Ok(BTreeMap::new()) };
        let both = |(row, conflict): (&Row, &Option<Conflicting>)| -> Option<Row> {
            conflict.as_ref().map(|conflict| conflict.row.values.iter().chain(row).cloned().collect())
        };
        let all: Vec<Option<Row>> = rows.iter().zip(found).map(both).collect();
        let numbered = all.iter().enumerate().filter_map(|(number, row)| Some((number, row.as_deref()?)));
        asked.ask(work, params, &numbered.collect::<Vec<_>>()).await
    }

    /// Whether a query is asked, with the statement's text.
    pub const fn is_asked(&self) -> bool {
        matches!(self.update, Some(DoUpdate::Asked(..)))
    }

    fn overwrite(
        &self,
        writer: &mut Writer<'_, Evaluator<'_>>,
        target: &Target,
        rows: Vec<Row>,
    ) -> SqlResult<Vec<Row>> {
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            if writer.has_proposed(target.table.id, &self.indexes, &row)? {
                return Err(second_time());
            }
            stored.push(writer.overwrite(target.table.id, row)?);
        }
        Ok(stored)
    }
}

impl DoUpdate {
    fn new(
        update: &ast::DoUpdate,
        target: &Target,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let columns = || target.table.columns.iter().map(|column| (column.name.as_str(), &column.ty));
        let (list, filter) = (&update.assignments, update.selection.as_ref());
        let values = pairs(list)?;
        if asks(values.iter().map(|(_, value)| &**value).chain(filter)) {
            let named = |name: &str| -> Named {
                (name.to_owned(), columns().map(|(column, ty)| (column.to_owned(), ty.clone())).collect())
            };
            let (assigned, values) = Assigned::new(list, target, setting)?;
            let wanted = (values.as_slice(), assigned.columns(target));
            let asked = Asked::new(&[named(&target.name), named("excluded")], wanted, filter, setting, params)?;
            return Ok(Self::Asked(assigned, asked));
        }
        // The row that is there, and the one that was to be inserted.
        let mut scope = target.scope.clone();
        scope.add_table(None, Some("excluded"), columns());
        let assignments = Assignments::new(list, target, &scope, parsed, setting, params)?;
        let mut binder = Binder::new(&scope, params, &setting.env).text(&parsed.whole).clause("WHERE");
        let filter = filter.map(|filter| binder.bind_condition(filter)).transpose()?;
        Ok(Self::Plain(assignments, filter))
    }

    /// Whether every column gets what was to be inserted, and there is nothing but the row to change.
    fn overwrites(&self, target: &Target) -> bool {
        let table = &target.table;
        let is_key = |id: u16| table.indexes[0].keys.iter().any(|key| key.part == KeyPart::Column(id));
        let Self::Plain(assignments, None) = self else { return false };
        let excluded = |position: usize| assignments.column(position) == Some(table.columns.len() + position);
        let follows = |(position, column): (usize, &Column)| {
            // Keys may be equal and yet look different: then the one that is there stays.
            let same_key = is_key(column.id) && is_exact(&column.ty) && !assignments.contains(position);
            same_key || matches!(column.default, Some(Default::Generated(_))) || excluded(position)
        };
        target.physical.is_rows_only() && table.columns.iter().enumerate().all(follows)
    }
}

fn second_time() -> SqlError {
    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
        .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}
