//! Statements about databases, sequences and comments, and some forms of `ALTER`.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::ObjectName;
use sqlparser::tokenizer::Token;

use super::command::{scalar, skip_all};
use super::cursor::Cursor;
use super::extension;
use super::schema::create_schema;
use super::{AlterSequence, DatabaseOption, SequenceOption, Statement};
use super::{storage, types};

/// The statement, if it is one of those that are parsed here.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> SqlResult<Option<Statement>> {
    if let Some(statement) = extension::parse(cursor)? {
        return Ok(Some(statement));
    }
    let statement = if cursor.take_all(&["create", "database"]) {
        create_database(cursor)?
    } else if cursor.take_all(&["alter", "database"]) {
        alter_database(cursor)?
    } else if cursor.take_all(&["drop", "database"]) {
        drop_database(cursor)?
    } else if cursor.take_all(&["comment", "on"]) {
        comment(cursor)?
    } else if cursor.take_all(&["create", "sequence"]) {
        create_sequence(cursor, false)?
    } else if cursor.take_all(&["create", "type"]) {
        types::create_type(cursor)?
    } else if cursor.take_all(&["alter", "type"]) {
        types::alter_type(cursor)?
    } else if takes_temporary_sequence(cursor) {
        create_sequence(cursor, true)?
    } else if cursor.take_all(&["alter", "sequence"]) {
        alter_sequence(cursor)?
    } else if cursor.take_all(&["alter", "view"]) {
        alter_view(cursor)?
    } else if cursor.take_all(&["alter", "index"]) {
        storage::alter_index(cursor)?
    } else if cursor.looks(&["alter", "table"]) {
        return alter_table(cursor);
    } else if cursor.looks(&["create", "schema"]) {
        return create_schema(cursor);
    } else if let Some(what) = refused(cursor) {
        skip_all(cursor);
        Statement::Refused(what)
    } else {
        return Ok(None);
    };
    Ok(Some(statement))
}

