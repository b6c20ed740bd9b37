//! `COPY` and its options.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::tokenizer::Token;

use super::command::rest;
use super::cursor::Cursor;
use super::{CopyOptions, CopyStatement, CopyTarget, Format, Header, parse_one};

/// `COPY target {FROM STDIN | TO STDOUT} [[WITH] options] [WHERE filter]`
pub(super) fn parse(cursor: &mut Cursor<'_>) -> SqlResult<CopyStatement> {
    cursor.skip();
    let target = match cursor.peek() {
        Some(Token::LParen) => CopyTarget::Query(Box::new(query(cursor)?)),
        _ => table(cursor)?,
    };
    let from = cursor.take("from");
    if !from {
        cursor.expect("to")?;
    }
    if from && matches!(target, CopyTarget::Query(_)) {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \"FROM\"").at(cursor.position()));
    }
    let channel = if from { "stdin" } else { "stdout" };
    if !cursor.take(channel) {
        return Err(SqlError::unsupported(format!("COPY with a file or program (use {})", channel.to_uppercase()))
            .hint("psql's \\copy copies from and to files of the client.")
            .at(cursor.position()));
    }
    let options = options(cursor)?;
    check_direction(&options, from)?;
    let filter = if from && cursor.take("where") { Some(cursor.expression()?) } else { None };
    Ok(CopyStatement { target, from, options, filter })
}

