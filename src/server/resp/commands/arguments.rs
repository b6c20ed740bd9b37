//! Reading arguments.

use bytes::Bytes;

use crate::server::resp::errors::{Failure, NOT_AN_INTEGER};
use crate::server::resp::protocol::number;

/// A 64-bit integer.
///
/// # Errors
/// It is none.
pub fn integer(argument: &[u8]) -> Result<i64, Failure> {
    number(argument).ok_or(NOT_AN_INTEGER)
}

/// Whether an argument is a word, in large or small letters.
pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// Text in UTF-8.
pub fn text(argument: &[u8]) -> String {
    String::from_utf8_lossy(argument).into_owned()
}

/// An argument by its place; empty where the table's arity leaves it out.
pub fn at(arguments: &[Bytes], index: usize) -> &Bytes {
    static EMPTY: Bytes = Bytes::new();
    arguments.get(index).unwrap_or(&EMPTY)
}
