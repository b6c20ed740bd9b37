//! Aggregates that belong to a query around: all columns that they are of are that query's.
//!
//! Source: PostgreSQL 15, `check_agg_arguments` of parse_agg.c.

use annulus_relation::{SqlError, SqlResult, SqlState};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::names::{as_name, find};
use super::rows::members;
use super::subquery::{find_parts, is_subquery, query_of};
use super::{Col, Rel, Translator, folded, parts};

/// Whether a name means a column of these, or the row of a relation of theirs.
fn is_of(columns: &[Col], names: &[String]) -> bool {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // What is ambiguous is there.
    !matches!(find(columns, &names), Ok(None)) || members(columns, &names).map_or(true, |found| !found.is_empty())
}

/// The names in an aggregate's call, those in subqueries left out.
fn names_in(call: &ast::Expr) -> SqlResult<Vec<Vec<String>>> {
    let found = find_parts(call, &|part| as_name(part).is_some());
    let mut names: Vec<Vec<String>> =
        found.iter().filter_map(as_name).map(|idents| idents.iter().map(folded).collect()).collect();
    if let ast::Expr::Function(ast::Function { args: FunctionArguments::List(list), .. }) = call {
        for arg in &list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = arg {
                names.push(parts(name)?);
            }
        }
    }
    Ok(names)
}

impl Translator<'_> {
    /// Refuses an aggregate over columns of a query around only: it is to be computed there.
    pub(super) fn check_level(&mut self, rel: &Rel, call: &ast::Expr) -> SqlResult<()> {
        let names = names_in(call)?;
        if names.iter().any(|name| is_of(&rel.columns, name)) {
            return Ok(());
        }
        let mut inner = Vec::new();
        for part in find_parts(call, &is_subquery) {
            inner.extend(query_of(&part).map(|query| self.wants(rel, query)).transpose()?.unwrap_or_default());
        }
        if (names.is_empty() && inner.is_empty())
            || rel.columns.iter().any(|own| inner.contains(&own.field.flat_name()))
        {
            return Ok(());
        }
        if names.is_empty() {
            return Err(self.of_query_around(call));
        }
        let owner = self.levels.iter().rev().find(|level| names.iter().any(|name| is_of(&level.columns, name)));
        let error = match owner {
            None => return Ok(()),
            Some(level) if level.lateral => {
                let message = "aggregate functions are not allowed in FROM clause of their own query level";
                SqlError::new(SqlState::GROUPING_ERROR, message)
            }
            Some(_) => return Err(self.of_query_around(call)),
        };
        Err(error.at(self.position(call)))
    }

    fn of_query_around(&self, call: &ast::Expr) -> SqlError {
        SqlError::unsupported("an aggregate of columns of the query around only")
            .hint("Compute it there, and refer to its result.")
            .at(self.position(call))
    }
}