/// The query in parentheses.
fn query(cursor: &mut Cursor<'_>) -> SqlResult<super::Parsed> {
    let mut depth = 0_usize;
    let length = cursor.rest().iter().position(|token| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let Some(length) = length else {
        return rest(cursor).and_then(|_| Err(cursor.error()));
    };
    let parsed = parse_one(cursor.source, &cursor.rest()[1..length])?;
    for _ in 0..=length {
        cursor.skip();
    }
    Ok(parsed)
}

fn table(cursor: &mut Cursor<'_>) -> SqlResult<CopyTarget> {
    let name = cursor.name()?;
    let columns = if cursor.peek() == Some(&Token::LParen) { names(cursor)? } else { Vec::new() };
    Ok(CopyTarget::Table(name, columns))
}

fn names(cursor: &mut Cursor<'_>) -> SqlResult<Vec<String>> {
    cursor.expect_token(&Token::LParen)?;
    let names = list(cursor)?;
    cursor.expect_token(&Token::RParen)?;
    Ok(names)
}

fn list(cursor: &mut Cursor<'_>) -> SqlResult<Vec<String>> {
    let mut names = vec![cursor.identifier()?];
    while cursor.take_token(&Token::Comma) {
        names.push(cursor.identifier()?);
    }
    Ok(names)
}

/// What was given, before the defaults of the format are known.
#[derive(Default)]
struct Given {
    format: Option<Format>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: Header,
    quote: Option<u8>,
    escape: Option<u8>,
    force_quote: Vec<String>,
    force_not_null: Vec<String>,
    force_null: Vec<String>,
}

fn options(cursor: &mut Cursor<'_>) -> SqlResult<CopyOptions> {
    let mut given = Given::default();
    cursor.take("with");
    if cursor.take_token(&Token::LParen) {
        loop {
            new_option(cursor, &mut given)?;
            if !cursor.take_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)?;
    } else {
        while !cursor.at_end() && !cursor.looks(&["where"]) {
            old_option(cursor, &mut given)?;
        }
    }
    finish(given)
}

/// An option of the list in parentheses.
fn new_option(cursor: &mut Cursor<'_>, given: &mut Given) -> SqlResult<()> {
    let position = cursor.position();
    let name = cursor.identifier()?;
    match name.as_str() {
        "format" => {
            let format = word(cursor)?;
            given.format = Some(match format.as_str() {
                "csv" => Format::Csv,
                "text" => Format::Text,
                "binary" => Format::Binary,
                _ => {
                    let message = format!("COPY format \"{format}\" not recognized");
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
                }
            });
        }
        "delimiter" => given.delimiter = Some(byte(cursor, "delimiter")?),
        "null" => given.null = Some(cursor.string()?),
        "header" => given.header = header(cursor)?,
        "quote" => given.quote = Some(byte(cursor, "quote")?),
        "escape" => given.escape = Some(byte(cursor, "escape")?),
        "force_quote" => given.force_quote = columns(cursor)?,
        "force_not_null" => given.force_not_null = names(cursor)?,
        "force_null" => given.force_null = names(cursor)?,
        "encoding" => encoding(&word(cursor)?)?,
        "freeze" => {
            flag(cursor)?;
        }
        _ => {
            let message = format!("option \"{name}\" not recognized");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
    }
    Ok(())
}

/// An option as they were written before PostgreSQL 9.0.
fn old_option(cursor: &mut Cursor<'_>, given: &mut Given) -> SqlResult<()> {
    if cursor.take("csv") {
        given.format = Some(Format::Csv);
    } else if cursor.take("header") {
        given.header = Header::Names;
    } else if cursor.take("delimiter") || cursor.take("delimiters") {
        cursor.take("as");
        given.delimiter = Some(byte(cursor, "delimiter")?);
    } else if cursor.take("null") {
        cursor.take("as");
        given.null = Some(cursor.string()?);
    } else if cursor.take("quote") {
        cursor.take("as");
        given.quote = Some(byte(cursor, "quote")?);
    } else if cursor.take("escape") {
        cursor.take("as");
        given.escape = Some(byte(cursor, "escape")?);
    } else if cursor.take("encoding") {
        encoding(&cursor.string()?)?;
    } else if cursor.take("binary") {
        given.format = Some(Format::Binary);
    } else if cursor.take("force") {
        old_force(cursor, given)?;
    } else if cursor.take("freeze") {
    } else {
        return Err(cursor.error());
    }
    Ok(())
}

/// `FORCE {QUOTE {columns | *} | NOT NULL columns | NULL columns}`
fn old_force(cursor: &mut Cursor<'_>, given: &mut Given) -> SqlResult<()> {
    if cursor.take("quote") {
        let all = cursor.take_token(&Token::Mul);
        given.force_quote = if all { vec!["*".to_owned()] } else { list(cursor)? };
    } else if cursor.take("not") {
        cursor.expect("null")?;
        given.force_not_null = list(cursor)?;
    } else {
        cursor.expect("null")?;
        given.force_null = list(cursor)?;
    }
    Ok(())
}

fn word(cursor: &mut Cursor<'_>) -> SqlResult<String> {
    match cursor.word() {
        Some(_) => cursor.identifier(),
        None => cursor.string(),
    }
}

fn flag(cursor: &mut Cursor<'_>) -> SqlResult<bool> {
    let wrong = SqlError::new(SqlState::SYNTAX_ERROR, "freeze requires a Boolean value").at(cursor.position());
    truth(cursor)?.map_err(|_| wrong)
}

fn header(cursor: &mut Cursor<'_>) -> SqlResult<Header> {
    let message = "header requires a Boolean value or \"match\"";
    let wrong = SqlError::new(SqlState::SYNTAX_ERROR, message).at(cursor.position());
    match truth(cursor)? {
        Ok(true) => Ok(Header::Names),
        Ok(false) => Ok(Header::None),
        Err(other) if other == "match" => Ok(Header::Match),
        Err(_) => Err(wrong),
    }
}

/// Whether an option is to be on, which it is if nothing is said; else what is said.
fn truth(cursor: &mut Cursor<'_>) -> SqlResult<Result<bool, String>> {
    if matches!(cursor.peek(), Some(Token::Comma | Token::RParen)) {
        return Ok(Ok(true));
    }
    let said = super::command::scalar(cursor)?.to_ascii_lowercase();
    Ok(match said.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(said),
    })
}

fn byte(cursor: &mut Cursor<'_>, what: &str) -> SqlResult<u8> {
    let position = cursor.position();
    let text = cursor.string()?;
    match text.as_bytes() {
        [byte] if *byte != b'\n' && *byte != b'\r' => Ok(*byte),
        _ => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY {what} must be a single one-byte character"),
        )
        .at(position)),
    }
}

