//! `CREATE TYPE`, `ALTER TYPE`.

use annulus_relation::SqlResult;
use sqlparser::tokenizer::Token;

use super::command::skip_all;
use super::cursor::Cursor;
use super::statement::{AlterType, Side, Statement};

/// What stands behind `CREATE TYPE`: an enumeration, or another kind of type, which is refused.
pub(super) fn create_type(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let name = cursor.name()?;
    let refused = match cursor.take("as") {
        false => "a base type",
        true if cursor.take("enum") => return Ok(Statement::CreateType { name, labels: labels(cursor)? }),
        true if cursor.looks(&["range"]) => "a range type",
        true if cursor.peek() == Some(&Token::LParen) => "a composite type",
        true => return Err(cursor.error()),
    };
    skip_all(cursor);
    Ok(Statement::Refused(refused))
}

fn labels(cursor: &mut Cursor<'_>) -> SqlResult<Vec<String>> {
    let mut labels = Vec::new();
    cursor.expect_token(&Token::LParen)?;
    if !cursor.take_token(&Token::RParen) {
        loop {
            labels.push(cursor.string()?);
            if !cursor.take_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)?;
    }
    Ok(labels)
}

/// What stands behind `ALTER TYPE`.
pub(super) fn alter_type(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let name = cursor.name()?;
    let change = if cursor.take_all(&["add", "value"]) {
        add_value(cursor)?
    } else if cursor.take_all(&["rename", "value"]) {
        let from = cursor.string()?;
        cursor.expect("to")?;
        AlterType::RenameValue(from, cursor.string()?)
    } else if cursor.take_all(&["rename", "to"]) {
        AlterType::Rename(cursor.identifier()?)
    } else if cursor.take_all(&["set", "schema"]) {
        AlterType::SetSchema(cursor.identifier()?)
    } else if cursor.take_all(&["owner", "to"]) {
        cursor.identifier()?;
        AlterType::Owner
    } else {
        skip_all(cursor);
        return Ok(Statement::Refused("this form of ALTER TYPE"));
    };
    Ok(Statement::AlterType { name, change })
}

fn add_value(cursor: &mut Cursor<'_>) -> SqlResult<AlterType> {
    let if_not_exists = cursor.if_not_exists();
    let label = cursor.string()?;
    let side = if cursor.take("before") {
        Some((Side::Before, cursor.string()?))
    } else if cursor.take("after") {
        Some((Side::After, cursor.string()?))
    } else {
        None
    };
    Ok(AlterType::AddValue { label, if_not_exists, side })
}
