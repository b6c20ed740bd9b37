//! Functions of floating-point numbers.

use annulus_relation::value::{Env, print};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::float;
use super::super::arithmetic::{overflow, underflow};
use super::exact::width_bucket_float;

macro_rules! plain {
    ($($name:ident $function:expr;)*) => {
        $(fn $name(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
            let function: fn(f64) -> f64 = $function;
            Ok(Value::Float8(function(float(args, 0)?)))
        })*
    };
}

plain! {
    ceil f64::ceil;
    floor f64::floor;
    round f64::round_ties_even;
    trunc f64::trunc;
    sign |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x };
    cbrt f64::cbrt;
    radians f64::to_radians;
    atan f64::atan;
    tanh f64::tanh;
    asinh f64::asinh;
}

pub(in super::super) const TABLE: &[Entry] = &[
    entry("ceil(float8) float8", ceil),
    entry("ceiling(float8) float8", ceil),
    entry("floor(float8) float8", floor),
    entry("round(float8) float8", round),
    entry("trunc(float8) float8", trunc),
    entry("sign(float8) float8", sign),
    entry("cbrt(float8) float8", cbrt),
    entry("||/(float8) float8", cbrt),
    entry("sqrt(float8) float8", sqrt),
    entry("|/(float8) float8", sqrt),
    entry("exp(float8) float8", exp),
    entry("ln(float8) float8", ln),
    entry("log(float8) float8", log10),
    entry("log10(float8) float8", log10),
    entry("power(float8,float8) float8", power),
    entry("pow(float8,float8) float8", power),
    entry("^(float8,float8) float8", power),
    entry("pi() float8", pi),
    entry("degrees(float8) float8", degrees),
    entry("radians(float8) float8", radians),
    entry("sin(float8) float8", sin),
    entry("cos(float8) float8", cos),
    entry("tan(float8) float8", tan),
    entry("cot(float8) float8", cot),
    entry("asin(float8) float8", asin),
    entry("acos(float8) float8", acos),
    entry("atan(float8) float8", atan),
    entry("atan2(float8,float8) float8", atan2),
    entry("sinh(float8) float8", sinh),
    entry("cosh(float8) float8", cosh),
    entry("tanh(float8) float8", tanh),
    entry("asinh(float8) float8", asinh),
    entry("acosh(float8) float8", acosh),
    entry("atanh(float8) float8", atanh),
    entry("random() float8", random).volatile(),
    entry("setseed(float8) void", setseed).volatile(),
    entry("width_bucket(float8,float8,float8,int4) int4", width_bucket_float),
];

fn bad(state: SqlState, message: &str) -> SqlError {
    SqlError::new(state, message)
}

pub(super) fn outside() -> SqlError {
    bad(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn sqrt(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let number = float(args, 0)?;
    if number < 0.0 {
        return Err(bad(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number"));
    }
    Ok(Value::Float8(number.sqrt()))
}

fn exp(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let number = float(args, 0)?;
    checked(number.exp(), number.is_infinite(), number == f64::NEG_INFINITY)
}

/// A result that may be infinite or zero only where that is no overflow or underflow.
fn checked(result: f64, may_be_infinite: bool, may_be_zero: bool) -> SqlResult<Value> {
    if result.is_infinite() && !may_be_infinite {
        return Err(overflow());
    }
    if result == 0.0 && !may_be_zero {
        return Err(underflow());
    }
    Ok(Value::Float8(result))
}

fn logarithm(number: f64, function: fn(f64) -> f64) -> SqlResult<Value> {
    if number == 0.0 {
        return Err(bad(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero"));
    }
    if number < 0.0 {
        return Err(bad(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of a negative number"));
    }
    Ok(Value::Float8(function(number)))
}

fn ln(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    logarithm(float(args, 0)?, f64::ln)
}

fn log10(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    logarithm(float(args, 0)?, f64::log10)
}

fn power(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (base, exponent) = (float(args, 0)?, float(args, 1)?);
    if base.is_nan() || exponent.is_nan() {
        let one = (base.is_nan() && exponent == 0.0) || (exponent.is_nan() && base == 1.0);
        return Ok(Value::Float8(if one { 1.0 } else { f64::NAN }));
    }
    if base == 0.0 && exponent < 0.0 {
        let message = "zero raised to a negative power is undefined";
        return Err(bad(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    if base < 0.0 && exponent.floor() != exponent {
        let message = "a negative number raised to a non-integer power yields a complex result";
        return Err(bad(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    let infinite = base.is_infinite() || exponent.is_infinite();
    checked(base.powf(exponent), infinite, infinite || base == 0.0)
}

fn pi(_: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    Ok(Value::Float8(std::f64::consts::PI))
}

fn degrees(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let number = float(args, 0)?;
    let result = number / (std::f64::consts::PI / 180.0);
    checked(result, number.is_infinite(), number == 0.0)
}

/// Periodic functions have no value at infinity.
fn periodic(args: &[Value], function: fn(f64) -> f64) -> SqlResult<Value> {
    let number = float(args, 0)?;
    if number.is_infinite() { Err(outside()) } else { Ok(Value::Float8(function(number))) }
}

fn sin(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    periodic(args, f64::sin)
}

fn cos(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    periodic(args, f64::cos)
}

fn tan(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    periodic(args, f64::tan)
}

fn cot(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    periodic(args, |number| 1.0 / number.tan())
}

/// A function defined between two bounds.
fn bounded(args: &[Value], low: f64, high: f64, function: fn(f64) -> f64) -> SqlResult<Value> {
    let number = float(args, 0)?;
    if number < low || number > high { Err(outside()) } else { Ok(Value::Float8(function(number))) }
}

fn asin(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    bounded(args, -1.0, 1.0, f64::asin)
}

fn acos(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    bounded(args, -1.0, 1.0, f64::acos)
}

fn acosh(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    bounded(args, 1.0, f64::INFINITY, f64::acosh)
}

fn atanh(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    bounded(args, -1.0, 1.0, f64::atanh)
}

fn atan2(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Float8(float(args, 0)?.atan2(float(args, 1)?)))
}

fn sinh(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Float8(float(args, 0)?.sinh()))
}

fn cosh(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Float8(float(args, 0)?.cosh()))
}

fn random(site: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    Ok(Value::Float8(site.cx.session.random_number()))
}

fn setseed(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let seed = float(args, 0)?;
    if !(-1.0..=1.0).contains(&seed) {
        // With six digits.
        let env = Env { extra_float_digits: -9, ..Env::default() };
        let shown = print(&Value::Float8(seed), &SqlType::Float8, &env);
        let message = format!("setseed parameter {shown} is out of allowed range [-1,1]");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    site.cx.session.set_seed(seed);
    Ok(Value::text(""))
}
