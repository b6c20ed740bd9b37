//! `LIKE table [INCLUDING what ...]` among the columns of `CREATE TABLE`, which sqlparser knows only alone and in part.

use annulus_relation::SqlResult;
use sqlparser::ast;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{end_of, is_word};
use super::cursor::Cursor;
use super::source::Source;

/// A table that a new one is like, and what of it is copied besides columns, types and `NOT NULL`.
#[derive(Clone, Debug, PartialEq)]
pub struct Like {
    /// The table.
    pub name: ast::ObjectName,
    /// How many of the declared columns stand before it.
    pub before: usize,
    /// `INCLUDING COMMENTS`
    pub comments: bool,
    /// `INCLUDING CONSTRAINTS`
    pub constraints: bool,
    /// `INCLUDING DEFAULTS`
    pub defaults: bool,
    /// `INCLUDING GENERATED`
    pub generated: bool,
    /// `INCLUDING IDENTITY`
    pub identity: bool,
    /// `INCLUDING INDEXES`
    pub indexes: bool,
}

/// Takes the `LIKE`s out of a `CREATE TABLE`.
pub(super) fn take_likes(
    source: &Source<'_>,
    tokens: Vec<TokenWithSpan>,
) -> SqlResult<(Vec<TokenWithSpan>, Vec<Like>)> {
    let creates = is_word(tokens.first(), "create") && tokens.iter().take(4).any(|token| is_word(Some(token), "table"));
    let open = tokens.iter().position(|token| token.token == Token::LParen);
    let in_query = |open: usize| tokens[..open].iter().any(|token| is_word(Some(token), "as"));
    let creates = creates && open.is_some_and(|open| !in_query(open));
    let Some(open) = open.filter(|_| creates && tokens.iter().any(|token| is_word(Some(token), "like"))) else {
        return Ok((tokens, Vec::new()));
    };
    let close = end_of(&tokens, open + 1, |_| false);
    let (mut kept, mut likes) = (tokens[..=open].to_vec(), Vec::new());
    let (mut at, mut columns) = (open + 1, 0);
    while at < close {
        let end = end_of(&tokens, at, |next| tokens[next].token == Token::Comma).min(close);
        if is_word(tokens.get(at), "like") {
            likes.push(like(source, &tokens[at + 1..end], columns)?);
        } else {
            if kept.len() > open + 1 {
                kept.push(TokenWithSpan { token: Token::Comma, span: tokens[at].span });
            }
            kept.extend_from_slice(&tokens[at..end]);
            let constraint = ["constraint", "primary", "unique", "check", "foreign", "exclude"];
            columns += usize::from(!constraint.iter().any(|word| is_word(tokens.get(at), word)));
        }
        at = end + 1;
    }
    kept.extend_from_slice(&tokens[close..]);
    Ok((kept, likes))
}

fn like(source: &Source<'_>, tokens: &[TokenWithSpan], before: usize) -> SqlResult<Like> {
    let mut cursor = Cursor::new(source, tokens);
    let name = cursor.name()?;
    let mut like = Like {
        name,
        before,
        comments: false,
        constraints: false,
        defaults: false,
        generated: false,
        identity: false,
        indexes: false,
    };
    loop {
        let including = cursor.take("including");
        if !including && !cursor.take("excluding") {
            break;
        }
        let unknown = cursor.error();
        let word = cursor.word().unwrap_or_default();
        cursor.skip();
        let chosen: &mut [&mut bool] = match word {
            "comments" => &mut [&mut like.comments],
            "constraints" => &mut [&mut like.constraints],
            "defaults" => &mut [&mut like.defaults],
            "generated" => &mut [&mut like.generated],
            "identity" => &mut [&mut like.identity],
            "indexes" => &mut [&mut like.indexes],
            // Nobody stores values in another way here.
            "storage" | "statistics" | "compression" => &mut [],
            "all" => &mut [
                &mut like.comments,
                &mut like.constraints,
                &mut like.defaults,
                &mut like.generated,
                &mut like.identity,
                &mut like.indexes,
            ],
            _ => return Err(unknown),
        };
        chosen.iter_mut().for_each(|option| **option = including);
    }
    cursor.end()?;
    Ok(like)
}
