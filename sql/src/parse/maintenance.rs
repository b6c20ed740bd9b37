//! `VACUUM`, `ANALYZE` and their like: there is nothing to do, but what they say has to make sense.

use annulus_relation::{SqlError, SqlResult, SqlState};
use sqlparser::ast::ObjectName;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::command::{scalar, skip_all};
use super::cursor::Cursor;

/// What is looked after, and the columns that are named of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintained {
    /// The table.
    pub name: ObjectName,
    /// Some of its columns.
    pub columns: Vec<String>,
}

/// The options of `ANALYZE`, which come first, and those that only `VACUUM` has.
const OPTIONS: [&str; 11] = [
    "verbose",
    "skip_locked",
    "analyze",
    "full",
    "freeze",
    "disable_page_skipping",
    "index_cleanup",
    "process_toast",
    "truncate",
    "parallel",
    "analyse",
];

/// A statement of which nothing is looked at.
pub(super) fn nothing(cursor: &mut Cursor<'_>, tag: &'static str) -> Statement {
    skip_all(cursor);
    Statement::Maintenance { tag, tables: Vec::new() }
}

/// `UNLISTEN`: nobody listens.
pub(super) fn unlisten(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    if !cursor.take_token(&Token::Mul) {
        cursor.identifier()?;
    }
    Ok(Statement::Maintenance { tag: "UNLISTEN", tables: Vec::new() })
}

/// `ANALYZE`
pub(super) fn analyze(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    if cursor.peek() == Some(&Token::LParen) {
        options(cursor, "ANALYZE", &OPTIONS[..2])?;
    } else {
        cursor.take("verbose");
    }
    Ok(Statement::Maintenance { tag: "ANALYZE", tables: tables(cursor)? })
}

/// `VACUUM`
pub(super) fn vacuum(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    let analyzes = if cursor.peek() == Some(&Token::LParen) {
        options(cursor, "VACUUM", &OPTIONS)?
    } else {
        for word in ["full", "freeze", "verbose"] {
            cursor.take(word);
        }
        cursor.take("analyze") || cursor.take("analyse")
    };
    let tables = tables(cursor)?;
    if !analyzes && tables.iter().any(|table| !table.columns.is_empty()) {
        let message = "ANALYZE option must be specified when a column list is provided";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    Ok(Statement::Maintenance { tag: "VACUUM", tables })
}

/// `(option [value], ...)`; whether one of them is `ANALYZE`.
fn options(cursor: &mut Cursor<'_>, tag: &str, known: &[&str]) -> SqlResult<bool> {
    let mut analyzes = false;
    cursor.expect_token(&Token::LParen)?;
    loop {
        let position = cursor.position();
        let option = cursor.identifier()?;
        if !known.contains(&option.as_str()) {
            let message = format!("unrecognized {tag} option \"{option}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let ends = matches!(cursor.peek(), Some(Token::Comma | Token::RParen) | None);
        let value = if ends { String::new() } else { scalar(cursor)? };
        if option.starts_with("analy") {
            analyzes = !matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "0");
        }
        if !cursor.take_token(&Token::Comma) {
            cursor.expect_token(&Token::RParen)?;
            return Ok(analyzes);
        }
    }
}

/// `[name [(columns)], ...]`
fn tables(cursor: &mut Cursor<'_>) -> SqlResult<Vec<Maintained>> {
    let mut tables = Vec::new();
    if cursor.at_end() {
        return Ok(tables);
    }
    loop {
        let (name, mut columns) = (cursor.name()?, Vec::new());
        if cursor.take_token(&Token::LParen) {
            columns.push(cursor.identifier()?);
            while cursor.take_token(&Token::Comma) {
                columns.push(cursor.identifier()?);
            }
            cursor.expect_token(&Token::RParen)?;
        }
        tables.push(Maintained { name, columns });
        if !cursor.take_token(&Token::Comma) {
            return Ok(tables);
        }
    }
}
