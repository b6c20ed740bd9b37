//! `LIKE` and `ILIKE`.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{string, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("~~(text,text) bool", like),
    entry("~~(bpchar,text) bool", like),
    entry("!~~(text,text) bool", not_like),
    entry("!~~(bpchar,text) bool", not_like),
    entry("~~*(text,text) bool", ilike),
    entry("~~*(bpchar,text) bool", ilike),
    entry("!~~*(text,text) bool", not_ilike),
    entry("!~~*(bpchar,text) bool", not_ilike),
    entry("like_escape(text,text) text", like_escape),
];

fn like(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    matches(text(args, 0)?, text(args, 1)?).map(Value::Bool)
}

fn not_like(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    matches(text(args, 0)?, text(args, 1)?).map(|found| Value::Bool(!found))
}

fn folded(args: &[Value]) -> SqlResult<bool> {
    matches(&text(args, 0)?.to_lowercase(), &text(args, 1)?.to_lowercase())
}

fn ilike(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    folded(args).map(Value::Bool)
}

fn not_ilike(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    folded(args).map(|found| Value::Bool(!found))
}

/// Whether a text is like a pattern: `%` is any text, `_` any character, a backslash takes away the next one's meaning.
///
/// Each `%` is tried at later and later places; only the last one needs to be, so the time is at most the product of
/// the lengths.
fn matches(text: &str, pattern: &str) -> SqlResult<bool> {
    let (mut rest, mut wanted) = (text.chars(), pattern.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = wanted.clone();
        let step = match wanted.next() {
            Some('%') => {
                retry = Some((rest.clone(), wanted.clone()));
                true
            }
            None if rest.as_str().is_empty() => return Ok(true),
            None => false,
            Some(_) if rest.as_str().is_empty() => {
                return Ok(before.as_str().chars().all(|c| c == '%'));
            }
            Some('_') => rest.next().is_some(),
            Some('\\') => {
                let literal = wanted.next().ok_or_else(ends_with_escape)?;
                rest.next() == Some(literal)
            }
            Some(literal) => rest.next() == Some(literal),
        };
        if !step {
            let Some((text, pattern)) = &mut retry else { return Ok(false) };
            if text.next().is_none() {
                return Ok(false);
            }
            (rest, wanted) = (text.clone(), pattern.clone());
        }
    }
}

fn ends_with_escape() -> SqlError {
    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// The one character of an `ESCAPE` string; none if it is empty.
pub(super) fn escape_character(escape: &str) -> SqlResult<Option<char>> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character.")),
    }
}

/// A pattern with another escape character, written with a backslash.
fn like_escape(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let escape = escape_character(text(args, 1)?)?;
    let mut result = String::new();
    let mut characters = text(args, 0)?.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            result.push('\\');
            result.extend(characters.next());
        } else {
            if character == '\\' {
                result.push('\\');
            }
            result.push(character);
        }
    }
    string(result)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "_b_", true),
            ("abc", "%c", true),
            ("abc", "%b", false),
            ("abcabd", "%ab_", true),
            ("", "%", true),
            ("", "_", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("aXbXc", "a%X%c", true),
            ("ééé", "é_é", true),
            ("ab", "ab%%", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(text, pattern), Ok(expected), "{text} LIKE {pattern}");
        }
        assert!(matches("abc", "ab\\").is_err());
    }
}
