//! `SELECT` from one table, or from none, without the query engine.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::KeyPart;
use annulus_relation::error::SqlState;
use annulus_relation::ops::Cursor;
use annulus_relation::transaction::Grip;
use annulus_relation::value::CastContext;
use annulus_relation::{Outcome, Row, SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, GroupByExpr, LimitClause, OrderByKind, SetExpr};

use super::Source;
use super::projection::Projection;
use super::stored::Evaluator;
use super::target::{Target, only_table};
use crate::bind::{Binder, EvalContext, Expr, ParamTypes, Scope, needs_query};
use crate::parse::Parsed;
use crate::session::answer::Tag;
use crate::session::{Produced, Rows};
use crate::statement::{Setting, Work};

mod locking;

pub(super) use locking::{Locking, check_locked};

/// How many rows the first round asks for: what short scans find is complete with it.
const FIRST: u32 = 1_000;

/// A `SELECT` from one table, or from none.
pub(crate) struct Select {
    source: Option<Source>,
    /// The condition, where there is no table.
    filter: Option<Expr>,
    pub projection: Projection,
    ordered: bool,
    /// What rows that are locked are sorted by, if not by the index that they are read in.
    sort: Vec<SortKey>,
    limit: Option<Expr>,
    offset: Option<Expr>,
    locking: Option<Locking>,
}

impl Select {
    /// The plan; `None` if it needs the query engine.
    pub fn new(
        query: &ast::Query,
        parsed: &Parsed,
        setting: &Setting<'_>,
        params: &mut ParamTypes,
    ) -> SqlResult<Option<Self>> {
        let Some(select) = plain(query) else { return Ok(None) };
        let limits = limits(query);
        let Some((limit, offset)) = limits else { return Ok(None) };
        let source = match select.from.as_slice() {
            [] => None,
            [from] => {
                let Some((name, alias)) = only_table(from) else { return Ok(None) };
                let Some(target) = user_table(setting, name, alias)? else { return Ok(None) };
                let ordered = query.order_by.is_some();
                Some(Source::new(target, select.selection.as_ref(), parsed, setting, params, ordered)?)
            }
            _ => return Ok(None),
        };
        let nothing = Scope::new();
        let scope = source.as_ref().map_or(&nothing, |source| &source.target.scope);
        let mut binder = Binder::new(scope, params, &setting.env).text(&parsed.whole).clause("SELECT");
        let filter = match (&source, &select.selection) {
            (None, Some(filter)) => Some(binder.bind_condition(filter)?),
            _ => None,
        };
        let target = source.as_ref().map(|source| &source.target);
        let projection = Projection::new(&select.projection, target, &mut binder)?;
        let count = |expr: Option<&ast::Expr>, binder: &mut Binder<'_>| {
            expr.map(|expr| binder.bind_as(expr, &SqlType::Int8, CastContext::Assignment)).transpose()
        };
        let (limit, offset) = (count(limit, &mut binder)?, count(offset, &mut binder)?);
        let (ordered, sort) = match ordered(query, source.as_ref(), &projection, &mut binder)? {
            Some(ordered) => (ordered, Vec::new()),
            None if query.locks.is_empty() => return Ok(None),
            None => match sort_keys(query, &projection, &mut binder)? {
                Some(keys) => (false, keys),
                None => return Ok(None),
            },
        };
        let locking = Locking::of(&query.locks, source.as_ref())?;
        Ok(Some(Self { source, filter, projection, ordered, sort, limit, offset, locking }))
    }

    /// Whether it finds at most one row.
    pub fn is_point(&self) -> bool {
        self.source.as_ref().is_some_and(Source::is_point)
    }

    /// How its rows are found, in words.
    pub fn describe(&self) -> Vec<String> {
        self.source.as_ref().map_or_else(|| vec!["Result".to_owned()], Source::describe)
    }

    /// Runs it, or begins to.
    pub async fn run<D: Database>(self: &Rc<Self>, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        let catalogs = Rc::clone(work.catalogs);
        let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
        let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
        let context = evaluator.context();
        let skip = count(self.offset.as_ref(), params, &context, "OFFSET")?.unwrap_or(0);
        let left = count(self.limit.as_ref(), params, &context, "LIMIT")?.unwrap_or(u64::MAX);
        let Some(source) = &self.source else {
            return Ok(self.constant(params, &context, skip, left)?);
        };
        let cursor = source.access.cursor(&source.target.physical, params, &evaluator, None, self.ordered)?;
        let mut scan = Scan { select: Rc::clone(self), cursor, params: params.into(), skip, left };
        if let Some(locking) = &self.locking {
            return locking.run(scan, work, &evaluator).await;
        }
        let short = source.access.is_point(&source.target.physical) || source.access.index == 0;
        if !short || source.access.is_everything() {
            work.pin(&scan.cursor.partitions(), Grip::Light).await?;
        }
        let first = scan.next(work, FIRST).await?.unwrap_or_default();
        if scan.ended() {
            return Ok(Produced::rows(first, Tag::Rows("SELECT")));
        }
        // There is more: all of it has to be of one instant, without remembering every row.
        if work.restart() {
            work.pin(&scan.cursor.partitions(), Grip::Firm).await?;
            let cursor = source.access.cursor(&source.target.physical, params, &evaluator, None, self.ordered)?;
            scan = Scan { select: Rc::clone(self), cursor, params: params.into(), skip, left };
            return Ok(Produced { rows: Rows::Scan(Vec::new().into_iter(), Box::new(scan)), tag: Tag::Rows("SELECT") });
        }
        Ok(Produced { rows: Rows::Scan(first.into_iter(), Box::new(scan)), tag: Tag::Rows("SELECT") })
    }

    /// The row of a `SELECT` without a table.
    fn constant(&self, params: &[Value], context: &EvalContext<'_>, skip: u64, left: u64) -> SqlResult<Produced> {
        let wanted = skip == 0
            && left > 0
            && self.filter.as_ref().map_or(Ok(true), |filter| filter.is_true(&[], params, context))?;
        let rows = if wanted { vec![self.projection.apply(&[], params, context)?] } else { Vec::new() };
        Ok(Produced::rows(rows, Tag::Rows("SELECT")))
    }
}

