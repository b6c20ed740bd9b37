//! Operators on numbers.

use annulus_relation::value::Numeric;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::super::registry::{Entry, Site, entry};
use super::args::{division_by_zero, float, integer, numeric, out_of_range};

macro_rules! binary {
    ($($symbol:literal $body:ident),*) => {
        [$(
            entry(concat!($symbol, "(int2,int2) int2"), $body),
            entry(concat!($symbol, "(int2,int4) int4"), $body),
            entry(concat!($symbol, "(int2,int8) int8"), $body),
            entry(concat!($symbol, "(int4,int2) int4"), $body),
            entry(concat!($symbol, "(int4,int4) int4"), $body),
            entry(concat!($symbol, "(int4,int8) int8"), $body),
            entry(concat!($symbol, "(int8,int2) int8"), $body),
            entry(concat!($symbol, "(int8,int4) int8"), $body),
            entry(concat!($symbol, "(int8,int8) int8"), $body),
            entry(concat!($symbol, "(float4,float4) float4"), $body),
            entry(concat!($symbol, "(float4,float8) float8"), $body),
            entry(concat!($symbol, "(float8,float4) float8"), $body),
            entry(concat!($symbol, "(float8,float8) float8"), $body),
            entry(concat!($symbol, "(numeric,numeric) numeric"), $body),
        )*]
    };
}

pub(super) const BINARY: &[Entry] = &binary!["+" add, "-" subtract, "*" multiply, "/" divide];

pub(super) const TABLE: &[Entry] = &[
    entry("%(int2,int2) int2", modulo),
    entry("%(int4,int4) int4", modulo),
    entry("%(int8,int8) int8", modulo),
    entry("%(numeric,numeric) numeric", modulo),
    entry("mod(int2,int2) int2", modulo),
    entry("mod(int4,int4) int4", modulo),
    entry("mod(int8,int8) int8", modulo),
    entry("mod(numeric,numeric) numeric", modulo),
    entry("-(int2) int2", negate),
    entry("-(int4) int4", negate),
    entry("-(int8) int8", negate),
    entry("-(float4) float4", negate),
    entry("-(float8) float8", negate),
    entry("-(numeric) numeric", negate),
    entry("+(int2) int2", same),
    entry("+(int4) int4", same),
    entry("+(int8) int8", same),
    entry("+(float4) float4", same),
    entry("+(float8) float8", same),
    entry("+(numeric) numeric", same),
    entry("&(int2,int2) int2", bit_and),
    entry("&(int4,int4) int4", bit_and),
    entry("&(int8,int8) int8", bit_and),
    entry("|(int2,int2) int2", bit_or),
    entry("|(int4,int4) int4", bit_or),
    entry("|(int8,int8) int8", bit_or),
    entry("#(int2,int2) int2", bit_xor),
    entry("#(int4,int4) int4", bit_xor),
    entry("#(int8,int8) int8", bit_xor),
    entry("~(int2) int2", bit_not),
    entry("~(int4) int4", bit_not),
    entry("~(int8) int8", bit_not),
    entry("<<(int2,int4) int2", shift_left),
    entry("<<(int4,int4) int4", shift_left),
    entry("<<(int8,int4) int8", shift_left),
    entry(">>(int2,int4) int2", shift_right),
    entry(">>(int4,int4) int4", shift_right),
    entry(">>(int8,int4) int8", shift_right),
];

/// An integer as the result's type.
pub(super) fn fit(ty: &SqlType, number: Option<i64>) -> SqlResult<Value> {
    match ty {
        SqlType::Int2 => number.and_then(|n| i16::try_from(n).ok()).map(Value::Int2).ok_or("smallint"),
        SqlType::Int4 => number.and_then(|n| i32::try_from(n).ok()).map(Value::Int4).ok_or("integer"),
        _ => number.map(Value::Int8).ok_or("bigint"),
    }
    .map_err(out_of_range)
}

/// `22003` for a floating-point number that grew too large.
pub(super) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

/// `22003` for a floating-point number that became too small.
pub(super) fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

/// A floating-point result: infinite or zero only if that is no overflow or underflow.
fn fit_float(ty: &SqlType, result: f64, may_be_infinite: bool, may_be_zero: bool) -> SqlResult<Value> {
    let (value, result) = match ty {
        SqlType::Float4 => {
            #[expect(clippy::cast_possible_truncation, reason = "rounding to the type is what is wanted")]
            let small = result as f32;
            (Value::Float4(small), f64::from(small))
        }
        _ => (Value::Float8(result), result),
    };
    if result.is_infinite() && !may_be_infinite {
        return Err(overflow());
    }
    if result == 0.0 && !may_be_zero {
        return Err(underflow());
    }
    Ok(value)
}

