//! JSON: `json`, which keeps its text, and `jsonb`, which keeps the normal form of its value.
//!
//! Promises and invariants:
//! - Syntax errors are PostgreSQL's, with the token that was wrong in the detail.
//! - [`Json`] is always in normal form, so equal values have equal text, but for the scales of numbers.
//! - Nesting is bounded ([`MAX_DEPTH`]), so no text exhausts the stack.

mod access;
mod change;
mod convert;
mod lex;
mod parse;
mod tree;

pub use convert::to_json;
pub use parse::{Kind, MAX_DEPTH, Node, parse, validate};
pub use tree::Json;

/// The string of JSON that is a text: quoted, with escapes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::new();
    tree::quote_into(text, &mut out);
    out
}

/// The position of an index that counts from the end if it is negative; none before the beginning.
fn position(index: i32, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(index.unsigned_abs() as usize),
    }
}
