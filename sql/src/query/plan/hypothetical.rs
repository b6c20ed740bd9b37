//! `rank(values) WITHIN GROUP (ORDER BY keys)` and its like: where a row of the values would stand in the group.
//!
//! They count the rows before it, so counts with conditions are written in their place.

use std::borrow::Cow;
use std::ops::ControlFlow;

use annulus_relation::{SqlError, SqlResult, SqlState};
use sqlparser::ast::{self, VisitMut, VisitorMut};

use super::aggregates::{DIRECT_ARGUMENTS, arguments, function_name};
use super::expressions::without_parens;
use super::names::as_name;
use super::subquery::find_parts;
use super::titles::title;
use super::{Rel, Translator, folded};
use crate::bind::DISTINCT_ROWS;
use crate::parse::parse_expression;

/// The name of the function, if an expression is the call of one.
fn called(expr: &ast::Expr) -> Option<(String, &ast::Function)> {
    let ast::Expr::Function(function) = expr else { return None };
    let name = function_name(function)?;
    let known = matches!(name.as_str(), "rank" | "dense_rank" | "percent_rank" | "cume_dist");
    (known && function.over.is_none() && !function.within_group.is_empty()).then_some((name, function))
}

impl Translator<'_> {
    /// A `SELECT` over a relation without such functions.
    pub(super) fn without_hypotheticals<'s>(
        &self,
        rel: &Rel,
        select: &'s ast::Select,
    ) -> SqlResult<Cow<'s, ast::Select>> {
        let mut spelled = Cow::Borrowed(select);
        for (place, item) in select.projection.iter().enumerate() {
            let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) = item else {
                continue;
            };
            let Some(counted) = self.counted(rel, select, expr)? else { continue };
            let alias = match item {
                ast::SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
                _ => ast::Ident::with_quote('"', title(expr)),
            };
            spelled.to_mut().projection[place] = ast::SelectItem::ExprWithAlias { expr: counted, alias };
        }
        if let Some(having) = &select.having
            && let Some(counted) = self.counted(rel, select, having)?
        {
            spelled.to_mut().having = Some(counted);
        }
        Ok(spelled)
    }

    /// An expression with counts in the place of such functions; `None` if it has none.
    fn counted(&self, rel: &Rel, select: &ast::Select, expr: &ast::Expr) -> SqlResult<Option<ast::Expr>> {
        let calls = find_parts(expr, &|part| called(part).is_some());
        if calls.is_empty() {
            return Ok(None);
        }
        for (_, function) in calls.iter().filter_map(called) {
            self.check_direct(rel, select, function)?;
        }
        let mut expr = expr.clone();
        match VisitMut::visit(&mut expr, &mut Counter { depth: 0 }) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(Some(expr)),
        }
    }

    /// The values are as many as what is sorted by, and the same for all rows of a group.
    fn check_direct(&self, rel: &Rel, select: &ast::Select, function: &ast::Function) -> SqlResult<()> {
        let (given, wanted) = (arguments(function)?, function.within_group.len());
        if given.len() != wanted {
            let message = format!("function {} does not exist", function.name);
            let hint = format!(
                "To use the hypothetical-set aggregate {}, the number of hypothetical direct arguments (here {}) must \
                 match the number of ordering columns (here {wanted}).",
                function.name,
                given.len()
            );
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint).at(self.position(function)));
        }
        let grouped: &[ast::Expr] = match &select.group_by {
            ast::GroupByExpr::Expressions(exprs, _) => exprs,
            ast::GroupByExpr::All(_) => &[],
        };
        for value in given.iter().flatten() {
            for name in find_parts(value, &|part| as_name(part).is_some()) {
                let last = as_name(&name).and_then(<[_]>::last).map(folded);
                let Some(column) = rel.visible().find(|column| Some(&column.name) == last.as_ref()) else { continue };
                if !grouped.iter().any(|key| *without_parens(key) == name) {
                    let table = column.table.iter().map(|table| format!("{table}.")).collect::<String>();
                    let message = format!(
                        "column \"{table}{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                        column.name
                    );
                    let error = SqlError::new(SqlState::GROUPING_ERROR, message);
                    return Err(error.detail(DIRECT_ARGUMENTS).at(self.position(&name)));
                }
            }
        }
        Ok(())
    }
}

/// Writes counts in the place of such functions; those of subqueries are theirs.
struct Counter {
    depth: u32,
}

impl VisitorMut for Counter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut ast::Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<SqlError> {
        if self.depth == 0
            && let Some((name, function)) = called(expr)
        {
            match count(&name, function) {
                Ok(counted) => *expr = counted,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// The counts that a call stands for.
fn count(name: &str, function: &ast::Function) -> SqlResult<ast::Expr> {
    let values = arguments(function)?;
    let keys: Vec<(&ast::OrderByExpr, Cow<'_, ast::Expr>)> =
        function.within_group.iter().zip(values.into_iter().flatten()).collect();
    let equal = |keys: &[(&ast::OrderByExpr, Cow<'_, ast::Expr>)]| {
        let equal = keys.iter().map(|(key, value)| format!("({}) IS NOT DISTINCT FROM ({value})", key.expr));
        equal.collect::<Vec<_>>().join(" AND ")
    };
    let before = keys.iter().enumerate().map(|(place, (key, value))| match place {
        0 => is_before(key, value),
        _ => format!("({} AND {})", equal(&keys[..place]), is_before(key, value)),
    });
    let before = before.collect::<Vec<_>>().join(" OR ");
    let filter = |condition: &str| match &function.filter {
        Some(filter) => format!("FILTER (WHERE ({filter}) AND ({condition}))"),
        None => format!("FILTER (WHERE {condition})"),
    };
    let (all, before, up_to) = (filter("true"), filter(&before), filter(&format!("{before} OR ({})", equal(&keys))));
    let text = match name {
        "rank" => format!("(1 + count(*) {before})"),
        "dense_rank" => {
            let keys = keys.iter().map(|(key, _)| format!("({})", key.expr)).collect::<Vec<_>>().join(", ");
            format!("(1 + \"{DISTINCT_ROWS}\"(DISTINCT {keys}) {before})")
        }
        "percent_rank" => {
            format!("coalesce(CAST(count(*) {before} AS double precision) / nullif(count(*) {all}, 0), 0)")
        }
        _ => format!("(CAST(1 + count(*) {up_to} AS double precision) / (1 + count(*) {all}))"),
    };
    parse_expression(&text)
}

/// The condition that a row's key comes before the value.
fn is_before(key: &ast::OrderByExpr, value: &ast::Expr) -> String {
    let descending = key.options.asc == Some(false);
    let nulls_first = key.options.nulls_first.unwrap_or(descending);
    let operator = if descending { ">" } else { "<" };
    let key = &key.expr;
    let nulls = match nulls_first {
        true => format!("({key}) IS NULL AND ({value}) IS NOT NULL"),
        false => format!("({key}) IS NOT NULL AND ({value}) IS NULL"),
    };
    format!("(({key}) {operator} ({value}) OR ({nulls}))")
}
