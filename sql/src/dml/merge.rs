//! `MERGE`: a query finds, for each row of a source, the rows of the table that match it; the first clause that applies
//! says what becomes of them.

use annulus_relation::error::SqlState;
use annulus_relation::ops::Tuple;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::{Database, Place};
use sqlparser::ast::{self, MergeAction, MergeClauseKind};

use super::beside::Beside;
use super::insert::{Cell, Defaults, check_given, columns_of, is_default, is_overridden, row_id};
use super::joined::without_position;
use super::query::{Query, check_assignable};
use super::stored::Evaluator;
use super::target::{Target, only_table};
use super::update::Assignments;
use super::{Changed, Writing};
use crate::bind::{Binder, Expr, ParamTypes, Scope, quote_name};
use crate::parse::{DO_NOTHING, Parsed, parse_query};
use crate::query::ROW_ID_COLUMN;
use crate::statement::{Setting, Work};

/// A `MERGE`.
pub(crate) struct Merge {
    target: Target,
    query: Query,
    types: Vec<(String, SqlType)>,
    clauses: Vec<Clause>,
    defaults: Defaults,
}

/// `WHEN [NOT] MATCHED [AND condition] THEN action`
struct Clause {
    matched: bool,
    condition: Option<Expr>,
    action: Action,
}

enum Action {
    Insert(Vec<(usize, Cell)>),
    Update(Assignments),
    Delete,
    Nothing,
}

impl Merge {
    pub fn new(merge: &ast::Merge, parsed: &Parsed, setting: &Setting<'_>, params: &mut ParamTypes) -> SqlResult<Self> {
        let joined =
            |relation: &ast::TableFactor| ast::TableWithJoins { relation: relation.clone(), joins: Vec::new() };
        let into = joined(&merge.table);
        let Some((name, alias)) = only_table(&into) else {
            return Err(SqlError::unsupported("MERGE into what is no table"));
        };
        let target = Target::new(setting, name, alias)?;
        let source = [joined(&merge.source)];
        let from = merge.source.to_string();
        let beside = Beside::new(&source, &from, setting, params).map_err(without_position)?;
        let column = |position: usize| {
            let column = &target.table.columns[position];
            (column.name.clone(), column.ty.clone())
        };
        let mut types: Vec<(String, SqlType)> = (0..target.table.columns.len()).map(column).collect();
        let own = target.table.columns.iter().map(|column| column.name.as_str());
        let id = target.physical.has_row_id().then_some(ROW_ID_COLUMN);
        types.extend(id.map(|id| (id.to_owned(), SqlType::Uuid)));
        types.extend(beside.columns());
        let table = quote_name(&target.name);
        let own = own.chain(id).map(|column| format!("{table}.{}", quote_name(column)));
        let list: Vec<String> = own.chain(beside.items()).collect();
        let (with, list) = (setting.with_text(), list.join(", "));
        let text = format!("{with}SELECT {list} FROM {from} LEFT JOIN {into} ON {}", merge.on);
        let targets: Vec<SqlType> = types.iter().map(|(_, ty)| ty.clone()).collect();
        let query = parse_query(&text)?;
        let query = Query::new(&query, &text.into(), &targets, setting, params).map_err(without_position)?;
        check_assignable(&query.columns, &types)?;
        check_reachable(&merge.clauses)?;
        let (both, alone) = (beside.scope(&target), beside.scope_alone(&target));
        let clause = |clause: &ast::MergeClause| {
            let scope = if clause.clause_kind == MergeClauseKind::Matched { &both } else { &alone };
            Clause::new(clause, &target, scope, parsed, setting, params)
        };
        let clauses = merge.clauses.iter().map(clause).collect::<SqlResult<_>>()?;
        let defaults = Defaults::of(&target, setting)?;
        Ok(Self { target, query, types, clauses, defaults })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.target.table.name
    }