fn columns(cursor: &mut Cursor<'_>) -> SqlResult<Vec<String>> {
    if cursor.take_token(&Token::Mul) { Ok(vec!["*".to_owned()]) } else { names(cursor) }
}

fn encoding(name: &str) -> SqlResult<()> {
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(SqlError::unsupported(format!("encoding \"{name}\""))),
    }
}

/// The defaults of the format, and what must not be said about it.
fn finish(given: Given) -> SqlResult<CopyOptions> {
    let only_csv = [
        (given.quote.is_some(), "quote"),
        (given.escape.is_some(), "escape"),
        (!given.force_quote.is_empty(), "force quote"),
        (!given.force_not_null.is_empty(), "force not null"),
        (!given.force_null.is_empty(), "force null"),
    ];
    let format = given.format.unwrap_or(Format::Text);
    let not_binary = [(given.delimiter.is_some(), "DELIMITER"), (given.null.is_some(), "NULL")];
    if format == Format::Binary
        && let Some((_, what)) = not_binary.into_iter().find(|(is_given, _)| *is_given)
    {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("cannot specify {what} in BINARY mode")));
    }
    if format == Format::Binary && given.header != Header::None {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot specify HEADER in BINARY mode"));
    }
    let is_csv = format == Format::Csv;
    if let Some((_, what)) = only_csv.into_iter().find(|(is_given, _)| *is_given && !is_csv) {
        let message = format!("COPY {what} available only in CSV mode");
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let quote = given.quote.unwrap_or(b'"');
    let options = CopyOptions {
        format,
        delimiter: given.delimiter.unwrap_or(if is_csv { b',' } else { b'\t' }),
        null: given.null.unwrap_or_else(|| if is_csv { String::new() } else { "\\N".to_owned() }),
        header: given.header,
        quote,
        escape: given.escape.unwrap_or(quote),
        force_quote: given.force_quote,
        force_not_null: given.force_not_null,
        force_null: given.force_null,
    };
    check(&options)?;
    Ok(options)
}

/// `0A000` for options that are for the other direction.
fn check_direction(options: &CopyOptions, from: bool) -> SqlResult<()> {
    let refused = |message: &str| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    match (from, options) {
        (true, options) if !options.force_quote.is_empty() => refused("COPY force quote only available using COPY TO"),
        (false, options) if !options.force_not_null.is_empty() => {
            refused("COPY force not null only available using COPY FROM")
        }
        (false, options) if !options.force_null.is_empty() => refused("COPY force null only available using COPY FROM"),
        (false, CopyOptions { header: Header::Match, .. }) => refused("cannot use \"match\" with HEADER in COPY TO"),
        _ => Ok(()),
    }
}

fn check(options: &CopyOptions) -> SqlResult<()> {
    let invalid = |message: String| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    if options.null.contains(['\n', '\r']) {
        return invalid("COPY null representation cannot use newline or carriage return".to_owned());
    }
    if options.null.as_bytes().contains(&options.delimiter) {
        return invalid("COPY delimiter must not appear in the NULL specification".to_owned());
    }
    let plain = options.delimiter.is_ascii_alphanumeric() || matches!(options.delimiter, b'\\' | b'.');
    if options.format == Format::Text && plain {
        return invalid(format!("COPY delimiter cannot be \"{}\"", char::from(options.delimiter)));
    }
    if options.format == Format::Csv && options.delimiter == options.quote {
        return invalid("COPY delimiter and quote must be different".to_owned());
    }
    Ok(())
}
