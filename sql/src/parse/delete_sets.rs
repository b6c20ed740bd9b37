//! `ON DELETE SET NULL (columns)` and `SET DEFAULT (columns)`, whose columns sqlparser does not know.

use annulus_relation::{SqlError, SqlResult, SqlState};
use sqlparser::ast::Ident;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{is_any, is_word};
use super::source::Source;

/// The columns that a foreign key sets when a parent goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSet {
    /// Where the name of its parent stands.
    pub parent: u64,
    /// The columns.
    pub columns: Vec<Ident>,
}

/// Takes the columns out of foreign keys.
pub(super) fn take_delete_sets(
    source: &Source<'_>,
    tokens: Vec<TokenWithSpan>,
) -> SqlResult<(Vec<TokenWithSpan>, Vec<DeleteSet>)> {
    if !is_any(tokens.first(), &["create", "alter"]) || !(0..tokens.len()).any(|at| sets(&tokens[at..])) {
        return Ok((tokens, Vec::new()));
    }
    let (mut kept, mut found) = (Vec::with_capacity(tokens.len()), Vec::new());
    let (mut parent, mut at) = (None, 0);
    while at < tokens.len() {
        if is_word(tokens.get(at), "references") {
            parent = tokens.get(at + 1).map(|token| token.span.start.column);
        }
        match parent {
            Some(parent) if sets(&tokens[at..]) => {
                check_deletes(&tokens[at..])?;
                let (columns, end) = columns(source, &tokens, at + 5)?;
                kept.extend_from_slice(&tokens[at..at + 4]);
                found.push(DeleteSet { parent, columns });
                at = end;
            }
            _ => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    Ok((kept, found))
}

/// Whether an action that sets some columns comes first.
fn sets(tokens: &[TokenWithSpan]) -> bool {
    is_word(tokens.first(), "on")
        && is_any(tokens.get(1), &["delete", "update"])
        && is_word(tokens.get(2), "set")
        && is_any(tokens.get(3), &["null", "default"])
        && tokens.get(4).is_some_and(|token| token.token == Token::LParen)
}

/// `0A000` for such an action of `ON UPDATE`.
fn check_deletes(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    if is_word(tokens.get(1), "delete") {
        return Ok(());
    }
    let what = if is_word(tokens.get(3), "null") { "NULL" } else { "DEFAULT" };
    let message = format!("a column list with SET {what} is only supported for ON DELETE actions");
    let position = u32::try_from(tokens[0].span.start.column).ok();
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
}

/// Names up to a closing parenthesis, and the place behind that.
fn columns(source: &Source<'_>, tokens: &[TokenWithSpan], from: usize) -> SqlResult<(Vec<Ident>, usize)> {
    let mut columns = Vec::new();
    let mut at = from;
    loop {
        let Some(TokenWithSpan { token: Token::Word(word), span }) = tokens.get(at) else {
            return Err(source.error_at(tokens.get(at)));
        };
        columns.push(Ident { value: word.value.clone(), quote_style: word.quote_style, span: *span });
        match tokens.get(at + 1).map(|token| &token.token) {
            Some(Token::Comma) => at += 2,
            Some(Token::RParen) => return Ok((columns, at + 2)),
            _ => return Err(source.error_at(tokens.get(at + 1))),
        }
    }
}
