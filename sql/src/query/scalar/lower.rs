//! From bound expressions to DataFusion's.

use std::sync::Arc;

use annulus_relation::{SqlResult, SqlType, Value};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, in_list, lit};

use super::{Context, RowFunction, key};
use crate::bind::{self, Test};
use crate::query::arrow::{Comparison, comparison, data_type, scalar_of};

/// Turns bound expressions into DataFusion's.
pub(in crate::query) struct Lowering<'a> {
    /// What stands for the columns, by their number in the bound expression, and their types.
    pub columns: &'a dyn Fn(usize) -> (Expr, SqlType),
    /// What the query is evaluated in.
    pub context: &'a Arc<Context>,
}

/// A value as a literal.
pub(in crate::query) fn literal(ty: &SqlType, value: &Value) -> Expr {
    lit(scalar_of(ty, value))
}

impl Lowering<'_> {
    /// The expression.
    pub fn expr(&self, expr: &bind::Expr) -> SqlResult<Expr> {
        if let Some(value) = self.constant(expr)? {
            return Ok(literal(expr.ty(), &value));
        }
        if let Some(lowered) = self.native(expr)? {
            return Ok(lowered);
        }
        self.by_row(expr)
    }

    /// The value of an expression that is the same for all rows.
    fn constant(&self, expr: &bind::Expr) -> SqlResult<Option<Value>> {
        if let Some(value) = expr.as_const() {
            return Ok(Some(value.clone()));
        }
        let fixed = self.context.params.is_some()
            && expr.volatility() != bind::Volatility::Volatile
            && expr.columns().is_empty()
            && !contains_operand(expr);
        if !fixed {
            return Ok(None);
        }
        // An error is one only if the expression is reached.
        Ok(expr.eval(&[], self.context.params(), &self.context.eval()).ok())
    }

    /// The expression as DataFusion's own, if it is of a kind that it must see through.
    fn native(&self, expr: &bind::Expr) -> SqlResult<Option<Expr>> {
        use bind::Expr as E;
        let all = |parts: &[E]| parts.iter().map(|part| self.expr(part)).collect::<SqlResult<Vec<_>>>();
        Ok(match expr {
            E::Column { index, .. } => Some((self.columns)(*index).0),
            E::And(parts) => all(parts)?.into_iter().reduce(Expr::and),
            E::Or(parts) => all(parts)?.into_iter().reduce(Expr::or),
            E::Not(arg) => Some(Expr::Not(Box::new(self.expr(arg)?))),
            E::Is { arg, test, negated } => {
                let arg = Box::new(self.expr(arg)?);
                Some(match (test, negated) {
                    (Test::Null, false) => Expr::IsNull(arg),
                    (Test::Null, true) => Expr::IsNotNull(arg),
                    (Test::True, false) => Expr::IsTrue(arg),
                    (Test::True, true) => Expr::IsNotTrue(arg),
                    (Test::False, false) => Expr::IsFalse(arg),
                    (Test::False, true) => Expr::IsNotFalse(arg),
                    (Test::Unknown, false) => Expr::IsUnknown(arg),
                    (Test::Unknown, true) => Expr::IsNotUnknown(arg),
                })
            }
            E::Distinct { equal, negated } => {
                let op = if *negated { Operator::IsNotDistinctFrom } else { Operator::IsDistinctFrom };
                match equal.args.as_slice() {
                    [left, right] => self.comparison(op, left, right)?,
                    _ => None,
                }
            }
            E::Quantified { operator, all, left, array } => self.in_list(operator.name, *all, left, array)?,
            E::Cast { arg, ty, .. } => self.cast(arg, ty)?,
            _ => match expr.as_comparison() {
                Some((symbol, left, right)) => match operator(symbol) {
                    Some(op) => self.comparison(op, left, right)?,
                    None => None,
                },
                None => None,
            },
        })
    }

    fn comparison(&self, op: Operator, left: &bind::Expr, right: &bind::Expr) -> SqlResult<Option<Expr>> {
        let Some(common) = compared_as(left.ty(), right.ty()) else { return Ok(None) };
        let side = |side: &bind::Expr| key(widened(self.expr(side)?, side.ty(), &common), &common);
        Ok(Some(binary_expr(side(left)?, op, side(right)?)))
    }

    /// `left = ANY (array)` and `left <> ALL (array)` of a constant array.
    fn in_list(&self, symbol: &str, all: bool, left: &bind::Expr, array: &bind::Expr) -> SqlResult<Option<Expr>> {
        let negated = match (symbol, all) {
            ("=", false) => false,
            ("<>", true) => true,
            _ => return Ok(None),
        };
        let (SqlType::Array(element), Some(Value::Array(values))) = (array.ty(), self.constant(array)?) else {
            return Ok(None);
        };
        let Some(common) = compared_as(left.ty(), element) else { return Ok(None) };
        let left = key(widened(self.expr(left)?, left.ty(), &common), &common)?;
        let item = |value: &Value| key(folded(literal(element, value), element, &common), &common);
        let items = values.iter().map(item).collect::<SqlResult<Vec<_>>>()?;
        Ok(Some(match items.is_empty() {
            true => lit(negated),
            false => in_list(left, items, negated),
        }))
    }

    /// Conversions that arrays do not show, and those to wider numbers.
    fn cast(&self, arg: &bind::Expr, to: &SqlType) -> SqlResult<Option<Expr>> {
        let from = arg.ty();
        if is_same_array(from, to) {
            return self.expr(arg).map(Some);
        }
        Ok(match is_wider(from, to) {
            true => Some(cast(self.expr(arg)?, data_type(to))),
            false => None,
        })
    }

    /// The expression as a function of the columns that it reads.
    fn by_row(&self, expr: &bind::Expr) -> SqlResult<Expr> {
        let columns = expr.columns();
        let (args, types): (Vec<_>, Vec<_>) = columns.iter().map(|column| (self.columns)(*column)).unzip();
        let text = expr.to_sql(&|column| (self.columns)(column).0.to_string());
        let moved = expr.clone().move_columns(&|column| columns.binary_search(&column).ok());
        let moved = moved.unwrap_or_else(|| expr.clone());
        Ok(RowFunction::call(moved, types, args, self.context, text))
    }
}

