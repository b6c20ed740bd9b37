//! Text of `bytea` and `uuid`.

use std::fmt::Write as _;

use super::env::ByteaOutput;
use super::errors::invalid_syntax;
use crate::{SqlError, SqlResult, error::SqlState};

/// A `bytea` from text: `\x` and hexadecimal digits, or printable bytes with `\ooo` and `\\`.
///
/// # Errors
///
/// `22023` for wrong hexadecimal digits, `22P02` for a wrong escape.
pub fn parse_bytea(text: &str) -> SqlResult<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex(digits),
        None => parse_escaped(text),
    }
}

/// Bytes from hexadecimal digits, with white space between the bytes.
///
/// # Errors
///
/// `22023` for anything else.
pub fn parse_hex(text: &str) -> SqlResult<Vec<u8>> {
    let invalid = |what: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what);
    let digit = |c: char| {
        let value = c.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")))?;
        Ok(value as u8)
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars();
    while let Some(first) = chars.next() {
        if matches!(first, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(first)?;
        let second =
            chars.next().ok_or_else(|| invalid("invalid hexadecimal data: odd number of digits".to_owned()))?;
        bytes.push((high << 4) | digit(second)?);
    }
    Ok(bytes)
}

/// Bytes from text where a backslash begins `\\` or three octal digits.
///
/// # Errors
///
/// `22P02` for another use of a backslash.
pub fn parse_escaped(text: &str) -> SqlResult<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                after
            }
            (b'\\', _) => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
            _ => {
                bytes.push(first);
                after
            }
        };
    }
    Ok(bytes)
}

/// Hexadecimal digits, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The text of a `bytea`.
#[must_use]
pub fn print_bytea(bytes: &[u8], output: ByteaOutput) -> String {
    match output {
        ByteaOutput::Hex => format!("\\x{}", hex(bytes)),
        ByteaOutput::Escape => escape(bytes),
    }
}

/// Printable bytes as they are, a backslash doubled, others as `\ooo`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut out, &byte| {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
        out
    })
}

/// A `uuid` from text: 32 hexadecimal digits, a hyphen allowed behind every four of them, braces around all.
///
/// # Errors
///
/// `22P02` for other text.
pub fn parse_uuid(text: &str) -> SqlResult<[u8; 16]> {
    read_uuid(text).ok_or_else(|| invalid_syntax("uuid", text))
}

fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let mut rest = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    }
    .as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut uuid = [0; 16];
    for (at, byte) in uuid.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
        rest = match after {
            [b'-', after @ ..] if at % 2 == 1 && at < 15 => after,
            after => after,
        };
    }
    rest.is_empty().then_some(uuid)
}

/// The text of a `uuid`.
#[must_use]
pub fn print_uuid(uuid: &[u8; 16]) -> String {
    let digits = hex(uuid);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytea_reads_both_of_its_forms() {
        assert_eq!(parse_bytea("\\xDe Ad").unwrap(), [0xde, 0xad]);
        assert_eq!(parse_bytea("a\\\\b\\001ü").unwrap(), b"a\\b\x01\xc3\xbc");
        assert_eq!(parse_bytea("\\xabc").unwrap_err().to_string(), "invalid hexadecimal data: odd number of digits");
        assert_eq!(parse_bytea("\\x0g").unwrap_err().to_string(), "invalid hexadecimal digit: \"g\"");
        assert_eq!(parse_bytea("\\400").unwrap_err().state().0, "22P02");
        assert_eq!(print_bytea(b"a\\\x00", ByteaOutput::Escape), "a\\\\\\000");
    }

    #[test]
    fn uuids_are_read_with_and_without_hyphens() {
        let text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for form in [text, "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "A0EE-BC99-9C0B-4EF8-BB6D-6BB9-BD38-0A11"] {
            assert_eq!(print_uuid(&parse_uuid(form).unwrap()), text);
        }
        for form in [
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a-0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert!(parse_uuid(form).is_err(), "{form}");
        }
    }
}
