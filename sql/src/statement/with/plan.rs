//! Plans of statements in parts.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{self, SetExpr};

use super::lift::{lift, locks_within};
use super::returning::{CHANGED, asks_in_returning, take_returning};
use super::{Body, Part, What, With};
use crate::bind::ParamTypes;
use crate::dml::Select;
use crate::dml::query::Query;
use crate::parse::{Parsed, parse_query};
use crate::query::Given;
use crate::session::answer::Column;
use crate::statement::analyze::{change, refuse_locks};
use crate::statement::{Plan, Setting};

/// The plan of a statement with such parts, or of one that changes rows behind `WITH`; `None` if it is neither.
pub(in crate::statement) fn plan(
    statement: &ast::Statement,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Option<(Plan, Option<Vec<Column>>)>> {
    let behind_with = matches!(statement, ast::Statement::Query(query) if query.with.is_some());
    if !behind_with && !locks_within(statement) && !asks_in_returning(statement) {
        return Ok(None);
    }
    let mut statement = statement.clone();
    let locks = lift(&mut statement)?;
    let (with, statement) = match statement {
        ast::Statement::Query(query) => split(*query),
        statement => (None, statement),
    };
    let (changes, with) = with.map_or_else(|| Ok((Vec::new(), None)), take_changes)?;
    if changes.is_empty() && locks.is_empty() && matches!(statement, ast::Statement::Query(_)) {
        return Ok(None);
    }
    check_inserts(&statement, &changes, parsed)?;
    let mut planner = Planner { parsed, setting, params, with, parts: Vec::new() };
    for (name, query) in &locks {
        planner.lock(name, query)?;
    }
    for change in &changes {
        planner.change_before(change)?;
    }
    planner.finish(statement).map(Some)
}

struct Planner<'p> {
    parsed: &'p Parsed,
    setting: &'p Setting<'p>,
    params: &'p mut ParamTypes,
    /// The common table expressions that change nothing.
    with: Option<ast::With>,
    parts: Vec<Part>,
}

impl Planner<'_> {
    /// What the parts so far will give.
    fn given(&self) -> Vec<Given> {
        self.parts.iter().map(|part| part.given.clone()).collect()
    }

    /// Adds a subquery that locks rows.
    fn lock(&mut self, name: &str, query: &ast::Query) -> SqlResult<()> {
        let own = |error: SqlError| match error.state() {
            SqlState::UNDEFINED_COLUMN | SqlState::UNDEFINED_TABLE => {
                error.hint("A subquery with FOR UPDATE sees nothing of the query around it.")
            }
            _ => error,
        };
        let Some(select) = Select::new(query, self.parsed, self.setting, self.params).map_err(own)? else {
            refuse_locks(query)?;
            return Err(SqlError::unsupported("FOR UPDATE in this subquery"));
        };
        let columns = select.projection.columns.iter().map(|column| (column.name.clone(), column.ty.clone())).collect();
        let given = Given { name: name.to_owned(), columns: Some(columns), rows: Arc::default() };
        self.parts.push(Part { given, what: What::Lock(Rc::new(select)) });
        Ok(())
    }

    /// Adds a statement that changes rows.
    fn change_before(&mut self, found: &Found) -> SqlResult<()> {
        let seen = self.with.as_ref().filter(|_| found.before > 0).map(|with| {
            let cte_tables = with.cte_tables[..found.before].to_vec();
            ast::With { cte_tables, ..with.clone() }
        });
        let given = self.given();
        let change = change(&found.statement, self.parsed, &self.setting.with(seen.as_ref(), &given), self.params)?;
        let columns = change.returning().map(|returning| returning.columns.as_slice());
        let given = given_of(found, columns)?;
        self.parts.push(Part { given, what: What::Change(change) });
        Ok(())
    }

    /// The plan, with what stands behind all parts.
    fn finish(mut self, mut statement: ast::Statement) -> SqlResult<(Plan, Option<Vec<Column>>)> {
        if asks_in_returning(&statement) {
            let asked = take_returning(&mut statement)?;
            let before = self.with.as_ref().map_or(0, |with| with.cte_tables.len());
            self.change_before(&Found { statement, name: CHANGED.to_owned(), columns: Vec::new(), before })?;
            let (query, columns) = self.query(asked)?;
            return Ok(self.plan(Body::Returning(query), Some(columns)));
        }
        if let ast::Statement::Query(query) = statement {
            refuse_locks(&query)?;
            let (query, columns) = self.query(*query)?;
            return Ok(self.plan(Body::Query(query), Some(columns)));
        }
        let given = self.given();
        let change = change(&statement, self.parsed, &self.setting.with(self.with.as_ref(), &given), self.params)?;
        if self.with.is_some() && !change.is_by_query() {
            // Nobody uses the common table expressions; they must be right nevertheless.
            self.query(*parse_query("VALUES (1)")?)?;
        }
        let columns = change.returning().map(|returning| returning.columns.clone());
        match self.parts.is_empty() {
            true => Ok((Plan::Change(change), columns)),
            false => Ok(self.plan(Body::Change(change), columns)),
        }
    }

    /// A query that sees what the parts give.
    fn query(&mut self, query: ast::Query) -> SqlResult<(Query, Vec<Column>)> {
        let query = ast::Query { with: self.with.clone(), ..query };
        let given = self.given();
        let inner = self.setting.with(None, &given);
        let query = Query::new(&query, &self.parsed.whole, &[], &inner, self.params)?;
        let columns = query.columns.clone();
        Ok((query, columns))
    }

    fn plan(self, body: Body, columns: Option<Vec<Column>>) -> (Plan, Option<Vec<Column>>) {
        (Plan::With(Box::new(With { parts: self.parts, body })), columns)
    }
}

