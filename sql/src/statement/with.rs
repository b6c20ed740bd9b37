//! Statements with parts that are carried out before the rest: statements in `WITH` that change rows, and subqueries that
//! lock rows.
//!
//! Promises and invariants:
//! - The parts are carried out one after the other, each once; what is behind sees what they gave, under their names.
//! - No part sees what another one has changed, as in PostgreSQL: all changes are collected by one writer, and stored when
//!   everything has been read.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::ops::Checks;
use annulus_relation::{Outcome, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, SetExpr, Visit, VisitMut, Visitor, VisitorMut};

use super::analyze::{change, refuse_locks};
use super::{Plan, Setting, Work};
use crate::bind::{Need, ParamTypes, needs_query, quote_name};
use crate::dml::query::Query;
use crate::dml::{Change, Ground, Select, Writing, below, finish, from_of, only_table};
use crate::parse::{Parsed, parse_query};
use crate::query::Given;
use crate::session::answer::{Column, Tag};
use crate::session::{Produced, Rows};

/// A statement in parts.
pub(crate) struct With {
    parts: Vec<Part>,
    body: Body,
}

/// What is carried out before the rest.
struct Part {
    given: Given,
    what: What,
}

enum What {
    Lock(Rc<Select>),
    Change(Box<Change>),
}

enum Body {
    Query(Query),
    /// What `RETURNING` says of the rows that the last part has changed.
    Returning(Query),
    Change(Box<Change>),
}

/// The plan of a statement with such parts, or of one that changes rows behind `WITH`; `None` if it is neither.
pub(super) fn plan(
    statement: &ast::Statement,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Option<(Plan, Option<Vec<Column>>)>> {
    let behind_with = matches!(statement, ast::Statement::Query(query) if query.with.is_some());
    let own = u32::from(matches!(statement, ast::Statement::Query(_)));
    let locking_parts = Visit::visit(statement, &mut Lifter::new(own)).is_break();
    let asking = asks_in_returning(statement);
    if !behind_with && !locking_parts && !asking {
        return Ok(None);
    }
    let mut statement = statement.clone();
    let mut lifter = Lifter::new(own);
    if let ControlFlow::Break(error) = VisitMut::visit(&mut statement, &mut lifter) {
        return Err(error);
    }
    let locks = lifter.lifted;
    let (with, mut statement) = match statement {
        ast::Statement::Query(query) => split(*query),
        statement => (None, statement),
    };
    let (changes, with) = with.map_or_else(|| Ok((Vec::new(), None)), take_changes)?;
    if changes.is_empty() && locks.is_empty() && matches!(statement, ast::Statement::Query(_)) {
        return Ok(None);
    }
    if changes.iter().chain([&(statement.clone(), None, 0)]).filter(|(part, ..)| is_insert(part)).count() > 1
        && (parsed.arbiter.is_some() || parsed.overriding.is_some())
    {
        let what = "ON CONFLICT with expressions, or OVERRIDING, in a statement with several INSERTs";
        return Err(SqlError::unsupported(what));
    }
    let mut parts = Vec::new();
    for (name, query) in &locks {
        parts.push(locking(name, query, parsed, setting, params)?);
    }
    for (part, alias, before) in &changes {
        let seen =
            with.as_ref().map(|with| ast::With { cte_tables: with.cte_tables[..*before].to_vec(), ..with.clone() });
        let given: Vec<Given> = parts.iter().map(|part: &Part| part.given.clone()).collect();
        let inner = setting.with(seen.as_ref(), &given);
        let change = change(part, parsed, &inner, params)?;
        let columns = change.returning().map(|returning| returning.columns.as_slice());
        let given = given_of(alias.as_ref(), columns)?;
        parts.push(Part { given, what: What::Change(change) });
    }
    let mut given: Vec<Given> = parts.iter().map(|part| part.given.clone()).collect();
    let asked = match asks_in_returning(&statement) {
        true => Some(take_returning(&mut statement)?),
        false => None,
    };
    if asked.is_some() {
        let changed = change(&statement, parsed, &setting.with(with.as_ref(), &given), params)?;
        let columns = changed.returning().map(|returning| returning.columns.as_slice());
        let rows = Given { name: CHANGED.to_owned(), ..given_of(None, columns)? };
        given.push(rows.clone());
        parts.push(Part { given: rows, what: What::Change(changed) });
    }
    let inner = setting.with(with.as_ref(), &given);
    let (body, columns) = match (&statement, asked) {
        (_, Some(query)) => {
            let query = ast::Query { with: with.clone(), ..query };
            let query = Query::new(&query, &parsed.whole, &[], &inner, params)?;
            let columns = query.columns.clone();
            (Body::Returning(query), Some(columns))
        }
        (ast::Statement::Query(query), None) => {
            refuse_locks(query)?;
            let query = ast::Query { with: with.clone(), ..(**query).clone() };
            let query = Query::new(&query, &parsed.whole, &[], &inner, params)?;
            let columns = query.columns.clone();
            (Body::Query(query), Some(columns))
        }
        (other, None) => {
            let change = change(other, parsed, &inner, params)?;
            let columns = change.returning().map(|returning| returning.columns.clone());
            (Body::Change(change), columns)
        }
    };
    let plan = match body {
        Body::Change(change) if parts.is_empty() => Plan::Change(change),
        body => Plan::With(Box::new(With { parts, body })),
    };
    Ok(Some((plan, columns)))
}

/// What the changed rows are called that `RETURNING` asks more about. No client writes such a name.
const CHANGED: &str = "changed rows";

/// Whether a statement's `RETURNING` holds what needs a query.
fn asks_in_returning(statement: &ast::Statement) -> bool {
    let returning = match statement {
        ast::Statement::Insert(insert) => &insert.returning,
        ast::Statement::Update(update) => &update.returning,
        ast::Statement::Delete(delete) => &delete.returning,
        _ => return false,
    };
    let asks = |item: &ast::SelectItem| match item {
        ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
            needs_query(expr) == Some(Need::Subquery)
        }
        _ => false,
    };
    returning.iter().flatten().any(asks)
}

