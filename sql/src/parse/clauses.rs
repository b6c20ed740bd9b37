//! Clauses that sqlparser does not know: they are taken out of a statement's tokens before it sees them.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::cursor::Cursor;
use super::object::sequence_option;
use super::source::Source;
use super::{Arbiter, IdentityOptions, Overriding, TableAs};

pub(super) fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    matches!(token.map(|token| &token.token), Some(Token::Word(Word { value, quote_style: None, .. })) if value == word)
}

pub(super) fn find_words(tokens: &[TokenWithSpan], words: &[&str]) -> Option<usize> {
    (0..tokens.len()).find(|at| are_words(&tokens[*at..], words))
}

/// Whether a token is one of some words, which are given in lower case.
pub(super) fn is_any(token: Option<&TokenWithSpan>, words: &[&str]) -> bool {
    words.iter().any(|word| is_word(token, word))
}

/// Whether these words come first.
pub(super) fn are_words(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    words.iter().enumerate().all(|(ahead, word)| is_word(tokens.get(ahead), word))
}

/// Takes `AS OF SYSTEM TIME expression` out of a query: sqlparser does not know it.
pub(super) fn take_as_of(
    source: &Source<'_>,
    tokens: &[TokenWithSpan],
) -> SqlResult<(Vec<TokenWithSpan>, Option<ast::Expr>)> {
    let words = ["as", "of", "system", "time"];
    let Some(at) = find_words(tokens, &words) else { return Ok((tokens.to_vec(), None)) };
    let mut cursor = Cursor::new(source, tokens);
    cursor.skip_to(at + words.len());
    let time = cursor.expression()?;
    let left = [&tokens[..at], cursor.rest()].concat();
    if let Some(again) = find_words(&left, &words) {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "AS OF SYSTEM TIME can be given only once")
            .at(u32::try_from(left[again].span.start.column).ok()));
    }
    Ok((left, Some(time)))
}

/// Refuses `WHERE CURRENT OF cursor`: which row of its table a cursor stands on is not kept.
pub(super) fn refuse_current_of(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    let Some(at) = find_words(tokens, &["where", "current", "of"]) else { return Ok(()) };
    let refused = SqlError::unsupported("WHERE CURRENT OF").hint("Name the row by its primary key.");
    Err(refused.at(u32::try_from(tokens[at + 1].span.start.column).ok()))
}

/// Takes `OVERRIDING {SYSTEM | USER} VALUE` out of an `INSERT`.
pub(super) fn take_overriding(mut tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Option<Overriding>) {
    for (kind, overriding) in [("system", Overriding::System), ("user", Overriding::User)] {
        if let Some(at) = find_words(&tokens, &["overriding", kind, "value"]) {
            tokens.drain(at..at + 3);
            return (tokens, Some(overriding));
        }
    }
    (tokens, None)
}

/// Takes `(keys) [WHERE predicate]` out of an `INSERT`'s `ON CONFLICT`, unless they are a list of columns, which sqlparser
/// knows.
pub(super) fn take_arbiter(
    source: &Source<'_>,
    mut tokens: Vec<TokenWithSpan>,
) -> SqlResult<(Vec<TokenWithSpan>, Option<Arbiter>)> {
    let words = ["on", "conflict"];
    let Some(at) = find_words(&tokens, &words) else { return Ok((tokens, None)) };
    // Elsewhere it is a join on a function of this name.
    if find_words(&tokens[..at], &["insert"]).is_none() {
        return Ok((tokens, None));
    }
    let mut cursor = Cursor::new(source, &tokens);
    cursor.skip_to(at + words.len());
    if cursor.peek() != Some(&Token::LParen) {
        return Ok((tokens, None));
    }
    let keys = cursor.expressions()?;
    let predicate = if cursor.take("where") { Some(cursor.expression()?) } else { None };
    if predicate.is_none() && keys.iter().all(|key| matches!(key, ast::Expr::Identifier(_))) {
        return Ok((tokens, None));
    }
    let end = tokens.len() - cursor.rest().len();
    tokens.drain(at + words.len()..end);
    Ok((tokens, Some(Arbiter { keys, predicate })))
}

/// Takes the columns' names, and `WITH [NO] DATA`, out of `CREATE TABLE ... AS`.
pub(super) fn take_table_as(mut tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, TableAs) {
    let mut found = TableAs::default();
    if !is_word(tokens.first(), "create") || !tokens.iter().take(4).any(|token| is_word(Some(token), "table")) {
        return (tokens, found);
    }
    let end = end_of(&tokens, 0, |at| is_word(tokens.get(at), "as"));
    if end == tokens.len() {
        return (tokens, found);
    }
    for (words, empty) in [(&["with", "no", "data"][..], true), (&["with", "data"][..], false)] {
        let from = tokens.len().saturating_sub(words.len());
        if are_words(&tokens[from..], words) {
            tokens.truncate(from);
            found.empty = empty;
        }
    }
    let Some(open) = tokens[..end].iter().position(|token| token.token == Token::LParen) else {
        return (tokens, found);
    };
    let names: Option<Vec<ast::Ident>> = tokens[open + 1..end].chunks(2).map(name_in_list).collect();
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        found.columns = names;
        tokens.drain(open..end);
    }
    (tokens, found)
}

/// A name, and the comma or parenthesis behind it.
fn name_in_list(tokens: &[TokenWithSpan]) -> Option<ast::Ident> {
    match tokens {
        [TokenWithSpan { token: Token::Word(word), span }, next]
            if matches!(next.token, Token::Comma | Token::RParen) =>
        {
            Some(ast::Ident { value: word.value.clone(), quote_style: word.quote_style, span: *span })
        }
        _ => None,
    }
}

/// Where a clause that begins at a place ends: with its query, or where something else begins.
pub(super) fn end_of(tokens: &[TokenWithSpan], from: usize, ends: impl Fn(usize) -> bool) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return at,
            Token::RParen => depth -= 1,
            _ if depth == 0 && ends(at) => return at,
            _ => {}
        }
    }
    tokens.len()
}

/// Takes the options of identity columns out: those of each `AS IDENTITY`, in order. They may come in any order, and one of
/// them is `SEQUENCE NAME`.
pub(super) fn take_identities(
    source: &Source<'_>,
    mut tokens: Vec<TokenWithSpan>,
) -> SqlResult<(Vec<TokenWithSpan>, Vec<IdentityOptions>)> {
    let words = ["as", "identity"];
    let mut found = Vec::new();
    if !["alter", "create"].iter().any(|word| is_word(tokens.first(), word)) {
        return Ok((tokens, found));
    }
    let mut from = 0;
    while let Some(at) = find_words(&tokens[from..], &words) {
        let begin = from + at + words.len();
        let mut cursor = Cursor::new(source, &tokens);
        cursor.skip_to(begin);
        let mut identity = IdentityOptions::default();
        if cursor.take_token(&Token::LParen) {
            while !cursor.take_token(&Token::RParen) {
                match cursor.take_all(&["sequence", "name"]) {
                    true => identity.name = Some(cursor.name()?),
                    false => identity.options.push(sequence_option(&mut cursor)?),
                }
            }
        }
        let end = tokens.len() - cursor.rest().len();
        tokens.drain(begin..end);
        found.push(identity);
        from = begin;
    }
    Ok((tokens, found))
}
