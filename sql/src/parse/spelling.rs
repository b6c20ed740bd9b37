//! Clauses that PostgreSQL writes in more ways than sqlparser knows: they are spelled in its words before it sees them.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};

use super::assigned::assign_columns;
use super::bracketed::bracket;
use super::clauses::{are_words, end_of, find_words, is_any, is_word};
use super::counts::fetch_as_limit;
use super::exclusion::mark_exclusions;
use super::into::{create_instead, without_nulls_distinct};
use super::sets::flatten_sets;
use crate::names::known_collation;

/// A statement's tokens in sqlparser's words.
///
/// # Errors
/// `0A000` for a collation that is not there, `42704` for a tablespace.
pub(super) fn spell(tokens: Vec<TokenWithSpan>) -> SqlResult<Vec<TokenWithSpan>> {
    let tokens = without_nulls_distinct(create_instead(without_spaces(tokens)))?;
    let tokens = fetch_as_limit(flatten_sets(tokens));
    let tokens = select_all(assign_columns(spell_order(spell_merge(without_noise(tokens)))));
    let tokens = without_tablespace(without_collation_of_type(tokens)?)?;
    let tokens = one_table_per_lock(locks_last(simplify_locks(first_operand_bare(tokens))));
    Ok(name_records(bracket(mark_exclusions(tokens))))
}

/// The column whose assignment stands for `DO NOTHING` in `MERGE`. No client writes such a name.
pub(crate) const DO_NOTHING: &str = "do nothing";

/// Spells what sqlparser does not know of `MERGE` in its words: `DO NOTHING`, and `INSERT DEFAULT VALUES`.
fn spell_merge(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if find_words(&tokens, &["merge", "into"]).is_none_or(|at| at != 0 && !is_word(tokens.first(), "with")) {
        return tokens;
    }
    let marker =
        Token::Word(Word { value: DO_NOTHING.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword });
    let zero = || Token::Number("0".to_owned(), false);
    let word = Token::make_keyword;
    let (mut spelled, mut matched, mut at) = (Vec::with_capacity(tokens.len()), true, 0);
    while at < tokens.len() {
        let span = tokens[at].span;
        let mut put = |new: Vec<Token>| spelled.extend(new.into_iter().map(|token| TokenWithSpan { token, span }));
        if are_words(&tokens[at..], &["do", "nothing"]) {
            put(match matched {
                true => vec![word("update"), word("set"), marker.clone(), Token::Eq, zero()],
                false => {
                    let (open, close) = (Token::LParen, Token::RParen);
                    vec![
                        word("insert"),
                        open.clone(),
                        marker.clone(),
                        close.clone(),
                        word("values"),
                        open,
                        zero(),
                        close,
                    ]
                }
            });
            at += 2;
            continue;
        }
        if are_words(&tokens[at..], &["insert", "default", "values"]) {
            put(vec![word("insert"), word("values"), Token::LParen, word("default"), Token::RParen]);
            at += 3;
            continue;
        }
        if is_word(tokens.get(at), "when") {
            matched = !is_word(tokens.get(at + 1), "not");
        }
        spelled.push(tokens[at].clone());
        at += 1;
    }
    spelled
}

/// `ORDER BY key USING <` is `ASC`, `USING >` is `DESC`.
fn spell_order(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 1..tokens.len() {
        let word = match tokens[at].token {
            Token::Lt => "asc",
            Token::Gt => "desc",
            _ => continue,
        };
        if is_word(tokens.get(at - 1), "using") {
            tokens[at - 1].token = Token::make_keyword(word);
            tokens[at].token = Token::Whitespace(Whitespace::Space);
        }
    }
    without_spaces(tokens)
}

fn without_spaces(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    tokens
}

/// `TABLE name` is `SELECT * FROM name`, at the beginning and as the query of `CREATE ... AS`.
fn select_all(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let query = match is_word(tokens.first(), "create") {
        true => end_of(&tokens, 0, |at| is_word(tokens.get(at), "as")) + 1,
        false => 0,
    };
    let is_name = matches!(tokens.get(query + 1).map(|token| &token.token), Some(Token::Word(_)));
    if is_word(tokens.get(query), "table") && is_name {
        let span = tokens[query].span;
        let words = [Token::make_keyword("select"), Token::Mul, Token::make_keyword("from")];
        tokens.splice(query..=query, words.map(|token| TokenWithSpan { token, span }));
    }
    tokens
}