    /// Gives the writer its rows.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        let found = self.query.assigned(work, params, &self.types).await?;
        self.defaults.reserve(work, &[], found.len() as u64).await?;
        let (width, table) = (self.target.table.columns.len(), self.target.table.id);
        let Writing { writer, evaluator } = writing;
        let context = evaluator.context();
        let mut changed = Changed::default();
        for mut row in found {
            let id = self.target.physical.has_row_id().then(|| row.remove(width));
            let keys = id.map_or_else(|| self.target.primary_key(&row), |id| vec![id]);
            let place = self.target.place(&keys)?;
            let applies = |clause: &&Clause| -> SqlResult<bool> {
                match &clause.condition {
                    _ if clause.matched != place.is_some() => Ok(false),
                    Some(condition) => condition.is_true(&row, params, &context),
                    None => Ok(true),
                }
            };
            let mut clause = None;
            for candidate in &self.clauses {
                if applies(&candidate)? {
                    clause = Some(candidate);
                    break;
                }
            }
            let old = |place: Option<Place>| {
                let place = place.ok_or_else(|| SqlError::new(SqlState::INTERNAL_ERROR, "a match without a row"))?;
                Ok::<_, SqlError>(Tuple { place, values: row[..width].to_vec() })
            };
            match clause.map(|clause| &clause.action) {
                None | Some(Action::Nothing) => continue,
                Some(Action::Insert(cells)) => {
                    let new = self.inserted(cells, &row, params, evaluator)?;
                    let id = row_id(work, &self.target);
                    writer.insert(table, new, id)?;
                }
                Some(Action::Update(assignments)) => {
                    let old = old(place)?;
                    let new = assignments.apply(&old.values, &row, params, evaluator)?;
                    writer.update(table, old, new)?.ok_or_else(second_time)?;
                }
                Some(Action::Delete) => {
                    if !writer.delete(table, old(place)?)? {
                        return Err(second_time().into());
                    }
                }
            }
            changed.count += 1;
        }
        Ok(changed)
    }

    fn inserted(
        &self,
        cells: &[(usize, Cell)],
        row: &[Value],
        params: &[Value],
        evaluator: &Evaluator<'_>,
    ) -> SqlResult<Row> {
        let given = cells.iter().filter_map(|(position, cell)| match cell {
            Cell::Expr(expr) => Some((*position, expr)),
            Cell::Default => None,
        });
        let (positions, exprs): (Vec<usize>, Vec<&Expr>) = given.unzip();
        let values = exprs.into_iter().map(|expr| expr.eval(row, params, &evaluator.context()));
        let values = values.collect::<SqlResult<Row>>()?;
        self.defaults.complete(values, &positions, evaluator)
    }
}

impl Clause {
    fn new(
        clause: &ast::MergeClause,
        target: &Target,
        scope: &Scope,
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
        Ok(Self { matched, condition, action })
    }
}

/// `42601` for a clause behind one that always applies.
fn check_reachable(clauses: &[ast::MergeClause]) -> SqlResult<()> {
    let last = |clause: &ast::MergeClause| {
        clauses.iter().rposition(|other| other.clause_kind == clause.clause_kind).unwrap_or_default()
    };
    match clauses.iter().enumerate().find(|(place, clause)| clause.predicate.is_none() && last(clause) > *place) {
        None => Ok(()),
        Some(_) => {
            let message = "unreachable WHEN clause specified after unconditional WHEN clause";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        }
    }
}

/// The values that a new row is given.
fn cells(
    insert: &ast::MergeInsertExpr,
    target: &Target,
    parsed: &Parsed,
    binder: &mut Binder<'_>,
) -> SqlResult<Vec<(usize, Cell)>> {
    let ast::MergeInsertKind::Values(values) = &insert.kind else {
        return Err(SqlError::unsupported("INSERT ROW in MERGE"));
    };
    let [row] = values.rows.as_slice() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "MERGE inserts one row for each row of its source"));
    };
    let positions = columns_of(&insert.columns, &target.table, row.content.len())?;
    let cell = |(expr, position): (&ast::Expr, &usize)| {
        let column = &target.table.columns[*position];
        if is_default(expr) || is_overridden(&target.table, *position, parsed.overriding) {
            return Ok((*position, Cell::Default));
        }
        check_given(&target.table, *position, parsed.overriding)?;
        Ok((*position, Cell::Expr(binder.bind_assigned(expr, &column.name, &column.ty)?)))
    };
    row.content.iter().zip(&positions).map(cell).collect()
}

fn is_nothing(target: Option<&ast::AssignmentTarget>) -> bool {
    matches!(target, Some(ast::AssignmentTarget::ColumnName(name)) if is_marker(name))
}

/// Whether a name stands for `DO NOTHING`, which sqlparser does not know.
fn is_marker(name: &ast::ObjectName) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == DO_NOTHING)
}

fn second_time() -> SqlError {
    let message = "MERGE command cannot affect row a second time";
    SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
        .hint("Ensure that not more than one source row matches any one target row.")
}
