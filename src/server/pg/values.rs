//! Values on the wire: parameters read, rows written, in the formats that the client chose.

use annulus_relation::error::SqlState;
use annulus_relation::value::{self, Env};
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use bytes::Bytes;

use super::protocol::Format;
use super::protocol::backend::{message, sized};
use super::protocol::fields::utf8;
use super::session::{Column, Session};

/// A format per value, out of none (all text), one for all, or one for each.
///
/// # Errors
/// There are others than so many; `what` says of what.
pub fn spread(formats: &[Format], count: usize, what: impl FnOnce(usize) -> String) -> SqlResult<Vec<Format>> {
    match formats {
        [] => Ok(vec![Format::Text; count]),
        [one] => Ok(vec![*one; count]),
        each if each.len() == count => Ok(each.to_vec()),
        each => Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, what(each.len()))),
    }
}

/// The value of a parameter.
///
/// # Errors
/// It is none of its type.
pub fn read(
    parameter: Option<&Bytes>,
    ty: &SqlType,
    format: Format,
    session: &impl Session,
    env: &Env,
) -> SqlResult<Value> {
    let Some(bytes) = parameter else { return Ok(Value::Null) };
    match format {
        Format::Text => session.read(utf8(bytes)?, ty, env),
        Format::Binary => value::decode_binary(bytes, ty),
    }
}

/// Writes a row.
///
/// # Errors
/// A value has no binary form.
pub fn write_row(
    out: &mut Vec<u8>,
    row: &[Value],
    columns: &[Column],
    formats: &[Format],
    session: &impl Session,
    env: &Env,
) -> SqlResult<()> {
    let start = out.len();
    let mut result = Ok(());
    message(out, b'D', |out| {
        out.extend_from_slice(&u16::try_from(row.len()).unwrap_or(u16::MAX).to_be_bytes());
        for ((value, column), format) in row.iter().zip(columns).zip(formats) {
            match value {
                Value::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                value => sized(out, false, |out| {
                    if let Err(error) = write(out, value, &column.ty, *format, session, env) {
                        result = Err(error);
                    }
                }),
            }
        }
    });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Writes one value; the common ones without a detour.
fn write(
    out: &mut Vec<u8>,
    value: &Value,
    ty: &SqlType,
    format: Format,
    session: &impl Session,
    env: &Env,
) -> SqlResult<()> {
    match (value, format) {
        (Value::Int4(number), Format::Text) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        (Value::Int8(number), Format::Text) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        (Value::Text(text), Format::Text) => out.extend_from_slice(text.as_bytes()),
        (value, Format::Text) => out.extend_from_slice(session.print(value, ty, env).as_bytes()),
        (value, Format::Binary) => return value::encode_binary(value, ty, out),
    }
    Ok(())
}
