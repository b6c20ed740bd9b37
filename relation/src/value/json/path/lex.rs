//! The tokens of `jsonpath`.

use crate::{SqlError, SqlResult, error::SqlState};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A word without quotes: perhaps a keyword.
    Word(String),
    /// A string in quotes.
    String(String),
    /// `$name`
    Variable(String),
    /// A number without a point and exponent.
    Integer(String),
    /// Another number.
    Number(String),
    /// An operator or a single character.
    Symbol(&'static str),
    End,
}

/// A token, and what an error near it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub near: String,
}

/// Longer ones first.
const SYMBOLS: &[&str] = &[
    "&&", "||", "**", "<=", "==", "<>", "!=", ">=", "<", ">", "!", "?", "%", "$", ".", "[", "]", "{", "}", "(", ")",
    "|", "&", "=", "@", "#", ",", "*", ":", "-", "+", "/",
];

/// What ends a word.
fn is_special(c: char) -> bool {
    "?%$.[]{}()|&!=<>@#,*:-+/".contains(c)
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// What words are made of, but for escapes.
fn is_other(c: char) -> bool {
    !is_special(c) && !is_blank(c) && c != '\\' && c != '"'
}

/// `42601`, as PostgreSQL words it.
pub(super) fn error_near(message: &str, near: &str) -> SqlError {
    let place = match near {
        "" => " at end of jsonpath input".to_owned(),
        near => format!(" at or near \"{near}\" of jsonpath input"),
    };
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{message}{place}"))
}

/// All tokens of a path.
pub(super) fn tokens(text: &str) -> SqlResult<Vec<Token>> {
    let mut lexer = Lexer { rest: text };
    let mut all = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.kind == Kind::End;
        all.push(token);
        if is_end {
            return Ok(all);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> SqlResult<Token> {
        self.skip()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token { kind: Kind::End, near: String::new() });
        };
        if let Some(number) = self.number()? {
            return Ok(number);
        }
        if let Some(quoted) = self.rest.strip_prefix("$\"") {
            return self.quoted(quoted).map(|name| Token { kind: Kind::Variable(name), near: "\"".to_owned() });
        }
        match first {
            '"' => {
                let quoted = &self.rest[1..];
                self.quoted(quoted).map(|text| Token { kind: Kind::String(text), near: "\"".to_owned() })
            }
            '$' if self.rest[1..].starts_with(is_other) => {
                let name = self.take(1 + length_of(&self.rest[1..], is_other));
                Ok(Token { kind: Kind::Variable(name[1..].to_owned()), near: name.to_owned() })
            }
            first if is_special(first) => {
                let symbol = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)).copied().unwrap_or("?");
                let near = self.take(symbol.len()).to_owned();
                Ok(Token { kind: Kind::Symbol(symbol), near })
            }
            _ => self.word(),
        }
    }

    /// Takes so many bytes.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Passes blanks and comments over.
    fn skip(&mut self) -> SqlResult<()> {
        loop {
            self.rest = self.rest.trim_start_matches(is_blank);
            let Some(comment) = self.rest.strip_prefix("/*") else { return Ok(()) };
            let end = comment.find("*/").ok_or_else(|| error_near("unexpected end of comment", ""))?;
            self.rest = &comment[end + 2..];
        }
    }

    /// A number, unless a longer word begins here.
    fn number(&mut self) -> SqlResult<Option<Token>> {
        let Some((length, is_integer)) = self.numeral() else { return Ok(None) };
        let word = length_of(self.rest, is_other);
        let next = self.rest[length..].chars().next();
        let exponent = self.rest[length..].strip_prefix(['e', 'E']);
        if exponent.is_some_and(|rest| rest.starts_with(['+', '-'])) && length + 2 > word {
            return Err(error_near("invalid numeric literal", &self.rest[..length + 2]));
        }
        let junk = next.filter(|c| is_other(*c)).map_or(length, |c| length + c.len_utf8());
        if junk < word {
            return Ok(None);
        }
        if junk > length {
            return Err(error_near("trailing junk after numeric literal", &self.rest[..junk]));
        }
        let text = self.take(length).to_owned();
        let kind = if is_integer { Kind::Integer(text.clone()) } else { Kind::Number(text.clone()) };
        Ok(Some(Token { kind, near: text }))
    }

    /// The length of the numeral that begins here, and whether it is an integer.
    fn numeral(&self) -> Option<(usize, bool)> {
        let digits = |text: &str| length_of(text, |c| c.is_ascii_digit());
        let whole = if self.rest.starts_with('0') { 1 } else { digits(self.rest) };
        let (mut length, mut is_integer) = (whole, true);
        if let Some(fraction) = self.rest[whole..].strip_prefix('.') {
            let count = digits(fraction);
            if whole > 0 || count > 0 {
                (length, is_integer) = (whole + 1 + count, false);
            }
        }
        if length == 0 {
            return None;
        }
        if let Some(exponent) = self.rest[length..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let count = digits(&exponent[sign..]);
            if count > 0 {
                return Some((length + 1 + sign + count, false));
            }
        }
        Some((length, is_integer))
    }

    fn word(&mut self) -> SqlResult<Token> {
        let mut out = String::new();
        loop {
            let length = length_of(self.rest, is_other);
            out.push_str(self.take(length));
            if !self.rest.starts_with('\\') {
                break;
            }
            self.escape(&mut out)?;
        }
        // What PostgreSQL's scanner looks at once a word is over.
        let blanks = length_of(self.rest, is_blank);
        Ok(Token { kind: Kind::Word(out), near: self.rest[..blanks].to_owned() })
    }

    /// What is left of a string behind its quote.
    fn quoted(&mut self, rest: &'a str) -> SqlResult<String> {
        self.rest = rest;
        let mut out = String::new();
        loop {
            let length = length_of(self.rest, |c| c != '"' && c != '\\');
            out.push_str(self.take(length));
            match self.rest.chars().next() {
                None => return Err(error_near("unexpected end of quoted string", "")),
                Some('"') => {
                    self.rest = &self.rest[1..];
                    return Ok(out);
                }
                Some(_) => self.escape(&mut out)?,
            }
        }
    }

    /// What a backslash and what is behind it mean.
    fn escape(&mut self, out: &mut String) -> SqlResult<()> {
        let escaped = self.rest.chars().nth(1).ok_or_else(|| error_near("unexpected end after backslash", "\\"))?;
        match escaped {
            'u' => return self.unicode(out),
            'x' => return self.hexadecimal(out),
            _ => {}
        }
        self.take(1 + escaped.len_utf8());
        out.push(match escaped {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        });
        Ok(())
    }

    fn hexadecimal(&mut self, out: &mut String) -> SqlResult<()> {
        let digits = self.rest.get(2..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            let read = 2 + length_of(&self.rest[2..], |c| c.is_ascii_hexdigit()).min(1);
            return Err(error_near("invalid hex character sequence", &self.rest[..read]));
        };
        self.take(4);
        push_code(out, code)
    }

    /// `\u0041` or `\u{41}`, as many as there are: two of them may be one character.
    fn unicode(&mut self, out: &mut String) -> SqlResult<()> {
        let mut high = None;
        while self.rest.starts_with("\\u") {
            let code = self.code_point()?;
            match (code, high.take()) {
                (0xd800..=0xdbff, None) => high = Some(code),
                (0xd800..=0xdbff, Some(_)) => {
                    return Err(invalid_jsonpath("Unicode high surrogate must not follow a high surrogate."));
                }
                (0xdc00..=0xdfff, Some(high)) => push_code(out, 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00))?,
                (0xdc00..=0xdfff, None) | (_, Some(_)) => return Err(lonely_low_surrogate()),
                (code, None) => push_code(out, code)?,
            }
        }
        if high.is_some() { Err(lonely_low_surrogate()) } else { Ok(()) }
    }

    fn code_point(&mut self) -> SqlResult<u32> {
        let rest = &self.rest[2..];
        let (braces, digits) = match rest.strip_prefix('{') {
            Some(inner) => (1, length_of(inner, |c| c.is_ascii_hexdigit())),
            None => (0, length_of(rest, |c| c.is_ascii_hexdigit()).min(4)),
        };
        let valid = match braces {
            0 => digits == 4,
            _ => (1..=6).contains(&digits) && rest[1 + digits..].starts_with('}'),
        };
        if !valid {
            let read = 2 + braces + digits.min(if braces == 0 { 3 } else { 6 });
            return Err(error_near("invalid unicode sequence", &self.rest[..read]));
        }
        let code = u32::from_str_radix(&rest[braces..braces + digits], 16).unwrap_or(u32::MAX);
        self.take(2 + digits + 2 * braces);
        Ok(code)
    }
}

fn length_of(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// `22P02` with what was wrong.
fn invalid_jsonpath(detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type jsonpath").detail(detail)
}

fn lonely_low_surrogate() -> SqlError {
    invalid_jsonpath("Unicode low surrogate must follow a high surrogate.")
}

fn push_code(out: &mut String, code: u32) -> SqlResult<()> {
    if code == 0 {
        let error = SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence");
        return Err(error.detail("\\u0000 cannot be converted to text."));
    }
    let invalid = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid Unicode code point");
    out.push(char::from_u32(code).ok_or_else(invalid)?);
    Ok(())
}