enum Operands<'a> {
    Integers(i64, i64),
    Floats(f64, f64),
    Numerics(&'a Numeric, &'a Numeric),
}

fn operands<'a>(site: &Site<'_>, args: &'a [Value]) -> SqlResult<Operands<'a>> {
    Ok(match site.ty {
        SqlType::Float4 | SqlType::Float8 => Operands::Floats(float(args, 0)?, float(args, 1)?),
        SqlType::Numeric(_) => Operands::Numerics(numeric(args, 0)?, numeric(args, 1)?),
        _ => Operands::Integers(integer(args, 0)?, integer(args, 1)?),
    })
}

fn add(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match operands(site, args)? {
        Operands::Integers(left, right) => fit(site.ty, left.checked_add(right)),
        Operands::Floats(left, right) => {
            fit_float(site.ty, left + right, left.is_infinite() || right.is_infinite(), true)
        }
        Operands::Numerics(left, right) => left.add(right).map(Value::Numeric),
    }
}

fn subtract(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match operands(site, args)? {
        Operands::Integers(left, right) => fit(site.ty, left.checked_sub(right)),
        Operands::Floats(left, right) => {
            fit_float(site.ty, left - right, left.is_infinite() || right.is_infinite(), true)
        }
        Operands::Numerics(left, right) => left.sub(right).map(Value::Numeric),
    }
}

fn multiply(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match operands(site, args)? {
        Operands::Integers(left, right) => fit(site.ty, left.checked_mul(right)),
        Operands::Floats(left, right) => {
            fit_float(site.ty, left * right, left.is_infinite() || right.is_infinite(), left == 0.0 || right == 0.0)
        }
        Operands::Numerics(left, right) => left.mul(right).map(Value::Numeric),
    }
}

fn divide(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match operands(site, args)? {
        Operands::Integers(_, 0) => Err(division_by_zero()),
        Operands::Integers(left, right) => fit(site.ty, left.checked_div(right)),
        Operands::Floats(left, right) if right == 0.0 && !left.is_nan() => Err(division_by_zero()),
        Operands::Floats(left, right) => {
            fit_float(site.ty, left / right, left.is_infinite(), left == 0.0 || right.is_infinite())
        }
        Operands::Numerics(left, right) => left.div(right).map(Value::Numeric),
    }
}

fn modulo(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match operands(site, args)? {
        Operands::Integers(_, 0) => Err(division_by_zero()),
        Operands::Integers(left, right) => fit(site.ty, Some(left.wrapping_rem(right))),
        Operands::Floats(..) => Err(SqlError::unsupported("the remainder of floating-point numbers")),
        Operands::Numerics(left, right) => left.rem(right).map(Value::Numeric),
    }
}

fn negate(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(match &args[0] {
        Value::Float4(number) => Value::Float4(-number),
        Value::Float8(number) => Value::Float8(-number),
        Value::Numeric(number) => Value::Numeric(number.neg()),
        _ => return fit(site.ty, integer(args, 0)?.checked_neg()),
    })
}

fn same(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(args[0].clone())
}

fn bit_and(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    fit(site.ty, Some(integer(args, 0)? & integer(args, 1)?))
}

fn bit_or(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    fit(site.ty, Some(integer(args, 0)? | integer(args, 1)?))
}

fn bit_xor(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    fit(site.ty, Some(integer(args, 0)? ^ integer(args, 1)?))
}

fn bit_not(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    fit(site.ty, Some(!integer(args, 0)?))
}

/// The low bits of the count decide, as processors have it.
fn shift_left(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let by = super::args::int4(args, 1)?.cast_unsigned();
    Ok(match args[0] {
        Value::Int2(number) => Value::Int2(shifted(i32::from(number).wrapping_shl(by))),
        Value::Int4(number) => Value::Int4(number.wrapping_shl(by)),
        _ => Value::Int8(integer(args, 0)?.wrapping_shl(by)),
    })
}

fn shift_right(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let by = super::args::int4(args, 1)?.cast_unsigned();
    Ok(match args[0] {
        Value::Int2(number) => Value::Int2(shifted(i32::from(number).wrapping_shr(by))),
        Value::Int4(number) => Value::Int4(number.wrapping_shr(by)),
        _ => Value::Int8(integer(args, 0)?.wrapping_shr(by)),
    })
}

/// The low 16 bits.
fn shifted(number: i32) -> i16 {
    let [low, high, ..] = number.to_le_bytes();
    i16::from_le_bytes([low, high])
}
