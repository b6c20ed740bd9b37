//! Text of dates, times and intervals, cut into fields.

use super::words::word;
use crate::value::number::is_space;

/// The most fields, and the most bytes of all of them.
const MAX_FIELDS: usize = 25;
const MAX_BYTES: usize = 255;

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Digits with `-`, `/` or `.` between, or a word with such or digits in it: a date, or a time zone's name.
    Date,
    /// Digits with `:` between.
    Time,
    /// Digits, with a point or without.
    Number,
    /// Letters.
    Word,
    /// A sign and digits.
    Signed,
}

/// A field of a date, a time or an interval, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it looks like.
    pub kind: Kind,
    /// Its text.
    pub text: String,
}

/// Cuts text into fields; none if it holds what belongs to no field, or too much.
#[must_use]
pub fn split(text: &str) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut bytes = 0;
    let mut scanner = Scanner { rest: text };
    while let Some(next) = scanner.peek() {
        if is_space(next) {
            scanner.skip();
            continue;
        }
        let mut field = String::new();
        let kind = match next {
            c if c.is_ascii_digit() => scanner.digits_first(&mut field),
            '.' => {
                scanner.take_one(&mut field);
                scanner.take(&mut field, |c| c.is_ascii_digit());
                Kind::Number
            }
            c if c.is_ascii_alphabetic() => scanner.letters_first(&mut field),
            '+' | '-' => scanner.sign_first(&mut field)?,
            c if c.is_ascii_punctuation() => {
                scanner.skip();
                continue;
            }
            _ => return None,
        };
        bytes += field.len() + 1;
        if fields.len() == MAX_FIELDS || bytes > MAX_BYTES {
            return None;
        }
        fields.push(Field { kind, text: field });
    }
    Some(fields)
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    fn take_one(&mut self, field: &mut String) {
        if let Some(c) = self.peek() {
            field.push(c.to_ascii_lowercase());
            self.skip();
        }
    }

    fn take(&mut self, field: &mut String, belongs: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&belongs) {
            self.take_one(field);
        }
    }

    fn next_is(&self, expected: impl Fn(char) -> bool) -> bool {
        self.peek().is_some_and(expected)
    }

    fn digits_first(&mut self, field: &mut String) -> Kind {
        self.take(field, |c| c.is_ascii_digit());
        match self.peek() {
            Some(':') => {
                self.take(field, |c| c.is_ascii_digit() || matches!(c, ':' | '.'));
                Kind::Time
            }
            Some(delimiter @ ('-' | '/' | '.')) => {
                self.take_one(field);
                self.behind_delimiter(field, delimiter)
            }
            _ => Kind::Number,
        }
    }

    /// The rest of a date whose first number ends with a delimiter; a month's name may follow.
    fn behind_delimiter(&mut self, field: &mut String, delimiter: char) -> Kind {
        if !self.next_is(|c| c.is_ascii_digit()) {
            self.take(field, |c| c.is_ascii_alphanumeric() || c == delimiter);
            return Kind::Date;
        }
        self.take(field, |c| c.is_ascii_digit());
        if self.next_is(|c| c == delimiter) {
            self.take(field, |c| c.is_ascii_digit() || c == delimiter);
            return Kind::Date;
        }
        if delimiter == '.' { Kind::Number } else { Kind::Date }
    }

    /// A word, or a date or the name of a time zone that begins with one.
    fn letters_first(&mut self, field: &mut String) -> Kind {
        self.take(field, |c| c.is_ascii_alphabetic());
        let continues = match self.peek() {
            Some('-' | '/' | '.') => true,
            Some(c) if c == '+' || c.is_ascii_digit() => word(field).is_none(),
            _ => false,
        };
        if !continues {
            return Kind::Word;
        }
        self.take(field, |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '/' | '_' | '.' | ':'));
        Kind::Date
    }

    /// A number with its sign, or a word with it: `-infinity`.
    fn sign_first(&mut self, field: &mut String) -> Option<Kind> {
        self.take_one(field);
        while self.next_is(is_space) {
            self.skip();
        }
        if self.next_is(|c| c.is_ascii_digit()) {
            self.take(field, |c| c.is_ascii_digit() || matches!(c, ':' | '.' | '-'));
            return Some(Kind::Signed);
        }
        if self.next_is(|c| c.is_ascii_alphabetic()) {
            self.take(field, |c| c.is_ascii_alphabetic());
            return Some(Kind::Word);
        }
        None
    }
}
