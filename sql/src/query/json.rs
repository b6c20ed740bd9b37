//! The members of JSON arrays and objects, as they are written.

use annulus_relation::{SqlError, SqlResult, SqlState};

/// A member of an array or object.
#[derive(Debug, PartialEq)]
pub(super) struct Member<'t> {
    /// Its name, in an object.
    pub key: Option<String>,
    /// Its text.
    pub value: &'t str,
}

/// The members of a JSON text that was checked when it was made.
pub(super) fn members<'t>(text: &'t str, of_array: bool, function: &str) -> SqlResult<Vec<Member<'t>>> {
    let body = text.trim();
    let (open, close) = if of_array { ('[', ']') } else { ('{', '}') };
    let Some(inner) = body.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) else {
        let message = match (of_array, body.starts_with('{'), body.starts_with('[')) {
            (true, true, _) => "cannot extract elements from an object".to_owned(),
            (true, ..) => "cannot extract elements from a scalar".to_owned(),
            (false, _, true) => format!("cannot call {function} on an array"),
            (false, ..) => format!("cannot call {function} on a scalar"),
        };
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    };
    let mut found = Vec::new();
    for part in split(inner, b',') {
        if of_array {
            found.push(Member { key: None, value: part.trim() });
            continue;
        }
        let mut sides = split(part, b':').into_iter();
        let name = sides.next().unwrap_or_default().trim();
        let value = part.trim_start().get(name.len()..).unwrap_or_default().trim_start().trim_start_matches(':');
        found.push(Member { key: Some(unquoted(name)), value: value.trim() });
    }
    Ok(found)
}

/// The parts of a text between separators that stand outside of strings and brackets; none of an empty text.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0u32, false, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            byte if byte == separator && depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() || !parts.is_empty() {
        parts.push(&text[start..]);
    }
    parts
}

/// A JSON string without its quotes; any other text as it is.
pub(super) fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return text.to_owned() };
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => plain.push(code_point(&mut letters)),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// The letter of `\uXXXX`, of which two may make one.
fn code_point(letters: &mut std::str::Chars<'_>) -> char {
    let code = hex(letters);
    if !(0xd800..0xdc00).contains(&code) {
        return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    let mut rest = letters.clone();
    if rest.next() == Some('\\') && rest.next() == Some('u') {
        let low = hex(&mut rest);
        if (0xdc00..0xe000).contains(&low) {
            *letters = rest;
            let whole = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
    }
    char::REPLACEMENT_CHARACTER
}

fn hex(letters: &mut std::str::Chars<'_>) -> u32 {
    letters.by_ref().take(4).fold(0, |code, letter| code * 16 + letter.to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_outside_of_strings() {
        let found = members(r#" {"a": [1, 2], "b\"c": "x,y", "d": {"e": 1}} "#, false, "json_each").unwrap();
        let pairs: Vec<(String, &str)> = found.into_iter().map(|m| (m.key.unwrap(), m.value)).collect();
        let wanted = [("a", "[1, 2]"), ("b\"c", "\"x,y\""), ("d", "{\"e\": 1}")];
        assert_eq!(pairs, wanted.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(members("[]", true, "f").unwrap(), []);
        assert_eq!(members("[1,\"]\", null]", true, "f").unwrap().len(), 3);
        assert!(members("1", true, "f").is_err());
        assert!(members("[1]", false, "json_each").is_err());
    }

    #[test]
    fn strings_lose_their_quotes() {
        assert_eq!(unquoted(r#""a\nb\u00e9\ud83d\ude00""#), "a\nbé😀");
        assert_eq!(unquoted("12"), "12");
    }
}
