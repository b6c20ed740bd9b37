//! Arguments as what their types say they are, and errors that many functions raise.

use std::sync::Arc;

use annulus_relation::value::{Inet, Interval, Numeric};
use annulus_relation::{SqlError, SqlResult, SqlState, Value};
use bytes::Bytes;

fn wrong(value: Option<&Value>, wanted: &str) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, format!("a function was given {value:?} where it takes {wanted}"))
}

macro_rules! getters {
    ($($name:ident: $variant:ident -> $ty:ty;)*) => {
        $(pub(super) fn $name(args: &[Value], index: usize) -> SqlResult<$ty> {
            match args.get(index) {
                Some(Value::$variant(value)) => Ok(*value),
                other => Err(wrong(other, stringify!($name))),
            }
        })*
    };
}

getters! {
    boolean: Bool -> bool;
    int4: Int4 -> i32;
    int8: Int8 -> i64;
    float8: Float8 -> f64;
    date: Date -> i32;
    time: Time -> i64;
    timestamp: Timestamp -> i64;
    timestamptz: Timestamptz -> i64;
    interval: Interval -> Interval;
    inet: Inet -> Inet;
    oid: Oid -> u32;
}

macro_rules! borrowers {
    ($($name:ident: $variant:ident -> $ty:ty;)*) => {
        $(pub(super) fn $name(args: &[Value], index: usize) -> SqlResult<&$ty> {
            match args.get(index) {
                Some(Value::$variant(value)) => Ok(value),
                other => Err(wrong(other, stringify!($name))),
            }
        })*
    };
}

borrowers! {
    numeric: Numeric -> Numeric;
    bytea: Bytea -> Bytes;
    array: Array -> Arc<[Value]>;
}

/// A string of any string type, or JSON's text.
pub(super) fn text(args: &[Value], index: usize) -> SqlResult<&str> {
    match args.get(index) {
        Some(Value::Text(text) | Value::Json(text) | Value::Jsonb(text)) => Ok(text),
        other => Err(wrong(other, "text")),
    }
}

/// An integer of any width.
pub(super) fn integer(args: &[Value], index: usize) -> SqlResult<i64> {
    match args.get(index) {
        Some(Value::Int2(number)) => Ok(i64::from(*number)),
        Some(Value::Int4(number)) => Ok(i64::from(*number)),
        Some(Value::Int8(number)) => Ok(*number),
        other => Err(wrong(other, "an integer")),
    }
}

/// A floating-point number of any width.
pub(super) fn float(args: &[Value], index: usize) -> SqlResult<f64> {
    match args.get(index) {
        Some(Value::Float4(number)) => Ok(f64::from(*number)),
        Some(Value::Float8(number)) => Ok(*number),
        other => Err(wrong(other, "a floating-point number")),
    }
}

/// The strings of an array, NULLs among them.
pub(super) fn texts(args: &[Value], index: usize) -> SqlResult<Vec<Option<&str>>> {
    let elements = array(args, index)?;
    (0..elements.len()).map(|at| if elements[at].is_null() { Ok(None) } else { text(elements, at).map(Some) }).collect()
}

/// Text as a result.
pub(super) fn string(text: impl Into<Arc<str>>) -> SqlResult<Value> {
    Ok(Value::Text(text.into()))
}

/// `22003` for an integer type.
pub(super) fn out_of_range(ty: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
}

/// `22012`
pub(super) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// `22023`
pub(super) fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// An integer result from a count.
pub(super) fn count(number: usize) -> SqlResult<Value> {
    i32::try_from(number).map(Value::Int4).map_err(|_| out_of_range("integer"))
}

/// The longest text that a function makes: PostgreSQL's limit is a gigabyte, which a node shares with others.
const MAX_RESULT: usize = 64 << 20;

/// Refuses results that are too long, before they are made.
pub(super) fn check_length(bytes: usize) -> SqlResult<()> {
    if bytes <= MAX_RESULT {
        return Ok(());
    }
    Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large"))
}