/// What is read off the statement's text is about one `INSERT` only.
fn check_inserts(statement: &ast::Statement, changes: &[Found], parsed: &Parsed) -> SqlResult<()> {
    let all = changes.iter().map(|change| &change.statement).chain([statement]);
    let inserts = all.filter(|statement| matches!(statement, ast::Statement::Insert(_))).count();
    if inserts > 1 && (parsed.arbiter.is_some() || parsed.overriding.is_some()) {
        let what = "ON CONFLICT with expressions, or OVERRIDING, in a statement with several INSERTs";
        return Err(SqlError::unsupported(what));
    }
    Ok(())
}

/// A query's `WITH`, and what stands behind it.
fn split(mut query: ast::Query) -> (Option<ast::With>, ast::Statement) {
    let with = query.with.take();
    match *query.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => (with, statement),
        body => {
            query.body = Box::new(body);
            (with, ast::Statement::Query(Box::new(query)))
        }
    }
}

/// A statement that changes rows, carried out before the rest.
struct Found {
    statement: ast::Statement,
    /// What stands for the rows that it returns.
    name: String,
    /// The names of the first columns of these.
    columns: Vec<String>,
    /// How many of the other common table expressions it sees.
    before: usize,
}

/// Takes the statements that change rows out of a `WITH`.
fn take_changes(mut with: ast::With) -> SqlResult<(Vec<Found>, Option<ast::With>)> {
    let (mut changes, mut rest) = (Vec::<Found>::new(), Vec::<ast::Cte>::new());
    for mut cte in std::mem::take(&mut with.cte_tables) {
        let name = cte.alias.name.value.clone();
        let known = rest.iter().map(|other| &other.alias.name.value);
        if changes.iter().map(|change| &change.name).chain(known).any(|other| *other == name) {
            let message = format!("WITH query name \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
        let nested = cte.query.with.take();
        match *cte.query.body {
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                if nested.is_some() {
                    return Err(SqlError::unsupported("WITH before a statement in WITH that changes rows"));
                }
                let columns = cte.alias.columns.into_iter().map(|column| column.name.value).collect();
                changes.push(Found { statement, name, columns, before: rest.len() });
            }
            body => {
                cte.query.body = Box::new(body);
                cte.query.with = nested;
                rest.push(cte);
            }
        }
    }
    let with = (!rest.is_empty()).then_some(ast::With { cte_tables: rest, ..with });
    Ok((changes, with))
}

/// What a change will give; `returned` are the columns of its `RETURNING`.
fn given_of(found: &Found, returned: Option<&[Column]>) -> SqlResult<Given> {
    let mut columns: Option<Vec<(String, SqlType)>> =
        returned.map(|columns| columns.iter().map(|column| (column.name.clone(), column.ty.clone())).collect());
    let (available, named) = (columns.as_ref().map_or(0, Vec::len), found.columns.len());
    if named > available {
        let message =
            format!("WITH query \"{}\" has {available} columns available but {named} columns specified", found.name);
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    for (column, name) in columns.iter_mut().flatten().zip(&found.columns) {
        column.0.clone_from(name);
    }
    Ok(Given { name: found.name.clone(), columns, rows: Arc::default() })
}
