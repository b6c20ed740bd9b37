//! From a client's text to statements.
//!
//! Promises and invariants:
//! - PostgreSQL's dialect, words and positions: a place in the tree is "line 1, column = the character's number in
//!   the client's whole text", so `ident.span.start.column` is what an error's position says.
//! - Unquoted identifiers are in lower case throughout the tree, and at most 63 bytes long.
//! - Whatever is sent, parsing ends with statements or an error: texts, nesting and chains of operators are bounded.
//! - What sqlparser knows is its tree; statements about sessions, databases and bulk data are [`Statement`]'s own.

mod actions;
mod assigned;
mod bracketed;
mod clauses;
mod command;
mod copy;
mod counts;
mod cursor;
mod delete_sets;
pub(crate) mod dialect;
mod exclusion;
mod extension;
mod fetch;
mod into;
mod like;
mod maintenance;
mod object;
mod schema;
mod sets;
mod shape;
mod source;
mod spelling;
mod statement;
mod storage;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub(crate) use actions::TAKEN_ACTION;
use actions::take_actions;
pub(crate) use assigned::ASSIGNED_ELEMENT;
use clauses::{
    are_words, refuse_current_of, take_arbiter, take_as_of, take_identities, take_overriding, take_table_as,
};
use cursor::Cursor;
pub use delete_sets::DeleteSet;
use delete_sets::take_delete_sets;
use dialect::Postgres;
pub(crate) use exclusion::{EXCLUDED, with_exclusions};
pub use extension::Extending;
pub use fetch::{Declare, FetchRows};
pub use like::Like;
use like::take_likes;
pub use maintenance::Maintained;
pub use shape::{Literal, Shape, shape};
pub(crate) use source::MAX_IDENTIFIER;
use source::Source;
pub(crate) use spelling::DO_NOTHING;
pub use statement::{
    AlterIdentity, AlterSequence, AlterType, CopyOptions, CopyStatement, CopyTarget, DatabaseOption, Discard, Explain,
    ExplainFormat, Format, Header, IdentityChange, IdentityOptions, Isolation, Modes, Overriding, SequenceOption,
    SetValue, Side, Statement, TableAction, TableOfExecuted,
};
use storage::take_storage;

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
    /// The options of identity columns, in the order in which those are declared.
    pub identities: Vec<IdentityOptions>,
    /// The actions of `ALTER TABLE` that sqlparser does not know, in their order.
    pub actions: Vec<TableAction>,
    /// The columns that foreign keys set when a parent goes, where they are said.
    pub delete_sets: Vec<DeleteSet>,
    /// What `ON CONFLICT` is about, if that is more than columns.
    pub arbiter: Option<Arbiter>,
    /// What `CREATE TABLE ... AS` says besides its query.
    pub table_as: TableAs,
    /// The `LIKE`s among the columns of `CREATE TABLE`.
    pub likes: Vec<Like>,
    /// `DROP INDEX CONCURRENTLY`, which differs from `DROP INDEX` only in where it may stand.
    pub drops_concurrently: bool,
}

/// The unique index that `ON CONFLICT (keys) [WHERE predicate]` means.
#[derive(Clone, Debug)]
pub struct Arbiter {
    /// Columns and expressions.
    pub keys: Vec<ast::Expr>,
    /// What a partial index's predicate follows from.
    pub predicate: Option<ast::Expr>,
}

/// The columns' names in `CREATE TABLE name (columns) AS`, and whether it says `WITH NO DATA`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableAs {
    /// The names of the first columns.
    pub columns: Vec<ast::Ident>,
    /// Whether the table stays empty.
    pub empty: bool,
}

impl Parsed {
    /// No statement at all: what a text without one is prepared as.
    #[must_use]
    pub fn empty(text: &str) -> Self {
        let text: Arc<str> = text.into();
        Self::bare(Statement::Empty, Arc::clone(&text), text)
    }

