//! Statements about transactions, sessions and settings.

use annulus_relation::error::SqlState;
use annulus_relation::value::datetime::{parse_interval, print_interval};
use annulus_relation::value::{IntervalFields, IntervalLimits, IntervalStyle};
use annulus_relation::{SqlError, SqlResult};
use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::{
    Discard, Explain, ExplainFormat, Isolation, Modes, SetValue, Statement, copy, fetch, into, maintenance, object,
    parse_one,
};

/// The statement, if it is one of those that are parsed here.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> SqlResult<Option<Statement>> {
    let Some(word) = cursor.word() else { return Ok(None) };
    let statement = match word {
        "begin" => begin(cursor)?,
        "start" => {
            cursor.skip();
            cursor.expect("transaction")?;
            Statement::Begin("START TRANSACTION", modes(cursor)?)
        }
        "commit" | "end" => {
            cursor.skip();
            refuse_prepared(cursor)?;
            Statement::Commit(chain(cursor)?)
        }
        "rollback" | "abort" => rollback(cursor)?,
        "savepoint" => {
            cursor.skip();
            Statement::Savepoint(cursor.identifier()?)
        }
        "release" => {
            cursor.skip();
            cursor.take("savepoint");
            Statement::Release(cursor.identifier()?)
        }
        "set" => set(cursor)?,
        "reset" => {
            cursor.skip();
            let name = setting_name(cursor)?;
            Statement::Reset(Some(name).filter(|name| name != "all"))
        }
        "show" => {
            cursor.skip();
            let name = setting_name(cursor)?;
            Statement::Show(Some(name).filter(|name| name != "all"))
        }
        "discard" => discard(cursor)?,
        "prepare" => prepare(cursor)?,
        "execute" => execute(cursor)?,
        "deallocate" => {
            cursor.skip();
            cursor.take("prepare");
            let name = cursor.identifier()?;
            Statement::Deallocate(Some(name).filter(|name| name != "all"))
        }
        "explain" => explain(cursor)?,
        "copy" => Statement::Copy(Box::new(copy::parse(cursor)?)),
        "analyze" | "analyse" => maintenance::analyze(cursor)?,
        "vacuum" => maintenance::vacuum(cursor)?,
        "checkpoint" => maintenance::nothing(cursor, "CHECKPOINT"),
        "reindex" => maintenance::nothing(cursor, "REINDEX"),
        "cluster" => maintenance::nothing(cursor, "CLUSTER"),
        "lock" => lock(cursor)?,
        "unlisten" => maintenance::unlisten(cursor)?,
        "listen" | "notify" => refused(cursor, "LISTEN and NOTIFY"),
        "declare" => fetch::declare(cursor)?,
        "fetch" => fetch::fetch(cursor, false)?,
        "move" => fetch::fetch(cursor, true)?,
        "close" => fetch::close(cursor)?,
        "do" => refused(cursor, "DO"),
        "call" => refused(cursor, "CALL"),
        "grant" | "revoke" => refused(cursor, "GRANT and REVOKE"),
        "load" => refused(cursor, "LOAD"),
        _ => match into::table_of_executed(cursor)? {
            Some(statement) => statement,
            None => return object::parse(cursor),
        },
    };
    Ok(Some(statement))
}

fn begin(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    let _ = cursor.take("transaction") || cursor.take("work");
    Ok(Statement::Begin("BEGIN", modes(cursor)?))
}

fn refuse_prepared(cursor: &Cursor<'_>) -> SqlResult<()> {
    if cursor.looks(&["prepared"]) { Err(SqlError::unsupported("two-phase commit by clients")) } else { Ok(()) }
}

fn chain(cursor: &mut Cursor<'_>) -> SqlResult<bool> {
    let _ = cursor.take("transaction") || cursor.take("work");
    if !cursor.take("and") {
        return Ok(false);
    }
    let chain = !cursor.take("no");
    cursor.expect("chain")?;
    Ok(chain)
}

fn rollback(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    refuse_prepared(cursor)?;
    let _ = cursor.take("transaction") || cursor.take("work");
    if cursor.take("to") {
        cursor.take("savepoint");
        return Ok(Statement::RollbackTo(cursor.identifier()?));
    }
    Ok(Statement::Rollback(chain(cursor)?))
}

