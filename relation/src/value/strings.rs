//! Lengths of character types.

use std::sync::Arc;

use super::SqlType;
use crate::{SqlError, SqlResult, error::SqlState};

/// The longest `name`, in bytes.
const NAME_BYTES: usize = 63;

/// What happens to text that is longer than its type allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Spaces are dropped, other characters are an error.
    Refuse,
    /// It is dropped, as explicit casts do.
    Truncate,
}

/// A `char(n)` value as text: without the spaces at its end, which do not count.
#[must_use]
pub fn trim_char(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Text as a character type keeps it: cut or padded to its length.
///
/// # Errors
///
/// `22001` for text that is too long.
pub fn fit(text: Arc<str>, ty: &SqlType, excess: Excess) -> SqlResult<Arc<str>> {
    match ty {
        SqlType::Varchar(Some(length)) => cut(text, *length, ty, excess),
        SqlType::Char(0) => Ok(text),
        SqlType::Char(length) => cut(text, *length, ty, excess).map(|text| pad(text, *length)),
        SqlType::Name => Ok(clip(&text, NAME_BYTES).into()),
        SqlType::InternalChar => Ok(text.chars().next().map(String::from).unwrap_or_default().into()),
        _ => Ok(text),
    }
}

fn cut(text: Arc<str>, length: u32, ty: &SqlType, excess: Excess) -> SqlResult<Arc<str>> {
    let length = length as usize;
    if text.len() <= length {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(length) else { return Ok(text) };
    if excess == Excess::Refuse && text[end..].contains(|c| c != ' ') {
        let message = format!("value too long for type {}", ty.name());
        return Err(SqlError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, message));
    }
    Ok(text[..end].into())
}

fn pad(text: Arc<str>, length: u32) -> Arc<str> {
    let missing = (length as usize).saturating_sub(text.chars().count());
    if missing == 0 { text } else { format!("{text}{}", " ".repeat(missing)).into() }
}

/// The longest beginning of at most `bytes` bytes that is whole characters.
fn clip(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