/// `CREATE UNLOGGED TABLE`: as every table, it loses nothing. `CREATE {LOCAL | GLOBAL} TEMPORARY`: all are a session's own.
fn without_noise(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let at = if are_words(&tokens, &["create", "or", "replace"]) { 3 } else { 1 };
    let noise =
        [["unlogged", "table"], ["local", "temp"], ["global", "temp"], ["local", "temporary"], ["global", "temporary"]];
    let is_noise = |tokens: &[TokenWithSpan]| noise.iter().any(|words| are_words(tokens, words));
    if is_word(tokens.first(), "create") && tokens.get(at..).is_some_and(is_noise) {
        tokens.remove(at);
    }
    tokens
}

/// `ALTER COLUMN name TYPE type COLLATE collation`: all collations that are there are the same one.
fn without_collation_of_type(mut tokens: Vec<TokenWithSpan>) -> SqlResult<Vec<TokenWithSpan>> {
    if !are_words(&tokens, &["alter", "table"]) {
        return Ok(tokens);
    }
    let mut from = 0;
    while let Some(at) = (from..tokens.len()).find(|at| is_word(tokens.get(*at), "type")) {
        let ends = |next: usize| tokens[next].token == Token::Comma || is_word(tokens.get(next), "using");
        let action = end_of(&tokens, at, ends);
        let collate = (at..action).find(|next| is_word(tokens.get(*next), "collate"));
        if let Some(collate) = collate {
            let name = name_behind(&tokens, collate);
            if let Some(Token::Word(word)) = tokens[name.clone()].last().map(|token| &token.token) {
                known_collation(&word.value, position_of(tokens.get(name.start)))?;
            }
            tokens.drain(collate..name.end);
        }
        from = at + 1;
    }
    Ok(tokens)
}

/// The places of a name, which may be qualified, behind a place.
pub(super) fn name_behind(tokens: &[TokenWithSpan], at: usize) -> std::ops::Range<usize> {
    let mut end = (at + 2).min(tokens.len());
    while tokens.get(end).is_some_and(|token| token.token == Token::Period) {
        end = (end + 2).min(tokens.len());
    }
    at + 1..end
}

fn position_of(token: Option<&TokenWithSpan>) -> Option<u32> {
    u32::try_from(token?.span.start.column).ok()
}

/// `CREATE TABLE` and `CREATE INDEX` may name the only tablespace that there is.
fn without_tablespace(mut tokens: Vec<TokenWithSpan>) -> SqlResult<Vec<TokenWithSpan>> {
    if !is_word(tokens.first(), "create") {
        return Ok(tokens);
    }
    let found = (1..tokens.len()).find(|at| {
        let behind_a_list = tokens[at - 1].token == Token::RParen;
        let name = tokens.get(at + 1).is_some_and(|next| matches!(next.token, Token::Word(_)));
        is_word(tokens.get(*at), "tablespace") && behind_a_list && name
    });
    if let Some(at) = found {
        let Token::Word(name) = &tokens[at + 1].token else { return Ok(tokens) };
        if name.value != "pg_default" {
            let error =
                SqlError::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{}\" does not exist", name.value));
            return Err(error.at(position_of(tokens.get(at + 1))));
        }
        tokens.drain(at..at + 2);
    }
    Ok(tokens)
}

/// `((SELECT ...) UNION ...)` is `(SELECT ... UNION ...)`, if the first operand is a mere `SELECT`: where an expression may
/// stand, sqlparser takes two parentheses for one of them.
fn first_operand_bare(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = 0;
    while at + 2 < tokens.len() {
        let opens = tokens[at].token == Token::LParen
            && tokens[at + 1].token == Token::LParen
            && is_word(tokens.get(at + 2), "select");
        if opens {
            let close = end_of(&tokens, at + 2, |_| false);
            if is_any(tokens.get(close + 1), &SET_OPERATIONS) && is_mere_select(&tokens[at + 2..close]) {
                tokens.remove(close);
                tokens.remove(at + 1);
            }
        }
        at += 1;
    }
    tokens
}

const SET_OPERATIONS: [&str; 3] = ["union", "intersect", "except"];

