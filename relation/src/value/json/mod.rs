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
pub mod path;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded_and_what_is_allowed_is_handled() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let json = Json::parse(&nested(MAX_DEPTH)).unwrap();
        assert_eq!(json.print(), nested(MAX_DEPTH));
        assert!(json.clone().strip_nulls().contains(&json) && json.compare(&json).is_eq());
        assert_eq!(json.pretty().lines().count(), 2 * MAX_DEPTH);
        for text in [nested(MAX_DEPTH + 1), "[".repeat(1_000_000), "{\"a\":".repeat(100_000)] {
            assert_eq!(validate(&text).unwrap_err().state().0, "54001");
        }
    }

    #[test]
    fn of_members_with_one_key_the_last_one_stays() {
        let member = |key: &str, value: i64| (key.to_owned(), Json::Number(value.into()));
        let json = Json::object(vec![member("b", 1), member("aa", 2), member("b", 3), member("a", 4)]);
        assert_eq!(json.print(), r#"{"a": 4, "b": 3, "aa": 2}"#);
        assert_eq!(json.member("b"), Some(&Json::Number(3i64.into())));
    }
}
