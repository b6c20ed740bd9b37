//! A whole query: `WITH`, its body, `ORDER BY` and `LIMIT`.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast::{self, OrderByKind, SetExpr};

use super::expressions::{Site, Wish, as_ordinal, without_parens};
use super::names::as_name;
use super::sort::{Limits, SortKey};
use super::{Col, Rel, Seen, Translator, folded};

impl Translator<'_> {
    /// A statement's or view's query: literals that nothing decided become text, or what they are assigned to.
    pub(super) fn whole_query(&mut self, query: &ast::Query, targets: &[SqlType]) -> SqlResult<Rel> {
        let rel = self.query_as(query, targets)?;
        self.decided(rel)
    }

    /// A subquery.
    pub(super) fn query(&mut self, query: &ast::Query) -> SqlResult<Rel> {
        if !query.locks.is_empty() {
            return Err(SqlError::unsupported("FOR UPDATE or FOR SHARE in a subquery"));
        }
        let open = std::mem::replace(&mut self.open, false);
        let rel = self.query_as(query, &[]);
        self.open = open;
        self.decided(rel?)
    }

    /// The relation with text for what nothing decided.
    fn decided(&mut self, mut rel: Rel) -> SqlResult<Rel> {
        for number in 0..rel.columns.len() {
            if rel.columns[number].ty == SqlType::Unknown && rel.columns[number].seen != Seen::Never {
                rel.columns[number].ty = SqlType::Text;
            }
        }
        rel.empty = match rel.empty.take() {
            Some(values) => Some(
                values
                    .into_iter()
                    .map(|value| match value.ty() {
                        SqlType::Unknown => self.coerce(value, &SqlType::Text, CastContext::Implicit),
                        _ => Ok(value),
                    })
                    .collect::<SqlResult<_>>()?,
            ),
            None => None,
        };
        Ok(rel)
    }

    /// A query whose undecided literals become the types wanted.
    pub(super) fn query_as(&mut self, query: &ast::Query, wanted: &[SqlType]) -> SqlResult<Rel> {
        if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return Err(SqlError::unsupported("this clause of a query"));
        }
        if !query.pipe_operators.is_empty() {
            return Err(SqlError::unsupported("the pipe syntax"));
        }
        let ctes = self.ctes.len();
        if let Some(with) = &query.with {
            self.define(with, query)?;
        }
        let result = self.deeper(|translator| translator.body_of(query, wanted));
        self.ctes.truncate(ctes);
        result
    }

    fn body_of(&mut self, query: &ast::Query, wanted: &[SqlType]) -> SqlResult<Rel> {
        let order: &[ast::OrderByExpr] = match &query.order_by {
            None => &[],
            Some(ast::OrderBy { kind: OrderByKind::Expressions(exprs), interpolate: None }) => exprs,
            Some(_) => return Err(SqlError::unsupported("ORDER BY ALL")),
        };
        if order.iter().any(|item| item.with_fill.is_some()) {
            return Err(SqlError::unsupported("WITH FILL"));
        }
        let limits = self.limits(query)?;
        match &*query.body {
            SetExpr::Select(select) => self.select(select, order, limits, wanted),
            body => {
                let rel = self.body(body, wanted)?;
                let keys = self.sort_keys(&rel, order)?;
                if keys.is_empty() && limits == Limits::default() {
                    return Ok(rel);
                }
                self.arranged(rel, keys, limits)
            }
        }
    }

    /// What a query consists of besides the clauses around.
    pub(super) fn body(&mut self, body: &SetExpr, wanted: &[SqlType]) -> SqlResult<Rel> {
        match body {
            SetExpr::Select(select) => self.select(select, &[], Limits::default(), wanted),
            SetExpr::Query(query) => self.query_as(query, wanted),
            SetExpr::Values(values) => self.values(values, wanted),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right, wanted)
            }
            SetExpr::Table(table) => {
                let ident = |name: &String| ast::ObjectNamePart::Identifier(ast::Ident::new(name));
                let name = table.schema_name.iter().chain(&table.table_name).map(ident).collect();
                let rel = self.relation(&ast::ObjectName(name))?;
                self.attach_domain(rel)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::unsupported("a statement that changes data within a query"))
            }
        }
    }

    /// `ORDER BY` over the output of what is no plain `SELECT`: numbers and names of its columns only.
    fn sort_keys(&mut self, rel: &Rel, order: &[ast::OrderByExpr]) -> SqlResult<Vec<SortKey>> {
        let visible: Vec<(usize, &Col)> =
            rel.columns.iter().enumerate().filter(|(_, column)| column.seen == Seen::Always).collect();
        let mut keys = Vec::new();
        for item in order {
            let expr = without_parens(&item.expr);
            let number = if let Some(number) = as_ordinal(expr) {
                usize::try_from(number - 1)
                    .ok()
                    .and_then(|place| visible.get(place))
                    .map(|(number, _)| *number)
                    .ok_or_else(|| out_of_list(number))?
            } else if let Some([ident]) = as_name(expr) {
                let name = folded(ident);
                match visible.iter().find(|(_, column)| column.name == name) {
                    Some((number, _)) => *number,
                    None => {
                        let bound = self.bind(Site::new(rel, "ORDER BY"), expr, Wish::Any)?;
                        bound.as_column().ok_or_else(only_output)?
                    }
                }
            } else {
                return Err(only_output());
            };
            keys.push(SortKey::new(number, &item.options));
        }
        Ok(keys)
    }
}

fn only_output() -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
        .detail("Only result column names can be used, not expressions or functions.")
        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
}

/// The error for a number of no output column.
pub(super) fn out_of_list(number: i64) -> SqlError {
    let message = format!("ORDER BY position {number} is not in select list");
    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
}
