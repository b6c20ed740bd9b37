//! `SELECT ... INTO name`, `CREATE TABLE ... AS EXECUTE`, and what is said of NULLs in unique constraints.

use annulus_relation::{SqlError, SqlResult};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{are_words, end_of, find_words, is_any, is_word};
use super::cursor::Cursor;
use super::spelling::name_behind;
use super::{Statement, TableOfExecuted};

/// `SELECT list INTO [TEMPORARY | UNLOGGED] [TABLE] name ...` is `CREATE [TEMPORARY] TABLE name AS SELECT list ...`.
pub(super) fn create_instead(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let Some(into) = find_into(&tokens) else { return tokens };
    let kind = usize::from(is_any(tokens.get(into + 1), &["temporary", "temp", "unlogged"]));
    let word = usize::from(is_word(tokens.get(into + 1 + kind), "table"));
    let name = name_behind(&tokens, into + kind + word);
    let span = tokens[into].span;
    let keyword = |word: &str| TokenWithSpan { token: Token::make_keyword(word), span };
    let mut spelled = vec![keyword("create")];
    if is_any(tokens.get(into + 1), &["temporary", "temp"]) {
        spelled.push(keyword("temporary"));
    }
    spelled.push(keyword("table"));
    spelled.extend_from_slice(&tokens[name.clone()]);
    spelled.push(keyword("as"));
    spelled.extend_from_slice(&tokens[..into]);
    spelled.extend_from_slice(&tokens[name.end..]);
    spelled
}

/// Where the `INTO` of a statement's first `SELECT` stands.
fn find_into(tokens: &[TokenWithSpan]) -> Option<usize> {
    if !is_any(tokens.first(), &["select", "with"]) {
        return None;
    }
    let verbs = ["select", "insert", "update", "delete", "merge", "values", "table"];
    let verb = end_of(tokens, 0, |at| is_any(tokens.get(at), &verbs));
    if !is_word(tokens.get(verb), "select") {
        return None;
    }
    let ends = ["into", "from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit"];
    // Behind AS, and behind a period, any word is a name; WITHIN GROUP is a part of a call.
    let is_name = |at: usize| is_any(tokens.get(at - 1), &["as", "within"]) || tokens[at - 1].token == Token::Period;
    let end = end_of(tokens, verb + 1, |at| is_any(tokens.get(at), &ends) && !is_name(at));
    is_word(tokens.get(end), "into").then_some(end)
}

/// `CREATE TABLE name AS EXECUTE prepared (arguments) [WITH [NO] DATA]`, if that is the statement.
pub(super) fn table_of_executed(cursor: &mut Cursor<'_>) -> SqlResult<Option<Statement>> {
    let tokens = cursor.rest();
    let table = |tokens: &[TokenWithSpan]| tokens.iter().take(4).any(|token| is_word(Some(token), "table"));
    let at = end_of(tokens, 0, |at| is_word(tokens.get(at), "as"));
    if !is_word(tokens.first(), "create") || !table(tokens) || !is_word(tokens.get(at + 1), "execute") {
        return Ok(None);
    }
    let before = tokens[..=at].iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ");
    cursor.skip_to(at + 2);
    let name = cursor.identifier()?;
    let arguments = if cursor.peek() == Some(&Token::LParen) { cursor.expressions()? } else { Vec::new() };
    let empty = cursor.take_all(&["with", "no", "data"]);
    let behind = if empty { "WITH NO DATA" } else { "" };
    cursor.take_all(&["with", "data"]);
    Ok(Some(Statement::TableOfExecuted(TableOfExecuted { before, name, arguments, behind })))
}

/// `UNIQUE NULLS DISTINCT` says what `UNIQUE` does.
///
/// # Errors
/// `0A000` for `UNIQUE NULLS NOT DISTINCT` beside a column, which the parser does not know.
pub(super) fn without_nulls_distinct(tokens: Vec<TokenWithSpan>) -> SqlResult<Vec<TokenWithSpan>> {
    if !is_any(tokens.first(), &["create", "alter"]) {
        return Ok(tokens);
    }
    let not_distinct = ["unique", "nulls", "not", "distinct"];
    let mut from = 0;
    while let Some(at) = find_words(&tokens[from..], &not_distinct).map(|at| from + at) {
        if tokens.get(at + not_distinct.len()).is_none_or(|behind| behind.token != Token::LParen) {
            let position = u32::try_from(tokens[at + 1].span.start.column).ok();
            let error = SqlError::unsupported("NULLS NOT DISTINCT of one column").at(position);
            return Err(error.hint("Say it of the table: UNIQUE NULLS NOT DISTINCT (column)."));
        }
        from = at + not_distinct.len();
    }
    let says = |at: usize| are_words(&tokens[at..], &["unique", "nulls", "distinct"]);
    let is_left_away = |at: usize| (1..=2).any(|behind| at.checked_sub(behind).is_some_and(says));
    Ok((0..tokens.len()).filter(|at| !is_left_away(*at)).map(|at| tokens[at].clone()).collect())
}
