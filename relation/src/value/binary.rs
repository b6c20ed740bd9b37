//! The protocol's binary format of every type.
//!
//! Source: PostgreSQL 15, the `*_send` and `*_recv` functions.

use std::sync::Arc;

use super::errors::{invalid_binary, mismatch};
use super::strings::{Excess, fit};
use super::{Env, Inet, Interval, Numeric, SqlType, Value, datetime, parse, round_instant, round_micros};
use crate::{SqlError, SqlResult, error::SqlState};

/// The version byte in front of a `jsonb`.
const JSONB_VERSION: u8 = 1;

/// Appends the binary form of a value that is not NULL.
///
/// # Errors
///
/// `XX000` if it is not of its type.
pub fn encode_binary(value: &Value, ty: &SqlType, out: &mut Vec<u8>) -> SqlResult<()> {
    match value {
        Value::Null => return Err(mismatch(ty.name())),
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int2(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Int4(value) | Value::Date(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Int8(value) | Value::Time(value) | Value::Timestamp(value) | Value::Timestamptz(value) => {
            out.extend_from_slice(&value.to_be_bytes());
        }
        Value::Float4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Float8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Numeric(value) => value.encode_binary(out),
        Value::Text(text) if *ty == SqlType::InternalChar && text.is_empty() => out.push(0),
        Value::Text(text) if *ty == SqlType::Jsonpath => {
            out.push(JSONB_VERSION);
            out.extend_from_slice(super::print(value, ty, &Env::default()).as_bytes());
        }
        Value::Text(text) | Value::Json(text) => out.extend_from_slice(text.as_bytes()),
        Value::Jsonb(text) => {
            out.push(JSONB_VERSION);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bytea(bytes) => out.extend_from_slice(bytes),
        Value::Interval(Interval { months, days, micros }) => {
            out.extend_from_slice(&micros.to_be_bytes());
            out.extend_from_slice(&days.to_be_bytes());
            out.extend_from_slice(&months.to_be_bytes());
        }
        Value::Uuid(uuid) => out.extend_from_slice(uuid),
        Value::Inet(inet) => inet.encode_binary(*ty == SqlType::Cidr, out),
        Value::Oid(oid) => out.extend_from_slice(&oid.to_be_bytes()),
        Value::Enum(_) => out.extend_from_slice(super::print(value, ty, &Env::default()).as_bytes()),
        Value::Array(values) => encode_array(values, ty, out)?,
    }
    Ok(())
}

fn encode_array(values: &[Value], ty: &SqlType, out: &mut Vec<u8>) -> SqlResult<()> {
    let element = ty.element().ok_or_else(|| mismatch(ty.name()))?;
    let dimensions = u32::from(!values.is_empty());
    let nulls = u32::from(values.iter().any(Value::is_null));
    for word in [dimensions, nulls, element.oid()] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    if values.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(&(values.len() as u32).to_be_bytes());
    out.extend_from_slice(&u32::from(!ty.is_vector()).to_be_bytes());
    values.iter().try_for_each(|value| encode_field(value, element, out))
}

/// Appends the binary form of a value with its length before it, -1 for NULL.
///
/// # Errors
///
/// `XX000` if it is not of its type.
pub fn encode_field(value: &Value, ty: &SqlType, out: &mut Vec<u8>) -> SqlResult<()> {
    let start = out.len();
    out.extend_from_slice(&(-1i32).to_be_bytes());
    if !value.is_null() {
        encode_binary(value, ty, out)?;
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// A value from its binary form, within the type's modifiers.
///
/// # Errors
///
/// `22P03` for bytes that are no value of the type, and the errors of [`parse`](super::parse).
pub fn decode_binary(bytes: &[u8], ty: &SqlType) -> SqlResult<Value> {
    Ok(match ty {
        SqlType::Bool => Value::Bool(fixed::<1>(bytes)? != [0]),
        SqlType::Int2 => Value::Int2(i16::from_be_bytes(fixed(bytes)?)),
        SqlType::Int4 => Value::Int4(i32::from_be_bytes(fixed(bytes)?)),
        SqlType::Int8 => Value::Int8(i64::from_be_bytes(fixed(bytes)?)),
        SqlType::Float4 => Value::Float4(f32::from_be_bytes(fixed(bytes)?)),
        SqlType::Float8 => Value::Float8(f64::from_be_bytes(fixed(bytes)?)),
        SqlType::Numeric(limits) => Value::Numeric(Numeric::decode_binary(bytes)?.enforce(*limits)?),
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name | SqlType::Unknown => {
            Value::Text(fit(text(bytes)?.into(), ty, Excess::Refuse)?)
        }
        SqlType::InternalChar => match fixed(bytes)? {
            [0] => Value::Text("".into()),
            [byte] if byte.is_ascii() => Value::Text(char::from(byte).to_string().into()),
            _ => return Err(SqlError::unsupported("a \"char\" that is no character of ASCII")),
        },
        SqlType::Bytea => Value::Bytea(bytes.to_vec().into()),
        SqlType::Date => Value::Date(datetime::check_date(i32::from_be_bytes(fixed(bytes)?))?),
        SqlType::Time(digits) => {
            Value::Time(round_micros(datetime::check_time(i64::from_be_bytes(fixed(bytes)?))?, *digits))
        }
        SqlType::Timestamp(digits) => Value::Timestamp(instant(bytes, *digits)?),
        SqlType::Timestamptz(digits) => Value::Timestamptz(instant(bytes, *digits)?),
        SqlType::Interval(limits) => {
            let interval = interval(fixed(bytes)?);
            Value::Interval(limits.map_or(interval, |limits| limits.fit(interval)))
        }
        SqlType::Uuid => Value::Uuid(fixed(bytes)?),
        SqlType::Inet | SqlType::Cidr => Value::Inet(Inet::decode_binary(bytes, *ty == SqlType::Cidr)?),
        SqlType::Json | SqlType::Enum(_) => parse(text(bytes)?, ty, &Env::default())?,
        SqlType::Jsonb | SqlType::Jsonpath => match bytes {
            [JSONB_VERSION, rest @ ..] => parse(text(rest)?, ty, &Env::default())?,
            [version, ..] => {
                let message = format!("unsupported {} version number {version}", ty.name());
                return Err(invalid_binary(message));
            }
            [] => return Err(invalid_binary("no data left in message")),
        },
        SqlType::Array(element) => Value::Array(decode_array(bytes, element, 1)?),
        SqlType::Int2Vector => Value::Array(decode_array(bytes, &SqlType::Int2, 0)?),
        SqlType::OidVector => Value::Array(decode_array(bytes, &SqlType::Oid, 0)?),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace => {
            Value::Oid(u32::from_be_bytes(fixed(bytes)?))
        }
        SqlType::Void | SqlType::Record => {
            return Err(SqlError::unsupported(format!("a parameter of type {}", ty.name())));
        }
    })
}

pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> SqlResult<[u8; N]> {
    bytes.try_into().map_err(|_| {
        let what = if bytes.len() < N { "insufficient data left in message" } else { "incorrect binary data format" };
        invalid_binary(what)
    })
}

/// Text of the protocol: UTF-8 without the character 0.
///
/// # Errors
///
/// `22021` for other bytes.
pub fn text(bytes: &[u8]) -> SqlResult<&str> {
    let invalid = |bytes: &[u8]| {
        let listed: Vec<String> = bytes.iter().take(4).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", listed.join(" "));
        SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let rest = &bytes[error.valid_up_to()..];
        invalid(&rest[..error.error_len().unwrap_or(rest.len())])
    })?;
    if text.contains('\0') { Err(invalid(&[0])) } else { Ok(text) }
}

fn instant(bytes: &[u8], digits: Option<u8>) -> SqlResult<i64> {
    let micros = datetime::check_timestamp(i64::from_be_bytes(fixed(bytes)?))?;
    Ok(round_instant(micros, digits))
}

fn interval(bytes: [u8; 16]) -> Interval {
    let bits = u128::from_be_bytes(bytes);
    Interval { micros: (bits >> 64) as i64, days: (bits >> 32) as i32, months: bits as i32 }
}

/// An array whose first element has the number given.
fn decode_array(bytes: &[u8], element: &SqlType, first: i32) -> SqlResult<Arc<[Value]>> {
    let mut rest = bytes;
    let dimensions = take_word(&mut rest)?;
    let flags = take_word(&mut rest)?;
    let oid = take_word(&mut rest)? as u32;
    if dimensions > 1 {
        return Err(SqlError::unsupported("an array of more than one dimension"));
    }
    if dimensions < 0 || !(0..=1).contains(&flags) {
        return Err(invalid_binary(format_args!("invalid number of dimensions: {dimensions}")));
    }
    if oid != element.oid() {
        let message = format!("binary data has array element type {oid} instead of expected {}", element.oid());
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    let count = if dimensions == 0 { 0 } else { take_word(&mut rest)? };
    if dimensions == 1 && take_word(&mut rest)? != first {
        return Err(SqlError::unsupported(format_args!("an array whose lower bound is not {first}")));
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match take_word(&mut rest)? {
            -1 => Value::Null,
            length => decode_binary(take(&mut rest, length)?, element)?,
        });
    }
    if rest.is_empty() { Ok(values.into()) } else { Err(invalid_binary("incorrect binary data format")) }
}

fn take_word(rest: &mut &[u8]) -> SqlResult<i32> {
    take(rest, 4).and_then(fixed).map(i32::from_be_bytes)
}

fn take<'a>(rest: &mut &'a [u8], length: i32) -> SqlResult<&'a [u8]> {
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (taken, after) = split.ok_or_else(|| invalid_binary("insufficient data left in message"))?;
    *rest = after;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_binary_form() {
        let env = Env::default();
        for (ty, text) in [
            ("numeric", "0.00"),
            ("numeric", "-12345678.000120"),
            ("numeric", "1e-20"),
            ("numeric", "100000000"),
            ("numeric", "NaN"),
            ("numeric", "-Infinity"),
            ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            ("inet", "10.1.2.3/8"),
            ("cidr", "2001:db8::/32"),
            ("varchar(3)", "äöü"),
            ("oid", "4294967295"),
            ("bool", "true"),
            ("float8", "-1.5"),
            ("\"char\"", ""),
        ] {
            let ty = SqlType::parse_name(ty).unwrap();
            let value = parse(text, &ty, &env).unwrap();
            let mut bytes = Vec::new();
            encode_binary(&value, &ty, &mut bytes).unwrap();
            let back = decode_binary(&bytes, &ty).unwrap();
            assert_eq!(super::super::print(&back, &ty, &env), super::super::print(&value, &ty, &env), "{text}");
        }
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let numeric = SqlType::Numeric(None);
        let array = SqlType::Int4.array();
        for (bytes, ty, state) in [
            (&[0u8, 0][..], SqlType::Int4, "22P03"),
            (&[0, 0, 0, 0, 0][..], SqlType::Int4, "22P03"),
            (&[0, 1, 0, 0, 0, 0, 0, 0][..], numeric.clone(), "22P03"),
            (&[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10][..], numeric.clone(), "22P03"),
            (&[0, 0, 0, 0, 1, 0, 0, 0][..], numeric, "22P03"),
            (&[0xff][..], SqlType::Text, "22021"),
            (&[0][..], SqlType::Text, "22021"),
            (&[2, b'1'][..], SqlType::Jsonb, "22P03"),
            (&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1][..], array.clone(), "22P03"),
            (&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 23][..], array.clone(), "0A000"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25][..], array, "42804"),
        ] {
            assert_eq!(decode_binary(bytes, &ty).unwrap_err().state().0, state, "{bytes:?}");
        }
    }
}
