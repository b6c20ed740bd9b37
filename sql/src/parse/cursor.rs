//! Walking over a statement's tokens, for the statements that are parsed here.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{DataType, Expr, Ident, ObjectName, ObjectNamePart};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::Postgres;
use super::source::Source;
use super::{MAX_DEPTH, error_of};

/// A place in one statement's tokens.
pub(super) struct Cursor<'a> {
    pub source: &'a Source<'a>,
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(source: &'a Source<'a>, tokens: &'a [TokenWithSpan]) -> Self {
        Self { source, tokens, at: 0 }
    }

    /// The tokens that are left.
    pub fn rest(&self) -> &'a [TokenWithSpan] {
        &self.tokens[self.at..]
    }

    /// The text that is left.
    pub fn rest_text(&self) -> &'a str {
        match (self.rest().first(), self.rest().last()) {
            (Some(first), Some(last)) => self.source.slice(first.span.start.column, last.span.end.column),
            _ => "",
        }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.rest().first().map(|token| &token.token)
    }

    /// The next token's position.
    pub fn position(&self) -> Option<u32> {
        self.rest().first().and_then(|token| u32::try_from(token.span.start.column).ok())
    }

    /// Goes on at a token of that number.
    pub fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    pub fn skip(&mut self) {
        self.at += 1;
    }

    /// Whether the statement ends here.
    pub fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// PostgreSQL's error about the next token.
    pub fn error(&self) -> SqlError {
        match self.rest() {
            [] => self.source.error_behind(self.tokens),
            [next, ..] => self.source.error_at(Some(next)),
        }
    }

    pub fn end(&self) -> SqlResult<()> {
        if self.at_end() { Ok(()) } else { Err(self.error()) }
    }

    /// The next token, if it is an unquoted word: keywords are compared with it.
    pub fn word(&self) -> Option<&'a str> {
        self.word_at(0)
    }

    pub fn word_at(&self, ahead: usize) -> Option<&'a str> {
        match self.rest().get(ahead).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// Whether these words come next.
    pub fn looks(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.word_at(ahead) == Some(word))
    }

    /// Takes a word, if it comes next.
    pub fn take(&mut self, word: &str) -> bool {
        self.take_all(&[word])
    }

    /// Takes several words, if all of them come next.
    pub fn take_all(&mut self, words: &[&str]) -> bool {
        let found = self.looks(words);
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub fn expect(&mut self, word: &str) -> SqlResult<()> {
        if self.take(word) { Ok(()) } else { Err(self.error()) }
    }

    pub fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub fn expect_token(&mut self, token: &Token) -> SqlResult<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.error()) }
    }

    /// An identifier.
    pub fn identifier(&mut self) -> SqlResult<String> {
        let Some(Token::Word(word)) = self.peek() else { return Err(self.error()) };
        self.skip();
        Ok(word.value.clone())
    }

    /// A name with up to two qualifiers.
    pub fn name(&mut self) -> SqlResult<ObjectName> {
        let mut parts = vec![self.name_part()?];
        while self.take_token(&Token::Period) {
            parts.push(self.name_part()?);
        }
        Ok(ObjectName(parts))
    }

    fn name_part(&mut self) -> SqlResult<ObjectNamePart> {
        let Some(token) = self.rest().first() else { return Err(self.error()) };
        let Token::Word(word) = &token.token else { return Err(self.error()) };
        let mut ident = Ident::new(word.value.clone());
        (ident.quote_style, ident.span) = (word.quote_style, token.span);
        self.skip();
        Ok(ObjectNamePart::Identifier(ident))
    }

    /// A string literal.
    pub fn string(&mut self) -> SqlResult<String> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => text.clone(),
            Some(Token::DollarQuotedString(text)) => text.value.clone(),
            _ => return Err(self.error()),
        };
        self.skip();
        Ok(text)
    }

    /// A whole number, perhaps negative.
    pub fn integer(&mut self) -> SqlResult<i64> {
        let negative = self.take_token(&Token::Minus);
        if !negative {
            self.take_token(&Token::Plus);
        }
        let Some(Token::Number(digits, _)) = self.peek() else { return Err(self.error()) };
        let text = if negative { format!("-{digits}") } else { digits.clone() };
        let number = text.parse().map_err(|_| {
            SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type bigint"),
            )
            .at(self.position())
        })?;
        self.skip();
        Ok(number)
    }

    /// `IF EXISTS`
    pub fn if_exists(&mut self) -> bool {
        self.take_all(&["if", "exists"])
    }

    /// `IF NOT EXISTS`
    pub fn if_not_exists(&mut self) -> bool {
        self.take_all(&["if", "not", "exists"])
    }

    /// Expressions in parentheses.
    pub fn expressions(&mut self) -> SqlResult<Vec<Expr>> {
        self.parse_with(|parser| {
            parser.expect_token(&Token::LParen)?;
            let list = parser.parse_comma_separated0(Parser::parse_expr, Token::RParen)?;
            parser.expect_token(&Token::RParen)?;
            Ok(list)
        })
    }

    /// One expression.
    pub fn expression(&mut self) -> SqlResult<Expr> {
        self.parse_with(|parser| parser.parse_expr())
    }

    /// A type.
    pub fn data_type(&mut self) -> SqlResult<DataType> {
        self.parse_with(|parser| parser.parse_data_type())
    }

    /// Lets sqlparser read what comes next.
    pub fn parse_with<T>(&mut self, read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>) -> SqlResult<T> {
        let mut parser =
            Parser::new(&Postgres).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(self.rest().to_vec());
        let found = read(&mut parser).map_err(|error| error_of(self.source, self.tokens, &parser, &error))?;
        let left = parser.peek_token();
        let taken = match left.token {
            Token::EOF => self.rest().len(),
            _ => self.rest().partition_point(|token| token.span.start.column < left.span.start.column),
        };
        self.at += taken;
        Ok(found)
    }
}
