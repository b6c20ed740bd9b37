//! The order of values: that of PostgreSQL's b-tree indexes, text in the collation "C".

use std::cmp::Ordering;

use super::Value;
use super::json::Json;

/// How two values of one type are ordered. NULL, which occurs inside of arrays, is behind all others.
///
/// `char(n)` values of different lengths are compared rightly only after [`trim_char`](super::trim_char).
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int2(a), Value::Int2(b)) => a.cmp(b),
        (Value::Int4(a), Value::Int4(b)) => a.cmp(b),
        (Value::Int8(a), Value::Int8(b)) => a.cmp(b),
        (Value::Float4(a), Value::Float4(b)) => compare_floats(f64::from(*a), f64::from(*b)),
        (Value::Float8(a), Value::Float8(b)) => compare_floats(*a, *b),
        (Value::Numeric(a), Value::Numeric(b)) => a.compare(b),
        (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Jsonb(a), Value::Jsonb(b)) => compare_jsonb(a, b),
        (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b))
        | (Value::Timestamp(a), Value::Timestamp(b))
        | (Value::Timestamptz(a), Value::Timestamptz(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => a.length().cmp(&b.length()),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Inet(a), Value::Inet(b)) => a.cmp(b),
        (Value::Oid(a), Value::Oid(b)) => a.cmp(b),
        (Value::Enum(a), Value::Enum(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_arrays(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// All `NaN` are equal and behind all other numbers; both zeros are equal.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// By value; text that is no JSON, which no `jsonb` has, by its bytes.
fn compare_jsonb(a: &str, b: &str) -> Ordering {
    match (Json::parse(a), Json::parse(b)) {
        (Ok(a), Ok(b)) => a.compare(&b),
        _ => a.as_bytes().cmp(b.as_bytes()),
    }
}

/// Element by element, then the shorter one first.
fn compare_arrays(a: &[Value], b: &[Value]) -> Ordering {
    let unequal = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
    unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Keeps the order total where the kinds differ; of one type, only NULL differs.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Int2(_) => 1,
        Value::Int4(_) => 2,
        Value::Int8(_) => 3,
        Value::Float4(_) => 4,
        Value::Float8(_) => 5,
        Value::Numeric(_) => 6,
        Value::Text(_) => 7,
        Value::Bytea(_) => 8,
        Value::Date(_) => 9,
        Value::Time(_) => 10,
        Value::Timestamp(_) => 11,
        Value::Timestamptz(_) => 12,
        Value::Interval(_) => 13,
        Value::Uuid(_) => 14,
        Value::Json(_) => 15,
        Value::Jsonb(_) => 16,
        Value::Array(_) => 17,
        Value::Oid(_) => 18,
        Value::Inet(_) => 19,
        Value::Enum(_) => 20,
        Value::Null => u8::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Interval, Numeric};

    #[test]
    fn special_numbers_have_their_place() {
        let float = |x| Value::Float8(x);
        assert_eq!(compare(&float(f64::NAN), &float(f64::INFINITY)), Ordering::Greater);
        assert_eq!(compare(&float(f64::NAN), &float(-f64::NAN)), Ordering::Equal);
        assert_eq!(compare(&float(0.0), &float(-0.0)), Ordering::Equal);
        let numeric = |text| Value::Numeric(Numeric::parse(text).unwrap());
        assert_eq!(compare(&numeric("1.0"), &numeric("1.000")), Ordering::Equal);
        assert_eq!(compare(&numeric("NaN"), &numeric("inf")), Ordering::Greater);
    }

    #[test]
    fn a_month_is_thirty_days_and_null_is_last() {
        let interval = |months, days, micros| Value::Interval(Interval { months, days, micros });
        assert_eq!(compare(&interval(1, 0, 0), &interval(0, 29, 86_400_000_000)), Ordering::Equal);
        let array = |values: &[Value]| Value::Array(values.into());
        assert_eq!(compare(&array(&[Value::Null]), &array(&[Value::Int4(i32::MAX)])), Ordering::Greater);
        assert_eq!(compare(&array(&[Value::Int4(1)]), &array(&[Value::Int4(1), Value::Int4(0)])), Ordering::Less);
    }
}
