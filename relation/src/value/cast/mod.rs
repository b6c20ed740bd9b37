//! Casts: values from one type to another, with the errors, rounding and truncation of PostgreSQL.

mod numbers;
mod paths;
mod times;

use std::sync::Arc;

pub use paths::{CastContext, can_cast};

use self::paths::Path;
use super::errors::mismatch;
use super::json::Json;
use super::strings::{Excess, fit, trim_char};
use super::{Env, SqlType, Value, parse, print, round_instant, round_micros};
use crate::{SqlError, SqlResult, error::SqlState};

/// A value of another type, within its modifiers.
///
/// # Errors
///
/// `42846` if there is no such cast in that context, and the errors of the conversion.
pub fn cast(value: Value, from: &SqlType, to: &SqlType, context: CastContext, env: &Env) -> SqlResult<Value> {
    let path = match paths::path(from, to) {
        Some((needed, path)) if context >= needed => path,
        _ => return Err(cannot_cast(from, to)),
    };
    if value.is_null() || from == to {
        return Ok(value);
    }
    let value = match path {
        Path::Direct => direct(value, from, &to.base(), env)?,
        // The fields of an interval's type say what a literal means.
        Path::Text if *from == SqlType::Unknown && matches!(to, SqlType::Interval(_)) => {
            by_text(&value, from, to, env)?
        }
        Path::Text => by_text(&value, from, &to.base(), env)?,
        Path::Elements => return elements(value, from, to, context, env),
    };
    let excess = if context == CastContext::Explicit { Excess::Truncate } else { Excess::Refuse };
    within(value, to, excess)
}

/// `42846`
fn cannot_cast(from: &SqlType, to: &SqlType) -> SqlError {
    let message = format!("cannot cast type {} to {}", from.base_name(), to.base_name());
    SqlError::new(SqlState::CANNOT_COERCE, message)
}

/// A value of a type without modifiers, within the modifiers.
fn within(value: Value, ty: &SqlType, excess: Excess) -> SqlResult<Value> {
    match (value, ty) {
        (Value::Numeric(number), SqlType::Numeric(limits)) => number.enforce(*limits).map(Value::Numeric),
        (Value::Text(text), ty) => fit(text, ty, excess).map(Value::Text),
        (Value::Array(values), SqlType::Array(element)) if element.typmod() >= 0 => {
            let values: SqlResult<Vec<Value>> =
                values.iter().map(|value| within(value.clone(), element, excess)).collect();
            Ok(Value::Array(values?.into()))
        }
        (Value::Time(micros), SqlType::Time(digits)) => Ok(Value::Time(round_micros(micros, *digits))),
        (Value::Timestamp(micros), SqlType::Timestamp(digits)) => Ok(Value::Timestamp(round_instant(micros, *digits))),
        (Value::Timestamptz(micros), SqlType::Timestamptz(digits)) => {
            Ok(Value::Timestamptz(round_instant(micros, *digits)))
        }
        (Value::Interval(interval), SqlType::Interval(Some(limits))) => Ok(Value::Interval(limits.fit(interval))),
        (value, _) => Ok(value),
    }
}

fn elements(value: Value, from: &SqlType, to: &SqlType, context: CastContext, env: &Env) -> SqlResult<Value> {
    let (Value::Array(values), Some(from), Some(to)) = (&value, from.element(), to.element()) else {
        return Err(mismatch(from.name()));
    };
    let values: SqlResult<Vec<Value>> =
        values.iter().map(|value| cast(value.clone(), from, to, context, env)).collect();
    Ok(Value::Array(values?.into()))
}

fn by_text(value: &Value, from: &SqlType, to: &SqlType, env: &Env) -> SqlResult<Value> {
    match value {
        Value::Text(text) if *from != SqlType::Jsonpath => parse(text, to, env),
        value => parse(&print(value, from, env), to, env),
    }
}

/// The casts by functions; `to` has no modifiers.
fn direct(value: Value, from: &SqlType, to: &SqlType, env: &Env) -> SqlResult<Value> {
    use SqlType as T;
    Ok(match (value, to) {
        (Value::Text(text), T::Int4) => Value::Int4(text.bytes().next().map_or(0, |byte| i32::from(byte as i8))),
        (Value::Text(text), T::Regclass) => parse(&text, to, env)?,
        (Value::Text(text), _) if matches!(from, T::Char(_)) && !matches!(to, T::Char(_)) => Value::Text(trimmed(text)),
        (Value::Text(text), _) => Value::Text(text),
        (Value::Int4(code), T::InternalChar) => Value::Text(internal_char(code)?),
        (Value::Int4(number), T::Bool) => Value::Bool(number != 0),
        (Value::Bool(value), T::Int4) => Value::Int4(value.into()),
        (Value::Bool(value), T::Text | T::Varchar(_) | T::Char(_)) => Value::Text(value.to_string().into()),
        (value, to) if from.base() == *to => value,
        (Value::Inet(inet), T::Cidr) => Value::Inet(inet.network()),
        (Value::Inet(inet), T::Inet) => Value::Inet(inet),
        (Value::Inet(inet), _) => Value::text(inet.print_cidr()),
        (Value::Json(text), T::Jsonb) => parse(&text, to, env)?,
        (Value::Jsonb(text), T::Json) => Value::Json(text),
        (Value::Jsonb(text), T::Bool) => Value::Bool(Json::parse(&text)?.as_bool()?),
        (Value::Jsonb(text), to) => {
            let json = Json::parse(&text)?;
            let number = json.as_number(&to.base_name())?.clone();
            numbers::convert(&Value::Numeric(number), to)?
        }
        (value, T::Int2 | T::Int4 | T::Int8 | T::Float4 | T::Float8 | T::Numeric(_)) => numbers::convert(&value, to)?,
        (value, T::Oid | T::Regclass | T::Regtype | T::Regproc | T::Regnamespace) => numbers::reference(value)?,
        (value, to) => times::convert(value, to, env)?,
    })
}

fn trimmed(text: Arc<str>) -> Arc<str> {
    match trim_char(&text) {
        kept if kept.len() == text.len() => text,
        kept => kept.into(),
    }
}

fn internal_char(code: i32) -> SqlResult<Arc<str>> {
    let out_of_range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range");
    if !(-128..=127).contains(&code) {
        return Err(out_of_range());
    }
    match u8::try_from(code) {
        Ok(0) => Ok("".into()),
        Ok(code) => Ok(char::from(code).to_string().into()),
        Err(_) => Err(SqlError::unsupported("a \"char\" that is no character of ASCII")),
    }
}
