//! `json` and `jsonb`.

pub(super) mod access;
pub(super) mod build;
pub(super) mod change;
pub(in super::super) mod path;

use std::sync::Arc;

use annulus_relation::value::json::Json;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::args::{text, texts};

/// The tree of a `jsonb` argument.
fn tree(args: &[Value], index: usize) -> SqlResult<Json> {
    Json::parse(text(args, index)?)
}

/// A `jsonb` result, NULL if there is none.
fn optional(found: Option<&Json>) -> Value {
    found.map_or(Value::Null, |found| found.clone().into_value())
}

/// A text result, NULL if there is none.
fn optional_text(found: Option<impl Into<Arc<str>>>) -> Value {
    found.map_or(Value::Null, Value::text)
}

/// A path to something: a NULL in it leads nowhere.
fn path(args: &[Value], index: usize) -> SqlResult<Option<Vec<&str>>> {
    Ok(texts(args, index)?.into_iter().collect())
}

/// A path given by the remaining arguments.
fn path_of(args: &[Value]) -> SqlResult<Option<Vec<&str>>> {
    if args.iter().any(Value::is_null) {
        return Ok(None);
    }
    (0..args.len()).map(|index| text(args, index)).collect::<SqlResult<_>>().map(Some)
}

/// `22023`
fn wrong(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