/// Kinds of objects that do not exist here, whatever is done about them.
fn refused(cursor: &Cursor<'_>) -> Option<&'static str> {
    let kinds = [
        ("trigger", "a trigger"),
        ("function", "a function of one's own"),
        ("procedure", "a procedure"),
        ("role", "a role"),
        ("user", "a user"),
        ("domain", "a domain"),
        ("rule", "a rule"),
        ("policy", "a policy"),
        ("tablespace", "a tablespace"),
        ("aggregate", "an aggregate of one's own"),
        ("operator", "an operator of one's own"),
        ("publication", "a publication"),
        ("subscription", "a subscription"),
        ("server", "a foreign server"),
        ("collation", "a collation of one's own"),
        ("cast", "a cast of one's own"),
        ("language", "a language"),
        ("statistics", "CREATE STATISTICS"),
    ];
    [&["create"][..], &["create", "or", "replace"], &["alter"], &["drop"]]
        .into_iter()
        .find_map(|verb| kinds.into_iter().find(|(kind, _)| cursor.looks(&[verb, &[*kind]].concat())))
        .map(|(_, what)| what)
}

fn create_database(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.identifier()?;
    let options = database_options(cursor)?;
    Ok(Statement::CreateDatabase { name, if_not_exists, options })
}

/// `[WITH] name [=] value ...`, or `WITH (name = value, ...)`.
fn database_options(cursor: &mut Cursor<'_>) -> SqlResult<Vec<DatabaseOption>> {
    cursor.take("with");
    let parentheses = cursor.take_token(&Token::LParen);
    let mut options = Vec::new();
    while !cursor.at_end() && cursor.peek() != Some(&Token::RParen) {
        let position = cursor.position();
        let mut name = cursor.identifier()?.to_ascii_lowercase();
        if name == "connection" && cursor.take("limit") {
            name = "connection_limit".to_owned();
        }
        cursor.take_token(&Token::Eq);
        let value = if cursor.take("default") { None } else { Some(scalar(cursor)?) };
        options.push(DatabaseOption { name, value, position });
        if parentheses && !cursor.take_token(&Token::Comma) {
            break;
        }
    }
    if parentheses {
        cursor.expect_token(&Token::RParen)?;
    }
    Ok(options)
}

fn alter_database(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let name = cursor.identifier()?;
    if cursor.take_all(&["rename", "to"]) {
        return Ok(Statement::RenameDatabase { name, to: cursor.identifier()? });
    }
    if cursor.looks(&["owner"]) || cursor.looks(&["set"]) || cursor.looks(&["reset"]) {
        return Err(SqlError::unsupported("ALTER DATABASE ... OWNER, SET or RESET").at(cursor.position()));
    }
    let options = database_options(cursor)?;
    Ok(Statement::AlterDatabase { name, options })
}

fn drop_database(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let if_exists = cursor.if_exists();
    let name = cursor.identifier()?;
    cursor.take("with");
    let force = if cursor.take_token(&Token::LParen) {
        cursor.expect("force")?;
        cursor.expect_token(&Token::RParen)?;
        true
    } else {
        false
    };
    Ok(Statement::DropDatabase { name, if_exists, force })
}

fn comment(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let position = cursor.position();
    let kind = cursor.identifier()?;
    let known = ["table", "column", "index", "view", "sequence", "schema", "database", "constraint", "type"];
    if !known.contains(&kind.as_str()) {
        return Err(SqlError::unsupported(format!("a comment on a {kind}")).at(position));
    }
    let name = cursor.name()?;
    let table = match kind == "constraint" {
        true => {
            cursor.expect("on")?;
            Some(cursor.name()?)
        }
        false => None,
    };
    cursor.expect("is")?;
    let text = if cursor.take("null") { None } else { Some(cursor.string()?) };
    Ok(Statement::Comment { kind, name, table, text })
}

/// `CREATE [LOCAL | GLOBAL] {TEMPORARY | TEMP} SEQUENCE`
fn takes_temporary_sequence(cursor: &mut Cursor<'_>) -> bool {
    let scopes = [&["create"][..], &["create", "local"], &["create", "global"]];
    let words = [["temporary", "sequence"], ["temp", "sequence"]];
    scopes.into_iter().any(|scope| words.iter().any(|words| cursor.take_all(&[scope, words].concat())))
}

fn create_sequence(cursor: &mut Cursor<'_>, temporary: bool) -> SqlResult<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let options = sequence_options(cursor)?;
    Ok(Statement::CreateSequence { name, temporary, if_not_exists, options })
}

fn sequence_options(cursor: &mut Cursor<'_>) -> SqlResult<Vec<SequenceOption>> {
    let mut options = Vec::new();
    while !cursor.at_end() {
        options.push(sequence_option(cursor)?);
    }
    Ok(options)
}

pub(super) fn sequence_option(cursor: &mut Cursor<'_>) -> SqlResult<SequenceOption> {
    let no = cursor.take("no");
    let position = cursor.position();
    let name = cursor.identifier()?;
    let option = match (name.as_str(), no) {
        ("cycle", _) => SequenceOption::Cycle(!no),
        ("minvalue", true) => SequenceOption::Min(None),
        ("maxvalue", true) => SequenceOption::Max(None),
        ("minvalue", false) => SequenceOption::Min(Some(cursor.integer()?)),
        ("maxvalue", false) => SequenceOption::Max(Some(cursor.integer()?)),
        ("as", false) => SequenceOption::As(cursor.data_type()?),
        ("increment", false) => {
            cursor.take("by");
            SequenceOption::Increment(cursor.integer()?)
        }
        ("start", false) => {
            cursor.take("with");
            SequenceOption::Start(cursor.integer()?)
        }
        ("restart", false) => {
            let with = cursor.take("with");
            let number = matches!(cursor.peek(), Some(Token::Number(..) | Token::Minus | Token::Plus));
            SequenceOption::Restart(if with || number { Some(cursor.integer()?) } else { None })
        }
        ("cache", false) => SequenceOption::Cache(cursor.integer()?),
        ("owned", false) => {
            cursor.expect("by")?;
            let owner = cursor.name()?;
            let none = owner.0.len() == 1 && owner.to_string() == "none";
            SequenceOption::OwnedBy((!none).then_some(owner))
        }
        _ => {
            let message = format!("syntax error at or near \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
    };
    Ok(option)
}

fn alter_sequence(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    if cursor.take_all(&["set", "schema"]) {
        return set_schema(cursor, "sequence", name, if_exists);
    }
    let change = if cursor.take_all(&["rename", "to"]) {
        AlterSequence::Rename(cursor.identifier()?)
    } else if cursor.looks(&["owner", "to"]) {
        skip_all(cursor);
        AlterSequence::Options(Vec::new())
    } else {
        if cursor.at_end() {
            return Err(cursor.error());
        }
        AlterSequence::Options(sequence_options(cursor)?)
    };
    Ok(Statement::AlterSequence { name, if_exists, change })
}

fn set_schema(cursor: &mut Cursor<'_>, kind: &str, name: ObjectName, if_exists: bool) -> SqlResult<Statement> {
    Ok(Statement::SetSchema { kind: kind.to_owned(), name, if_exists, schema: cursor.identifier()? })
}

fn alter_view(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    if cursor.take_all(&["set", "schema"]) {
        return set_schema(cursor, "view", name, if_exists);
    }
    if cursor.take_all(&["rename", "to"]) {
        return Ok(Statement::RenameView { name, if_exists, to: cursor.identifier()? });
    }
    skip_all(cursor);
    Ok(Statement::Refused("this form of ALTER VIEW"))
}

/// `ALTER TABLE ... SET SCHEMA`: everything else of it is sqlparser's, with what is taken out before.
fn alter_table(cursor: &mut Cursor<'_>) -> SqlResult<Option<Statement>> {
    let mut ahead = Cursor::new(cursor.source, cursor.rest());
    let Some((name, if_exists)) = altered_table(&mut ahead) else { return Ok(None) };
    if !ahead.take_all(&["set", "schema"]) {
        return Ok(None);
    }
    let statement = set_schema(&mut ahead, "table", name, if_exists)?;
    ahead.end()?;
    skip_all(cursor);
    Ok(Some(statement))
}

/// `ALTER TABLE [IF EXISTS] [ONLY] name`, if that is what comes.
pub(super) fn altered_table(cursor: &mut Cursor<'_>) -> Option<(ObjectName, bool)> {
    if !cursor.take_all(&["alter", "table"]) {
        return None;
    }
    let if_exists = cursor.if_exists();
    cursor.take("only");
    Some((cursor.name().ok()?, if_exists))
}
