//! Literals: numbers, strings, typed strings, intervals, parameters.

use annulus_relation::value::{self, CastContext};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use sqlparser::ast::{self, Spanned};

use super::super::datatype::sql_type;
use super::super::expr::Expr;
use super::{Binder, Node};

impl Binder<'_> {
    pub(super) fn literal(&mut self, literal: &ast::ValueWithSpan) -> SqlResult<Expr> {
        use ast::Value as V;
        match &literal.value {
            V::Number(digits, _) => self.number(digits),
            V::Boolean(truth) => Ok(Expr::literal(Value::Bool(*truth), SqlType::Bool)),
            V::Null => Ok(Expr::null(SqlType::Unknown)),
            V::SingleQuotedString(text)
            | V::EscapedStringLiteral(text)
            | V::UnicodeStringLiteral(text)
            | V::NationalStringLiteral(text) => self.string(text),
            V::DollarQuotedString(quoted) => self.string(&quoted.value),
            V::Placeholder(name) => {
                let (index, ty) =
                    self.params.refer(name.trim_start_matches('$')).map_err(|error| error.at(self.at(literal.span)))?;
                Ok(Expr::Param { index, ty })
            }
            other => Err(SqlError::unsupported(format_args!("the literal {other}")).at(self.at(literal.span))),
        }
    }

    fn string(&self, text: &str) -> SqlResult<Expr> {
        if text.contains('\0') {
            let message = "invalid byte sequence for encoding \"UTF8\": 0x00";
            return Err(SqlError::new(SqlState("22021"), message));
        }
        Ok(Expr::literal(Value::text(text), SqlType::Unknown))
    }

    /// A number's type is the smallest of integer, bigint and numeric that holds it.
    pub(super) fn number(&self, digits: &str) -> SqlResult<Expr> {
        let digits = digits.replace('_', "");
        if let Ok(small) = digits.parse::<i32>() {
            return Ok(Expr::literal(Value::Int4(small), SqlType::Int4));
        }
        if let Ok(large) = digits.parse::<i64>() {
            return Ok(Expr::literal(Value::Int8(large), SqlType::Int8));
        }
        let ty = SqlType::Numeric(None);
        Ok(Expr::literal(value::parse(&digits, &ty, self.env)?, ty))
    }

    /// `DATE '2020-01-01'`
    pub(super) fn typed_literal(&mut self, typed: &ast::TypedString) -> SqlResult<Expr> {
        let to = sql_type(&typed.data_type)?;
        let node = Node { expr: self.literal(&typed.value)?, span: typed.value.span };
        self.convert(node, &to, CastContext::Explicit)
    }

    /// `INTERVAL '1 day'`, `INTERVAL '1' DAY`
    pub(super) fn interval(&mut self, interval: &ast::Interval) -> SqlResult<Expr> {
        let unsupported = || SqlError::unsupported(interval).hint("Use interval 'number unit ...'.");
        let ast::Expr::Value(literal) = &*interval.value else { return Err(unsupported()) };
        let Some(text) = literal.value.clone().into_string() else { return Err(unsupported()) };
        let text = match &interval.leading_field {
            None => text,
            Some(unit) => {
                let plain = text.trim().parse::<i64>().is_ok();
                if !plain || interval.last_field.is_some() || interval.leading_precision.is_some() {
                    return Err(unsupported());
                }
                format!("{} {}", text.trim(), unit.to_string().to_ascii_lowercase())
            }
        };
        let node = Node { expr: self.string(&text)?, span: interval.value.span() };
        self.convert(node, &SqlType::Interval, CastContext::Explicit)
    }
}