/// Lets a statement return all columns, and gives the query over them that its `RETURNING` was.
fn take_returning(statement: &mut ast::Statement) -> SqlResult<ast::Query> {
    let beside = || SqlError::unsupported("a subquery in RETURNING beside other tables");
    let (returning, table) = match statement {
        ast::Statement::Insert(insert) => {
            let alias = insert.table_alias.as_ref().map(|alias| alias.alias.clone());
            let ast::TableObject::TableName(name) = &insert.table else { return Err(beside()) };
            (&mut insert.returning, alias.or_else(|| last_of(name)))
        }
        ast::Statement::Update(update) => {
            let from = if update.from.is_some() { None } else { only_table(&update.table) };
            let (name, alias) = from.ok_or_else(beside)?;
            let name = alias.map(ast::Ident::new).or_else(|| last_of(name));
            (&mut update.returning, name)
        }
        ast::Statement::Delete(delete) => {
            let from = if delete.using.is_some() { None } else { from_of(delete).and_then(only_table) };
            let (name, alias) = from.ok_or_else(beside)?;
            let name = alias.map(ast::Ident::new).or_else(|| last_of(name));
            (&mut delete.returning, name)
        }
        _ => return Err(beside()),
    };
    let table = table.ok_or_else(beside)?;
    let mut query = *parse_query(&format!("SELECT 1 FROM \"{CHANGED}\" AS {}", quote_name(&table.value)))?;
    let all = vec![ast::SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())];
    let items = returning.replace(all).unwrap_or_default();
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = items;
    }
    Ok(query)
}

fn last_of(name: &ast::ObjectName) -> Option<ast::Ident> {
    name.0.last().and_then(|part| part.as_ident()).cloned()
}

