//! A client's text, cut into tokens with PostgreSQL's positions.

use std::ops::Range;
use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::Postgres;
use super::{MAX_CHAIN, MAX_TEXT};

/// The longest identifier in bytes; what is longer is cut, as PostgreSQL does.
pub const MAX_IDENTIFIER: usize = 63;

/// A text and its tokens: no white space or comments, unquoted identifiers in lower case, and places of the form
/// "line 1, column = the character's number in the whole text".
pub(super) struct Source<'a> {
    text: &'a str,
    pub whole: Arc<str>,
    /// Where characters begin; empty if all of them are ASCII.
    starts: Vec<u32>,
    pub tokens: Vec<TokenWithSpan>,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str) -> SqlResult<Self> {
        if text.len() > MAX_TEXT {
            let state = SqlState::PROGRAM_LIMIT_EXCEEDED;
            return Err(SqlError::new(state, format!("a statement is at most {MAX_TEXT} bytes long"))
                .hint("Load data with COPY, or in several statements."));
        }
        if let Some(at) = text.find('\0') {
            let position = text[..at].chars().count() as u32 + 1;
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "a statement cannot contain the character with code zero",
            )
            .at(Some(position)));
        }
        let starts = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at as u32).collect() };
        let lines = line_starts(text);
        let mut tokens = Vec::new();
        let place = |at: Location| {
            let line = lines.get((at.line as usize).saturating_sub(1)).copied().unwrap_or(0);
            Location::new(1, line + at.column)
        };
        Tokenizer::new(&Postgres, text)
            .tokenize_with_location_into_buf(&mut tokens)
            .map_err(|error| lexical_error(text, &error.message, place(error.location).column))?;
        let mut tokens = without_space(tokens);
        for token in &mut tokens {
            token.span = Span::new(place(token.span.start), place(token.span.end));
            fold(&mut token.token);
        }
        check_chains(&tokens)?;
        let source = Self { text, whole: text.into(), starts, tokens };
        // Where a string is no part of the one before it, sqlparser would take it for an alias.
        match source.tokens.windows(2).find(|pair| pair.iter().all(|token| is_string(&token.token))) {
            Some(pair) => Err(source.error_at(pair.last())),
            None => Ok(source),
        }
    }

    /// The bytes between two positions.
    pub fn bytes(&self, from: u64, to: u64) -> Range<usize> {
        let byte = |position: u64| {
            let index = position.saturating_sub(1) as usize;
            match self.starts.is_empty() {
                true => index.min(self.text.len()),
                false => self.starts.get(index).map_or(self.text.len(), |start| *start as usize),
            }
        };
        byte(from)..byte(to).max(byte(from))
    }

    /// The text between two positions.
    pub fn slice(&self, from: u64, to: u64) -> &'a str {
        &self.text[self.bytes(from, to)]
    }

    /// PostgreSQL's error about a statement that ends too early: it is about the semicolon, if there is one.
    pub fn error_behind(&self, tokens: &[TokenWithSpan]) -> SqlError {
        self.error_at(tokens.last().and_then(|last| self.token_at(last.span.end.column)))
    }

    /// PostgreSQL's error about a token that should not be there; `None`: the text ended too early.
    pub fn error_at(&self, token: Option<&TokenWithSpan>) -> SqlError {
        match token {
            Some(token) if token.token != Token::EOF && token.span.start.line > 0 => {
                let (start, end) = (token.span.start.column, token.span.end.column);
                let message = format!("syntax error at or near \"{}\"", self.slice(start, end));
                SqlError::new(SqlState::SYNTAX_ERROR, message).at(u32::try_from(start).ok())
            }
            _ => {
                let end = if self.starts.is_empty() { self.text.len() } else { self.starts.len() };
                SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(u32::try_from(end + 1).ok())
            }
        }
    }

    /// The first token that begins at a position, or behind it.
    pub fn token_at(&self, position: u64) -> Option<&TokenWithSpan> {
        let index = self.tokens.partition_point(|token| token.span.start.column < position);
        self.tokens.get(index)
    }
}

