//! Expressions of a query's clauses: bound over a relation, then lowered to DataFusion's.

use std::sync::LazyLock;

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::logical_expr::Expr;
use sqlparser::ast::{self, Spanned};

use super::names::{Found, as_name, missing, outer_of, resolve};
use super::rows::row_at;
use super::{Col, Rel, Translator, folded, parts};
use crate::bind::{self, Binder};
use crate::query::scalar::Lowering;

static NO_NAMES: LazyLock<bind::Scope> = LazyLock::new(bind::Scope::new);

/// Parts of expressions for which bound expressions stand: aggregates, subqueries, grouped expressions.
pub(super) type Parts = Vec<(ast::Expr, bind::Expr)>;

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    /// What it is over.
    pub rel: &'a Rel,
    /// What stands for parts of it.
    pub parts: &'a Parts,
    /// What the relation was before it was grouped.
    pub before: Option<&'a Rel>,
    /// The clause's name, for errors.
    pub clause: &'static str,
}

static NO_PARTS: Parts = Vec::new();

impl<'a> Site<'a> {
    /// An expression over a relation, in a clause.
    pub fn new(rel: &'a Rel, clause: &'static str) -> Self {
        Self { rel, parts: &NO_PARTS, before: None, clause }
    }

    /// The same, with something standing for parts of it.
    pub fn with(self, parts: &'a Parts) -> Self {
        Self { parts, ..self }
    }
}

/// What type an expression shall have.
#[derive(Clone, Copy)]
pub(super) enum Wish<'a> {
    /// Any; literals may stay undecided.
    Open,
    /// Any; undecided literals become text.
    Any,
    /// A condition.
    Condition,
    /// This one.
    Type(&'a SqlType, CastContext),
}

impl Translator<'_> {
    /// Binds an expression.
    pub(super) fn bind(&mut self, site: Site<'_>, expr: &ast::Expr, wish: Wish<'_>) -> SqlResult<bind::Expr> {
        let mode = self.mode.clone();
        let (levels, missed, text) = (&self.levels, &self.missed, self.text);
        let outer = outer_of(site.rel, &mode);
        let mut hook = |node: &ast::Expr| {
            if let Some((_, stands)) = site.parts.iter().find(|(part, _)| part == node) {
                return Ok(Some(stands.clone()));
            }
            if let Some((row, field)) = as_field(node) {
                return field_of(site.rel, row, field);
            }
            if let ast::Expr::QualifiedWildcard(name, _) = node {
                let names = parts(name)?;
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                return row_at(&site, &outer, missed, levels, &names);
            }
            let Some(idents) = as_name(node) else { return Ok(None) };
            let at = |error: SqlError| {
                let start = idents.first().map(|ident| ident.span.start);
                error.at(start.zip(text).and_then(|(start, text)| bind::position(text, start)))
            };
            let names: Vec<String> = idents.iter().map(folded).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            match resolve(&site.rel.columns, &outer, missed, levels, &names).map_err(at)? {
                Found::Column(number) => Ok(Some(bound(site.rel, number))),
                Found::Wanted(ty) => Ok(Some(bind::Expr::null(ty))),
                Found::Nothing => match ungrouped(site.before, &names) {
                    Some(error) => Err(at(error)),
                    None if names.len() == 1
                        && let Some(row) = row_at(&site, &outer, missed, levels, &names).map_err(at)? =>
                    {
                        Ok(Some(row))
                    }
                    None => missing(&site.rel.columns, idents).map_or(Ok(None), |error| Err(at(error))),
                },
            }
        };
        let env = &self.context.env;
        let mut binder = Binder::new(&NO_NAMES, &mut self.params, env).clause(site.clause).hook(&mut hook);
        if let Some(text) = text {
            binder = binder.text(text);
        }
        match wish {
            Wish::Open => binder.bind_open(expr),
            Wish::Any => binder.bind(expr),
            Wish::Condition => binder.bind_condition(expr),
            Wish::Type(ty, context) => binder.bind_as(expr, ty, context),
        }
    }

    /// A bound expression converted.
    pub(super) fn coerce(&mut self, expr: bind::Expr, to: &SqlType, context: CastContext) -> SqlResult<bind::Expr> {
        if expr.ty() == to {
            return Ok(expr);
        }
        Binder::new(&NO_NAMES, &mut self.params, &self.context.env).coerce(expr, to, context)
    }

    /// A bound expression over a relation, as DataFusion's.
    pub(super) fn lower(&self, rel: &Rel, expr: &bind::Expr) -> SqlResult<Expr> {
        let columns = |number: usize| {
            let column: &Col = &rel.columns[number];
            (column.expr(), column.ty.clone())
        };
        Lowering { columns: &columns, context: &self.context }.expr(expr)
    }

    /// Where in the statement something stands.
    pub(super) fn position(&self, part: &impl Spanned) -> Option<u32> {
        self.text.and_then(|text| bind::position(text, part.span().start))
    }

    /// The value of an expression without columns, once parameters are known; of a type.
    pub(super) fn constant(
        &mut self,
        expr: &ast::Expr,
        ty: &SqlType,
        clause: &'static str,
    ) -> SqlResult<Option<annulus_relation::Value>> {
        let rel = Rel::unit()?;
        let bound = self.bind(Site::new(&rel, clause), expr, Wish::Type(ty, CastContext::Implicit))?;
        match self.context.params.is_some() {
            true => bound.eval(&[], self.context.params(), &self.context.eval()).map(Some),
            false => Ok(None),
        }
    }
}

