//! Values in rows: a tag of five bits and a payload that keeps every detail of the value.

use bytes::{BufMut, Bytes, BytesMut};

use super::{numeric, varint};
use crate::value::{Inet, Interval, Value};

/// How many bits a tag takes.
pub(super) const TAG_BITS: u32 = 5;

/// How many of the highest bits of an enumeration's values come first.
const ENUM_BITS: u32 = 16;

/// Arrays hold no arrays; what is nested deeper is damaged.
const MAX_DEPTH: u32 = 1;

/// Tags are stored: numbers are never used again for something else.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT2: u8 = 3;
    pub(super) const INT4: u8 = 4;
    pub(super) const INT8: u8 = 5;
    pub(super) const FLOAT4: u8 = 6;
    pub(super) const FLOAT8: u8 = 7;
    pub(super) const NUMERIC: u8 = 8;
    pub(super) const TEXT: u8 = 9;
    pub(super) const BYTEA: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const TIME: u8 = 12;
    pub(super) const TIMESTAMP: u8 = 13;
    pub(super) const TIMESTAMPTZ: u8 = 14;
    pub(super) const INTERVAL: u8 = 15;
    pub(super) const UUID: u8 = 16;
    pub(super) const JSON: u8 = 17;
    pub(super) const JSONB: u8 = 18;
    pub(super) const ARRAY: u8 = 19;
    pub(super) const OID: u8 = 20;
    pub(super) const INET: u8 = 21;
    pub(super) const ENUM: u8 = 22;
}

/// The tag of a value.
pub(super) const fn tag_of(value: &Value) -> u8 {
    match value {
        Value::Null => tag::NULL,
        Value::Bool(false) => tag::FALSE,
        Value::Bool(true) => tag::TRUE,
        Value::Int2(_) => tag::INT2,
        Value::Int4(_) => tag::INT4,
        Value::Int8(_) => tag::INT8,
        Value::Float4(_) => tag::FLOAT4,
        Value::Float8(_) => tag::FLOAT8,
        Value::Numeric(_) => tag::NUMERIC,
        Value::Text(_) => tag::TEXT,
        Value::Bytea(_) => tag::BYTEA,
        Value::Date(_) => tag::DATE,
        Value::Time(_) => tag::TIME,
        Value::Timestamp(_) => tag::TIMESTAMP,
        Value::Timestamptz(_) => tag::TIMESTAMPTZ,
        Value::Interval(_) => tag::INTERVAL,
        Value::Uuid(_) => tag::UUID,
        Value::Json(_) => tag::JSON,
        Value::Jsonb(_) => tag::JSONB,
        Value::Array(_) => tag::ARRAY,
        Value::Oid(_) => tag::OID,
        Value::Inet(_) => tag::INET,
        Value::Enum(_) => tag::ENUM,
    }
}

