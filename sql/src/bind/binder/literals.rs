//! Literals: numbers, strings, typed strings, intervals, parameters.

use annulus_relation::value::{self, CastContext, IntervalFields};
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
        let to = sql_type(&typed.data_type, &self.env.types)?;
        let node = Node { expr: self.literal(&typed.value)?, span: typed.value.span };
        self.convert(node, &to, CastContext::Explicit)
    }

    /// `INTERVAL '1 day'`, `INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL '1.25' SECOND(1)`
    pub(super) fn interval(&mut self, interval: &ast::Interval) -> SqlResult<Expr> {
        let unsupported = || SqlError::unsupported(interval).hint("Use interval 'number unit ...'.");
        let ast::Expr::Value(literal) = &*interval.value else { return Err(unsupported()) };
        let Some(text) = literal.value.clone().into_string() else { return Err(unsupported()) };
        let ty = interval_type(interval)?.ok_or_else(unsupported)?;
        let node = Node { expr: self.string(&text)?, span: interval.value.span() };
        self.convert(node, &ty, CastContext::Explicit)
    }
}

/// The type that the fields behind a literal name; `None` if no type has them.
fn interval_type(interval: &ast::Interval) -> SqlResult<Option<SqlType>> {
    let fields = match (&interval.leading_field, &interval.last_field) {
        (Some(first), Some(last)) => Some(format!("{first} to {last}").to_ascii_lowercase()),
        (Some(only), None) => Some(only.to_string().to_ascii_lowercase()),
        (None, _) => None,
    };
    // Behind a single `SECOND` stands the precision, where the standard has the digits of whole seconds before it.
    let seconds = interval.last_field.is_none() && interval.leading_field == Some(ast::DateTimeField::Second);
    let precision = match (interval.leading_precision, interval.fractional_seconds_precision) {
        (precision, None) if seconds => precision,
        (None, precision) => precision,
        _ => return Ok(None),
    };
    if fields.as_deref().is_some_and(|name| IntervalFields::named(name).is_none()) {
        return Ok(None);
    }
    super::super::datatype::interval(fields.as_deref(), precision).map(Some)
}
