//! The shape of a statement: its text with literals taken out, made in one pass without parsing.
//!
//! Two statements of one shape differ only in their literals' values, never in their types. A shape is itself a
//! statement, whose literals are parameters numbered from [`Kind::first`].

use std::borrow::Cow;

/// The most literals that a shape has; statements with more have none.
const MAX_LITERALS: usize = 999;

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

/// The types that literals have before anything else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `numeric`
    Numeric,
    /// Decided by what surrounds it.
    Unknown,
}

impl Kind {
    /// The number of the parameter that stands for the first literal of a statement.
    const fn first(self) -> usize {
        match self {
            Self::Int4 => 10_001,
            Self::Int8 => 11_001,
            Self::Numeric => 12_001,
            Self::Unknown => 13_001,
        }
    }

    /// The kind and the place of a literal (the first is 0), by the number of its parameter; `None` if it is a
    /// parameter of the client's.
    #[must_use]
    pub const fn of_parameter(number: usize) -> Option<(Self, usize)> {
        match number {
            10_001..11_001 => Some((Self::Int4, number - 10_001)),
            11_001..12_001 => Some((Self::Int8, number - 11_001)),
            12_001..13_001 => Some((Self::Numeric, number - 12_001)),
            13_001..14_001 => Some((Self::Unknown, number - 13_001)),
            _ => None,
        }
    }
}

impl Literal<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Int4(_) => Kind::Int4,
            Self::Int8(_) => Kind::Int8,
            Self::Numeric(_) => Kind::Numeric,
            Self::Text(_) => Kind::Unknown,
        }
    }
}

/// A statement without its literals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape<'a> {
    /// Its text: one space between tokens, words in lower case, parameters in place of literals.
    pub text: String,
    /// The literals, in their order.
    pub literals: Vec<Literal<'a>>,
}

/// The shape of a text; `None` if it has comments, several statements, or a rarer form of literal.
#[must_use]
pub fn shape(text: &str) -> Option<Shape<'_>> {
    let mut shape = Shape { text: String::with_capacity(text.len() + 16), literals: Vec::new() };
    let mut rest = text.trim_ascii();
    rest = rest.strip_suffix(';').unwrap_or(rest);
    while let Some(first) = rest.bytes().next() {
        rest = match first {
            b' ' | b'\t' | b'\n' | b'\r' => &rest[1..],
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => word(&mut shape, rest)?,
            b'0'..=b'9' => number(&mut shape, rest)?,
            b'\'' => string(&mut shape, rest)?,
            b'"' => {
                let end = 2 + rest[1..].find('"')?;
                push(&mut shape, &rest[..end]).then(|| &rest[end..]).filter(|rest| !rest.starts_with('"'))?
            }
            b'$' => parameter(&mut shape, rest)?,
            b';' | b'\\' => return None,
            _ if first.is_ascii() => operator(&mut shape, rest)?,
            _ => return None,
        };
    }
    Some(shape)
}

fn push(shape: &mut Shape<'_>, token: &str) -> bool {
    if !shape.text.is_empty() {
        shape.text.push(' ');
    }
    shape.text.push_str(token);
    true
}

fn word<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let end = rest.bytes().position(|byte| !inside(byte)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    // E'...', B'...', U&'...' and what is not ASCII are for the parser.
    if rest.starts_with('\'') || rest.starts_with("&'") || rest.bytes().next().is_some_and(|byte| !byte.is_ascii()) {
        return None;
    }
    let start = shape.text.len();
    push(shape, word);
    shape.text[start..].make_ascii_lowercase();
    Some(rest)
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
    place(shape, literal).then_some(rest)
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
    place(shape, Literal::Text(value)).then_some(rest)
}

fn place<'a>(shape: &mut Shape<'a>, literal: Literal<'a>) -> bool {
    if shape.literals.len() >= MAX_LITERALS {
        return false;
    }
    let number = literal.kind().first() + shape.literals.len();
    push(shape, "$");
    let mut digits = [0; 5];
    digits
        .iter_mut()
        .zip([10_000, 1_000, 100, 10, 1])
        .for_each(|(digit, unit)| *digit = b'0' + (number / unit % 10) as u8);
    digits.iter().for_each(|digit| shape.text.push(char::from(*digit)));
    shape.literals.push(literal);
    true
}

fn parameter<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let end = 1 + rest[1..].bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len() - 1);
    let number: usize = rest[1..end].parse().ok()?;
    let (token, rest) = rest.split_at(end);
    let plain = rest.bytes().next().is_none_or(|byte| !byte.is_ascii_alphabetic() && byte != b'$');
    (plain && (1..10_000).contains(&number) && push(shape, token)).then_some(rest)
}

fn operator<'a>(shape: &mut Shape<'a>, rest: &'a str) -> Option<&'a str> {
    let symbol = |byte: u8| b"+-*/<>=~!@#%^&|`?:".contains(&byte);
    let length = rest.bytes().position(|byte| !symbol(byte)).unwrap_or(rest.len()).max(1);
    let (token, rest) = rest.split_at(length);
    let comment = token.contains("--") || token.contains("/*");
    // `.5` is a number, `a.b` is not.
    let fraction = token == "." && rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    (!comment && !fraction && push(shape, token)).then_some(rest)
}