/// Modes of a transaction, separated by commas or not.
fn modes(cursor: &mut Cursor<'_>) -> SqlResult<Modes> {
    let mut modes = Modes::default();
    while !cursor.at_end() {
        if cursor.take_all(&["isolation", "level"]) {
            modes.isolation = Some(isolation(cursor)?);
        } else if cursor.take_all(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if cursor.take_all(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if cursor.take("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.take_all(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return Err(cursor.error());
        }
        if cursor.take_token(&Token::Comma) && cursor.at_end() {
            return Err(cursor.error());
        }
    }
    Ok(modes)
}

fn isolation(cursor: &mut Cursor<'_>) -> SqlResult<Isolation> {
    let levels = [
        (&["serializable"][..], Isolation::Serializable),
        (&["repeatable", "read"], Isolation::RepeatableRead),
        (&["read", "committed"], Isolation::ReadCommitted),
        (&["read", "uncommitted"], Isolation::ReadUncommitted),
    ];
    let found = levels.into_iter().find(|(words, _)| cursor.take_all(words));
    found.map(|(_, level)| level).ok_or_else(|| cursor.error())
}

fn some_modes(cursor: &mut Cursor<'_>) -> SqlResult<Modes> {
    if cursor.at_end() {
        return Err(cursor.error());
    }
    modes(cursor)
}

fn set(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    if cursor.take("transaction") {
        return Ok(Statement::SetTransaction(some_modes(cursor)?));
    }
    if cursor.take_all(&["session", "characteristics", "as", "transaction"]) {
        return Ok(Statement::SetCharacteristics(some_modes(cursor)?));
    }
    if cursor.take("constraints") {
        return constraints(cursor);
    }
    let local = cursor.take("local");
    if !local {
        cursor.take("session");
    }
    let special = [
        (&["time", "zone"][..], "timezone"),
        (&["names"], "client_encoding"),
        (&["schema"], "search_path"),
        (&["session", "authorization"], "session_authorization"),
        (&["authorization"], "session_authorization"),
        (&["role"], "role"),
    ];
    if let Some((_, name)) = special.into_iter().find(|(words, _)| cursor.take_all(words)) {
        let value = special_value(cursor)?;
        return Ok(Statement::Set { local, name: name.to_owned(), value });
    }
    let name = setting_name(cursor)?;
    if !cursor.take("to") {
        cursor.expect_token(&Token::Eq)?;
    }
    let value = set_value(cursor)?;
    Ok(Statement::Set { local, name, value })
}

/// `SET CONSTRAINTS`
fn constraints(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    let mut names = Vec::new();
    if !cursor.take("all") {
        names.push(cursor.name()?);
        while cursor.take_token(&Token::Comma) {
            names.push(cursor.name()?);
        }
    }
    let deferred = cursor.take("deferred");
    if !deferred {
        cursor.expect("immediate")?;
    }
    Ok(Statement::SetConstraints { names, deferred })
}

/// The value after `SET TIME ZONE` and the like, which have no equals sign.
fn special_value(cursor: &mut Cursor<'_>) -> SqlResult<SetValue> {
    let _ = cursor.take_token(&Token::Eq) || cursor.take("to");
    if cursor.take("local") {
        return Ok(SetValue::Default);
    }
    if cursor.take("interval") {
        let text = cursor.string()?;
        return Ok(SetValue::Values(vec![interval_zone(cursor, &text)?]));
    }
    set_value(cursor)
}

/// `SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE`, as the value of the setting has it.
fn interval_zone(cursor: &mut Cursor<'_>, text: &str) -> SqlResult<String> {
    let fields = if cursor.take_all(&["hour", "to", "minute"]) {
        Some(IntervalFields::HourToMinute)
    } else if cursor.take("hour") {
        Some(IntervalFields::Hour)
    } else if cursor.word().is_some() {
        let message = "time zone interval must be HOUR or HOUR TO MINUTE";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    } else {
        None
    };
    let limits = fields.map(|fields| IntervalLimits { fields: Some(fields), precision: None });
    let interval = parse_interval(text, limits, IntervalStyle::Postgres)?;
    Ok(format!("INTERVAL '{}'", print_interval(&interval, IntervalStyle::Postgres)))
}

fn set_value(cursor: &mut Cursor<'_>) -> SqlResult<SetValue> {
    if cursor.take("default") {
        return Ok(SetValue::Default);
    }
    let mut values = vec![scalar(cursor)?];
    while cursor.take_token(&Token::Comma) {
        values.push(scalar(cursor)?);
    }
    Ok(SetValue::Values(values))
}

/// A string, a number or a word, as text.
pub(super) fn scalar(cursor: &mut Cursor<'_>) -> SqlResult<String> {
    let sign = if cursor.take_token(&Token::Minus) {
        "-"
    } else {
        cursor.take_token(&Token::Plus);
        ""
    };
    match cursor.peek() {
        Some(Token::Number(digits, _)) => {
            cursor.skip();
            Ok(format!("{sign}{digits}"))
        }
        Some(Token::Word(word)) if sign.is_empty() => {
            cursor.skip();
            Ok(word.value.clone())
        }
        _ if sign.is_empty() => cursor.string(),
        _ => Err(cursor.error()),
    }
}

/// A setting's name in lower case, perhaps qualified.
fn setting_name(cursor: &mut Cursor<'_>) -> SqlResult<String> {
    let special = [
        (&["time", "zone"][..], "timezone"),
        (&["transaction", "isolation", "level"], "transaction_isolation"),
        (&["session", "authorization"], "session_authorization"),
    ];
    if let Some((_, name)) = special.into_iter().find(|(words, _)| cursor.take_all(words)) {
        return Ok(name.to_owned());
    }
    let mut name = cursor.identifier()?;
    while cursor.take_token(&Token::Period) {
        name = format!("{name}.{}", cursor.identifier()?);
    }
    Ok(name.to_ascii_lowercase())
}

fn discard(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    let kinds = [
        ("all", Discard::All),
        ("plans", Discard::Plans),
        ("sequences", Discard::Sequences),
        ("temp", Discard::Temporary),
        ("temporary", Discard::Temporary),
    ];
    let found = kinds.into_iter().find(|(word, _)| cursor.take(word));
    found.map(|(_, kind)| Statement::Discard(kind)).ok_or_else(|| cursor.error())
}

fn prepare(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    if cursor.looks(&["transaction"]) {
        return Err(SqlError::unsupported("two-phase commit by clients"));
    }
    let name = cursor.identifier()?;
    let mut types = Vec::new();
    if cursor.take_token(&Token::LParen) {
        types.push(cursor.data_type()?);
        while cursor.take_token(&Token::Comma) {
            types.push(cursor.data_type()?);
        }
        cursor.expect_token(&Token::RParen)?;
    }
    cursor.expect("as")?;
    let body = Box::new(rest(cursor)?);
    match body.statement {
        Statement::Sql(_) => Ok(Statement::Prepare { name, types, body }),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "only queries and data-modifying statements can be prepared")),
    }
}

