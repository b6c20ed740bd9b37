//! The errors that many types share, in PostgreSQL's words.

use std::fmt::Display;

use crate::{SqlError, error::SqlState};

/// `22P02`: text that is no value of its type.
pub fn invalid_syntax(ty: &str, text: &str) -> SqlError {
    let message = format!("invalid input syntax for type {ty}: \"{text}\"");
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

/// `22003`: text of a number that its type cannot hold.
pub fn text_out_of_range(ty: &str, text: &str) -> SqlError {
    let message = format!("value \"{text}\" is out of range for type {ty}");
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

/// `22003`: a number that its type cannot hold: `integer out of range`.
pub fn out_of_range(ty: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
}

/// `22P03`: bytes that are no value of their type.
pub fn invalid_binary(what: impl Display) -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, what.to_string())
}

/// `XX000`: a value whose kind is not its type's. No statement reaches it: the binder types every value.
pub fn mismatch(ty: impl Display) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, format!("a value is not of its type {ty}"))
}
