//! What is said of how things are stored, planned and inherited, which means nothing here: it is read and passed over.

use annulus_relation::SqlResult;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Statement;
use super::clauses::{are_words, is_word};
use super::command::scalar;
use super::cursor::Cursor;

/// Takes `CONCURRENTLY` out of `DROP INDEX`, and `NO INHERIT` from behind conditions: no index is dropped otherwise, and
/// nothing inherits.
pub(super) fn take_storage(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if are_words(&tokens, &["drop", "index", "concurrently"]) {
        tokens.remove(2);
    }
    if !["create", "alter"].iter().any(|word| is_word(tokens.first(), word)) {
        return tokens;
    }
    let behind_condition = |tokens: &[TokenWithSpan], at: usize| {
        tokens[at].token == Token::RParen && are_words(&tokens[at + 1..], &["no", "inherit"])
    };
    while let Some(at) = (0..tokens.len()).find(|at| behind_condition(&tokens, *at)) {
        tokens.drain(at + 1..at + 3);
    }
    tokens
}

/// Behind `ALTER [COLUMN] name`.
pub(super) fn of_column(cursor: &mut Cursor<'_>) -> SqlResult<bool> {
    let value = ["statistics", "storage", "compression"].iter().any(|what| cursor.take_all(&["set", what]));
    if value {
        scalar(cursor)?;
        return Ok(true);
    }
    options(cursor)
}

pub(super) fn of_table(cursor: &mut Cursor<'_>) -> SqlResult<bool> {
    if cursor.take_all(&["cluster", "on"]) {
        cursor.identifier()?;
        return Ok(true);
    }
    let known =
        [&["set", "logged"][..], &["set", "unlogged"], &["set", "without", "cluster"], &["set", "without", "oids"]];
    if known.into_iter().any(|words| cursor.take_all(words)) {
        return Ok(true);
    }
    options(cursor)
}

/// `{SET | RESET} (name [= value], ...)`
pub(super) fn options(cursor: &mut Cursor<'_>) -> SqlResult<bool> {
    let opens = cursor.rest().get(1).is_some_and(|token| token.token == Token::LParen);
    if !opens || !(cursor.looks(&["set"]) || cursor.looks(&["reset"])) {
        return Ok(false);
    }
    cursor.skip();
    cursor.skip();
    loop {
        cursor.name()?;
        if cursor.take_token(&Token::Eq) {
            scalar(cursor)?;
        }
        if !cursor.take_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(true)
}

/// `ALTER INDEX [IF EXISTS] name`, and what is said of it.
pub(super) fn alter_index(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    if cursor.take_all(&["rename", "to"]) {
        return Ok(Statement::AlterIndex { name, if_exists, to: Some(cursor.identifier()?) });
    }
    if cursor.take("alter") {
        cursor.take("column");
        cursor.integer()?;
        cursor.expect("set")?;
        cursor.expect("statistics")?;
        scalar(cursor)?;
    } else if !cursor.take_all(&["set", "tablespace", "pg_default"]) && !options(cursor)? {
        return Err(cursor.error());
    }
    Ok(Statement::AlterIndex { name, if_exists, to: None })
}