const fn is_insert(statement: &ast::Statement) -> bool {
    matches!(statement, ast::Statement::Insert(_))
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

/// A change in `WITH`: the statement, its name, and how many of the others are before it.
type Found = (ast::Statement, Option<ast::TableAlias>, usize);

/// Takes the statements that change rows out of a `WITH`.
fn take_changes(mut with: ast::With) -> SqlResult<(Vec<Found>, Option<ast::With>)> {
    let (mut changes, mut rest) = (Vec::<Found>::new(), Vec::<ast::Cte>::new());
    for mut cte in std::mem::take(&mut with.cte_tables) {
        let name = &cte.alias.name.value;
        let known = rest.iter().map(|other| &other.alias.name.value);
        if changes
            .iter()
            .filter_map(|(_, alias, _)| Some(&alias.as_ref()?.name.value))
            .chain(known)
            .any(|other| other == name)
        {
            let message = format!("WITH query name \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
        let nested = cte.query.with.take();
        match *cte.query.body {
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                if nested.is_some() {
                    return Err(SqlError::unsupported("WITH before a statement in WITH that changes rows"));
                }
                changes.push((statement, Some(cte.alias), rest.len()));
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

/// What a change in `WITH` will give.
fn given_of(alias: Option<&ast::TableAlias>, columns: Option<&[Column]>) -> SqlResult<Given> {
    let name = alias.map(|alias| alias.name.value.clone()).unwrap_or_default();
    let names = alias.map_or(&[][..], |alias| &alias.columns);
    let mut columns: Option<Vec<(String, SqlType)>> =
        columns.map(|columns| columns.iter().map(|column| (column.name.clone(), column.ty.clone())).collect());
    let available = columns.as_ref().map_or(0, Vec::len);
    if names.len() > available {
        let message =
            format!("WITH query \"{name}\" has {available} columns available but {} columns specified", names.len());
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    for (column, name) in columns.iter_mut().flatten().zip(names) {
        column.0.clone_from(&name.name.value);
    }
    Ok(Given { name, columns, rows: Arc::default() })
}

/// A subquery that locks rows.
fn locking(
    name: &str,
    query: &ast::Query,
    parsed: &Parsed,
    setting: &Setting<'_>,
    params: &mut ParamTypes,
) -> SqlResult<Part> {
    let own = |error: SqlError| match error.state() {
        SqlState::UNDEFINED_COLUMN | SqlState::UNDEFINED_TABLE => {
            error.hint("A subquery with FOR UPDATE sees nothing of the query around it.")
        }
        _ => error,
    };
    let Some(select) = Select::new(query, parsed, setting, params).map_err(own)? else {
        refuse_locks(query)?;
        return Err(SqlError::unsupported("FOR UPDATE in this subquery"));
    };
    let columns = select.projection.columns.iter().map(|column| (column.name.clone(), column.ty.clone())).collect();
    let given = Given { name: name.to_owned(), columns: Some(columns), rows: Arc::default() };
    Ok(Part { given, what: What::Lock(Rc::new(select)) })
}

/// Takes subqueries that lock rows out of a statement: each is replaced by all rows of what its name will stand for.
struct Lifter {
    depth: u32,
    /// How many queries around are the statement itself.
    own: u32,
    lifted: Vec<(String, ast::Query)>,
}

impl Lifter {
    const fn new(own: u32) -> Self {
        Self { depth: 0, own, lifted: Vec::new() }
    }
}

impl Visitor for Lifter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > self.own && !query.locks.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn post_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Lifter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        if self.depth > self.own && !query.locks.is_empty() {
            // No client writes such a name.
            let name = format!("locked {}", self.lifted.len() + 1);
            match parse_query(&format!("SELECT * FROM \"{name}\"")) {
                Ok(all) => self.lifted.push((name, std::mem::replace(query, *all))),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

impl With {
    /// What it does, in lines of a plan.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for part in &self.parts {
            let (word, plan) = match &part.what {
                What::Lock(select) => ("Lock", select.describe()),
                What::Change(change) => ("CTE", change.describe()),
            };
            lines.push(format!("{word} {}", part.given.name));
            lines.extend(below(plan));
        }
        lines.extend(match &self.body {
            Body::Query(_) | Body::Returning(_) => vec!["Query".to_owned()],
            Body::Change(change) => change.describe(),
        });
        lines
    }

    /// Whether any part of it changes rows.
    pub fn changes(&self) -> bool {
        matches!(self.body, Body::Change(_)) || self.parts.iter().any(|part| matches!(part.what, What::Change(_)))
    }

    /// Carries it out.
    pub async fn run<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        work.active.given.clear();
        let outcome = self.carry_out(work, params).await;
        work.active.given.clear();
        outcome
    }

    async fn carry_out<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        let ground = Ground::of(work);
        let evaluator = ground.evaluator();
        let mut writing = Writing::new(&ground, &evaluator, Checks::AtStatement);
        let mut last = Tag::Rows("SELECT");
        for part in &self.parts {
            let rows = match &part.what {
                What::Lock(select) => match select.run(work, params).await?.rows {
                    Rows::Ready(rows) => rows.collect(),
                    _ => return Err(SqlError::new(SqlState::INTERNAL_ERROR, "locked rows that come later").into()),
                },
                What::Change(change) => {
                    work.active.check_writable(change.word())?;
                    let changed = change.collect(work, params, &mut writing).await?;
                    last = change.tag(&changed);
                    change.returned(&changed, params, &evaluator)?
                }
            };
            let rows: Vec<_> = rows;
            work.active.given.push(Given { rows: rows.into(), ..part.given.clone() });
        }
        match &self.body {
            Body::Query(query) => {
                let rows = query.whole(work, params).await?;
                finish(work, writing.writer).await?;
                Ok(Produced::rows(rows, Tag::Rows("SELECT")))
            }
            Body::Returning(query) => {
                let rows = query.whole(work, params).await?;
                finish(work, writing.writer).await?;
                Ok(Produced::rows(rows, last))
            }
            Body::Change(change) => {
                work.active.check_writable(change.word())?;
                let changed = change.collect(work, params, &mut writing).await?;
                finish(work, writing.writer).await?;
                Ok(change.produced(changed, params, &evaluator)?)
            }
        }
    }
}
