//! `json_to_record` and its like: JSON objects as rows of columns that the query defines.
//!
//! Source: PostgreSQL 15, `populate_record` and `populate_array` of jsonfuncs.c.

use annulus_relation::value::Env;
use annulus_relation::value::json::{self, Kind, Node};
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

use crate::bind;
use crate::query::exec::Rows;

type Columns = [(String, SqlType)];

/// The row of one object; NULL makes a row of NULLs.
pub(super) fn record(document: &Value, columns: &Columns, env: &Env) -> SqlResult<Rows> {
    let row = match document {
        Value::Json(text) | Value::Jsonb(text) => match json::parse(text)? {
            object @ Node { kind: Kind::Object(_), .. } => row(&object, columns, env)?,
            Node { kind: Kind::Array(_), .. } => return Err(wrong("cannot call populate_composite on an array")),
            _ => return Err(wrong("cannot call populate_composite on a scalar")),
        },
        _ => vec![Value::Null; columns.len()],
    };
    Ok(Box::new(std::iter::once(Ok(row))))
}

/// The rows of an array of objects.
pub(super) fn records(function: &str, document: &Value, columns: &Columns, env: &Env) -> SqlResult<Rows> {
    let (Value::Json(text) | Value::Jsonb(text)) = document else { return Ok(Box::new(std::iter::empty())) };
    let elements = match json::parse(text)?.kind {
        Kind::Array(elements) => elements,
        _ if function.starts_with("jsonb") => return Err(wrong(format!("cannot call {function} on a non-array"))),
        Kind::Object(_) => return Err(wrong(format!("cannot call {function} on an object"))),
        _ => return Err(wrong(format!("cannot call {function} on a scalar"))),
    };
    let row = |element: &Node<'_>| match element.kind {
        Kind::Object(_) => row(element, columns, env),
        _ => Err(wrong(format!("argument of {function} must be an array of objects"))),
    };
    let rows = elements.iter().map(row).collect::<SqlResult<Vec<_>>>()?;
    Ok(Box::new(rows.into_iter().map(Ok)))
}

fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn row(object: &Node<'_>, columns: &Columns, env: &Env) -> SqlResult<Vec<Value>> {
    let value = |(name, ty): &(String, SqlType)| match object.member(name) {
        Some(member) => field(member, name, ty, env),
        None => Ok(Value::Null),
    };
    columns.iter().map(value).collect()
}

/// A member as a value of a column's type.
fn field(member: &Node<'_>, name: &str, ty: &SqlType, env: &Env) -> SqlResult<Value> {
    match (&member.kind, ty) {
        (Kind::Null, _) => Ok(Value::Null),
        (Kind::String(_), SqlType::Array(_)) => scalar(member, ty, env),
        (Kind::Array(elements), SqlType::Array(element)) => {
            if elements.first().is_some_and(|first| matches!(first.kind, Kind::Array(_))) {
                return Err(SqlError::unsupported("an array of more than one dimension"));
            }
            elements.iter().map(|value| scalar(value, element, env)).collect::<SqlResult<_>>().map(Value::Array)
        }
        (_, SqlType::Array(_)) => {
            let hint = format!("See the value of key \"{name}\".");
            Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array").hint(hint))
        }
        _ => scalar(member, ty, env),
    }
}

/// A part as a value of a type: JSON stays JSON, all else is read from its text.
fn scalar(part: &Node<'_>, ty: &SqlType, env: &Env) -> SqlResult<Value> {
    let text = match (&part.kind, ty) {
        (Kind::Null, _) => return Ok(Value::Null),
        (Kind::String(text), SqlType::Json | SqlType::Jsonb) => json::quote(text),
        (Kind::String(text), _) => text.clone(),
        _ => part.text.to_owned(),
    };
    bind::input(&text, ty, env)
}
