//! `UPDATE` of one table.

use std::borrow::Cow;

use annulus_relation::catalog::{Default, Identity};
use annulus_relation::error::SqlState;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, AssignmentTarget};

use super::insert::{Cell, Defaults, is_default};
use super::projection::Projection;
use super::stored::Evaluator;
use super::target::{Access, Target, only_table};
use super::{Changed, Source, Writing};
use crate::bind::{Binder, Expr, Need, ParamTypes, Scope, needs_query};
use crate::names::position_of;
use crate::parse::Parsed;
use crate::statement::{Setting, Work};

/// New values of columns.
pub(crate) struct Assignments {
    /// Columns by position.
    cells: Vec<(usize, Cell)>,
    defaults: Option<Defaults>,
}

impl Assignments {
    /// Assignments to columns of a target, from expressions over a scope.
    pub fn new(
        list: &[ast::Assignment],
        target: &Target,
        scope: &Scope,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let mut binder = Binder::new(scope, params, &setting.env).text(&parsed.whole).clause("UPDATE");
        let mut cells: Vec<(usize, Cell)> = Vec::new();
        for (name, value) in pairs(list)? {
            let position = column_of(name, target)?;
            let column = &target.table.columns[position];
            if cells.iter().any(|(other, _)| *other == position) {
                let message = format!("multiple assignments to same column \"{}\"", column.name);
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            let cell = match is_default(&value) {
                true => Cell::Default,
                false => {
                    check_assigned(column)?;
                    Cell::Expr(binder.bind_assigned(&value, &column.name, &column.ty)?)
                }
            };
            cells.push((position, cell));
        }
        let any_default = cells.iter().any(|(_, cell)| matches!(cell, Cell::Default));
        let defaults = any_default.then(|| Defaults::of(target, setting)).transpose()?;
        Ok(Self { cells, defaults })
    }

    /// Whether a column is given a value.
    pub fn contains(&self, position: usize) -> bool {
        self.cells.iter().any(|(given, _)| *given == position)
    }

    /// Which column of the scope a column is given as it is.
    pub fn column(&self, position: usize) -> Option<usize> {
        match self.cells.iter().find(|(given, _)| *given == position) {
            Some((_, Cell::Expr(Expr::Column { index, .. }))) => Some(*index),
            _ => None,
        }
    }

    /// The new row of an old one; expressions see `row`.
    pub fn apply(&self, old: &[Value], row: &[Value], params: &[Value], evaluator: &Evaluator<'_>) -> SqlResult<Row> {
        let mut new = old.to_vec();
        for (position, cell) in &self.cells {
            new[*position] = match (cell, &self.defaults) {
                (Cell::Expr(expr), _) => expr.eval(row, params, &evaluator.context())?,
                (Cell::Default, Some(defaults)) => defaults.value(*position, evaluator)?,
                (Cell::Default, None) => Value::Null,
            };
        }
        Ok(new)
    }
}

/// Columns and values, those of `(a, b) = (1, 2)` and `(a, b) = (SELECT 1, 2)` one by one.
pub(crate) fn pairs(list: &[ast::Assignment]) -> SqlResult<Vec<(&ast::ObjectName, Cow<'_, ast::Expr>)>> {
    let mut found = Vec::new();
    for assignment in list {
        if matches!(assignment.value, ast::Expr::QualifiedWildcard(..) | ast::Expr::Wildcard(_)) {
            return Err(SqlError::unsupported("a row as a value"));
        }
        if needs_query(&assignment.value) == Some(Need::Rows) {
            let message = "set-returning functions are not allowed in UPDATE";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        match (&assignment.target, &assignment.value) {
            (AssignmentTarget::ColumnName(name), value) => found.push((name, Cow::Borrowed(value))),
            (AssignmentTarget::Tuple(names), ast::Expr::Tuple(values)) if names.len() == values.len() => {
                found.extend(names.iter().zip(values.iter().map(Cow::Borrowed)));
            }
            (AssignmentTarget::Tuple(names), ast::Expr::Subquery(query)) if names.len() > 1 => {
                let values = items_of(query)?;
                if values.len() != names.len() {
                    return Err(wrong_number());
                }
                found.extend(names.iter().zip(values.into_iter().map(Cow::Owned)));
            }
            (AssignmentTarget::Tuple(names), value) if names.len() == 1 => {
                found.extend(names.iter().map(|name| (name, Cow::Borrowed(value))))
            }
            (AssignmentTarget::Tuple(_), ast::Expr::Tuple(_)) => return Err(wrong_number()),
            (AssignmentTarget::Tuple(_), _) => {
                let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        }
    }
    Ok(found)
}

fn wrong_number() -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "number of columns does not match number of values")
}

/// A subquery of several columns, as one of one column for each.
fn items_of(query: &ast::Query) -> SqlResult<Vec<ast::Expr>> {
    let refused = || SqlError::unsupported("several columns from a subquery of this form");
    let ast::SetExpr::Select(select) = &*query.body else { return Err(refused()) };
    let plain = |item: &ast::SelectItem| {
        matches!(item, ast::SelectItem::UnnamedExpr(_) | ast::SelectItem::ExprWithAlias { .. })
    };
    // Without duplicates, each column would have other rows.
    if select.distinct.is_some() || !select.projection.iter().all(plain) {
        return Err(refused());
    }
    let only = |item: &ast::SelectItem| {
        let mut select = select.clone();
        select.projection = vec![item.clone()];
        let body = Box::new(ast::SetExpr::Select(select));
        ast::Expr::Subquery(Box::new(ast::Query { body, ..query.clone() }))
    };
    Ok(select.projection.iter().map(only).collect())
}

pub(crate) fn column_of(name: &ast::ObjectName, target: &Target) -> SqlResult<usize> {
    let Some(ident) = name.0.last().and_then(|part| part.as_ident()).filter(|_| name.0.len() == 1) else {
        return Err(SqlError::unsupported("an assignment to a field of a column"));
    };
    target.table.columns.iter().position(|column| column.name == ident.value).ok_or_else(|| {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", ident.value, target.table.name);
        SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(ident))
    })
}

