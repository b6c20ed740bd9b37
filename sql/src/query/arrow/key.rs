//! Keys: binary strings that compare as the values of one type do, and are equal if the values are.

use annulus_relation::value::{Interval, Numeric};
use annulus_relation::{SqlResult, Value};
use datafusion::arrow::array::BinaryViewArray;
use datafusion::arrow::array::builder::BinaryViewBuilder;

use super::json;

/// Appends a value's key. No key is the beginning of another one of the same type.
pub(in crate::query) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(2),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int2(v) => out.extend_from_slice(&(*v ^ i16::MIN).to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&(*v ^ i32::MIN).to_be_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) | Value::Enum(v) => {
            out.extend_from_slice(&(*v ^ i64::MIN).to_be_bytes());
        }
        Value::Float4(v) => write_float(f64::from(*v), out),
        Value::Float8(v) => write_float(*v, out),
        Value::Numeric(v) => write_numeric(v, out),
        Value::Text(v) | Value::Json(v) => write_bytes(v.as_bytes(), out),
        Value::Bytea(v) => write_bytes(v, out),
        Value::Interval(v) => out.extend_from_slice(&(span(*v) ^ i128::MIN).to_be_bytes()),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Inet(v) => v.put_ordered(out),
        Value::Jsonb(v) => json::write(v, out),
        Value::Array(elements) => {
            for element in &**elements {
                // NULL sorts behind all values, the end before them.
                out.push(if element.is_null() { 2 } else { 1 });
                if !element.is_null() {
                    write(element, out);
                }
            }
            out.push(0);
        }
        Value::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
    }
}

/// An interval's length in microseconds: a month has 30 days.
fn span(interval: Interval) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * 86_400_000_000 + i128::from(interval.micros)
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    // -0 equals 0; all NaNs are one, the greatest.
    let bits = if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() };
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    out.extend_from_slice(&ordered.to_be_bytes());
}

/// Bytes with their zeros marked, and an end that sorts before everything.
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn write_numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NegativeInfinity => out.push(0),
        Numeric::Infinity => out.push(4),
        Numeric::NaN => out.push(5),
        Numeric::Finite(number) => {
            let (digits, scale) = number.as_bigint_and_scale();
            write_number(&digits.to_string(), scale, out);
        }
    }
}

/// The key of the number whose digits, with its sign, are `digits`, the last `scale` of them behind the point.
pub(super) fn write_number(digits: &str, scale: i64, out: &mut Vec<u8>) {
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return out.push(2);
    }
    // The place of the first digit, then the digits without zeros at the end.
    let exponent = i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_sub(scale);
    out.push(if negative { 1 } else { 3 });
    let start = out.len();
    out.extend_from_slice(&(exponent ^ i64::MIN).to_be_bytes());
    out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    out.push(0);
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The key of a value.
pub(in crate::query) fn of(value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    write(value, &mut key);
    key
}

/// The keys of some values.
pub(in crate::query) fn of_array(
    count: usize,
    value: impl Fn(usize) -> SqlResult<Value>,
) -> SqlResult<BinaryViewArray> {
    let mut keys = BinaryViewBuilder::with_capacity(count);
    let mut key = Vec::new();
    for row in 0..count {
        match value(row)? {
            Value::Null => keys.append_null(),
            value => {
                key.clear();
                write(&value, &mut key);
                keys.append_value(&*key);
            }
        }
    }
    Ok(keys.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Value {
        Value::Numeric(Numeric::Finite(text.parse().unwrap()))
    }

    fn ascending(values: &[Value]) {
        for pair in values.windows(2) {
            assert!(of(&pair[0]) < of(&pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn keys_compare_as_values_do() {
        let numbers =
            ["-100.5", "-100", "-99.9", "-1", "-0.001", "0", "0.0009", "0.001", "0.01", "1", "1.5", "9", "10"];
        let mut values = vec![Value::Numeric(Numeric::NegativeInfinity)];
        values.extend(numbers.map(numeric));
        values.extend([Value::Numeric(Numeric::Infinity), Value::Numeric(Numeric::NaN)]);
        ascending(&values);
        ascending(&[-1.5, -0.5, 0.0, 0.5, f64::INFINITY, f64::NAN].map(Value::Float8));
        ascending(&["", "a", "a\0", "ab", "b"].map(Value::text));
        let array = |values: &[i32]| Value::Array(values.iter().map(|v| Value::Int4(*v)).collect());
        let with_null = Value::Array([Value::Int4(1), Value::Null].into());
        ascending(&[array(&[]), array(&[1]), array(&[1, 2]), with_null, array(&[2])]);
    }

    #[test]
    fn equal_values_have_equal_keys() {
        assert_eq!(of(&numeric("1.00")), of(&numeric("1")));
        assert_eq!(of(&numeric("-100")), of(&numeric("-100.0")));
        assert_eq!(of(&numeric("0.000")), of(&numeric("0")));
        assert_eq!(of(&Value::Float8(-0.0)), of(&Value::Float8(0.0)));
        let interval = |months, days, micros| Value::Interval(Interval { months, days, micros });
        assert_eq!(of(&interval(1, 0, 0)), of(&interval(0, 30, 0)));
        assert_eq!(of(&interval(0, 1, 0)), of(&interval(0, 0, 86_400_000_000)));
    }
}
