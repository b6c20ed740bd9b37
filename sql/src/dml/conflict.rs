//! `ON CONFLICT`.

use annulus_relation::catalog::{Column, Default, KeyPart};
use annulus_relation::codec::is_exact;
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Writer, conflicting};
use annulus_relation::{Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, ConflictTarget, OnConflictAction};

use super::insert::row_id;
use super::stored::Evaluator;
use super::target::Target;
use super::update::Assignments;
use super::{Writing, around};
use crate::bind::{Binder, Expr, ParamTypes};
use crate::conditions::{Facts, Indexed, normal};
use crate::names::position_of;
use crate::parse::{Arbiter, Parsed};
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

struct DoUpdate {
    assignments: Assignments,
    filter: Option<Expr>,
}

impl OnConflict {
    pub fn new(
        on: &ast::OnConflict,
        target: &Target,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let indexes = match &parsed.arbiter {
            Some(arbiter) => inferred(arbiter, target, parsed, setting, params)?,
            None => indexes(on.conflict_target.as_ref(), target)?,
        };
        let update = match &on.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(update) => {
                if on.conflict_target.is_none() && parsed.arbiter.is_none() {
                    let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                    return Err(
                        SqlError::new(SqlState::SYNTAX_ERROR, message).hint("For example, ON CONFLICT (column_name).")
                    );
                }
                // The row that is there, and the one that was to be inserted.
                let mut scope = target.scope.clone();
                let columns = target.table.columns.iter().map(|column| (column.name.as_str(), &column.ty));
                scope.add_table(None, Some("excluded"), columns);
                let assignments = Assignments::new(&update.assignments, target, &scope, parsed, setting, params)?;
                let mut binder = Binder::new(&scope, params, &setting.env).text(&parsed.whole).clause("WHERE");
                let filter = update.selection.as_ref().map(|filter| binder.bind_condition(filter)).transpose()?;
                Some(DoUpdate { assignments, filter })
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
        let mut stored = Vec::new();
        for (row, conflict) in rows.into_iter().zip(found) {
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
                (Some(conflict), Some(update)) => {
                    let context = evaluator.context();
                    let both: Row = conflict.row.values.iter().cloned().chain(row).collect();
                    if !update.filter.as_ref().map_or(Ok(true), |filter| filter.is_true(&both, params, &context))? {
                        continue;
                    }
                    let new = update.assignments.apply(&conflict.row.values, &both, params, evaluator)?;
                    stored.extend(writer.update(table, conflict.row, new)?);
                }
            }
        }
        Ok(stored)
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
    /// Whether every column gets what was to be inserted, and there is nothing but the row to change.
    fn overwrites(&self, target: &Target) -> bool {
        let table = &target.table;
        let is_key = |id: u16| table.indexes[0].keys.iter().any(|key| key.part == KeyPart::Column(id));
        let excluded = |position: usize| self.assignments.column(position) == Some(table.columns.len() + position);
        let follows = |(position, column): (usize, &Column)| {
            // Keys may be equal and yet look different: then the one that is there stays.
            let same_key = is_key(column.id) && is_exact(&column.ty) && !self.assignments.contains(position);
            same_key || matches!(column.default, Some(Default::Generated(_))) || excluded(position)
        };
        self.filter.is_none() && target.physical.is_rows_only() && table.columns.iter().enumerate().all(follows)
    }
}

fn second_time() -> SqlError {
    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
        .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}

/// The unique indexes that a target means; all of them if there is none.
fn indexes(conflict: Option<&ConflictTarget>, target: &Target) -> SqlResult<Vec<usize>> {
    let table = &target.table;
    let unique = || table.indexes.iter().enumerate().filter(|(_, index)| index.unique && !index.keys.is_empty());
    match conflict {
        None => Ok(unique().map(|(position, _)| position).collect()),
        Some(ConflictTarget::OnConstraint(name)) => {
            let wanted = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
            let found = unique().find(|(_, index)| index.constraint.is_some() && Some(index.name.as_str()) == wanted);
            found.map(|(position, _)| vec![position]).ok_or_else(|| {
                let message = format!("constraint \"{name}\" for table \"{}\" does not exist", table.name);
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })
        }
        Some(ConflictTarget::Columns(names)) => {
            let mut wanted = Vec::new();
            for name in names {
                let column = table.columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
                    let message = format!("column \"{}\" does not exist", name.value);
                    SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(name))
                })?;
                wanted.push(column.id);
            }
            wanted.sort_unstable();
            wanted.dedup();
            let keys = |index: &annulus_relation::catalog::Index| {
                let mut ids: Vec<u16> = index
                    .keys
                    .iter()
                    .filter_map(|key| match key.part {
                        KeyPart::Column(id) => Some(id),
                        KeyPart::Expression(..) => None,
                    })
                    .collect();
                let plain = ids.len() == index.keys.len() && index.predicate.is_none();
                ids.sort_unstable();
                plain.then_some(ids)
            };
            let found: Vec<usize> = unique()
                .filter(|(_, index)| keys(index).as_ref() == Some(&wanted))
                .map(|(position, _)| position)
                .collect();
            if found.is_empty() { Err(no_match()) } else { Ok(found) }
        }
    }
}

/// The unique indexes that have these keys, in any order. A partial one counts if its predicate follows from the one given.
fn inferred(
    arbiter: &Arbiter,
    target: &Target,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Vec<usize>> {
    let mut binder = Binder::new(&target.scope, params, &setting.env).text(&parsed.whole).clause("ON CONFLICT");
    let keys = arbiter.keys.iter().map(|key| Ok(normal(&binder.bind(key)?))).collect::<SqlResult<Vec<_>>>()?;
    let predicate = arbiter.predicate.as_ref().map(|predicate| binder.bind_condition(predicate)).transpose()?;
    let facts = predicate.as_ref().map(Facts::of).unwrap_or_default();
    let mut found = Vec::new();
    for (position, index) in target.table.indexes.iter().enumerate().filter(|(_, index)| index.unique) {
        let indexed = Indexed::new(&target.table, index)?;
        let same =
            indexed.keys.iter().all(|key| keys.contains(key)) && keys.iter().all(|key| indexed.keys.contains(key));
        if same && !indexed.keys.is_empty() && indexed.holds_all(&facts) {
            found.push(position);
        }
    }
    if found.is_empty() { Err(no_match()) } else { Ok(found) }
}

fn no_match() -> SqlError {
    let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
}