/// Whether a `SELECT` has no clause that would become that of what it is an operand of.
fn is_mere_select(tokens: &[TokenWithSpan]) -> bool {
    let clauses = ["order", "limit", "offset", "fetch", "for"];
    let ends = |at: usize| is_any(tokens.get(at), &SET_OPERATIONS) || is_any(tokens.get(at), &clauses);
    end_of(tokens, 0, ends) == tokens.len()
}

/// `FOR NO KEY UPDATE` and `FOR KEY SHARE` lock what the stronger `FOR UPDATE` and `FOR SHARE` do.
fn simplify_locks(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    while let Some(at) = find_words(&tokens, &["for", "no", "key", "update"]) {
        tokens.drain(at + 1..at + 3);
    }
    while let Some(at) = find_words(&tokens, &["for", "key", "share"]) {
        tokens.remove(at + 1);
    }
    tokens
}

/// `FOR UPDATE` may stand before `LIMIT`, `OFFSET` and `FETCH`; sqlparser knows it behind them.
fn locks_last(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let limits = |token: Option<&TokenWithSpan>| is_any(token, &["limit", "offset", "fetch"]);
    let mut at = 0;
    while at < tokens.len() {
        if begins_lock(at, &tokens) {
            let end = end_of(&tokens, at, |next| limits(tokens.get(next)) || (next > at && begins_lock(next, &tokens)));
            if limits(tokens.get(end)) {
                let last = end_of(&tokens, end, |next| begins_lock(next, &tokens));
                tokens[at..last].rotate_left(end - at);
                at = last - (end - at);
            }
        }
        at += 1;
    }
    tokens
}

/// `FOR UPDATE OF a, b NOWAIT` is `FOR UPDATE OF a NOWAIT FOR UPDATE OF b NOWAIT`.
fn one_table_per_lock(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = 0;
    while at < tokens.len() {
        if begins_lock(at, &tokens) && is_word(tokens.get(at + 2), "of") {
            let mut names = vec![name_behind(&tokens, at + 2)];
            let comma = |names: &[std::ops::Range<usize>]| names.last().map_or(0, |name| name.end);
            while tokens.get(comma(&names)).is_some_and(|token| token.token == Token::Comma) {
                names.push(name_behind(&tokens, comma(&names)));
            }
            let end = comma(&names);
            let rest = &tokens[end..];
            let policy = [&["nowait"][..], &["skip", "locked"]].into_iter().find(|words| are_words(rest, words));
            let policy = end..end + policy.map_or(0, <[_]>::len);
            let clause = |name: std::ops::Range<usize>| [at..at + 3, name, policy.clone()];
            let spelled: Vec<TokenWithSpan> =
                names.into_iter().flat_map(clause).flat_map(|part| tokens[part].to_vec()).collect();
            let length = spelled.len();
            tokens.splice(at..policy.end, spelled);
            at += length;
        }
        at += 1;
    }
    tokens
}

fn begins_lock(at: usize, tokens: &[TokenWithSpan]) -> bool {
    is_word(tokens.get(at), "for") && is_any(tokens.get(at + 1), &["update", "share"])
}

/// Functions of rows whose columns a query defines.
const RECORDS: [&str; 4] = ["json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"];

/// Gives `json_to_record(...) AS (column type, ...)` the alias that it has in PostgreSQL, its name: sqlparser wants one.
fn name_records(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_function = |at: usize| RECORDS.iter().any(|name| is_word(tokens.get(at), name));
    if !(0..tokens.len()).any(is_function) {
        return tokens;
    }
    let mut named = Vec::with_capacity(tokens.len());
    // For each open parenthesis the function whose arguments it begins.
    let mut open = Vec::new();
    let mut alias = None;
    for (at, token) in tokens.iter().enumerate() {
        named.push(token.clone());
        match &token.token {
            Token::LParen => open.push(at.checked_sub(1).filter(|before| is_function(*before))),
            Token::RParen => alias = open.pop().flatten(),
            _ => {
                let opens = tokens.get(at + 1).is_some_and(|next| next.token == Token::LParen);
                if let Some(function) = alias.take()
                    && is_word(Some(token), "as")
                    && opens
                {
                    named.push(TokenWithSpan { span: token.span, ..tokens[function].clone() });
                }
            }
        }
    }
    named
}