/// The statement that the rest of the text is.
pub(super) fn rest(cursor: &mut Cursor<'_>) -> SqlResult<super::Parsed> {
    if cursor.at_end() {
        return Err(cursor.error());
    }
    let parsed = parse_one(cursor.source, cursor.rest())?;
    while !cursor.at_end() {
        cursor.skip();
    }
    Ok(parsed)
}

fn execute(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    let name = cursor.identifier()?;
    let arguments = if cursor.at_end() { Vec::new() } else { cursor.expressions()? };
    Ok(Statement::Execute { name, arguments })
}

fn explain(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    let mut how = Explain::default();
    if cursor.peek() == Some(&Token::LParen) && !opens_query(cursor) {
        cursor.skip();
        loop {
            explain_option(cursor, &mut how)?;
            if !cursor.take_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)?;
    } else {
        how.analyze = cursor.take("analyze") || cursor.take("analyse");
        how.verbose = cursor.take("verbose");
    }
    let body = Box::new(rest(cursor)?);
    match body.statement {
        Statement::Sql(_) => Ok(Statement::Explain { how, body }),
        _ => Err(SqlError::unsupported("EXPLAIN of this statement")),
    }
}

/// Whether the parenthesis that comes next is that of a query, not of options.
fn opens_query(cursor: &Cursor<'_>) -> bool {
    let begins = ["select", "with", "values", "table"];
    matches!(cursor.rest(), [_, next, ..] if next.token == Token::LParen)
        || begins.into_iter().any(|word| cursor.word_at(1) == Some(word))
}

fn explain_option(cursor: &mut Cursor<'_>, how: &mut Explain) -> SqlResult<()> {
    let position = cursor.position();
    let name = cursor.identifier()?;
    let value = match cursor.peek() {
        Some(Token::Comma | Token::RParen) => "on".to_owned(),
        _ => scalar(cursor)?.to_ascii_lowercase(),
    };
    let is_on = matches!(value.as_str(), "on" | "true" | "1");
    match name.as_str() {
        "analyze" => how.analyze = is_on,
        "verbose" => how.verbose = is_on,
        "format" => how.format = explain_format(&value, position)?,
        "costs" | "settings" | "buffers" | "wal" | "timing" | "summary" => {}
        _ => {
            let message = format!("unrecognized EXPLAIN option \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
    }
    Ok(())
}

fn explain_format(value: &str, position: Option<u32>) -> SqlResult<ExplainFormat> {
    match value {
        "text" => Ok(ExplainFormat::Text),
        "json" => Ok(ExplainFormat::Json),
        "yaml" => Ok(ExplainFormat::Yaml),
        "xml" => Ok(ExplainFormat::Xml),
        _ => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{value}\"");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position))
        }
    }
}

fn refused(cursor: &mut Cursor<'_>, what: &'static str) -> Statement {
    skip_all(cursor);
    Statement::Refused(what)
}

pub(super) fn skip_all(cursor: &mut Cursor<'_>) {
    while !cursor.at_end() {
        cursor.skip();
    }
}

fn lock(cursor: &mut Cursor<'_>) -> SqlResult<Statement> {
    cursor.skip();
    cursor.take("table");
    let mut tables = Vec::new();
    loop {
        cursor.take("only");
        tables.push(cursor.name()?);
        if !cursor.take_token(&Token::Comma) {
            break;
        }
    }
    if cursor.take("in") {
        while !cursor.looks(&["mode"]) {
            if cursor.word().is_none() {
                return Err(cursor.error());
            }
            cursor.skip();
        }
        cursor.skip();
    }
    cursor.take("nowait");
    Ok(Statement::Lock(tables))
}
