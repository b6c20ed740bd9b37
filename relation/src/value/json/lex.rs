//! The tokens of JSON.
//!
//! Source: PostgreSQL 15, `jsonapi.c`, whose errors name the offending token.

use crate::{SqlError, error::SqlState};

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    /// A string, with its escapes resolved if that was asked for.
    String(String),
    Number,
    True,
    False,
    Null,
    End,
}

/// Cuts text into tokens.
pub struct Lexer<'a> {
    text: &'a str,
    /// Where the current token begins and ends.
    pub start: usize,
    pub end: usize,
    /// Whether the escapes of strings are resolved. If not, they may mean what cannot be in a text.
    unescape: bool,
}

/// `22P02` with what was wrong.
pub fn invalid(detail: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json").detail(detail)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

impl<'a> Lexer<'a> {
    pub const fn new(text: &'a str, unescape: bool) -> Self {
        Self { text, start: 0, end: 0, unescape }
    }

    /// The text of the current token.
    pub fn current(&self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn invalid_token(&mut self, end: usize) -> SqlError {
        self.end = end;
        invalid(format!("Token \"{}\" is invalid.", self.current()))
    }

    /// The next token.
    pub fn next(&mut self) -> Result<Token, SqlError> {
        let bytes = self.text.as_bytes();
        self.start = self.end;
        while bytes.get(self.start).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.start += 1;
        }
        self.end = self.start + 1;
        match bytes.get(self.start) {
            None => {
                self.end = self.start;
                Ok(Token::End)
            }
            Some(b'{') => Ok(Token::ObjectStart),
            Some(b'}') => Ok(Token::ObjectEnd),
            Some(b'[') => Ok(Token::ArrayStart),
            Some(b']') => Ok(Token::ArrayEnd),
            Some(b',') => Ok(Token::Comma),
            Some(b':') => Ok(Token::Colon),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
        }
    }

    fn word(&mut self) -> Result<Token, SqlError> {
        let rest = &self.text.as_bytes()[self.start..];
        let length = rest.iter().take_while(|byte| is_word(**byte)).count();
        self.end = self.start + length.max(1);
        match self.current() {
            "true" => Ok(Token::True),
            "false" => Ok(Token::False),
            "null" => Ok(Token::Null),
            _ => Err(self.invalid_token(self.end)),
        }
    }

    fn number(&mut self) -> Result<Token, SqlError> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
        let mut at = self.start + usize::from(is(self.start, b"-"));
        let whole = if is(at, b"0") { 1 } else { digits(at) };
        let mut valid = whole > 0;
        at += whole;
        if is(at, b".") {
            let count = digits(at + 1);
            valid &= count > 0;
            at += 1 + count;
        }
        if is(at, b"eE") {
            at += 1 + usize::from(is(at + 1, b"+-"));
            let count = digits(at);
            valid &= count > 0;
            at += count;
        }
        let garbage = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        self.end = at + garbage;
        if valid && garbage == 0 { Ok(Token::Number) } else { Err(self.invalid_token(self.end)) }
    }

    fn string(&mut self) -> Result<Token, SqlError> {
        let mut out = String::new();
        let mut high = None;
        let mut chars = self.text[self.start + 1..].char_indices();
        let base = self.start + 1;
        while let Some((at, c)) = chars.next() {
            let end = base + at + c.len_utf8();
            match c {
                '"' if high.is_some() => return Err(lonely_low_surrogate()),
                '"' => {
                    self.end = end;
                    return Ok(Token::String(out));
                }
                c if c < ' ' => {
                    return Err(invalid(format!("Character with value 0x{:02x} must be escaped.", u32::from(c))));
                }
                '\\' => match chars.next() {
                    None => return Err(self.invalid_token(self.text.len())),
                    Some((_, 'u')) => {
                        let unit = self.code_unit(&mut chars)?;
                        if self.unescape {
                            high = push_unit(&mut out, unit, high)?;
                        }
                    }
                    Some((_, escaped)) => {
                        let Some(meaning) = simple_escape(escaped) else {
                            return Err(invalid(format!("Escape sequence \"\\{escaped}\" is invalid.")));
                        };
                        self.push(&mut out, meaning, high)?;
                    }
                },
                c => self.push(&mut out, c, high)?,
            }
        }
        Err(self.invalid_token(self.text.len()))
    }

    fn push(&self, out: &mut String, c: char, high: Option<u32>) -> Result<(), SqlError> {
        if !self.unescape {
            return Ok(());
        }
        if high.is_some() {
            return Err(lonely_low_surrogate());
        }
        out.push(c);
        Ok(())
    }

    /// The four digits behind `\u`.
    fn code_unit(&mut self, chars: &mut std::str::CharIndices<'_>) -> Result<u32, SqlError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some((_, c)) = chars.next() else { return Err(self.invalid_token(self.text.len())) };
            let digit = c.to_digit(16);
            let message = "\"\\u\" must be followed by four hexadecimal digits.";
            unit = unit * 16 + digit.ok_or_else(|| invalid(message))?;
        }
        Ok(unit)
    }
}

fn lonely_low_surrogate() -> SqlError {
    invalid("Unicode low surrogate must follow a high surrogate.")
}

const fn simple_escape(c: char) -> Option<char> {
    Some(match c {
        '"' | '\\' | '/' => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => return None,
    })
}

/// Appends what a code unit of UTF-16 means; the first of a pair waits for the second.
fn push_unit(out: &mut String, unit: u32, high: Option<u32>) -> Result<Option<u32>, SqlError> {
    let code = match (unit, high) {
        (0xd800..=0xdbff, None) => return Ok(Some(unit)),
        (0xd800..=0xdbff, Some(_)) => {
            return Err(invalid("Unicode high surrogate must not follow a high surrogate."));
        }
        (0xdc00..=0xdfff, Some(high)) => 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
        (0xdc00..=0xdfff, None) | (_, Some(_)) => return Err(lonely_low_surrogate()),
        (0, None) => {
            let message = "unsupported Unicode escape sequence";
            let error = SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, message);
            return Err(error.detail("\\u0000 cannot be converted to text."));
        }
        (unit, None) => unit,
    };
    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(None)
}