/// A `SELECT` that reads its table bit by bit.
pub(crate) struct Scan {
    select: Rc<Select>,
    cursor: Cursor,
    params: Rc<[Value]>,
    skip: u64,
    left: u64,
}

impl Scan {
    fn ended(&self) -> bool {
        self.left == 0 || self.cursor.partitions().is_empty()
    }

    /// The next rows; `None` at the end. There may be none and yet more to come.
    pub async fn next<D: Database>(&mut self, work: &mut Work<'_, D>, wanted: u32) -> Outcome<Option<Vec<Row>>> {
        if self.left == 0 {
            return Ok(None);
        }
        work.deadline.check()?;
        let (catalog, left) = (Arc::clone(&work.active.catalog), work.deadline.left());
        let limit = self.limit(wanted);
        let Some(tuples) = self.cursor.next(&mut work.active.transaction, &catalog, limit, left).await? else {
            return Ok(None);
        };
        let env = Arc::clone(&work.active.env);
        let context = EvalContext::new(&env, &**work.shared);
        let filter = self.select.source.as_ref().and_then(|source| source.filter.as_ref());
        let mut rows = Vec::with_capacity(tuples.len());
        for tuple in tuples {
            if self.left == 0 {
                break;
            }
            if !filter.map_or(Ok(true), |filter| filter.is_true(&tuple.values, &self.params, &context))? {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.left -= 1;
            rows.push(self.select.projection.apply(&tuple.values, &self.params, &context)?);
        }
        Ok(Some(rows))
    }

    /// How many rows to read: no more than are wanted, if all that are read are given.
    fn limit(&self, wanted: u32) -> u32 {
        let all = self.select.source.as_ref().is_some_and(|source| source.filter.is_none());
        match all {
            true => u32::try_from(self.left.saturating_add(self.skip)).unwrap_or(u32::MAX).min(wanted),
            false => wanted,
        }
    }
}

/// The number of rows that `LIMIT` or `OFFSET` says.
fn count(expr: Option<&Expr>, params: &[Value], context: &EvalContext<'_>, word: &str) -> SqlResult<Option<u64>> {
    let Some(expr) = expr else { return Ok(None) };
    match expr.eval(&[], params, context)? {
        Value::Int8(number) => u64::try_from(number).map(Some).map_err(|_| {
            let state = match word {
                "LIMIT" => SqlState::INVALID_ROW_COUNT_IN_LIMIT,
                _ => SqlState::INVALID_ROW_COUNT_IN_OFFSET,
            };
            SqlError::new(state, format!("{word} must not be negative"))
        }),
        _ => Ok(None),
    }
}

/// The table of a name; `None` if it is something that the query engine knows (a view, a system table).
fn user_table(setting: &Setting<'_>, name: &ast::ObjectName, alias: Option<&str>) -> SqlResult<Option<Target>> {
    use annulus_relation::catalog::Relation;
    let names =
        crate::names::Names { catalog: setting.catalog, path: &setting.path, database: &setting.shared.database };
    match names.find(&crate::names::name_of(name, names.database)?) {
        Some(Relation::Table(table)) => Target::of(setting, Arc::clone(table), alias).map(Some),
        _ => Ok(None),
    }
}

/// The `SELECT` of a query that has nothing else, and nothing in it that needs a query.
fn plain(query: &ast::Query) -> Option<&ast::Select> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let bare = query.with.is_none()
        && query.fetch.is_none()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty();
    let ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(exprs, more) if exprs.is_empty() && more.is_empty());
    let simple = select.distinct.is_none()
        && select.top.is_none()
        && select.exclude.is_none()
        && select.into.is_none()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.connect_by.is_empty()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.having.is_none()
        && select.named_window.is_empty()
        && select.qualify.is_none()
        && select.value_table_mode.is_none()
        && !select.projection.is_empty();
    let scalar = |expr: &ast::Expr| needs_query(expr).is_none();
    let items = select.projection.iter().all(|item| match item {
        ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => scalar(expr),
        ast::SelectItem::Wildcard(_) | ast::SelectItem::QualifiedWildcard(..) => true,
        _ => false,
    });
    (bare && ungrouped && simple && items && select.selection.as_ref().is_none_or(scalar)).then_some(&**select)
}

