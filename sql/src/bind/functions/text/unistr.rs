//! `unistr`: escapes of Unicode's characters.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{string, text};

pub(in super::super) const TABLE: &[Entry] = &[entry("unistr(text) text", unistr)];

fn invalid_escape() -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
        .hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
}

fn invalid_pair() -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")
}

/// The code point of an escape that follows a backslash, and how long that is.
fn escape(rest: &str) -> Option<(u32, usize)> {
    let (skip, digits) = match rest.as_bytes().first()? {
        b'+' => (1, 6),
        b'u' => (1, 4),
        b'U' => (1, 8),
        _ => (0, 4),
    };
    let digits = rest.get(skip..skip + digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, skip + digits.len()))
}

fn unistr(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let mut rest = text(args, 0)?;
    let mut result = String::with_capacity(rest.len());
    let mut high: Option<u32> = None;
    while let Some(next) = rest.chars().next() {
        let escaped = rest.strip_prefix('\\');
        let Some(behind) = escaped.filter(|behind| !behind.starts_with('\\')) else {
            if high.is_some() {
                return Err(invalid_pair());
            }
            result.push(next);
            rest = escaped.map_or(&rest[next.len_utf8()..], |behind| &behind[1..]);
            continue;
        };
        let (code, length) = escape(behind).ok_or_else(invalid_escape)?;
        rest = &behind[length..];
        let code = match (high.take(), code) {
            (None, 0xD800..=0xDBFF) => {
                high = Some(code);
                continue;
            }
            (Some(high), 0xDC00..=0xDFFF) => 0x10000 + ((high & 0x3FF) << 10) + (code & 0x3FF),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(invalid_pair()),
            (None, code) => code,
        };
        let character = char::from_u32(code).filter(|character| *character != '\0');
        result.push(character.ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid Unicode code point: {code:04X}"))
        })?);
    }
    if high.is_some() {
        return Err(invalid_pair());
    }
    string(result)
}
