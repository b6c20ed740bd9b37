//! From a client's text to statements.
//!
//! Promises and invariants:
//! - PostgreSQL's dialect, words and positions: a place in the tree is "line 1, column = the character's number in
//!   the client's whole text", so `ident.span.start.column` is what an error's position says.
//! - Unquoted identifiers are in lower case throughout the tree, and at most 63 bytes long.
//! - Whatever is sent, parsing ends with statements or an error: texts, nesting and chains of operators are bounded.
//! - What sqlparser knows is its tree; statements about sessions, databases and bulk data are [`Statement`]'s own.

mod command;
mod copy;
mod cursor;
mod object;
mod shape;
mod source;
mod statement;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use cursor::Cursor;
pub use shape::{Literal, Shape, shape};
pub(crate) use source::MAX_IDENTIFIER;
use source::Source;
pub use statement::{
    AlterSequence, CopyOptions, CopyStatement, CopyTarget, DatabaseOption, Discard, Format, Isolation, Modes,
    Overriding, SequenceOption, SetValue, Statement,
};

/// The longest text of one message, in bytes.
pub const MAX_TEXT: usize = 64 << 20;
/// How deep expressions and queries nest.
const MAX_DEPTH: usize = 100;
/// How many operators in a row an expression has.
const MAX_CHAIN: usize = 1500;

/// A statement, and what stands around it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The statement.
    pub statement: Statement,
    /// Its text.
    pub text: Arc<str>,
    /// The whole text that it is a part of, in which positions count.
    pub whole: Arc<str>,
    /// `AS OF SYSTEM TIME`: which time to read at.
    pub as_of: Option<ast::Expr>,
    /// `OVERRIDING ... VALUE` of an `INSERT`.
    pub overriding: Option<Overriding>,
}

impl Parsed {
    /// No statement at all: what a text without one is prepared as.
    #[must_use]
    pub fn empty(text: &str) -> Self {
        let (statement, text): (_, Arc<str>) = (Statement::Empty, text.into());
        Self { statement, whole: Arc::clone(&text), text, as_of: None, overriding: None }
    }
}

/// The statements of a text. An empty text has none.
///
/// # Errors
///
/// `42601` with PostgreSQL's words and position, `54000` and `54001` for what is too large.
pub fn parse(text: &str) -> SqlResult<Vec<Parsed>> {
    let source = Source::new(text)?;
    let parts = source.tokens.split(|token| token.token == Token::SemiColon);
    parts.filter(|tokens| !tokens.is_empty()).map(|tokens| parse_one(&source, tokens)).collect()
}

/// An expression, as the catalog keeps them.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_expression(text: &str) -> SqlResult<ast::Expr> {
    let source = Source::new(text)?;
    let mut cursor = Cursor::new(&source, &source.tokens);
    let expression = cursor.expression()?;
    cursor.end()?;
    Ok(expression)
}

/// A query, as the catalog keeps them for views.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_query(text: &str) -> SqlResult<Box<ast::Query>> {
    let source = Source::new(text)?;
    let mut cursor = Cursor::new(&source, &source.tokens);
    let query = cursor.parse_with(|parser| parser.parse_query())?;
    cursor.end()?;
    Ok(query)
}

/// One statement's tokens.
fn parse_one(source: &Source<'_>, tokens: &[TokenWithSpan]) -> SqlResult<Parsed> {
    let mut cursor = Cursor::new(source, tokens);
    let text: Arc<str> = cursor.rest_text().into();
    let whole = Arc::clone(&source.whole);
    if let Some(statement) = command::parse(&mut cursor)? {
        cursor.end()?;
        return Ok(Parsed { statement, text, whole, as_of: None, overriding: None });
    }
    let (tokens, as_of) = take_as_of(source, tokens)?;
    let (tokens, overriding) = take_overriding(tokens);
    let statement = Statement::Sql(Box::new(parse_sql(source, simplify_locks(tokens))?));
    Ok(Parsed { statement, text, whole, as_of, overriding })
}

/// A statement that sqlparser knows.
fn parse_sql(source: &Source<'_>, tokens: Vec<TokenWithSpan>) -> SqlResult<ast::Statement> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| error_of(source, &parser, &error))?;
    let left = parser.peek_token();
    match left.token {
        Token::EOF => Ok(statement),
        _ => Err(source.error_at(Some(&left))),
    }
}

/// PostgreSQL's words for sqlparser's error.
fn error_of(source: &Source<'_>, parser: &Parser<'_>, error: &ParserError) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .detail(format!("Expressions and queries nest at most {MAX_DEPTH} deep."));
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let column = message.rsplit_once("Column: ").and_then(|(_, digits)| digits.trim().parse::<u64>().ok());
    match column {
        Some(column) => source.error_at(source.token_at(column)),
        None if message.contains("found: EOF") => source.error_at(None),
        None => source.error_at(Some(&parser.peek_token())),
    }
}

fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    matches!(token.map(|token| &token.token), Some(Token::Word(Word { value, quote_style: None, .. })) if value == word)
}

fn find_words(tokens: &[TokenWithSpan], words: &[&str]) -> Option<usize> {
    (0..tokens.len()).find(|at| words.iter().enumerate().all(|(ahead, word)| is_word(tokens.get(at + ahead), word)))
}

/// Takes `AS OF SYSTEM TIME expression` out of a query: sqlparser does not know it.
fn take_as_of(source: &Source<'_>, tokens: &[TokenWithSpan]) -> SqlResult<(Vec<TokenWithSpan>, Option<ast::Expr>)> {
    let words = ["as", "of", "system", "time"];
    let Some(at) = find_words(tokens, &words) else { return Ok((tokens.to_vec(), None)) };
    let mut cursor = Cursor::new(source, &tokens[at + words.len()..]);
    let time = cursor.expression()?;
    let left = [&tokens[..at], cursor.rest()].concat();
    if let Some(again) = find_words(&left, &words) {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "AS OF SYSTEM TIME can be given only once")
            .at(u32::try_from(left[again].span.start.column).ok()));
    }
    Ok((left, Some(time)))
}

/// Takes `OVERRIDING {SYSTEM | USER} VALUE` out of an `INSERT`.
fn take_overriding(mut tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Option<Overriding>) {
    for (kind, overriding) in [("system", Overriding::System), ("user", Overriding::User)] {
        if let Some(at) = find_words(&tokens, &["overriding", kind, "value"]) {
            tokens.drain(at..at + 3);
            return (tokens, Some(overriding));
        }
    }
    (tokens, None)
}

/// `FOR NO KEY UPDATE` and `FOR KEY SHARE` lock what the stronger `FOR UPDATE` and `FOR SHARE` do.
fn simplify_locks(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    while let Some(at) = find_words(&tokens, &["for", "no", "key", "update"]) {
        tokens.drain(at + 1..at + 3);
    }
    while let Some(at) = find_words(&tokens, &["for", "key", "share"]) {
        tokens.remove(at + 1);
    }
    tokens
}
