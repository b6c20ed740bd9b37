//! `FETCH FIRST` with a count that is no literal, behind which sqlparser knows nothing else.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{is_any, is_word};

/// `FETCH FIRST (count) ROWS ONLY` is `LIMIT (count)`. A literal before `WITH TIES` loses its parentheses.
pub(super) fn fetch_as_limit(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !(0..tokens.len()).any(|at| is_word(tokens.get(at), "fetch")) {
        return tokens;
    }
    let mut open = Vec::new();
    // Where `FETCH` is `LIMIT`, and what is left away.
    let (mut limits, mut gone) = (BTreeMap::new(), BTreeSet::new());
    for at in 0..tokens.len() {
        let count = match tokens[at].token {
            Token::LParen => {
                open.push(at);
                None
            }
            Token::RParen => open.pop(),
            Token::Number(..) => at.checked_sub(1).filter(|sign| is_sign(&tokens[*sign])),
            _ => None,
        };
        let Some(fetch) = count.and_then(|first| first.checked_sub(2)) else { continue };
        let fetches = is_word(tokens.get(fetch), "fetch") && is_any(tokens.get(fetch + 1), &["first", "next"]);
        if !fetches || !is_any(tokens.get(at + 1), &["row", "rows"]) {
            continue;
        }
        if is_word(tokens.get(at + 2), "only") {
            limits.insert(fetch, Token::make_keyword("limit"));
            gone.extend([fetch + 1, at + 1, at + 2]);
        } else if at == fetch + 4 {
            gone.extend([fetch + 2, at]);
        }
    }
    let spelled = |(at, token): (usize, TokenWithSpan)| match limits.get(&at) {
        Some(limit) => TokenWithSpan { token: limit.clone(), ..token },
        None => token,
    };
    tokens.into_iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(spelled).collect()
}

const fn is_sign(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Plus | Token::Minus)
}
