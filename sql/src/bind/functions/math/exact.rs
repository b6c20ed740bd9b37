//! Functions of integers and exact numbers.

use annulus_relation::value::Numeric;
use annulus_relation::{SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{float, int4, int8, integer, numeric, out_of_range};
use super::super::arithmetic::fit;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("abs(int2) int2", abs),
    entry("abs(int4) int4", abs),
    entry("abs(int8) int8", abs),
    entry("abs(float4) float4", abs),
    entry("abs(float8) float8", abs),
    entry("abs(numeric) numeric", abs),
    entry("@(int2) int2", abs),
    entry("@(int4) int4", abs),
    entry("@(int8) int8", abs),
    entry("@(float4) float4", abs),
    entry("@(float8) float8", abs),
    entry("@(numeric) numeric", abs),
    entry("ceil(numeric) numeric", ceil),
    entry("ceiling(numeric) numeric", ceil),
    entry("floor(numeric) numeric", floor),
    entry("round(numeric) numeric", round),
    entry("round(numeric,int4) numeric", round),
    entry("trunc(numeric) numeric", trunc),
    entry("trunc(numeric,int4) numeric", trunc),
    entry("sign(numeric) numeric", sign),
    entry("sqrt(numeric) numeric", sqrt),
    entry("exp(numeric) numeric", exp),
    entry("ln(numeric) numeric", ln),
    entry("log(numeric) numeric", log10),
    entry("log10(numeric) numeric", log10),
    entry("log(numeric,numeric) numeric", log),
    entry("power(numeric,numeric) numeric", power),
    entry("pow(numeric,numeric) numeric", power),
    entry("^(numeric,numeric) numeric", power),
    entry("div(numeric,numeric) numeric", div),
    entry("gcd(int4,int4) int4", gcd),
    entry("gcd(int8,int8) int8", gcd),
    entry("gcd(numeric,numeric) numeric", gcd_numeric),
    entry("lcm(int4,int4) int4", lcm),
    entry("lcm(int8,int8) int8", lcm),
    entry("lcm(numeric,numeric) numeric", lcm_numeric),
    entry("factorial(int8) numeric", factorial),
    entry("scale(numeric) int4", scale),
    entry("min_scale(numeric) int4", min_scale),
    entry("trim_scale(numeric) numeric", trim_scale),
    entry("width_bucket(numeric,numeric,numeric,int4) int4", width_bucket),
];

fn abs(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(match &args[0] {
        Value::Float4(number) => Value::Float4(number.abs()),
        Value::Float8(number) => Value::Float8(number.abs()),
        Value::Numeric(number) => Value::Numeric(number.abs()),
        _ => return fit(site.ty, integer(args, 0)?.checked_abs()),
    })
}

fn made(number: SqlResult<Numeric>) -> SqlResult<Value> {
    number.map(Value::Numeric)
}

fn ceil(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.ceil())
}

fn floor(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.floor())
}

fn places(args: &[Value]) -> SqlResult<i32> {
    if args.len() > 1 { int4(args, 1) } else { Ok(0) }
}

fn round(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.round(places(args)?))
}

fn trunc(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.trunc(places(args)?))
}

fn sign(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Numeric(numeric(args, 0)?.sign()))
}

fn sqrt(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.sqrt())
}

fn exp(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.exp())
}

fn ln(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.ln())
}

fn log10(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.log(&Numeric::from(10i64)))
}

fn log(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 1)?.log(numeric(args, 0)?))
}

fn power(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.power(numeric(args, 1)?))
}

fn div(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.div_trunc(numeric(args, 1)?))
}

fn greatest_divisor(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

fn gcd(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let divisor = greatest_divisor(integer(args, 0)?.unsigned_abs(), integer(args, 1)?.unsigned_abs());
    fit(site.ty, i64::try_from(divisor).ok())
}

fn lcm(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (left, right) = (integer(args, 0)?.unsigned_abs(), integer(args, 1)?.unsigned_abs());
    if left == 0 || right == 0 {
        return fit(site.ty, Some(0));
    }
    let multiple = (left / greatest_divisor(left, right)).checked_mul(right);
    fit(site.ty, multiple.and_then(|multiple| i64::try_from(multiple).ok()))
}

fn gcd_numeric(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.gcd(numeric(args, 1)?))
}

fn lcm_numeric(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.lcm(numeric(args, 1)?))
}

fn factorial(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(Numeric::factorial(int8(args, 0)?))
}

fn number_of_places(scale: Option<i64>) -> Value {
    scale.and_then(|scale| i32::try_from(scale).ok()).map_or(Value::Null, Value::Int4)
}

fn scale(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(number_of_places(numeric(args, 0)?.scale()))
}

fn min_scale(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(number_of_places(numeric(args, 0)?.min_scale()))
}

fn trim_scale(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(numeric(args, 0)?.trim_scale())
}

/// `2201G`
pub(super) fn bad_bucket(message: &str) -> annulus_relation::SqlError {
    annulus_relation::SqlError::new(SqlState("2201G"), message)
}

/// How many buckets there are, above 0.
pub(super) fn buckets(args: &[Value]) -> SqlResult<i32> {
    match int4(args, 3)? {
        count @ 1.. => Ok(count),
        _ => Err(bad_bucket("count must be greater than zero")),
    }
}

fn width_bucket(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (value, low, high, count) = (numeric(args, 0)?, numeric(args, 1)?, numeric(args, 2)?, buckets(args)?);
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bad_bucket("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.scale().is_none() || high.scale().is_none() {
        return Err(bad_bucket("lower and upper bounds must be finite"));
    }
    let rising = low.compare(high);
    if rising.is_eq() {
        return Err(bad_bucket("lower bound cannot equal upper bound"));
    }
    let (before, behind) = (value.compare(low), value.compare(high));
    let bucket = if before != rising.reverse() && before.is_ne() {
        0
    } else if behind != rising {
        count.checked_add(1).ok_or_else(|| out_of_range("integer"))?
    } else {
        let share = value.sub(low)?.mul(&Numeric::from(i64::from(count)))?.div_trunc(&high.sub(low)?)?;
        i32::try_from(share.to_i64()?).unwrap_or(count - 1) + 1
    };
    Ok(Value::Int4(bucket))
}

/// Shared with the floating-point one, whose arguments are checked the same way.
pub(super) fn width_bucket_float(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (value, low, high, count) = (float(args, 0)?, float(args, 1)?, float(args, 2)?, buckets(args)?);
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bad_bucket("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(bad_bucket("lower and upper bounds must be finite"));
    }
    if (high - low) == 0.0 {
        return Err(bad_bucket("lower bound cannot equal upper bound"));
    }
    let share = (value - low) / (high - low);
    let bucket = if share < 0.0 {
        0
    } else if share >= 1.0 {
        count.checked_add(1).ok_or_else(|| out_of_range("integer"))?
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "the share is below 1")]
        let bucket = (share * f64::from(count)).floor() as i32;
        bucket.min(count - 1) + 1
    };
    Ok(Value::Int4(bucket))
}
