//! Values as bytes that say what they are: numbers, intervals and arrays within Arrow arrays, and whole values within
//! the states of aggregates. Small numbers fit the twelve bytes that Arrow's views keep without indirection.

use std::sync::Arc;

use annulus_relation::Value;
use annulus_relation::value::{Inet, Interval, Numeric};
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;

const SMALL: u8 = 0;
const LARGE: u8 = 1;
const NAN: u8 = 2;
const INFINITY: u8 = 3;
const NEGATIVE_INFINITY: u8 = 4;
const INTERVAL: u8 = 5;
const ARRAY: u8 = 6;
const NULL: u8 = 7;
const BOOL: u8 = 8;
const INT2: u8 = 9;
const INT4: u8 = 10;
const INT8: u8 = 11;
const FLOAT4: u8 = 12;
const FLOAT8: u8 = 13;
const TEXT: u8 = 14;
const BYTEA: u8 = 15;
const DATE: u8 = 16;
const TIME: u8 = 17;
const TIMESTAMP: u8 = 18;
const TIMESTAMPTZ: u8 = 19;
const UUID: u8 = 20;
const JSON: u8 = 21;
const JSONB: u8 = 22;
const OID: u8 = 23;
const INET: u8 = 24;
const ENUM: u8 = 25;

/// Appends a value.
pub(in crate::query) fn write(value: &Value, out: &mut Vec<u8>) {
    let mut put = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(bytes);
    };
    match value {
        Value::Null => put(NULL, &[]),
        Value::Bool(v) => put(BOOL, &[u8::from(*v)]),
        Value::Int2(v) => put(INT2, &v.to_le_bytes()),
        Value::Int4(v) => put(INT4, &v.to_le_bytes()),
        Value::Int8(v) => put(INT8, &v.to_le_bytes()),
        Value::Float4(v) => put(FLOAT4, &v.to_le_bytes()),
        Value::Float8(v) => put(FLOAT8, &v.to_le_bytes()),
        Value::Numeric(v) => write_numeric(v, out),
        Value::Text(v) => put(TEXT, v.as_bytes()),
        Value::Bytea(v) => put(BYTEA, v),
        Value::Date(v) => put(DATE, &v.to_le_bytes()),
        Value::Time(v) => put(TIME, &v.to_le_bytes()),
        Value::Timestamp(v) => put(TIMESTAMP, &v.to_le_bytes()),
        Value::Timestamptz(v) => put(TIMESTAMPTZ, &v.to_le_bytes()),
        Value::Interval(v) => {
            put(INTERVAL, &v.months.to_le_bytes());
            out.extend_from_slice(&v.days.to_le_bytes());
            out.extend_from_slice(&v.micros.to_le_bytes());
        }
        Value::Uuid(v) => put(UUID, v),
        Value::Json(v) => put(JSON, v.as_bytes()),
        Value::Jsonb(v) => put(JSONB, v.as_bytes()),
        Value::Array(elements) => {
            put(ARRAY, &[]);
            write_all(elements, out);
        }
        Value::Oid(v) => put(OID, &v.to_le_bytes()),
        Value::Enum(v) => put(ENUM, &v.to_le_bytes()),
        Value::Inet(v) => {
            put(INET, &[]);
            v.put_ordered(out);
        }
    }
}

/// Appends several values.
pub(in crate::query) fn write_all(values: &[Value], out: &mut Vec<u8>) {
    for value in values {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        write(value, out);
        // Lengths are below 4 GiB: no array of DataFusion's holds more.
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

fn write_numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NaN => out.push(NAN),
        Numeric::Infinity => out.push(INFINITY),
        Numeric::NegativeInfinity => out.push(NEGATIVE_INFINITY),
        Numeric::Finite(number) => {
            let (digits, scale) = number.as_bigint_and_scale();
            match (i128::try_from(&*digits), i16::try_from(scale)) {
                (Ok(digits), Ok(scale)) => write_small(digits, scale, out),
                _ => {
                    out.push(LARGE);
                    out.extend_from_slice(&scale.to_le_bytes());
                    out.extend_from_slice(&digits.to_signed_bytes_le());
                }
            }
        }
    }
}

/// Appends the number `digits / 10^scale`.
pub(in crate::query) fn write_small(digits: i128, scale: i16, out: &mut Vec<u8>) {
    out.push(SMALL);
    out.extend_from_slice(&scale.to_le_bytes());
    let unused = if digits < 0 { digits.leading_ones() } else { digits.leading_zeros() };
    // One bit more than the digits need, for the sign.
    let used = (128 - unused + 1).div_ceil(8).min(16) as usize;
    out.extend_from_slice(&digits.to_le_bytes()[..used]);
}

