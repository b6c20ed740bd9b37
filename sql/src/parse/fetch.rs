//! Cursors' statements: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.

use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast;
use sqlparser::tokenizer::Token;

use super::command::rest;
use super::cursor::Cursor;
use super::{Parsed, Statement};

/// `DECLARE name CURSOR FOR query`
#[derive(Clone, Debug)]
pub struct Declare {
    /// Its name.
    pub name: String,
    /// `SCROLL`: it goes backwards, too.
    pub scrolls: bool,
    /// `WITH HOLD`: it outlives its transaction.
    pub holds: bool,
    /// The query.
    pub query: Box<Parsed>,
}

/// Rows, as seen from where a cursor stands: on a row, before the first, or after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchRows {
    /// The next ones, so many, at most all (`i64::MAX`); the previous ones if negative; 0: the one that it stands on.
    Next(i64),
    /// The one at this place, from 1; from the end if negative.
    Absolute(i64),
    /// The one that is so far from here.
    Relative(i64),
}

pub(super) fn declare(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    let name = cursor.identifier()?;
    let mut scrolls = false;
    while !cursor.take("cursor") {
        if cursor.looks(&["binary"]) {
            return Err(SqlError::unsupported("BINARY cursors").hint("Ask for the binary format in the protocol."));
        }
        let said = cursor.take("insensitive") || cursor.take("asensitive") || cursor.take_all(&["no", "scroll"]);
        if !said {
            cursor.expect("scroll")?;
            scrolls = true;
        }
    }
    let holds = cursor.take_all(&["with", "hold"]);
    if !holds {
        cursor.take_all(&["without", "hold"]);
    }
    cursor.expect("for")?;
    let error = cursor.error();
    let query = Box::new(rest(cursor)?);
    match &query.statement {
        Statement::Sql(sql) if matches!(**sql, ast::Statement::Query(_)) => {
            Ok(Statement::Declare(Declare { name, scrolls, holds, query }))
        }
        _ => Err(error),
    }
}

/// `FETCH` and `MOVE`.
pub(super) fn fetch(cursor: &mut Cursor<'_>, moves: bool) -> SqlResult<Statement> {
    cursor.skip();
    let rows = direction(cursor)?;
    let _ = cursor.take("from") || cursor.take("in");
    Ok(Statement::Fetch { name: cursor.identifier()?, rows, moves })
}

fn direction(cursor: &mut Cursor<'_>) -> SqlResult<FetchRows> {
    use FetchRows::{Absolute, Next, Relative};
    let words = [
        ("next", Next(1)),
        ("prior", Next(-1)),
        ("first", Absolute(1)),
        ("last", Absolute(-1)),
        ("all", Next(i64::MAX)),
    ];
    // A cursor may have such a name: then nothing follows.
    if cursor.rest().len() == 1 {
        return Ok(Next(1));
    }
    if let Some((_, rows)) = words.into_iter().find(|(word, _)| cursor.take(word)) {
        return Ok(rows);
    }
    if cursor.take("absolute") {
        return Ok(Absolute(cursor.integer()?));
    }
    if cursor.take("relative") {
        return Ok(Relative(cursor.integer()?));
    }
    if cursor.take("backward") {
        return Ok(Next(count(cursor)?.saturating_neg()));
    }
    cursor.take("forward");
    Ok(Next(count(cursor)?))
}

/// How many; one, if it is not said.
fn count(cursor: &mut Cursor<'_>) -> SqlResult<i64> {
    match cursor.peek() {
        Some(Token::Number(..) | Token::Minus | Token::Plus) => cursor.integer(),
        _ if cursor.rest().len() > 1 && cursor.take("all") => Ok(i64::MAX),
        _ => Ok(1),
    }
}

pub(super) fn close(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    if cursor.take("all") {
        return Ok(Statement::Close(None));
    }
    Ok(Statement::Close(Some(cursor.identifier()?)))
}
