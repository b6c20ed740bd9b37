//! The clauses of `MERGE`: for which rows each of them is, and what it does.

use annulus_relation::error::SqlState;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, Value};
use annulus_txn::interface::{Database, Place};
use sqlparser::ast::{self, MergeAction, MergeClauseKind};

use super::asked::{Asked, Named, asks};
use super::assigned::Assigned;
use super::beside::Beside;
use super::insert::{Cell, check_given, columns_of, is_default, is_overridden};
use super::stored::Evaluator;
use super::target::Target;
use super::update::{Assignments, pairs};
use crate::bind::{Binder, Expr, ParamTypes};
use crate::parse::{DO_NOTHING, Parsed};
use crate::statement::{Setting, Work};

/// A row of the source, with the row of the table that it matches.
pub(super) struct Found {
    pub row: Row,
    pub place: Option<Place>,
    /// The clause that applies, by place, and what a query says for it.
    pub decided: Option<(usize, Row)>,
}

/// `WHEN [NOT] MATCHED [AND condition] THEN action`
pub(super) struct Clause {
    matched: bool,
    condition: Option<Expr>,
    /// What it is about and says by subqueries, in place of the condition.
    asked: Option<Asked>,
    pub action: Action,
}

pub(super) enum Action {
    Insert(Vec<(usize, Cell)>),
    /// The columns that are given what a query says.
    Fill(Vec<usize>),
    Update(Assignments),
    /// As a query says.
    Assign(Assigned),
    Delete,
    Nothing,
}

impl Clause {
    pub fn new(
        clause: &ast::MergeClause,
        target: &Target,
        beside: &Beside,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let matched = match clause.clause_kind {
            MergeClauseKind::Matched => true,
            MergeClauseKind::NotMatched => false,
            MergeClauseKind::NotMatchedByTarget | MergeClauseKind::NotMatchedBySource => {
                return Err(SqlError::unsupported("NOT MATCHED BY in MERGE"));
            }
        };
        if clause_asks(clause)? {
            return Self::asked(clause, matched, target, beside, parsed, setting, params);
        }
        let scope = &if matched { beside.scope(target) } else { beside.scope_alone(target) };
        let mut binder = Binder::new(scope, params, &setting.env).text(&parsed.whole).clause("MERGE WHEN");
        let condition = clause.predicate.as_ref().map(|condition| binder.bind_condition(condition)).transpose()?;
        let action = match &clause.action {
            MergeAction::Delete { .. } => Action::Delete,
            MergeAction::Update(update) if is_nothing(update.assignments.first().map(|first| &first.target)) => {
                Action::Nothing
            }
            MergeAction::Update(update) => {
                let list = &update.assignments;
                Action::Update(Assignments::new(list, target, scope, parsed, setting, params)?)
            }
            MergeAction::Insert(insert) if insert.columns.first().is_some_and(is_marker) => Action::Nothing,
            MergeAction::Insert(insert) => Action::Insert(cells(insert, target, parsed, &mut binder)?),
        };
        Ok(Self { matched, condition, asked: None, action })
    }