/// The number as `digits / 10^scale`, if it is a small one.
pub(in crate::query) fn read_small(bytes: &[u8]) -> Option<(i128, i16)> {
    let ([SMALL, low, high], digits) = bytes.split_first_chunk::<3>().map(|(head, rest)| (*head, rest))? else {
        return None;
    };
    let last = *digits.last()?;
    let mut whole = [if last & 0x80 == 0 { 0 } else { 0xff }; 16];
    whole.get_mut(..digits.len())?.copy_from_slice(digits);
    Some((i128::from_le_bytes(whole), i16::from_le_bytes([low, high])))
}

/// Reads a value; `None` if it is damaged.
pub(in crate::query) fn read(bytes: &[u8]) -> Option<Value> {
    let (tag, rest) = bytes.split_first()?;
    let text = || std::str::from_utf8(rest).ok().map(Arc::<str>::from);
    let int4 = || rest.try_into().ok().map(i32::from_le_bytes);
    let int8 = || rest.try_into().ok().map(i64::from_le_bytes);
    Some(match *tag {
        SMALL => {
            let (digits, scale) = read_small(bytes)?;
            Value::Numeric(Numeric::Finite(BigDecimal::new(BigInt::from(digits), scale.into())))
        }
        LARGE => {
            let (scale, digits) = rest.split_first_chunk()?;
            let number = BigDecimal::new(BigInt::from_signed_bytes_le(digits), i64::from_le_bytes(*scale));
            Value::Numeric(Numeric::Finite(number))
        }
        NAN => Value::Numeric(Numeric::NaN),
        INFINITY => Value::Numeric(Numeric::Infinity),
        NEGATIVE_INFINITY => Value::Numeric(Numeric::NegativeInfinity),
        INTERVAL => {
            let (months, rest) = rest.split_first_chunk()?;
            let (days, micros) = rest.split_first_chunk()?;
            Value::Interval(Interval {
                months: i32::from_le_bytes(*months),
                days: i32::from_le_bytes(*days),
                micros: i64::from_le_bytes(micros.try_into().ok()?),
            })
        }
        ARRAY => Value::Array(read_all(rest)?.into()),
        NULL => Value::Null,
        BOOL => Value::Bool(*rest.first()? != 0),
        INT2 => Value::Int2(i16::from_le_bytes(rest.try_into().ok()?)),
        INT4 => Value::Int4(int4()?),
        INT8 => Value::Int8(int8()?),
        FLOAT4 => Value::Float4(f32::from_le_bytes(rest.try_into().ok()?)),
        FLOAT8 => Value::Float8(f64::from_le_bytes(rest.try_into().ok()?)),
        TEXT => Value::Text(text()?),
        BYTEA => Value::Bytea(Bytes::copy_from_slice(rest)),
        DATE => Value::Date(int4()?),
        TIME => Value::Time(int8()?),
        TIMESTAMP => Value::Timestamp(int8()?),
        TIMESTAMPTZ => Value::Timestamptz(int8()?),
        UUID => Value::Uuid(rest.try_into().ok()?),
        JSON => Value::Json(text()?),
        JSONB => Value::Jsonb(text()?),
        OID => Value::Oid(u32::from_le_bytes(rest.try_into().ok()?)),
        ENUM => Value::Enum(i64::from_le_bytes(rest.try_into().ok()?)),
        INET => match Inet::take_ordered(rest)? {
            (inet, []) => Value::Inet(inet),
            _ => return None,
        },
        _ => return None,
    })
}

/// Reads several values.
pub(in crate::query) fn read_all(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        values.push(read(value)?);
        bytes = rest;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let numeric = |text: &str| Value::Numeric(Numeric::Finite(text.parse().unwrap()));
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int2(-3),
            Value::Int8(i64::MIN),
            Value::Float8(-0.0),
            numeric("0"),
            numeric("-1"),
            numeric("127"),
            numeric("128"),
            numeric("-128"),
            numeric("-129"),
            numeric("12345678901234567.89"),
            numeric(&"9".repeat(60)),
            Value::Numeric(Numeric::NaN),
            Value::text("aé"),
            Value::Bytea(Bytes::from_static(b"\0\x01")),
            Value::Interval(Interval { months: -1, days: 2, micros: -3 }),
            Value::Uuid([7; 16]),
            Value::Jsonb("{\"a\": 1}".into()),
            Value::Array([Value::Int4(1), Value::Null, Value::Array([Value::text("x")].into())].into()),
            Value::Oid(9),
            Value::Enum(1 << 48),
            Value::Inet(Inet::parse("10.1.2.3/8").unwrap()),
        ];
        for value in values {
            let mut bytes = Vec::new();
            write(&value, &mut bytes);
            assert_eq!(read(&bytes), Some(value));
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        for bytes in [&[][..], &[SMALL], &[SMALL, 0, 0], &[INTERVAL, 1], &[ARRAY, 9, 0, 0, 0, 1], &[99], &[INT4, 1]] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        assert_eq!(read_small(&[SMALL, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]), None);
    }
}
