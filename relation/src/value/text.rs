//! Text input and output of every type.

use super::strings::{Excess, fit};
use super::{Env, Inet, Numeric, SqlType, Value, array, bytes, datetime, json, number, round_instant, round_micros};
use crate::{SqlError, SqlResult, error::SqlState};

/// A value from text, as PostgreSQL's input function of the type reads it, within the type's modifiers.
///
/// Names of tables and other objects (`regclass` ...) are found in the catalog, which is not here: only their numbers are
/// read. Names of types (`regtype`) are read.
///
/// # Errors
///
/// `22P02`, `22003`, `22001`, `22007`, `22008` and others, worded as PostgreSQL's.
pub fn parse(text: &str, ty: &SqlType, env: &Env) -> SqlResult<Value> {
    Ok(match ty {
        SqlType::Bool => Value::Bool(number::parse_bool(text)?),
        SqlType::Int2 => Value::Int2(integer(text, "smallint", i16::MIN.into(), i16::MAX.into())?),
        SqlType::Int4 => Value::Int4(integer(text, "integer", i32::MIN.into(), i32::MAX.into())?),
        SqlType::Int8 => Value::Int8(integer(text, "bigint", i64::MIN, i64::MAX)?),
        SqlType::Float4 => Value::Float4(number::parse_float4(text)?),
        SqlType::Float8 => Value::Float8(number::parse_float8(text)?),
        SqlType::Numeric(limits) => Value::Numeric(Numeric::parse(text)?.enforce(*limits)?),
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Char(_)
        | SqlType::Name
        | SqlType::InternalChar
        | SqlType::Unknown => Value::Text(fit(text.into(), ty, Excess::Refuse)?),
        SqlType::Bytea => Value::Bytea(bytes::parse_bytea(text)?.into()),
        SqlType::Uuid => Value::Uuid(bytes::parse_uuid(text)?),
        SqlType::Inet => Value::Inet(Inet::parse(text)?),
        SqlType::Cidr => Value::Inet(Inet::parse_cidr(text)?),
        SqlType::Oid => Value::Oid(number::parse_oid(text)?),
        SqlType::Regtype => Value::Oid(parse_regtype(text)?),
        SqlType::Regclass | SqlType::Regproc | SqlType::Regnamespace => Value::Oid(parse_reference(text, ty)?),
        SqlType::Date => Value::Date(datetime::parse_date(text, env)?),
        SqlType::Time(digits) => Value::Time(round_micros(datetime::parse_time(text, env)?, *digits)),
        SqlType::Timestamp(digits) => Value::Timestamp(round_instant(datetime::parse_timestamp(text, env)?, *digits)),
        SqlType::Timestamptz(digits) => {
            Value::Timestamptz(round_instant(datetime::parse_timestamptz(text, env)?, *digits))
        }
        SqlType::Interval(limits) => Value::Interval(datetime::parse_interval(text, *limits, env.interval_style)?),
        SqlType::Json => {
            json::validate(text)?;
            Value::Json(text.into())
        }
        SqlType::Jsonb => json::Json::parse(text)?.into_value(),
        SqlType::Jsonpath => {
            json::path::JsonPath::parse(text)?;
            Value::text(text)
        }
        SqlType::Array(element) => Value::Array(array::parse_array(text, element, env)?.into()),
        SqlType::Int2Vector => Value::Array(array::parse_vector(text, &SqlType::Int2, env)?.into()),
        SqlType::OidVector => Value::Array(array::parse_vector(text, &SqlType::Oid, env)?.into()),
        SqlType::Enum(ty) => Value::Enum(ty.read(text)?),
        SqlType::Void | SqlType::Record => return Err(SqlError::unsupported(format!("a value of type {}", ty.name()))),
    })
}

fn integer<T: TryFrom<i64>>(text: &str, ty: &str, min: i64, max: i64) -> SqlResult<T> {
    let value = number::parse_int(text, ty, min, max)?;
    T::try_from(value).map_err(|_| super::errors::text_out_of_range(ty, text))
}

fn parse_regtype(text: &str) -> SqlResult<u32> {
    match text.trim() {
        "-" => Ok(0),
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => number::parse_oid(digits),
        name => SqlType::parse_name(name).map(|ty| ty.oid()),
    }
}

fn parse_reference(text: &str, ty: &SqlType) -> SqlResult<u32> {
    if text.trim() == "-" {
        return Ok(0);
    }
    number::parse_oid(text).map_err(|_| {
        let (state, what) = match ty {
            SqlType::Regclass => (SqlState::UNDEFINED_TABLE, "relation"),
            SqlType::Regproc => (SqlState::UNDEFINED_FUNCTION, "function"),
            _ => (SqlState::INVALID_SCHEMA_NAME, "schema"),
        };
        SqlError::new(state, format!("{what} \"{text}\" does not exist"))
    })
}

/// The text of a value, as PostgreSQL's output function of the type gives it; NULL has none and prints as nothing.
///
/// Names of tables and other objects (`regclass` ...) are in the catalog, which is not here: they print as numbers.
#[must_use]
pub fn print(value: &Value, ty: &SqlType, env: &Env) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => if *value { "t" } else { "f" }.to_owned(),
        Value::Int2(value) => itoa::Buffer::new().format(*value).to_owned(),
        Value::Int4(value) => itoa::Buffer::new().format(*value).to_owned(),
        Value::Int8(value) => itoa::Buffer::new().format(*value).to_owned(),
        Value::Float4(value) => number::print_float4(*value, env.extra_float_digits),
        Value::Float8(value) => number::print_float8(*value, env.extra_float_digits),
        Value::Numeric(value) => value.print(),
        Value::Text(text) if *ty == SqlType::Jsonpath => {
            json::path::JsonPath::parse(text).map_or_else(|_| text.to_string(), |path| path.print())
        }
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => text.to_string(),
        Value::Bytea(value) => bytes::print_bytea(value, env.bytea_output),
        Value::Uuid(value) => bytes::print_uuid(value),
        Value::Inet(inet) if *ty == SqlType::Cidr => inet.print_cidr(),
        Value::Inet(inet) => inet.print(),
        Value::Oid(oid) => print_oid(*oid, ty),
        Value::Enum(value) => match ty {
            SqlType::Enum(ty) => ty.label(*value).to_string(),
            _ => value.to_string(),
        },
        Value::Date(days) => datetime::show_date(*days, env),
        Value::Time(micros) => datetime::print_time(*micros),
        Value::Timestamp(local) => datetime::show_timestamp(*local, env),
        Value::Timestamptz(instant) => datetime::show_timestamptz(*instant, env),
        Value::Interval(interval) => datetime::print_interval(interval, env.interval_style),
        Value::Array(values) if ty.is_vector() => array::print_vector(values, env),
        Value::Array(values) => array::print_array(values, ty.element().unwrap_or(ty), env),
    }
}

fn print_oid(oid: u32, ty: &SqlType) -> String {
    match ty {
        SqlType::Oid => oid.to_string(),
        _ if oid == 0 => "-".to_owned(),
        SqlType::Regtype => SqlType::from_oid(oid).map_or_else(|| oid.to_string(), |ty| ty.base_name()),
        _ => oid.to_string(),
    }
}
