//! Values in keys: bytes that sort as PostgreSQL's b-tree sorts the values.
//!
//! A field is a marker (NULL before all, a value, NULL behind all) and then the value; a descending field has its
//! value's bytes complemented. Each encoding tells its own end, so fields follow each other in a key and no key is
//! the prefix of another. Equal values have equal bytes (numeric 1.0 and 1.00, float 0 and -0, intervals of 30 days
//! and 1 month), so some values come back only as equal ones: [`is_exact`].

use annulus_base::key::{put_field, take_field};
use bytes::{BufMut, Bytes, BytesMut};

use super::numeric;
use crate::catalog::IndexKey;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::value::{Inet, Interval, SqlType, Value};

/// Markers of a field; ordered.
mod marker {
    pub(super) const NULL_FIRST: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    pub(super) const NULL_LAST: u8 = 3;
}

/// Continues the fields before it to the first value of a field that is not NULL.
pub(crate) const VALUES: u8 = marker::VALUE;
/// Continues the fields before it to just behind the values of a field.
pub(crate) const BEHIND_VALUES: u8 = marker::NULL_LAST;
/// Continues fields to behind every key that begins with them.
pub(crate) const BEHIND_FIELDS: u8 = 0xff;

/// What stands before an element of an array, or behind the last: fewer elements sort first, NULL last.
mod element {
    pub(super) const END: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    pub(super) const NULL: u8 = 3;
}

/// In which order a field sorts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyOrder {
    /// Largest first.
    pub descending: bool,
    /// NULL before everything else, else behind.
    pub nulls_first: bool,
}

impl From<&IndexKey> for KeyOrder {
    fn from(key: &IndexKey) -> Self {
        Self { descending: key.descending, nulls_first: key.nulls_first }
    }
}

/// Whether values of a type can stand in keys.
#[must_use]
pub fn is_keyable(ty: &SqlType) -> bool {
    match ty {
        SqlType::Json | SqlType::Jsonb | SqlType::Jsonpath => false,
        SqlType::Unknown | SqlType::Void | SqlType::Record => false,
        SqlType::Int2Vector | SqlType::OidVector => false,
        SqlType::Array(element) => is_keyable(element),
        _ => true,
    }
}

/// Whether [`take`] gives back the very value, not only one that equals it.
#[must_use]
pub fn is_exact(ty: &SqlType) -> bool {
    match ty {
        SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_) | SqlType::Interval(_) => false,
        SqlType::Array(element) => is_exact(element),
        ty => is_keyable(ty),
    }
}

/// Refuses a value that is not of a type: its bytes would mean something else there.
///
/// # Errors
/// `XX000`, because whoever made the value should have cast it.
pub fn check_type(value: &Value, ty: &SqlType) -> SqlResult<()> {
    if is_of_type(value, ty) {
        return Ok(());
    }
    let message = format!("a value of another type where one of type {} is stored", ty.name());
    Err(SqlError::new(SqlState::INTERNAL_ERROR, message))
}

fn is_of_type(value: &Value, ty: &SqlType) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => *ty == SqlType::Bool,
        Value::Int2(_) => *ty == SqlType::Int2,
        Value::Int4(_) => *ty == SqlType::Int4,
        Value::Int8(_) => *ty == SqlType::Int8,
        Value::Float4(_) => *ty == SqlType::Float4,
        Value::Float8(_) => *ty == SqlType::Float8,
        Value::Numeric(_) => matches!(ty, SqlType::Numeric(_)),
        Value::Text(_) => {
            matches!(ty, SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name)
                || matches!(ty, SqlType::InternalChar | SqlType::Jsonpath)
        }
        Value::Bytea(_) => *ty == SqlType::Bytea,
        Value::Date(_) => *ty == SqlType::Date,
        Value::Time(_) => matches!(ty, SqlType::Time(_)),
        Value::Timestamp(_) => matches!(ty, SqlType::Timestamp(_)),
        Value::Timestamptz(_) => matches!(ty, SqlType::Timestamptz(_)),
        Value::Interval(_) => matches!(ty, SqlType::Interval(_)),
        Value::Uuid(_) => *ty == SqlType::Uuid,
        Value::Inet(_) => matches!(ty, SqlType::Inet | SqlType::Cidr),
        Value::Enum(_) => matches!(ty, SqlType::Enum(_)),
        Value::Json(_) => *ty == SqlType::Json,
        Value::Jsonb(_) => *ty == SqlType::Jsonb,
        Value::Array(elements) => {
            ty.element().is_some_and(|element| elements.iter().all(|value| is_of_type(value, element)))
        }
        Value::Oid(_) => {
            matches!(ty, SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace)
        }
    }
}

