//! The shape of a statement: its text with literals taken out, made in one pass without parsing.
//!
//! Two statements of one shape differ only in their literals' values, never in their types. A shape is itself a
//! statement, whose literals are parameters.

use std::borrow::Cow;

use annulus_relation::SqlType;

/// The most literals that a shape has; statements with more have none.
const MAX_LITERALS: usize = 200;

/// A literal that stood in a statement's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal<'a> {
    /// A whole number that fits `integer`.
    Int4(i32),
    /// A whole number that fits `bigint`.
    Int8(i64),
    /// Any other number.
    Numeric(&'a str),
    /// A string.
    Text(Cow<'a, str>),
}

impl Literal<'_> {
    /// Its type; `Unknown` for a string, whose type is decided by what surrounds it.
    #[must_use]
    pub const fn ty(&self) -> SqlType {
        match self {
            Self::Int4(_) => SqlType::Int4,
            Self::Int8(_) => SqlType::Int8,
            Self::Numeric(_) => SqlType::Numeric(None),
            Self::Text(_) => SqlType::Unknown,
        }
    }

    const fn letter(&self) -> char {
        match self {
            Self::Int4(_) => 'i',
            Self::Int8(_) => 'l',
            Self::Numeric(_) => 'n',
            Self::Text(_) => 's',
        }
    }
}

/// A statement without its literals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape<'a> {
    /// Its text (one space between tokens, words in lower case, parameters in place of literals), a NUL, and a letter
    /// for each literal's type.
    key: String,
    /// How long the text is.
    length: usize,
    /// The literals, in their order.
    pub literals: Vec<Literal<'a>>,
}

impl Shape<'_> {
    /// What statements of one shape have in common.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The statement's text, with a parameter for each literal.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.key[..self.length]
    }
}

/// The shape of a text; `None` if it has comments, parameters, several statements, or a rarer form of literal.
#[must_use]
pub fn shape(text: &str) -> Option<Shape<'_>> {
    let mut shape = Shape { key: String::with_capacity(text.len() + 16), length: 0, literals: Vec::new() };
    let mut rest = text.trim_ascii();
    rest = rest.strip_suffix(';').unwrap_or(rest);
    while let Some(first) = rest.bytes().next() {
        rest = match first {
            b' ' | b'\t' | b'\n' | b'\r' => &rest[1..],
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => word(&mut shape, rest)?,
            b'0'..=b'9' => number(&mut shape, rest)?,
            b'\'' => string(&mut shape, rest)?,
            b'"' => quoted(&mut shape, rest)?,
            b';' | b'\\' | b'$' => return None,
            _ if first.is_ascii() => operator(&mut shape, rest)?,
            _ => return None,
        };
    }
    shape.length = shape.key.len();
    shape.key.push('\0');
    shape.key.extend(shape.literals.iter().map(Literal::letter));
    Some(shape)
}

fn push(shape: &mut Shape<'_>, token: &str) {
    if !shape.key.is_empty() {
        shape.key.push(' ');
    }
    shape.key.push_str(token);
}

fn word<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let end = rest.bytes().position(|byte| !inside(byte)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    // E'...', B'...', U&'...' and what is not ASCII are for the parser.
    if rest.starts_with('\'') || rest.starts_with("&'") || rest.bytes().next().is_some_and(|byte| !byte.is_ascii()) {
        return None;
    }
    let start = shape.key.len();
    push(shape, word);
    shape.key[start..].make_ascii_lowercase();
    Some(rest)
}

fn quoted<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let end = 2 + rest[1..].find('"')?;
    push(shape, &rest[..end]);
    // A doubled quote is for the parser.
    Some(&rest[end..]).filter(|rest| !rest.starts_with('"'))
}

fn number<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let end = rest.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b'.')).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    if rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'\'') {
        return None;
    }
    let literal = match (digits.parse::<i32>(), digits.parse::<i64>()) {
        (Ok(number), _) => Literal::Int4(number),
        (_, Ok(number)) => Literal::Int8(number),
        _ if digits.bytes().filter(|byte| *byte == b'.').count() <= 1 => Literal::Numeric(digits),
        _ => return None,
    };
    place(shape, literal)?;
    Some(rest)
}

fn string<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let inside = &rest[1..];
    let mut end = inside.find('\'')?;
    let mut doubled = false;
    while inside[end + 1..].starts_with('\'') {
        doubled = true;
        end = end + 2 + inside[end + 2..].find('\'')?;
    }
    let value = &inside[..end];
    let value = if doubled { Cow::Owned(value.replace("''", "'")) } else { Cow::Borrowed(value) };
    let rest = &inside[end + 1..];
    // 'a' 'b' on two lines is one literal: for the parser.
    if rest.trim_ascii_start().starts_with('\'') || value.contains('\0') {
        return None;
    }
    place(shape, Literal::Text(value))?;
    Some(rest)
}

fn place<'a>(shape: &mut Shape<'a>, literal: Literal<'a>) -> Option<()> {
    if shape.literals.len() >= MAX_LITERALS {
        return None;
    }
    shape.literals.push(literal);
    push(shape, "$");
    let number = shape.literals.len();
    for unit in [100, 10, 1] {
        if number >= unit {
            shape.key.push(char::from(b'0' + (number / unit % 10) as u8));
        }
    }
    Some(())
}

fn operator<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let symbol = |byte: u8| b"+-*/<>=~!@#%^&|`?:".contains(&byte);
    let length = rest.bytes().position(|byte| !symbol(byte)).unwrap_or(rest.len()).max(1);
    let (token, rest) = rest.split_at(length);
    let comment = token.contains("--") || token.contains("/*");
    // `.5` is a number, `a.b` is not.
    let fraction = token == "." && rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    if comment || fraction {
        return None;
    }
    push(shape, token);
    Some(rest)
}