/// The tokens without white space and comments. Strings with nothing but that between them, and a new line in it, are one.
fn without_space(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // What stands behind the last token: a new line, and no comment that may not.
    let (mut new_line, mut comment) = (false, false);
    for token in tokens {
        match (&token.token, kept.last_mut().map(|last| (&mut last.token, &mut last.span))) {
            (Token::Whitespace(space), _) => {
                new_line |= matches!(space, Whitespace::Newline | Whitespace::SingleLineComment { .. });
                comment |= matches!(space, Whitespace::MultiLineComment(_));
            }
            (Token::SingleQuotedString(more), Some((before, span)))
                if new_line && !comment && continues(before, more) =>
            {
                if let Token::SingleQuotedString(text)
                | Token::NationalStringLiteral(text)
                | Token::EscapedStringLiteral(text) = before
                {
                    text.push_str(more);
                }
                span.end = token.span.end;
                new_line = false;
            }
            _ => {
                kept.push(token);
                (new_line, comment) = (false, false);
            }
        }
    }
    kept
}

const fn is_string(token: &Token) -> bool {
    matches!(token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::NationalStringLiteral(_))
}

/// Whether a string goes on with another one. (In what follows `E'...'`, a backslash would have to be read again.)
fn continues(before: &Token, more: &str) -> bool {
    match before {
        Token::SingleQuotedString(_) | Token::NationalStringLiteral(_) => true,
        Token::EscapedStringLiteral(_) => !more.contains('\\'),
        _ => false,
    }
}

/// How many characters stand before each line.
fn line_starts(text: &str) -> Vec<u64> {
    let mut lines = vec![0];
    lines.extend(text.chars().zip(1_u64..).filter(|(character, _)| *character == '\n').map(|(_, count)| count));
    lines
}

/// Unquoted identifiers are lower case, and none is longer than [`MAX_IDENTIFIER`].
fn fold(token: &mut Token) {
    let Token::Word(word) = token else { return };
    if word.quote_style.is_none() && word.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        word.value.make_ascii_lowercase();
    }
    if word.value.len() > MAX_IDENTIFIER {
        word.value.truncate(word.value.floor_char_boundary(MAX_IDENTIFIER));
    }
}

/// How long the chain of an expression is by now.
#[derive(Clone, Copy, Default)]
struct Chain {
    /// Operators.
    operators: usize,
    /// What follows an operand and makes one of it: subscripts, `IN` and the like.
    suffixes: usize,
}

impl Chain {
    fn word(&mut self, keyword: Keyword) {
        self.operators += usize::from(joins(keyword));
        match keyword {
            Keyword::AND | Keyword::OR => self.suffixes = 0,
            _ => self.suffixes += usize::from(follows(keyword)),
        }
    }
}

/// Long chains of operators make deep trees, which everything behind walks recursively.
fn check_chains(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    let mut outer = Vec::new();
    let mut chain = Chain::default();
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket => {
                let subscripts = token.token == Token::LBracket && at > 0 && tokens[at - 1].token == Token::RBracket;
                chain.suffixes += usize::from(subscripts);
                outer.push(std::mem::take(&mut chain));
            }
            Token::RParen | Token::RBracket => chain = outer.pop().unwrap_or_default(),
            Token::Comma | Token::SemiColon => chain = Chain::default(),
            Token::Word(word) if word.quote_style.is_none() => chain.word(word.keyword),
            Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {}
            Token::Period => {}
            _ => chain.operators += 1,
        }
        if chain.operators > MAX_CHAIN || chain.suffixes > MAX_CHAIN {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .detail(format!("An expression joins more than {MAX_CHAIN} parts."))
                .hint("Use IN (...) or = ANY (array) instead of a chain of conditions.")
                .at(u32::try_from(token.span.start.column).ok()));
        }
    }
    Ok(())
}

const fn follows(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::ILIKE | Keyword::SIMILAR | Keyword::IN | Keyword::OPERATOR | Keyword::NOTNULL)
}

const fn joins(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::JOIN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::LIKE
            | Keyword::IS
            | Keyword::CASE
    )
}

/// PostgreSQL's words for what is no token.
fn lexical_error(text: &str, message: &str, column: u64) -> SqlError {
    let position = u32::try_from(column).ok();
    let near = |what: &str| {
        let start = text.char_indices().nth((column as usize).saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        format!("{what} at or near \"{}\"", &text[start..])
    };
    let words = if message.contains("Unterminated string") {
        near("unterminated quoted string")
    } else if message.contains("multi-line comment") {
        near("unterminated /* comment")
    } else if message.contains("close delimiter") {
        near("unterminated quoted identifier")
    } else if message.contains("dollar-quoted") {
        near("unterminated dollar-quoted string")
    } else {
        near("syntax error")
    };
    SqlError::new(SqlState::SYNTAX_ERROR, words).at(position)
}