/// Appends a value as a field.
///
/// # Errors
/// `0A000` for a type that is not [`is_keyable`].
pub fn put(out: &mut BytesMut, value: &Value, order: KeyOrder) -> SqlResult<()> {
    if value.is_null() {
        out.put_u8(if order.nulls_first { marker::NULL_FIRST } else { marker::NULL_LAST });
        return Ok(());
    }
    out.put_u8(marker::VALUE);
    let begin = out.len();
    put_value(out, value)?;
    if order.descending {
        out[begin..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    Ok(())
}

/// Reads a field back; returns the value (see [`is_exact`]) with the rest of the input, `None` if it is malformed.
#[must_use]
pub fn take<'a>(input: &'a [u8], ty: &SqlType, order: KeyOrder) -> Option<(Value, &'a [u8])> {
    let (marker, rest) = input.split_first()?;
    match *marker {
        marker::NULL_FIRST if order.nulls_first => return Some((Value::Null, rest)),
        marker::NULL_LAST if !order.nulls_first => return Some((Value::Null, rest)),
        marker::VALUE => {}
        _ => return None,
    }
    if !order.descending {
        return take_value(rest, ty);
    }
    let ascending: Vec<u8> = rest.iter().map(|byte| !byte).collect();
    let (value, left) = take_value(&ascending, ty)?;
    Some((value, &rest[rest.len() - left.len()..]))
}

fn put_value(out: &mut BytesMut, value: &Value) -> SqlResult<()> {
    match value {
        Value::Bool(value) => out.put_u8(u8::from(*value)),
        Value::Int2(value) => out.put_u16(*value as u16 ^ 1 << 15),
        Value::Int4(value) | Value::Date(value) => out.put_u32(*value as u32 ^ 1 << 31),
        Value::Int8(value)
        | Value::Time(value)
        | Value::Timestamp(value)
        | Value::Timestamptz(value)
        | Value::Enum(value) => {
            out.put_u64(*value as u64 ^ 1 << 63);
        }
        Value::Float4(value) => out.put_u32(float4_bits(*value)),
        Value::Float8(value) => out.put_u64(float8_bits(*value)),
        Value::Numeric(number) => {
            let too_large = || SqlError::unsupported("a numeric of this magnitude in an index");
            numeric::put_key(out, number).ok_or_else(too_large)?;
        }
        Value::Text(text) => put_field(out, text.as_bytes()),
        Value::Bytea(bytes) => put_field(out, bytes),
        Value::Interval(interval) => out.put_u128(interval_micros(interval) as u128 ^ 1 << 127),
        Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Inet(inet) => inet.put_ordered(out),
        Value::Oid(value) => out.put_u32(*value),
        Value::Array(elements) => put_array(out, elements)?,
        Value::Null | Value::Json(_) | Value::Jsonb(_) => return Err(SqlError::unsupported("an index over json")),
    }
    Ok(())
}

fn put_array(out: &mut BytesMut, elements: &[Value]) -> SqlResult<()> {
    for value in elements {
        if value.is_null() {
            out.put_u8(element::NULL);
        } else {
            out.put_u8(element::VALUE);
            put_value(out, value)?;
        }
    }
    out.put_u8(element::END);
    Ok(())
}

fn take_value<'a>(input: &'a [u8], ty: &SqlType) -> Option<(Value, &'a [u8])> {
    macro_rules! number {
        ($repr:ty, $make:expr) => {{
            let (bytes, rest) = input.split_first_chunk()?;
            Some(($make(<$repr>::from_be_bytes(*bytes)), rest))
        }};
    }
    let signed = |bits: u64| (bits ^ 1 << 63) as i64;
    match ty {
        SqlType::Bool => number!(u8, |byte| Value::Bool(byte != 0)),
        SqlType::Int2 => number!(u16, |bits| Value::Int2((bits ^ 1 << 15) as i16)),
        SqlType::Int4 => number!(u32, |bits| Value::Int4((bits ^ 1 << 31) as i32)),
        SqlType::Int8 => number!(u64, |bits| Value::Int8(signed(bits))),
        SqlType::Enum(_) => number!(u64, |bits| Value::Enum(signed(bits))),
        SqlType::Date => number!(u32, |bits| Value::Date((bits ^ 1 << 31) as i32)),
        SqlType::Time(_) => number!(u64, |bits| Value::Time(signed(bits))),
        SqlType::Timestamp(_) => number!(u64, |bits| Value::Timestamp(signed(bits))),
        SqlType::Timestamptz(_) => number!(u64, |bits| Value::Timestamptz(signed(bits))),
        SqlType::Float4 => number!(u32, |bits| Value::Float4(float4_of(bits))),
        SqlType::Float8 => number!(u64, |bits| Value::Float8(float8_of(bits))),
        SqlType::Interval(_) => number!(u128, |bits| Value::Interval(interval_of((bits ^ 1 << 127) as i128))),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace => {
            number!(u32, Value::Oid)
        }
        SqlType::Uuid => {
            let (bytes, rest) = input.split_first_chunk::<16>()?;
            Some((Value::Uuid(*bytes), rest))
        }
        SqlType::Inet | SqlType::Cidr => Inet::take_ordered(input).map(|(inet, rest)| (Value::Inet(inet), rest)),
        SqlType::Numeric(_) => numeric::take_key(input).map(|(number, rest)| (Value::Numeric(number), rest)),
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name | SqlType::InternalChar => {
            let (bytes, rest) = take_field(input)?;
            Some((Value::text(String::from_utf8(bytes).ok()?), rest))
        }
        SqlType::Bytea => take_field(input).map(|(bytes, rest)| (Value::Bytea(Bytes::from(bytes)), rest)),
        SqlType::Array(element) => take_array(input, element),
        SqlType::Json | SqlType::Jsonb | SqlType::Jsonpath => None,
        SqlType::Unknown | SqlType::Void | SqlType::Record => None,
        SqlType::Int2Vector | SqlType::OidVector => None,
    }
}

