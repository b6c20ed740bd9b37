//! The parser's type names as types.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, IntervalFields, TimezoneInfo};

/// The longest `varchar(n)` and `char(n)`.
const MAX_LENGTH: u64 = 10_485_760;

/// The type that a type name in a statement means.
///
/// `serial` and its like are no types: `CREATE TABLE` handles them before.
pub fn sql_type(name: &DataType) -> SqlResult<SqlType> {
    Ok(match name {
        DataType::Boolean | DataType::Bool => SqlType::Bool,
        DataType::SmallInt(None) | DataType::Int2(None) => SqlType::Int2,
        DataType::Integer(None) | DataType::Int(None) | DataType::Int4(None) => SqlType::Int4,
        DataType::BigInt(None) | DataType::Int8(None) => SqlType::Int8,
        DataType::Real | DataType::Float4 => SqlType::Float4,
        DataType::Float8 | DataType::DoublePrecision => SqlType::Float8,
        DataType::Float(precision) => float(precision)?,
        DataType::Numeric(precision) | DataType::Decimal(precision) | DataType::Dec(precision) => numeric(precision)?,
        DataType::Text => SqlType::Text,
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            SqlType::Varchar(length.as_ref().map(|length| characters("varchar", length)).transpose()?)
        }
        DataType::Char(length) | DataType::Character(length) => {
            SqlType::Char(length.as_ref().map_or(Ok(1), |length| characters("char", length))?)
        }
        DataType::Bytea => SqlType::Bytea,
        DataType::Date => SqlType::Date,
        DataType::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            microseconds(name, *precision, SqlType::Time)?
        }
        DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            microseconds(name, *precision, SqlType::Timestamp)?
        }
        DataType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            microseconds(name, *precision, SqlType::Timestamptz)?
        }
        DataType::Interval { fields: None, precision } => microseconds(name, *precision, SqlType::Interval)?,
        DataType::Interval { fields: Some(fields), .. } => return Err(interval_fields(fields)),
        DataType::Uuid => SqlType::Uuid,
        DataType::JSON => SqlType::Json,
        DataType::JSONB => SqlType::Jsonb,
        DataType::Regclass => SqlType::Regclass,
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::AngleBracket(element)) => {
            array(sql_type(element)?)?
        }
        DataType::Custom(name, modifiers) => custom(&name.to_string(), modifiers)?,
        other => return Err(unknown(&other.to_string().to_ascii_lowercase())),
    })
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn array(element: SqlType) -> SqlResult<SqlType> {
    match element {
        SqlType::Array(_) => Err(SqlError::unsupported("an array of more than one dimension")),
        element => Ok(SqlType::Array(Box::new(element))),
    }
}

fn float(precision: &ExactNumberInfo) -> SqlResult<SqlType> {
    match precision {
        ExactNumberInfo::None | ExactNumberInfo::Precision(25..=53) => Ok(SqlType::Float8),
        ExactNumberInfo::Precision(1..=24) => Ok(SqlType::Float4),
        ExactNumberInfo::Precision(0) => Err(invalid("precision for type float must be at least 1 bit")),
        _ => Err(invalid("precision for type float must be less than 54 bits")),
    }
}

fn numeric(precision: &ExactNumberInfo) -> SqlResult<SqlType> {
    let (precision, scale) = match precision {
        ExactNumberInfo::None => return Ok(SqlType::Numeric(None)),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=1000).contains(&precision) {
        return Err(invalid(format!("NUMERIC precision {precision} must be between 1 and 1000")));
    }
    match (u16::try_from(precision), i16::try_from(scale)) {
        (Ok(precision), Ok(scale)) if (-1000..=1000).contains(&scale) => Ok(SqlType::Numeric(Some((precision, scale)))),
        _ => Err(invalid(format!("NUMERIC scale {scale} must be between -1000 and 1000"))),
    }
}

fn characters(name: &str, length: &CharacterLength) -> SqlResult<u32> {
    let CharacterLength::IntegerLength { length, .. } = length else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"max\""));
    };
    match u32::try_from(*length) {
        Ok(0) => Err(invalid(format!("length for type {name} must be at least 1"))),
        Ok(short) if *length <= MAX_LENGTH => Ok(short),
        _ => Err(invalid(format!("length for type {name} cannot exceed {MAX_LENGTH}"))),
    }
}

/// Times are kept in microseconds: a precision of 6 says so, others are refused rather than not rounded.
fn microseconds(name: &DataType, precision: Option<u64>, ty: SqlType) -> SqlResult<SqlType> {
    match precision {
        None | Some(6..) => Ok(ty),
        Some(_) => Err(SqlError::unsupported(format_args!("type {}", name.to_string().to_ascii_lowercase()))
            .hint("Times are kept with a precision of 6.")),
    }
}

fn interval_fields(fields: &IntervalFields) -> SqlError {
    SqlError::unsupported(format_args!("type interval {}", fields.to_string().to_ascii_lowercase()))
        .hint("Use interval without fields.")
}

fn custom(name: &str, modifiers: &[String]) -> SqlResult<SqlType> {
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
    match (bare, modifiers) {
        ("bpchar", []) => Err(SqlError::unsupported("type bpchar without a length")),
        ("\"char\"", []) => Ok(SqlType::InternalChar),
        (_, []) => SqlType::parse_name(&bare.to_ascii_lowercase()),
        _ => SqlType::parse_name(&format!("{bare}({})", modifiers.join(","))),
    }
}
