//! `MERGE`: a query finds, for each row of a source, the rows of the table that match it; the first clause that applies
//! says what becomes of them.

use annulus_relation::error::SqlState;
use annulus_relation::ops::{Tuple, Writer};
use annulus_relation::{Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::{Database, Place};
use sqlparser::ast;

use super::beside::Beside;
use super::clause::{Action, Clause, Found};
use super::insert::{Cell, Defaults, row_id};
use super::joined::without_position;
use super::query::{Query, check_assignable};
use super::stored::Evaluator;
use super::target::{Target, only_table};
use super::{Changed, Writing};
use crate::bind::{Expr, ParamTypes, quote_name};
use crate::parse::{Parsed, parse_query};
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
        let clause = |clause: &ast::MergeClause| Clause::new(clause, &target, &beside, parsed, setting, params);
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
        let Writing { writer, evaluator } = writing;
        let mut found = found.into_iter().map(|row| self.found(row)).collect::<SqlResult<Vec<Found>>>()?;
        for (number, clause) in self.clauses.iter().enumerate() {
            clause.decide(number, &mut found, self.target.table.columns.len(), work, params, evaluator).await?;
        }
        let mut changed = Changed::default();
        for Found { row, place, decided } in found {
            let Some((clause, values)) = decided else { continue };
            let action = self.clauses.get(clause).map_or(&Action::Nothing, |clause| &clause.action);
            if matches!(action, Action::Nothing) {
                continue;
            }
            match place {
                None => {
                    let new = self.inserted(action, values, &row, params, evaluator)?;
                    let id = row_id(work, &self.target);
                    writer.insert(self.target.table.id, new, id)?;
                }
                Some(place) => self.change(action, values, (&row, place), params, writer, evaluator)?,
            }
            changed.count += 1;
        }
        Ok(changed)
    }

    /// A row of the query.
    fn found(&self, mut row: Row) -> SqlResult<Found> {
        let width = self.target.table.columns.len();
        let id = self.target.physical.has_row_id().then(|| row.remove(width));
        let keys = id.map_or_else(|| self.target.primary_key(&row), |id| vec![id]);
        Ok(Found { place: self.target.place(&keys)?, row, decided: None })
    }

    /// Changes or deletes the row at a place.
    fn change(
        &self,
        action: &Action,
        values: Row,
        (row, place): (&[Value], Place),
        params: &[Value],
        writer: &mut Writer<'_, Evaluator<'_>>,
        evaluator: &Evaluator<'_>,
    ) -> SqlResult<()> {
        let table = &self.target.table;
        let old = Tuple { place, values: row[..table.columns.len()].to_vec() };
        let new = match action {
            Action::Update(assignments) => assignments.apply(&old.values, row, params, evaluator)?,
            Action::Assign(assigned) => assigned.apply(&old.values, values, evaluator)?,
            _ => return if writer.delete(table.id, old)? { Ok(()) } else { Err(second_time()) },
        };
        writer.update(table.id, old, new)?.map(|_| ()).ok_or_else(second_time)
    }

    /// The new row that an action inserts.
    fn inserted(
        &self,
        action: &Action,
        values: Row,
        row: &[Value],
        params: &[Value],
        evaluator: &Evaluator<'_>,
    ) -> SqlResult<Row> {
        let cells = match action {
            Action::Fill(positions) => return self.defaults.complete(values, positions, evaluator),
            Action::Insert(cells) => cells.as_slice(),
            _ => return Err(SqlError::new(SqlState::INTERNAL_ERROR, "a match without a row")),
        };
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

fn second_time() -> SqlError {
    let message = "MERGE command cannot affect row a second time";
    SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
        .hint("Ensure that not more than one source row matches any one target row.")
}