/// Whether the expression is a part of a `CASE` that cannot be taken out of it.
fn contains_operand(expr: &bind::Expr) -> bool {
    matches!(expr, bind::Expr::CaseOperand { .. })
}

fn operator(symbol: &str) -> Option<Operator> {
    Some(match symbol {
        "=" => Operator::Eq,
        "<>" => Operator::NotEq,
        "<" => Operator::Lt,
        "<=" => Operator::LtEq,
        ">" => Operator::Gt,
        ">=" => Operator::GtEq,
        _ => return None,
    })
}

/// The type as which values of two types can be compared in arrays.
fn compared_as(left: &SqlType, right: &SqlType) -> Option<SqlType> {
    let common = if is_same_array(left, right) || is_wider(left, right) {
        right
    } else if is_same_array(right, left) || is_wider(right, left) {
        left
    } else {
        return None;
    };
    comparison(common).ok().map(|_| common.clone())
}

/// Whether values of both types look the same in arrays, and compare alike.
fn is_same_array(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        // The padding of `char` is no part of its array, nor of the text that it is converted to.
        (
            SqlType::Text | SqlType::Varchar(_) | SqlType::Name | SqlType::Char(_),
            SqlType::Text | SqlType::Varchar(None),
        )
        | (SqlType::Char(_), SqlType::Char(0)) => true,
        (SqlType::Numeric(_), SqlType::Numeric(None)) => true,
        (SqlType::Array(from), SqlType::Array(to)) => is_same_array(from, to) && !matches!(**from, SqlType::Char(_)),
        (SqlType::Int2Vector | SqlType::OidVector, SqlType::Array(to)) => from.element() == Some(&**to),
        (from, to) => is_oid(from) && is_oid(to),
    }
}

const fn is_oid(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace)
}

/// Whether every value of a type is one of the other type, and Arrow converts it as PostgreSQL does.
fn is_wider(from: &SqlType, to: &SqlType) -> bool {
    matches!(
        (from, to),
        (SqlType::Int2, SqlType::Int4 | SqlType::Int8 | SqlType::Float4 | SqlType::Float8)
            | (SqlType::Int4, SqlType::Int8 | SqlType::Float8)
            | (SqlType::Float4, SqlType::Float8)
    )
}

fn widened(expr: Expr, from: &SqlType, to: &SqlType) -> Expr {
    match data_type(from) == data_type(to) {
        true => expr,
        false => folded(expr, from, to),
    }
}

/// The expression converted to a wider type; a literal at once.
fn folded(expr: Expr, from: &SqlType, to: &SqlType) -> Expr {
    let target: DataType = data_type(to);
    match &expr {
        _ if data_type(from) == target => expr,
        Expr::Literal(value, _) => match value.cast_to(&target) {
            Ok(value) => lit(value),
            Err(_) => cast(expr, target),
        },
        _ => cast(expr, target),
    }
}

/// Whether values of a type compare in arrays without a key.
pub(in crate::query) fn is_native(ty: &SqlType) -> bool {
    comparison(ty) == Ok(Comparison::Native)
}