/// A name and the field of it that an expression is: `(name).field`.
pub(super) fn as_field(expr: &ast::Expr) -> Option<(&ast::Expr, &ast::Ident)> {
    match expr {
        ast::Expr::CompoundFieldAccess { root, access_chain } => match access_chain.as_slice() {
            [ast::AccessExpr::Dot(ast::Expr::Identifier(field))] => Some((without_parens(root), field)),
            _ => None,
        },
        _ => None,
    }
}

/// The field of a column that stands for a whole row.
fn field_of(rel: &Rel, row: &ast::Expr, field: &ast::Ident) -> SqlResult<Option<bind::Expr>> {
    let Some(name) = as_name(row).and_then(<[_]>::last).map(folded) else { return Ok(None) };
    let Some(column) = rel.columns.iter().find(|column| column.name == name && !column.fields.is_empty()) else {
        return Ok(None);
    };
    let wanted = folded(field);
    let found = column.fields.iter().find(|(known, _)| *known == wanted);
    let number = found.and_then(|(_, field)| rel.columns.iter().position(|column| column.field == *field));
    number.map(|number| Some(bound(rel, number))).ok_or_else(|| {
        let message = format!("column \"{wanted}\" not found in data type record");
        SqlError::new(SqlState::UNDEFINED_COLUMN, message)
    })
}

/// The column of a relation, as a bound expression.
pub(super) fn bound(rel: &Rel, number: usize) -> bind::Expr {
    bind::Expr::column(number, rel.columns[number].ty.clone())
}

/// The error for a column that was there before grouping.
fn ungrouped(before: Option<&Rel>, names: &[&str]) -> Option<SqlError> {
    let before = before?;
    let outer = super::names::Outer::Given(Vec::new());
    let Ok(Found::Column(number)) = resolve(&before.columns, &outer, &std::cell::Cell::new(false), &[], names) else {
        return None;
    };
    let column = &before.columns[number];
    let name = match &column.table {
        Some(table) => format!("{table}.{}", column.name),
        None => column.name.clone(),
    };
    let message = format!("column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function");
    Some(SqlError::new(SqlState::GROUPING_ERROR, message))
}

/// An expression without the parentheses around it.
pub(super) fn without_parens(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(inner) => without_parens(inner),
        other => other,
    }
}

/// The conditions that must all be true for a condition to be true.
pub(super) fn conjuncts<'e>(expr: &'e ast::Expr, found: &mut Vec<&'e ast::Expr>) {
    match without_parens(expr) {
        ast::Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
            conjuncts(left, found);
            conjuncts(right, found);
        }
        other => found.push(other),
    }
}

/// The number that an expression is, where numbers mean output columns.
pub(super) fn as_ordinal(expr: &ast::Expr) -> Option<i64> {
    match without_parens(expr) {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(number, _) => number.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
