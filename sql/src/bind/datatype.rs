//! The parser's type names as types.

use std::fmt::Display;

use annulus_relation::value::{EnumType, IntervalFields, IntervalLimits, KnownTypes, MAX_TIME_PRECISION};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo};

use super::binder::folded;

/// The longest `varchar(n)` and `char(n)`.
const MAX_LENGTH: u64 = 10_485_760;

/// The type that a type name in a statement means.
///
/// `serial` and its like are no types: `CREATE TABLE` handles them before. Types that users have made are among `types`.
pub fn sql_type(name: &DataType, types: &KnownTypes) -> SqlResult<SqlType> {
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
            SqlType::Time(digits(*precision))
        }
        DataType::Time(..) => return Err(SqlError::unsupported("type time with time zone")),
        DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            SqlType::Timestamp(digits(*precision))
        }
        DataType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            SqlType::Timestamptz(digits(*precision))
        }
        DataType::Interval { fields, precision } => {
            let fields = fields.as_ref().map(|fields| fields.to_string().to_ascii_lowercase());
            interval(fields.as_deref(), *precision)?
        }
        DataType::Uuid => SqlType::Uuid,
        DataType::JSON => SqlType::Json,
        DataType::JSONB => SqlType::Jsonb,
        DataType::Regclass => SqlType::Regclass,
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::AngleBracket(element)) => {
            array(sql_type(element, types)?)?
        }
        DataType::Custom(name, modifiers) => match numbered(name, types) {
            Some(ty) => ty,
            None => custom(name, modifiers, types)?,
        },
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

/// The digits behind the point of seconds: beyond 6 they are 6.
fn digits(precision: Option<u64>) -> Option<u8> {
    precision.map(|digits| u8::try_from(digits).unwrap_or(MAX_TIME_PRECISION).min(MAX_TIME_PRECISION))
}

/// `interval day to second(2)`: fields are named in lower case.
pub(super) fn interval(fields: Option<&str>, precision: Option<u64>) -> SqlResult<SqlType> {
    let syntax =
        |what: &dyn Display| SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{what}\""));
    let named = fields.map(|name| IntervalFields::named(name).ok_or_else(|| syntax(&name))).transpose()?;
    if precision.is_some() && named.is_some_and(|fields| !fields.has_seconds()) {
        return Err(syntax(&"("));
    }
    let limits = IntervalLimits { fields: named, precision: digits(precision) };
    Ok(SqlType::Interval((named.is_some() || precision.is_some()).then_some(limits)))
}

/// The enumeration that a stored expression names by its number.
fn numbered(name: &ObjectName, types: &KnownTypes) -> Option<SqlType> {
    let [part] = name.0.as_slice() else { return None };
    let number: u32 = part.as_ident()?.value.strip_prefix("enum ")?.parse().ok()?;
    match types.is_unknown() {
        true => Some(SqlType::Enum(EnumType::unknown(number))),
        false => types.numbered(number).filter(|ty| ty.element().is_none()),
    }
}

/// The enumeration that a stored expression names by its number, or whose arrays it names so: values that stand before such
/// a name are numbers.
pub(super) fn stored_enumeration(name: &DataType, types: &KnownTypes) -> Option<SqlType> {
    match name {
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            stored_enumeration(element, types).map(SqlType::array)
        }
        DataType::Custom(name, modifiers) if modifiers.is_empty() => numbered(name, types),
        _ => None,
    }
}

/// PostgreSQL's own types come first, unless a schema is named.
fn custom(name: &ObjectName, modifiers: &[String], types: &KnownTypes) -> SqlResult<SqlType> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
    let found = match parts.as_deref() {
        Some([name]) => types.named(None, name),
        Some([.., schema, own]) if schema != "pg_catalog" => {
            let missing = || unknown(&format!("{schema}.{own}"));
            return plain(types.named(Some(schema), own).ok_or_else(missing)?, modifiers);
        }
        _ => None,
    };
    match (built_in(&name.to_string(), modifiers), found) {
        (Err(error), Some(ty)) if matches!(error.state(), SqlState::UNDEFINED_OBJECT | SqlState::SYNTAX_ERROR) => {
            plain(ty, modifiers)
        }
        (found, _) => found,
    }
}

/// A type that has no modifiers.
fn plain(ty: SqlType, modifiers: &[String]) -> SqlResult<SqlType> {
    match modifiers {
        [] => Ok(ty),
        _ => {
            let message = format!("type modifier is not allowed for type \"{}\"", ty.catalog_name());
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
        }
    }
}

fn built_in(name: &str, modifiers: &[String]) -> SqlResult<SqlType> {
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
    match (bare, modifiers) {
        ("bpchar", []) => Err(SqlError::unsupported("type bpchar without a length")),
        ("\"char\"", []) => Ok(SqlType::InternalChar),
        (_, []) => SqlType::parse_name(&bare.to_ascii_lowercase()),
        // In PostgreSQL the number means fields there.
        ("interval" | "\"interval\"", _) => {
            Err(SqlError::unsupported("a modifier of interval by a qualified or quoted name"))
        }
        _ => SqlType::parse_name(&format!("{bare}({})", modifiers.join(","))),
    }
}
