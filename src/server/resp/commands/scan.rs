//! The arguments of `SCAN`, and the patterns of `KEYS`, `SCAN` and `CONFIG GET`.

use bytes::Bytes;

use super::arguments::{at, integer, is};
use crate::server::resp::errors::{Failure, SYNTAX};

/// Most keys that one `SCAN` looks at.
const MAX_COUNT: i64 = 100_000;

/// The arguments of `SCAN`.
#[derive(Debug)]
pub struct ScanOptions {
    /// Where to go on.
    pub cursor: u64,
    /// About how many keys to look at.
    pub count: u32,
    pattern: Option<Bytes>,
    type_name: Option<Bytes>,
}

impl ScanOptions {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are wrong.
    pub fn parse(args: &[Bytes]) -> Result<Self, Failure> {
        let cursor = std::str::from_utf8(at(args, 1)).ok().and_then(|text| text.parse().ok());
        let cursor = cursor.ok_or(Failure::fixed("ERR invalid cursor"))?;
        let mut found = Self { cursor, count: 10, pattern: None, type_name: None };
        for option in args.get(2..).unwrap_or_default().chunks(2) {
            let [name, value] = option else { return Err(SYNTAX) };
            if is(name, "count") {
                let count = integer(value)?;
                if count < 1 {
                    return Err(SYNTAX);
                }
                found.count = count.min(MAX_COUNT) as u32;
            } else if is(name, "match") {
                found.pattern = Some(value.clone());
            } else if is(name, "type") {
                found.type_name = Some(value.clone());
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(found)
    }

    /// Whether a key is wanted.
    #[must_use]
    pub fn wants(&self, key: &[u8]) -> bool {
        let of_type = self.type_name.as_ref().is_none_or(|name| is(name, "string"));
        of_type && self.pattern.as_ref().is_none_or(|pattern| matches(pattern, key))
    }
}

/// Whether a text matches a pattern of Redis: `*`, `?`, `[a-z]`, `[^a]`, `\` before a literal.
///
/// Only the last `*` is ever tried again, so the time is at most the product of the lengths.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Behind the last star, and the text that it has not swallowed yet.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', behind @ ..] = pattern {
            pattern = behind;
            retry = Some((pattern, text));
            continue;
        }
        let step = match text {
            [] if pattern.is_empty() => return true,
            [] => return false,
            [byte, rest @ ..] => one(pattern, *byte).map(|behind| (behind, rest)),
        };
        match (step, retry) {
            (Some((behind, rest)), _) => (pattern, text) = (behind, rest),
            (None, Some((behind, [_, rest @ ..]))) => {
                (pattern, text) = (behind, rest);
                retry = Some((behind, rest));
            }
            (None, _) => return false,
        }
    }
}

/// What is left of a pattern whose first element matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', behind @ ..] => Some(behind),
        [b'[', class @ ..] => {
            let (found, behind) = in_class(class, byte);
            found.then_some(behind)
        }
        [b'\\', literal, behind @ ..] => (*literal == byte).then_some(behind),
        [literal, behind @ ..] => (*literal == byte).then_some(behind),
    }
}

/// Whether a byte is in the class that begins here, and what follows it. An unclosed class ends with the
/// pattern.
fn in_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    loop {
        match rest {
            [] => return (found != negated, rest),
            [b']', behind @ ..] => return (found != negated, behind),
            [b'\\', literal, behind @ ..] => {
                found |= *literal == byte;
                rest = behind;
            }
            [first, b'-', last, behind @ ..] => {
                found |= (*first.min(last)..=*first.max(last)).contains(&byte);
                rest = behind;
            }
            [literal, behind @ ..] => {
                found |= *literal == byte;
                rest = behind;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "abc", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*f", "abcde", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hbllo", true),
            ("h[a-b]llo", "hcllo", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("[\\]]", "]", true),
            ("[abc", "b", true),
            ("**", "x", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let pattern = b"a*".repeat(500);
        let text = vec![b'a'; 4_000];
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }
}