    /// A clause with subqueries.
    fn asked(
        clause: &ast::MergeClause,
        matched: bool,
        target: &Target,
        beside: &Beside,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Self> {
        let (action, values, columns) = match &clause.action {
            MergeAction::Insert(insert) if !insert.columns.first().is_some_and(is_marker) => {
                let (positions, values) = filled(insert, target, parsed)?;
                let columns = positions.iter().map(|position| &target.table.columns[*position]);
                let columns = columns.map(|column| (column.name.clone(), column.ty.clone())).collect();
                (Action::Fill(positions), values, columns)
            }
            MergeAction::Update(update) if !is_nothing(update.assignments.first().map(|first| &first.target)) => {
                let (assigned, values) = Assigned::new(&update.assignments, target, setting)?;
                let columns = assigned.columns(target);
                (Action::Assign(assigned), values, columns)
            }
            MergeAction::Delete { .. } => (Action::Delete, Vec::new(), Vec::new()),
            _ => (Action::Nothing, Vec::new(), Vec::new()),
        };
        let own = target.table.columns.iter().map(|column| (column.name.clone(), column.ty.clone()));
        let own: Option<Named> = matched.then(|| (target.name.clone(), own.collect()));
        let names: Vec<Named> = own.into_iter().chain(beside.tables().iter().cloned()).collect();
        let asked = Asked::new(&names, (&values, columns), clause.predicate.as_ref(), setting, params)?;
        Ok(Self { matched, condition: None, asked: Some(asked), action })
    }

    /// Notes for which of the rows that nothing was decided about it is the clause that applies. `width`: how many of a row's
    /// columns are the table's.
    pub async fn decide<D: Database>(
        &self,
        number: usize,
        found: &mut [Found],
        width: usize,
        work: &mut Work<'_, D>,
        params: &[Value],
        evaluator: &Evaluator<'_>,
    ) -> Outcome<()> {
        let is_open = |found: &Found| found.decided.is_none() && self.matched == found.place.is_some();
        if let Some(asked) = &self.asked {
            let start = if self.matched { 0 } else { width };
            let open = found.iter().enumerate().filter(|(_, found)| is_open(found));
            let open: Vec<(usize, &[Value])> = open.map(|(place, found)| (place, &found.row[start..])).collect();
            for (place, values) in asked.ask(work, params, &open).await? {
                found.get_mut(place).into_iter().for_each(|found| found.decided = Some((number, values.clone())));
            }
            return Ok(());
        }
        let context = evaluator.context();
        for found in found.iter_mut().filter(|found| is_open(found)) {
            let condition = self.condition.as_ref();
            if condition.map_or(Ok(true), |condition| condition.is_true(&found.row, params, &context))? {
                found.decided = Some((number, Row::new()));
            }
        }
        Ok(())
    }
}

/// Whether a clause has subqueries.
fn clause_asks(clause: &ast::MergeClause) -> SqlResult<bool> {
    if asks(&clause.predicate) {
        return Ok(true);
    }
    Ok(match &clause.action {
        MergeAction::Update(update) => asks(pairs(&update.assignments)?.iter().map(|(_, value)| &**value)),
        MergeAction::Insert(ast::MergeInsertExpr { kind: ast::MergeInsertKind::Values(values), .. }) => {
            asks(values.rows.iter().flat_map(|row| &row.content))
        }
        _ => false,
    })
}

/// The values that a new row is given.
fn cells(
    insert: &ast::MergeInsertExpr,
    target: &Target,
    parsed: &Parsed,
    binder: &mut Binder<'_>,
) -> SqlResult<Vec<(usize, Cell)>> {
    let (row, positions) = given(insert, target)?;
    let cell = |(expr, position): (&ast::Expr, &usize)| {
        let column = &target.table.columns[*position];
        if is_default(expr) || is_overridden(&target.table, *position, parsed.overriding) {
            return Ok((*position, Cell::Default));
        }
        check_given(&target.table, *position, parsed.overriding)?;
        Ok((*position, Cell::Expr(binder.bind_assigned(expr, &column.name, &column.ty)?)))
    };
    row.iter().zip(&positions).map(cell).collect()
}

/// The columns that a new row is given values for by a query, and the texts of these.
fn filled(insert: &ast::MergeInsertExpr, target: &Target, parsed: &Parsed) -> SqlResult<(Vec<usize>, Vec<String>)> {
    let (row, positions) = given(insert, target)?;
    let is_given = |(expr, position): &(&ast::Expr, usize)| {
        !is_default(expr) && !is_overridden(&target.table, *position, parsed.overriding)
    };
    let given = row.iter().zip(positions).filter(is_given).map(|(expr, position)| {
        check_given(&target.table, position, parsed.overriding)?;
        Ok((position, expr.to_string()))
    });
    Ok(given.collect::<SqlResult<Vec<_>>>()?.into_iter().unzip())
}

/// The expressions of an `INSERT`, and the columns that they are for.
fn given<'i>(insert: &'i ast::MergeInsertExpr, target: &Target) -> SqlResult<(&'i [ast::Expr], Vec<usize>)> {
    let ast::MergeInsertKind::Values(values) = &insert.kind else {
        return Err(SqlError::unsupported("INSERT ROW in MERGE"));
    };
    let [row] = values.rows.as_slice() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "MERGE inserts one row for each row of its source"));
    };
    Ok((&row.content, columns_of(&insert.columns, &target.table, row.content.len())?))
}

fn is_nothing(target: Option<&ast::AssignmentTarget>) -> bool {
    matches!(target, Some(ast::AssignmentTarget::ColumnName(name)) if is_marker(name))
}

/// Whether a name stands for `DO NOTHING`, which sqlparser does not know.
fn is_marker(name: &ast::ObjectName) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == DO_NOTHING)
}