type Limits<'q> = (Option<&'q ast::Expr>, Option<&'q ast::Expr>);

/// `LIMIT` and `OFFSET`; `None` if they are of other databases' kind.
fn limits(query: &ast::Query) -> Option<Limits<'_>> {
    match &query.limit_clause {
        None => Some((None, None)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            Some((limit.as_ref(), offset.as_ref().map(|offset| &offset.value)))
        }
        Some(_) => None,
    }
}

/// Whether rows have to come in the order of the index that is read; `None` if `ORDER BY` wants another order.
fn ordered(
    query: &ast::Query,
    source: Option<&Source>,
    projection: &Projection,
    binder: &mut Binder<'_>,
) -> SqlResult<Option<bool>> {
    let Some(order) = &query.order_by else { return Ok(Some(false)) };
    let (OrderByKind::Expressions(keys), Some(source)) = (&order.kind, source) else { return Ok(None) };
    if source.access.is_point(&source.target.physical) && keys.iter().all(|key| binder.bind(&key.expr).is_ok()) {
        return Ok(Some(false));
    }
    let index = &source.target.table.indexes[source.access.index];
    let mut parts = index.keys.iter().skip(source.access.prefix());
    for key in keys {
        let column = sort_column(&key.expr, projection, binder);
        let (Some(column), Some(part)) = (column, parts.next()) else { return Ok(None) };
        let descending = key.options.asc == Some(false);
        let nulls_first = key.options.nulls_first.unwrap_or(descending);
        let found = &source.target.table.columns[column];
        let same_nulls = found.not_null.is_certain() || nulls_first == part.nulls_first;
        if part.part != KeyPart::Column(found.id) || descending != part.descending || !same_nulls {
            return Ok(None);
        }
    }
    Ok(Some(true))
}

/// What rows are sorted by, and how.
struct SortKey {
    expr: Expr,
    descending: bool,
    nulls_first: bool,
}

impl SortKey {
    fn compare(&self, one: &Value, other: &Value) -> Ordering {
        match (one.is_null(), other.is_null()) {
            (true, true) => Ordering::Equal,
            (false, false) if self.descending => annulus_relation::value::compare(other, one),
            (false, false) => annulus_relation::value::compare(one, other),
            (null, _) if null == self.nulls_first => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// The keys of `ORDER BY`; `None` if one of them has no order.
fn sort_keys(query: &ast::Query, projection: &Projection, binder: &mut Binder<'_>) -> SqlResult<Option<Vec<SortKey>>> {
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for key in keys {
        let expr = match output(&key.expr, projection) {
            Some(expr) => expr.clone(),
            None if needs_query(&key.expr).is_some() => return Ok(None),
            None => binder.bind(&key.expr)?,
        };
        if matches!(expr.ty(), SqlType::Json | SqlType::Jsonpath) {
            return Ok(None);
        }
        let descending = key.options.asc == Some(false);
        found.push(SortKey { expr, descending, nulls_first: key.options.nulls_first.unwrap_or(descending) });
    }
    Ok(Some(found))
}

/// The item of the list that a sort key means: by its place or its name.
fn output<'p>(expr: &ast::Expr, projection: &'p Projection) -> Option<&'p Expr> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => projection.exprs.get(digits.parse::<usize>().ok()?.checked_sub(1)?),
            _ => None,
        },
        ast::Expr::Identifier(ident) => {
            let at = projection.columns.iter().position(|column| column.name == ident.value)?;
            projection.exprs.get(at)
        }
        _ => None,
    }
}

/// The column of the table that a sort key means: by its place in the list, its name there, or its own name.
fn sort_column(expr: &ast::Expr, projection: &Projection, binder: &mut Binder<'_>) -> Option<usize> {
    match expr {
        ast::Expr::Value(value) => {
            let place: usize = match &value.value {
                ast::Value::Number(digits, _) => digits.parse().ok()?,
                _ => return None,
            };
            projection.exprs.get(place.checked_sub(1)?)?.as_column()
        }
        ast::Expr::Identifier(ident) => {
            let mut named =
                projection.columns.iter().zip(&projection.exprs).filter(|(column, _)| column.name == ident.value);
            match (named.next(), named.next()) {
                (Some((_, expr)), None) => expr.as_column(),
                (None, _) => binder.bind(expr).ok()?.as_column(),
                _ => None,
            }
        }
        ast::Expr::CompoundIdentifier(_) => binder.bind(expr).ok()?.as_column(),
        _ => None,
    }
}
