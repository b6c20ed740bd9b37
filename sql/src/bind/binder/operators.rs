//! Operators: unary and binary ones, comparisons of rows.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

use super::super::expr::{Call, Expr};
use super::super::resolve;
use super::rows::row_fields;
use super::{Binder, Node, without_parens};

impl Binder<'_> {
    pub(super) fn unary(&mut self, op: UnaryOperator, arg: &ast::Expr) -> SqlResult<Expr> {
        match op {
            UnaryOperator::Not => {
                let node = self.node(arg)?;
                Ok(Expr::Not(Box::new(self.boolean(node, "NOT")?)))
            }
            UnaryOperator::Minus => match signed_number(arg) {
                Some((digits, true)) => self.number(digits),
                Some((digits, false)) => self.number(&format!("-{digits}")),
                None => self.apply_unary("-", arg),
            },
            other => self.apply_unary(&other.to_string(), arg),
        }
    }

    fn apply_unary(&mut self, symbol: &str, arg: &ast::Expr) -> SqlResult<Expr> {
        let node = self.node(arg)?;
        let resolved = resolve::operator(symbol, &[node.ty().clone()])?;
        self.build(resolved, vec![node])
    }

    pub(super) fn binary(&mut self, expr: &ast::Expr) -> SqlResult<Expr> {
        let ast::Expr::BinaryOp { left, op, right } = expr else {
            return Err(SqlError::unsupported(expr));
        };
        match op {
            BinaryOperator::And => Ok(Expr::And(self.chain(expr, op, "AND")?)),
            BinaryOperator::Or => Ok(Expr::Or(self.chain(expr, op, "OR")?)),
            BinaryOperator::Overlaps => self.overlaps(left, right),
            op => {
                let symbol = symbol(op);
                if let (Some(left), Some(right)) = (row_fields(left), row_fields(right)) {
                    return self.compare_rows(&symbol, &left, &right);
                }
                let operands = vec![self.node(left)?, self.node(right)?];
                self.apply_operator(&symbol, operands, left)
            }
        }
    }

    /// The parts of a chain of one connective, which the parser nests to the left.
    fn chain(&mut self, expr: &ast::Expr, connective: &BinaryOperator, name: &str) -> SqlResult<Vec<Expr>> {
        let mut parts = Vec::new();
        let mut rest = expr;
        while let ast::Expr::BinaryOp { left, op, right } = rest
            && op == connective
        {
            parts.push(&**right);
            rest = left;
        }
        parts.push(rest);
        let bind = |part: &ast::Expr| {
            let node = self.node(part)?;
            self.boolean(node, name)
        };
        parts.into_iter().rev().map(bind).collect()
    }

    /// An operator of two operands; `left` is where errors look for it.
    pub(super) fn apply_operator(&mut self, symbol: &str, operands: Vec<Node>, left: &ast::Expr) -> SqlResult<Expr> {
        let operands = self.narrow(symbol, operands);
        let types: Vec<SqlType> = operands.iter().map(|node| node.ty().clone()).collect();
        let resolved = resolve::operator(symbol, &types).map_err(|error| error.at(self.at_operator(left)))?;
        self.build(resolved, operands)
    }

    /// Comparing an integer with a constant of a wider or narrower integer type compares with that number in the
    /// integer's own type, if it has it: the same result, and keys are found by it.
    fn narrow(&self, symbol: &str, mut operands: Vec<Node>) -> Vec<Node> {
        if !matches!(symbol, "=" | "<>" | "<" | "<=" | ">" | ">=") || operands.len() != 2 {
            return operands;
        }
        for (constant, other) in [(0, 1), (1, 0)] {
            let ty = operands[other].ty().clone();
            if operands[other].expr.as_const().is_none()
                && let Some(value) = operands[constant].expr.as_const().and_then(|value| as_integer(value, &ty))
            {
                let read = std::mem::replace(&mut operands[constant].expr, Expr::literal(value, ty.clone()));
                if self.as_written && *read.ty() != ty {
                    operands[constant].expr = Expr::Cast { arg: Box::new(read), ty, explicit: false };
                }
            }
        }
        operands
    }

    /// `equal` of two parts, as an operator call that is not folded.
    pub(super) fn equality(&mut self, left: Node, right: Node, at: &ast::Expr) -> SqlResult<Box<Call>> {
        let types = [left.ty().clone(), right.ty().clone()];
        let resolved = resolve::operator("=", &types).map_err(|error| error.at(self.at_operator(at)))?;
        let context = annulus_relation::value::CastContext::Implicit;
        let args =
            vec![self.convert(left, &resolved.params[0], context)?, self.convert(right, &resolved.params[1], context)?];
        Ok(Box::new(Call { function: resolved.function, args, ty: SqlType::Bool }))
    }

    /// A comparison of rows is one of their fields.
    pub(super) fn compare_rows(&mut self, symbol: &str, left: &[ast::Expr], right: &[ast::Expr]) -> SqlResult<Expr> {
        if left.len() != right.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions"));
        }
        if left.is_empty() {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot compare rows of zero length"));
        }
        match symbol {
            "=" => Ok(all_of(self.fields("=", left, right)?)),
            "<>" => Ok(any_of(self.fields("<>", left, right)?)),
            "<" | "<=" | ">" | ">=" => self.order_rows(symbol, left, right),
            _ => {
                let message = format!("operator does not exist: record {symbol} record");
                Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message))
            }
        }
    }

    fn fields(&mut self, symbol: &str, left: &[ast::Expr], right: &[ast::Expr]) -> SqlResult<Vec<Expr>> {
        let field = |(left, right): (&ast::Expr, &ast::Expr)| {
            let operands = vec![self.node(left)?, self.node(right)?];
            self.apply_operator(symbol, operands, left)
        };
        left.iter().zip(right).map(field).collect()
    }

    /// `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`.
    fn order_rows(&mut self, symbol: &str, left: &[ast::Expr], right: &[ast::Expr]) -> SqlResult<Expr> {
        let strict = &symbol[..1];
        let last = self.fields(symbol, &left[left.len() - 1..], &right[right.len() - 1..])?;
        let mut result = all_of(last);
        for index in (0..left.len() - 1).rev() {
            let (left, right) = (&left[index..=index], &right[index..=index]);
            let less = all_of(self.fields(strict, left, right)?);
            let equal = all_of(self.fields("=", left, right)?);
            result = Expr::Or(vec![less, Expr::And(vec![equal, result])]);
        }
        Ok(result)
    }

    fn overlaps(&mut self, left: &ast::Expr, right: &ast::Expr) -> SqlResult<Expr> {
        let (ast::Expr::Tuple(left), ast::Expr::Tuple(right)) = (without_parens(left), without_parens(right)) else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "wrong number of parameters on OVERLAPS expression"));
        };
        let nodes = left.iter().chain(right).map(|part| self.node(part)).collect::<SqlResult<Vec<_>>>()?;
        self.apply("overlaps", nodes, sqlparser::tokenizer::Span::empty())
    }
}

/// A number with signs in front of it is a literal: its digits, and whether it is negative.
fn signed_number(expr: &ast::Expr) -> Option<(&str, bool)> {
    match without_parens(expr) {
        ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(digits, _), .. }) => Some((digits, false)),
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            signed_number(expr).map(|(digits, negative)| (digits, !negative))
        }
        _ => None,
    }
}

/// The operator's symbol in the function table.
pub(super) fn symbol(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

/// An integer in another integer type, if that has it.
fn as_integer(value: &Value, ty: &SqlType) -> Option<Value> {
    let number = match value {
        Value::Int2(number) => i64::from(*number),
        Value::Int4(number) => i64::from(*number),
        Value::Int8(number) => *number,
        _ => return None,
    };
    match ty {
        SqlType::Int2 => i16::try_from(number).ok().map(Value::Int2),
        SqlType::Int4 => i32::try_from(number).ok().map(Value::Int4),
        SqlType::Int8 => Some(Value::Int8(number)),
        _ => None,
    }
}

/// All parts hold.
pub(super) fn all_of(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => Expr::And(parts),
    }
}

/// One of the parts holds.
pub(super) fn any_of(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => Expr::Or(parts),
    }
}
