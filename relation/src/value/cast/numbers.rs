//! Casts between numbers: floating-point numbers round half to even, `numeric` half away from zero.

use crate::value::errors::{mismatch, out_of_range};
use crate::value::{Numeric, SqlType, Value};
use crate::{SqlError, SqlResult, error::SqlState};

/// A number as another type of number, which has no modifiers.
pub fn convert(value: &Value, to: &SqlType) -> SqlResult<Value> {
    match value {
        Value::Int2(value) => from_integer(i64::from(*value), to),
        Value::Int4(value) => from_integer(i64::from(*value), to),
        Value::Int8(value) => from_integer(*value, to),
        Value::Oid(value) => from_oid(*value, to),
        Value::Float4(value) => from_float4(*value, to),
        Value::Float8(value) => from_float8(*value, to),
        Value::Numeric(value) => from_numeric(value, to),
        _ => Err(mismatch(to.name())),
    }
}

fn from_integer(value: i64, to: &SqlType) -> SqlResult<Value> {
    Ok(match to {
        SqlType::Int2 => Value::Int2(i16::try_from(value).map_err(|_| out_of_range("smallint"))?),
        SqlType::Int4 => Value::Int4(i32::try_from(value).map_err(|_| out_of_range("integer"))?),
        SqlType::Int8 => Value::Int8(value),
        SqlType::Float4 => Value::Float4(value as f32),
        SqlType::Float8 => Value::Float8(value as f64),
        SqlType::Numeric(_) => Value::Numeric(Numeric::from(value)),
        _ => return Err(mismatch(to.name())),
    })
}

/// To `integer`, an `oid` keeps its bits.
fn from_oid(value: u32, to: &SqlType) -> SqlResult<Value> {
    match to {
        SqlType::Int4 => Ok(Value::Int4(value as i32)),
        to => from_integer(i64::from(value), to),
    }
}

/// An `oid` or an alias of it from any integer.
pub fn reference(value: Value) -> SqlResult<Value> {
    Ok(Value::Oid(match value {
        Value::Oid(oid) => oid,
        Value::Int2(value) => i32::from(value) as u32,
        Value::Int4(value) => value as u32,
        Value::Int8(value) => {
            let error = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range");
            u32::try_from(value).map_err(|_| error())?
        }
        _ => return Err(mismatch("oid")),
    }))
}

fn from_float4(value: f32, to: &SqlType) -> SqlResult<Value> {
    match to {
        SqlType::Float4 => Ok(Value::Float4(value)),
        SqlType::Float8 => Ok(Value::Float8(f64::from(value))),
        SqlType::Numeric(_) => Numeric::from_f32(value).map(Value::Numeric),
        to => from_float8(f64::from(value), to),
    }
}

fn from_float8(value: f64, to: &SqlType) -> SqlResult<Value> {
    Ok(match to {
        SqlType::Int2 => Value::Int2(round(value, "smallint", 15)? as i16),
        SqlType::Int4 => Value::Int4(round(value, "integer", 31)? as i32),
        SqlType::Int8 => Value::Int8(round(value, "bigint", 63)? as i64),
        SqlType::Float4 => Value::Float4(narrow(value)?),
        SqlType::Float8 => Value::Float8(value),
        SqlType::Numeric(_) => Value::Numeric(Numeric::from_f64(value)?),
        _ => return Err(mismatch(to.name())),
    })
}

/// The nearest integer of a signed type with that many bits before its sign.
fn round(value: f64, ty: &str, bits: i32) -> SqlResult<f64> {
    let rounded = value.round_ties_even();
    let limit = 2f64.powi(bits);
    if rounded >= -limit && rounded < limit { Ok(rounded) } else { Err(out_of_range(ty)) }
}

/// The nearest `real`.
///
/// # Errors
///
/// `22003` if it overflows or underflows.
pub fn narrow(value: f64) -> SqlResult<f32> {
    let narrowed = value as f32;
    let lost = |what: &str| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {what}"));
    if narrowed.is_infinite() && value.is_finite() {
        return Err(lost("overflow"));
    }
    if narrowed == 0.0 && value != 0.0 {
        return Err(lost("underflow"));
    }
    Ok(narrowed)
}

fn from_numeric(value: &Numeric, to: &SqlType) -> SqlResult<Value> {
    Ok(match to {
        SqlType::Int2 => Value::Int2(value.to_integer("smallint")?),
        SqlType::Int4 => Value::Int4(value.to_integer("integer")?),
        SqlType::Int8 => Value::Int8(value.to_i64()?),
        SqlType::Float4 => Value::Float4(value.to_f32()?),
        SqlType::Float8 => Value::Float8(value.to_f64()?),
        SqlType::Numeric(_) => Value::Numeric(value.clone()),
        _ => return Err(mismatch(to.name())),
    })
}