/// Appends what follows a value's tag.
pub(super) fn put(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Int2(value) => varint::put_signed(out, i64::from(*value)),
        Value::Int4(value) | Value::Date(value) => varint::put_signed(out, i64::from(*value)),
        Value::Int8(value) | Value::Time(value) | Value::Timestamp(value) | Value::Timestamptz(value) => {
            varint::put_signed(out, *value);
        }
        Value::Float4(value) => out.put_u32(value.to_bits()),
        Value::Float8(value) => out.put_u64(value.to_bits()),
        Value::Numeric(number) => numeric::put_row(out, number),
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => put_bytes(out, text.as_bytes()),
        Value::Bytea(bytes) => put_bytes(out, bytes),
        Value::Interval(interval) => {
            varint::put_signed(out, i64::from(interval.months));
            varint::put_signed(out, i64::from(interval.days));
            varint::put_signed(out, interval.micros);
        }
        Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Array(elements) => {
            varint::put(out, elements.len() as u64);
            for element in elements.iter() {
                out.put_u8(tag_of(element));
                put(out, element);
            }
        }
        Value::Oid(value) => varint::put(out, u64::from(*value)),
        Value::Inet(inet) => inet.put_ordered(out),
        // Labels are far apart: their highest bits say it all, unless others were put between them.
        Value::Enum(value) => varint::put_signed(out, value.rotate_left(ENUM_BITS)),
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// Reads what follows a tag off the front of `input`, which is part of `whole`. `None` if it is malformed.
pub(super) fn take(tag: u8, input: &mut &[u8], whole: &Bytes) -> Option<Value> {
    take_nested(tag, input, whole, 0)
}

fn take_nested(tag: u8, input: &mut &[u8], whole: &Bytes, depth: u32) -> Option<Value> {
    Some(match tag {
        tag::NULL => Value::Null,
        tag::FALSE => Value::Bool(false),
        tag::TRUE => Value::Bool(true),
        tag::INT2 => Value::Int2(i16::try_from(varint::take_signed(input)?).ok()?),
        tag::INT4 => Value::Int4(i32::try_from(varint::take_signed(input)?).ok()?),
        tag::INT8 => Value::Int8(varint::take_signed(input)?),
        tag::FLOAT4 => Value::Float4(f32::from_bits(u32::from_be_bytes(take_chunk(input)?))),
        tag::FLOAT8 => Value::Float8(f64::from_bits(u64::from_be_bytes(take_chunk(input)?))),
        tag::NUMERIC => Value::Numeric(numeric::take_row(input)?),
        tag::TEXT => Value::text(take_text(input)?),
        tag::BYTEA => Value::Bytea(whole.slice_ref(take_bytes(input)?)),
        tag::DATE => Value::Date(i32::try_from(varint::take_signed(input)?).ok()?),
        tag::TIME => Value::Time(varint::take_signed(input)?),
        tag::TIMESTAMP => Value::Timestamp(varint::take_signed(input)?),
        tag::TIMESTAMPTZ => Value::Timestamptz(varint::take_signed(input)?),
        tag::INTERVAL => Value::Interval(Interval {
            months: i32::try_from(varint::take_signed(input)?).ok()?,
            days: i32::try_from(varint::take_signed(input)?).ok()?,
            micros: varint::take_signed(input)?,
        }),
        tag::UUID => Value::Uuid(take_chunk(input)?),
        tag::JSON => Value::Json(take_text(input)?.into()),
        tag::JSONB => Value::Jsonb(take_text(input)?.into()),
        tag::ARRAY if depth < MAX_DEPTH => take_array(input, whole, depth)?,
        tag::OID => Value::Oid(u32::try_from(varint::take(input)?).ok()?),
        tag::INET => {
            let (inet, rest) = Inet::take_ordered(input)?;
            *input = rest;
            Value::Inet(inet)
        }
        tag::ENUM => Value::Enum(varint::take_signed(input)?.rotate_right(ENUM_BITS)),
        _ => return None,
    })
}

fn take_array(input: &mut &[u8], whole: &Bytes, depth: u32) -> Option<Value> {
    let count = usize::try_from(varint::take(input)?).ok()?;
    // Each element takes a byte at least: a length that is wrong does not take memory.
    let mut elements = Vec::with_capacity(count.min(input.len()));
    for _ in 0..count {
        let [tag] = take_chunk(input)?;
        elements.push(take_nested(tag, input, whole, depth + 1)?);
    }
    Some(Value::Array(elements.into()))
}

/// Passes over what follows a tag, without making a value of it.
pub(super) fn skip(tag: u8, input: &mut &[u8], whole: &Bytes) -> Option<()> {
    let fixed = |input: &mut &[u8], length: usize| {
        *input = input.get(length..)?;
        Some(())
    };
    match tag {
        tag::TEXT | tag::BYTEA | tag::JSON | tag::JSONB => take_bytes(input).map(drop),
        tag::FLOAT4 => fixed(input, 4),
        tag::FLOAT8 => fixed(input, 8),
        tag::UUID => fixed(input, 16),
        // The rest is short, or rare.
        tag => take(tag, input, whole).map(drop),
    }
}

fn take_chunk<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*chunk)
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint::take(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(input)?).ok()
}
