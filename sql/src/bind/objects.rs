//! Values that are written as names of objects, which only the catalog knows: `regclass` and its like.

use annulus_relation::value::{self, KnownTypes};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use super::category::type_name;
use super::coerce::{holds_names, is_named_oid};
use super::context::EvalContext;
use super::datatype::sql_type;
use super::functions::quote_identifier;

/// The value as text for a client: as [`value::print`], with names where the type says so.
#[must_use]
pub fn print_value(value: &Value, ty: &SqlType, cx: &EvalContext<'_>) -> String {
    match (value, ty) {
        (Value::Oid(oid), ty) if is_named_oid(ty) => name_of(*oid, ty, cx),
        (Value::Array(elements), SqlType::Array(element)) if is_named_oid(element) => {
            let name = |value: &Value| match value {
                Value::Null => Value::Null,
                value => Value::text(print_value(value, element, cx)),
            };
            let names = Value::Array(elements.iter().map(name).collect());
            value::print(&names, &SqlType::Text.array(), cx.env)
        }
        (value, ty) => value::print(value, ty, cx.env),
    }
}

/// A value from a client's text: as [`value::parse`], with names where the type says so.
///
/// # Errors
///
/// It is none of the type, or the name of nothing.
pub fn read_value(text: &str, ty: &SqlType, cx: &EvalContext<'_>) -> SqlResult<Value> {
    match ty {
        SqlType::Array(element) if holds_names(element) => {
            let Value::Array(names) = value::parse(text, &SqlType::Text.array(), cx.env)? else {
                return Ok(Value::Null);
            };
            let read = |name: &Value| match name {
                Value::Text(name) => read_value(name, element, cx),
                _ => Ok(Value::Null),
            };
            Ok(Value::Array(names.iter().map(read).collect::<SqlResult<_>>()?))
        }
        ty if is_named_oid(ty) => object(text, ty, cx),
        ty => value::parse(text, ty, cx.env),
    }
}

pub(super) fn name_of(oid: u32, ty: &SqlType, cx: &EvalContext<'_>) -> String {
    if oid == 0 {
        return "-".into();
    }
    let builtin = match ty {
        SqlType::Regtype => known_type(oid, cx).map(|ty| shown_type(&ty, &cx.env.types)),
        _ => None,
    };
    builtin.or_else(|| cx.session.object_name(ty, oid)).unwrap_or_else(|| oid.to_string())
}

/// The type of a number.
pub(super) fn known_type(oid: u32, cx: &EvalContext<'_>) -> Option<SqlType> {
    SqlType::from_oid(oid).or_else(|| cx.env.types.numbered(oid))
}

/// A type's name as PostgreSQL shows it: with its schema unless the search path finds it.
#[must_use]
pub fn shown_type(ty: &SqlType, types: &KnownTypes) -> String {
    match ty {
        SqlType::Array(element) => format!("{}[]", shown_type(element, types)),
        SqlType::Enum(own) => {
            let name = quote_identifier(&own.name());
            match own.known().filter(|_| !types.is_visible(own)) {
                Some(known) => format!("{}.{name}", quote_identifier(&known.schema)),
                None => name,
            }
        }
        ty => type_name(ty),
    }
}

/// The type that a name in a string means.
fn named_type(name: &str, cx: &EvalContext<'_>) -> SqlResult<SqlType> {
    match crate::parse::parse_type(name) {
        Ok(parsed) => sql_type(&parsed, &cx.env.types),
        Err(_) => SqlType::parse_name(name),
    }
}

/// The object that a name of an object means.
pub(super) fn object(name: &str, ty: &SqlType, cx: &EvalContext<'_>) -> SqlResult<Value> {
    let name = name.trim();
    if name == "-" {
        return Ok(Value::Oid(0));
    }
    if let Ok(oid) = name.parse() {
        return Ok(Value::Oid(oid));
    }
    if *ty == SqlType::Regtype {
        return Ok(Value::Oid(named_type(name, cx)?.oid()));
    }
    let missing = || {
        let (state, what) = match ty {
            SqlType::Regclass => (SqlState::UNDEFINED_TABLE, "relation"),
            SqlType::Regnamespace => (SqlState::INVALID_SCHEMA_NAME, "schema"),
            _ => (SqlState::UNDEFINED_FUNCTION, "function"),
        };
        SqlError::new(state, format!("{what} \"{name}\" does not exist"))
    };
    cx.session.object(ty, name)?.map(Value::Oid).ok_or_else(missing)
}