    /// A statement with nothing around it.
    fn bare(statement: Statement, text: Arc<str>, whole: Arc<str>) -> Self {
        Self {
            statement,
            text,
            whole,
            as_of: None,
            overriding: None,
            identities: Vec::new(),
            actions: Vec::new(),
            delete_sets: Vec::new(),
            arbiter: None,
            table_as: TableAs::default(),
            likes: Vec::new(),
            drops_concurrently: false,
        }
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

/// The name of a type.
///
/// # Errors
/// `42601` if it is none.
pub fn parse_type(text: &str) -> SqlResult<ast::DataType> {
    let source = Source::new(text)?;
    let mut cursor = Cursor::new(&source, &source.tokens);
    let ty = cursor.data_type()?;
    cursor.end()?;
    Ok(ty)
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
        return Ok(Parsed::bare(statement, text, whole));
    }
    refuse_current_of(tokens)?;
    let (kept, as_of) = take_as_of(source, tokens)?;
    let drops_concurrently = are_words(&kept, &["drop", "index", "concurrently"]);
    let (kept, actions) = take_actions(source, kept)?;
    let (kept, delete_sets) = take_delete_sets(source, kept)?;
    let kept = take_storage(kept);
    let (kept, overriding) = take_overriding(kept);
    let (kept, identities) = take_identities(source, kept)?;
    let (kept, arbiter) = take_arbiter(source, kept)?;
    let (kept, table_as) = take_table_as(spelling::spell(kept)?);
    let (kept, likes) = take_likes(source, kept)?;
    let statement = Statement::Sql(Box::new(parse_sql(source, tokens, kept)?));
    let around = Parsed::bare(statement, text, whole);
    Ok(Parsed {
        as_of,
        overriding,
        identities,
        actions,
        delete_sets,
        arbiter,
        table_as,
        likes,
        drops_concurrently,
        ..around
    })
}

/// A statement that sqlparser knows: its tokens as they were written, and those of them that it is shown.
fn parse_sql(source: &Source<'_>, tokens: &[TokenWithSpan], shown: Vec<TokenWithSpan>) -> SqlResult<ast::Statement> {
    let mut parser = Parser::new(&Postgres).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(shown);
    let statement = parser.parse_statement().map_err(|error| error_of(source, tokens, &parser, &error))?;
    let left = parser.peek_token();
    match left.token {
        Token::EOF => Ok(statement),
        _ => Err(source.error_at(Some(&left))),
    }
}

/// Whether a token is the bracket in `SET column[1] = ...`, or in the columns of an `INSERT`.
fn is_assigned_element(tokens: &[TokenWithSpan], token: &TokenWithSpan) -> bool {
    let behind = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    let at = tokens.iter().position(|known| known.span.start == token.span.start);
    let before: Vec<&Token> = tokens[..at.unwrap_or(0)].iter().filter(behind).map(|token| &token.token).collect();
    let is = |token: &Token, words: &[&str]| matches!(token, Token::Word(word) if words.iter().any(|known| word.value.eq_ignore_ascii_case(known)));
    let [.., opening, Token::Word(_)] = before.as_slice() else { return false };
    token.token == Token::LBracket
        && (is(opening, &["set"]) || matches!(opening, Token::Comma | Token::LParen))
        && before.iter().any(|token| is(token, &["update", "insert"]))
}

/// PostgreSQL's words for sqlparser's error about a statement of these tokens.
fn error_of(source: &Source<'_>, tokens: &[TokenWithSpan], parser: &Parser<'_>, error: &ParserError) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .detail(format!("Expressions and queries nest at most {MAX_DEPTH} deep."));
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let column = message.rsplit_once("Column: ").and_then(|(_, digits)| digits.trim().parse::<u64>().ok());
    match column {
        Some(column) => {
            let token = source.token_at(column);
            let error = source.error_at(token);
            match token.is_some_and(|token| is_assigned_element(tokens, token)) {
                true => {
                    let refused = SqlError::unsupported("an assignment to an element of a column");
                    refused.at(error.report().position)
                }
                false => error,
            }
        }
        None if message.contains("found: EOF") => source.error_behind(tokens),
        None => match parser.peek_token() {
            TokenWithSpan { token: Token::EOF, .. } => source.error_behind(tokens),
            token => source.error_at(Some(&token)),
        },
    }
}