fn take_array<'a>(mut input: &'a [u8], ty: &SqlType) -> Option<(Value, &'a [u8])> {
    let mut elements = Vec::new();
    loop {
        let (what, rest) = input.split_first()?;
        input = rest;
        match *what {
            element::END => return Some((Value::Array(elements.into()), input)),
            element::NULL => elements.push(Value::Null),
            element::VALUE => {
                let (value, rest) = take_value(input, ty)?;
                elements.push(value);
                input = rest;
            }
            _ => return None,
        }
    }
}

/// The bits of a float in an order that sorts as PostgreSQL sorts floats: -0 equals 0, NaN is the greatest.
fn float8_bits(value: f64) -> u64 {
    let canonical = if value.is_nan() { f64::NAN.abs() } else { value + 0.0 };
    let bits = canonical.to_bits();
    if bits >> 63 == 0 { bits ^ 1 << 63 } else { !bits }
}

fn float8_of(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits })
}

/// As [`float8_bits`].
fn float4_bits(value: f32) -> u32 {
    let canonical = if value.is_nan() { f32::NAN.abs() } else { value + 0.0 };
    let bits = canonical.to_bits();
    if bits >> 31 == 0 { bits ^ 1 << 31 } else { !bits }
}

fn float4_of(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits ^ 1 << 31 } else { !bits })
}

const DAY: i128 = 86_400_000_000;
const MONTH: i128 = 30 * DAY;

/// What PostgreSQL compares intervals by: months of 30 days, days of 24 hours.
fn interval_micros(interval: &Interval) -> i128 {
    i128::from(interval.months) * MONTH + i128::from(interval.days) * DAY + i128::from(interval.micros)
}

/// An interval that compares as `micros`; of the possible ones that with the most months.
fn interval_of(micros: i128) -> Interval {
    let months = (micros / MONTH).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let rest = micros - months * MONTH;
    let days = (rest / DAY).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let rest = rest - days * DAY;
    Interval { months: months as i32, days: days as i32, micros: rest as i64 }
}

#[cfg(test)]
#[path = "key/tests.rs"]
mod tests;
