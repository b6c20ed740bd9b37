//! Grouping sets within grouping sets.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::are_words;

/// What a parenthesis that is open was opened by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// `GROUPING SETS`
    Sets,
    /// The same directly within another one: it is left away.
    Nested,
    Other,
}

/// `GROUPING SETS (a, GROUPING SETS (b, c))` is `GROUPING SETS (a, b, c)`: sqlparser does not know the former.
pub(super) fn flatten_sets(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !(0..tokens.len()).any(|at| begins(&tokens, at)) {
        return tokens;
    }
    let (mut flat, mut open) = (Vec::with_capacity(tokens.len()), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if begins(&tokens, at) {
            let nested = matches!(open.last(), Some(Opened::Sets | Opened::Nested));
            open.push(if nested { Opened::Nested } else { Opened::Sets });
            if !nested {
                flat.extend_from_slice(&tokens[at..at + 3]);
            }
            at += 3;
            continue;
        }
        let closed = match tokens[at].token {
            Token::LParen => {
                open.push(Opened::Other);
                None
            }
            Token::RParen => open.pop(),
            _ => None,
        };
        if closed != Some(Opened::Nested) {
            flat.push(tokens[at].clone());
        }
        at += 1;
    }
    flat
}

fn begins(tokens: &[TokenWithSpan], at: usize) -> bool {
    are_words(&tokens[at..], &["grouping", "sets"])
        && tokens.get(at + 2).is_some_and(|token| token.token == Token::LParen)
}
