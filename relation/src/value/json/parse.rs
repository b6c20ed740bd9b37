//! JSON from text, as a tree that knows where in the text its parts are.

use super::lex::{Lexer, Token, invalid};
use crate::{SqlError, SqlResult, error::SqlState};

/// The deepest nesting: recursion over it needs less than a megabyte of stack, half of what a thread has.
pub const MAX_DEPTH: usize = 250;

/// A part of a text of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// Its text.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number: the part's text.
    Number,
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object. Keys may occur more than once.
    Object(Vec<(String, Node<'a>)>),
}

/// Checks that text is JSON. As in PostgreSQL, escapes may mean what cannot be in a text.
///
/// # Errors
///
/// `22P02` with what is wrong, `54001` for a deep nesting.
pub fn validate(text: &str) -> SqlResult<()> {
    Parser::run(text, false).map(|_| ())
}

/// Reads text of JSON, the escapes of strings resolved.
///
/// # Errors
///
/// As [`validate`], and `22P05` for the character 0.
pub fn parse(text: &str) -> SqlResult<Node<'_>> {
    Parser::run(text, true)
}

/// The error about a deeper nesting.
pub(super) fn too_deep() -> SqlError {
    let error = SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded");
    error.hint(format!("JSON may be nested {MAX_DEPTH} levels deep."))
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn run(text: &'a str, unescape: bool) -> SqlResult<Node<'a>> {
        let mut parser = Self { text, lexer: Lexer::new(text, unescape), token: Token::End, depth: 0 };
        parser.advance()?;
        let node = parser.value()?;
        if parser.token == Token::End { Ok(node) } else { Err(parser.expected("end of input")) }
    }

    fn advance(&mut self) -> SqlResult<Token> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn expected(&self, what: &str) -> SqlError {
        if self.token == Token::End {
            return invalid("The input string ended unexpectedly.");
        }
        invalid(format!("Expected {what}, but found \"{}\".", self.lexer.current()))
    }

    fn expect(&mut self, token: Token, what: &str) -> SqlResult<()> {
        if self.token == token { self.advance().map(|_| ()) } else { Err(self.expected(what)) }
    }

    fn value(&mut self) -> SqlResult<Node<'a>> {
        let start = self.lexer.start;
        let mut end = self.lexer.end;
        let kind = match self.token {
            Token::ObjectStart | Token::ArrayStart => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(too_deep());
                }
                let (kind, behind) = if self.token == Token::ObjectStart { self.object()? } else { self.array()? };
                end = behind;
                self.depth -= 1;
                kind
            }
            _ => self.scalar()?,
        };
        Ok(Node { text: &self.text[start..end], kind })
    }

    fn scalar(&mut self) -> SqlResult<Kind<'a>> {
        let is_scalar =
            matches!(self.token, Token::String(_) | Token::Number | Token::True | Token::False | Token::Null);
        if !is_scalar {
            return Err(self.expected("JSON value"));
        }
        Ok(match self.advance()? {
            Token::String(text) => Kind::String(text),
            Token::Number => Kind::Number,
            Token::True => Kind::Bool(true),
            Token::False => Kind::Bool(false),
            _ => Kind::Null,
        })
    }

    /// The elements, and where the text of the array ends.
    fn array(&mut self) -> SqlResult<(Kind<'a>, usize)> {
        self.advance()?;
        let mut elements = Vec::new();
        if self.token != Token::ArrayEnd {
            elements.push(self.value()?);
            while self.token == Token::Comma {
                self.advance()?;
                elements.push(self.value()?);
            }
        }
        let end = self.lexer.end;
        self.expect(Token::ArrayEnd, "\",\" or \"]\"")?;
        Ok((Kind::Array(elements), end))
    }

    /// The members, and where the text of the object ends.
    fn object(&mut self) -> SqlResult<(Kind<'a>, usize)> {
        self.advance()?;
        let mut members = Vec::new();
        match self.token {
            Token::ObjectEnd => {}
            Token::String(_) => {
                members.push(self.member()?);
                while self.token == Token::Comma {
                    self.advance()?;
                    members.push(self.member()?);
                }
            }
            _ => return Err(self.expected("string or \"}\"")),
        }
        let end = self.lexer.end;
        self.expect(Token::ObjectEnd, "\",\" or \"}\"")?;
        Ok((Kind::Object(members), end))
    }

    fn member(&mut self) -> SqlResult<(String, Node<'a>)> {
        if !matches!(self.token, Token::String(_)) {
            return Err(self.expected("string"));
        }
        let Token::String(key) = self.advance()? else { return Err(self.expected("string")) };
        self.expect(Token::Colon, "\":\"")?;
        Ok((key, self.value()?))
    }
}

impl<'a> Node<'a> {
    /// The member with a key, the last one if there are more; or the element at an index, from the end if negative.
    #[must_use]
    pub fn step(&self, step: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(_) => self.member(step),
            Kind::Array(_) => step.parse::<i32>().ok().and_then(|index| self.element(index)),
            _ => None,
        }
    }

    /// The member of an object with a key, the last one if there are more.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&Self> {
        let Kind::Object(members) = &self.kind else { return None };
        members.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The element of an array at an index, from the end if negative.
    #[must_use]
    pub fn element(&self, index: i32) -> Option<&Self> {
        let Kind::Array(elements) = &self.kind else { return None };
        elements.get(super::position(index, elements.len())?)
    }

    /// What `->>` gives: strings as they are, NULL for null, other parts as their text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Null => None,
            Kind::String(text) => Some(text),
            _ => Some(self.text),
        }
    }
}