/// `428C9` for columns that make their own values.
pub(crate) fn check_assigned(column: &annulus_relation::catalog::Column) -> SqlResult<()> {
    let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
    match &column.default {
        Some(Default::Generated(_)) => Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
            .detail(format!("Column \"{}\" is a generated column.", column.name))),
        Some(Default::Identity(Identity::Always, _)) => Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
            .detail(format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name))),
        _ => Ok(()),
    }
}

/// An `UPDATE` of one table.
pub(crate) struct Update {
    pub source: Source,
    assignments: Assignments,
    pub returning: Option<Projection>,
}

impl Update {
    /// The plan; `None` if it needs a query.
    pub fn new(
        update: &ast::Update,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Option<Self>> {
        let values = pairs(&update.assignments)?;
        let simple = update.from.is_none()
            && update.selection.as_ref().is_none_or(|filter| needs_query(filter).is_none())
            && values.iter().all(|(_, value)| needs_query(value).is_none());
        let Some((name, alias)) = only_table(&update.table).filter(|_| simple) else { return Ok(None) };
        let target = Target::new(setting, name, alias)?;
        let assignments = Assignments::new(&update.assignments, &target, &target.scope, parsed, setting, params)?;
        let source = Source::new(target, update.selection.as_ref(), parsed, setting, params, false)?;
        let returning =
            returning(update.returning.as_deref(), &source.target, &source.target.scope, parsed, setting, params)?;
        Ok(Some(Self { source, assignments, returning }))
    }

    /// Gives the writer its rows.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        let found = self.source.rows(work, params, writing.evaluator).await?;
        let mut changed = Changed::default();
        for tuple in found {
            let new = self.assignments.apply(&tuple.values, &tuple.values, params, writing.evaluator)?;
            if let Some(row) = writing.writer.update(self.source.target.table.id, tuple, new)? {
                changed.count += 1;
                if self.returning.is_some() {
                    changed.rows.push(row);
                }
            }
        }
        Ok(changed)
    }
}

impl Source {
    /// A table, and the rows of it for which a condition is true; `ordered`: wanted in an order.
    pub fn new(
        target: Target,
        filter: Option<&ast::Expr>,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
        ordered: bool,
    ) -> SqlResult<Self> {
        let mut binder = Binder::new(&target.scope, params, &setting.env).text(&parsed.whole).clause("WHERE");
        let filter = filter.map(|filter| binder.bind_condition(filter)).transpose()?;
        let access = Access::choose(&target.physical, filter.as_ref(), ordered)?;
        Ok(Self { target, access, filter })
    }
}

/// A `RETURNING` list; the scope begins with the target's columns.
pub(crate) fn returning(
    items: Option<&[ast::SelectItem]>,
    target: &Target,
    scope: &Scope,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Option<Projection>> {
    let Some(items) = items else { return Ok(None) };
    let mut binder = Binder::new(scope, params, &setting.env).text(&parsed.whole).clause("RETURNING");
    Projection::new(items, Some(target), &mut binder).map(Some)
}
