//! `CREATE SCHEMA` with what is in it.

use annulus_relation::{SqlError, SqlResult, SqlState};
use sqlparser::ast;
use sqlparser::tokenizer::TokenWithSpan;

use super::clauses::{end_of, is_any};
use super::command::skip_all;
use super::cursor::Cursor;
use super::source::Source;
use super::{Parsed, Statement, parse_one};

/// The statement, unless nothing is in the schema.
pub(super) fn create_schema(cursor: &mut Cursor<'_>) -> SqlResult<Option<Statement>> {
    let (source, tokens) = (cursor.source, cursor.rest());
    // Both words are reserved: elsewhere they stand in quotes.
    let end = |from: usize| end_of(tokens, from, |at| is_any(tokens.get(at), &["create", "grant"]));
    let mut at = end(1);
    if at == tokens.len() {
        return Ok(None);
    }
    let schema = Box::new(parse_one(source, &tokens[..at])?);
    if let Statement::Sql(statement) = &schema.statement
        && let ast::Statement::CreateSchema { if_not_exists: true, .. } = **statement
    {
        let message = "CREATE SCHEMA IF NOT EXISTS cannot include schema elements";
        let position = u32::try_from(tokens[at].span.start.column).ok();
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
    }
    let mut elements = Vec::new();
    while at < tokens.len() {
        let next = end(at + 1);
        elements.push(element(source, &tokens[at..next])?);
        at = next;
    }
    elements.sort_by_key(rank);
    skip_all(cursor);
    Ok(Some(Statement::CreateSchema { schema, elements }))
}

fn element(source: &Source<'_>, tokens: &[TokenWithSpan]) -> SqlResult<Parsed> {
    let parsed = parse_one(source, tokens)?;
    match &parsed.statement {
        Statement::CreateSequence { .. } => Ok(parsed),
        Statement::Refused(what) => Err(SqlError::unsupported(*what)),
        Statement::Sql(statement) => match &**statement {
            ast::Statement::CreateTable(create) if create.query.is_none() => Ok(parsed),
            ast::Statement::CreateView(_) | ast::Statement::CreateIndex(_) => Ok(parsed),
            _ => Err(source.error_at(tokens.get(1))),
        },
        _ => Err(source.error_at(tokens.get(1))),
    }
}

/// Sequences come before tables, views and indexes.
fn rank(element: &Parsed) -> u8 {
    match &element.statement {
        Statement::Sql(statement) => match &**statement {
            ast::Statement::CreateTable(_) => 1,
            ast::Statement::CreateView(_) => 2,
            _ => 3,
        },
        _ => 0,
    }
}
