//! Grouping sets within grouping sets.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{are_words, end_of};

/// `GROUPING SETS (a, GROUPING SETS (b, c))` is `GROUPING SETS (a, b, c)`: sqlparser does not know the former.
pub(super) fn flatten_sets(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = 0;
    while at < tokens.len() {
        if begins(&tokens, at) {
            while let Some(inner) = (at + 3..end_of(&tokens, at + 3, |_| false)).find(|inner| begins(&tokens, *inner)) {
                let close = end_of(&tokens, inner + 3, |_| false);
                if close < tokens.len() {
                    tokens.remove(close);
                }
                tokens.drain(inner..inner + 3);
            }
        }
        at += 1;
    }
    tokens
}

fn begins(tokens: &[TokenWithSpan], at: usize) -> bool {
    are_words(&tokens[at..], &["grouping", "sets"])
        && tokens.get(at + 2).is_some_and(|token| token.token == Token::LParen)
}
