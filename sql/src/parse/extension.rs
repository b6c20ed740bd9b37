//! `CREATE`, `ALTER` and `DROP EXTENSION`, and comments on one.

use annulus_relation::SqlResult;
use sqlparser::tokenizer::Token;

use super::Statement;
use super::command::skip_all;
use super::cursor::Cursor;

/// What is done about extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extending {
    /// `CREATE EXTENSION`
    Create,
    /// `ALTER EXTENSION`
    Alter,
    /// `DROP EXTENSION`
    Drop,
    /// `COMMENT ON EXTENSION`
    Comment,
}

/// The statement, if it is one about extensions.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> SqlResult<Option<Statement>> {
    let verbs = [
        (&["create", "extension"][..], Extending::Create),
        (&["alter", "extension"], Extending::Alter),
        (&["drop", "extension"], Extending::Drop),
        (&["comment", "on", "extension"], Extending::Comment),
    ];
    let Some((_, action)) = verbs.into_iter().find(|(words, _)| cursor.take_all(words)) else { return Ok(None) };
    let lenient = match action {
        Extending::Create => cursor.if_not_exists(),
        Extending::Alter | Extending::Comment => false,
        Extending::Drop => cursor.if_exists(),
    };
    let mut names = vec![cursor.identifier()?];
    while action == Extending::Drop && cursor.take_token(&Token::Comma) {
        names.push(cursor.identifier()?);
    }
    // Its schema and version, what it is updated to, or what is said of it.
    match action {
        Extending::Create | Extending::Alter | Extending::Comment => skip_all(cursor),
        Extending::Drop => _ = cursor.take("cascade") || cursor.take("restrict"),
    }
    Ok(Some(Statement::Extension { action, names, lenient }))
}
