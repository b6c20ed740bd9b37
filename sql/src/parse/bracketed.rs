//! Parentheses that PostgreSQL does not need and sqlparser does.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{are_words, end_of, is_any, is_word};

/// A statement's tokens with more parentheses.
pub(super) fn bracket(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut new = values_compared_with(&tokens);
    new.extend(frame_bounds(&tokens));
    new.extend(nested_joins(&tokens));
    put(tokens, new)
}

/// Tokens that come before those at a place.
type New = (usize, Vec<Token>);

fn put(mut tokens: Vec<TokenWithSpan>, mut new: Vec<New>) -> Vec<TokenWithSpan> {
    new.sort_by_key(|(at, _)| *at);
    for (at, new) in new.into_iter().rev() {
        let Some(span) = tokens.get(at).or(tokens.last()).map(|token| token.span) else { continue };
        tokens.splice(at..at, new.into_iter().map(|token| TokenWithSpan { token, span }));
    }
    tokens
}

/// `= ANY (VALUES ...)` is `= ANY (SELECT * FROM (VALUES ...))`.
fn values_compared_with(tokens: &[TokenWithSpan]) -> Vec<New> {
    let is_compared = |at: usize| {
        let behind_operator = at > 0 && !matches!(tokens[at - 1].token, Token::Word(_));
        behind_operator && is_any(tokens.get(at), &["any", "some", "all"]) && is_word(tokens.get(at + 2), "values")
    };
    let mut new = Vec::new();
    for at in (0..tokens.len()).filter(|at| is_compared(*at)) {
        let select = [Token::make_keyword("select"), Token::Mul, Token::make_keyword("from"), Token::LParen];
        new.push((at + 2, select.to_vec()));
        new.push((end_of(tokens, at + 2, |_| false), vec![Token::RParen]));
    }
    new
}

/// `RANGE '1 day'::interval PRECEDING`: sqlparser takes a string for the whole bound.
fn frame_bounds(tokens: &[TokenWithSpan]) -> Vec<New> {
    let begins = ["between", "and", "range", "rows", "groups"];
    let mut new = Vec::new();
    for end in (0..tokens.len()).filter(|at| is_any(tokens.get(*at), &["preceding", "following"])) {
        let Some(before) = (0..end).rev().find(|at| is_any(tokens.get(*at), &begins)) else { continue };
        let start = before + 1;
        if end > start + 1 && matches!(tokens[start].token, Token::SingleQuotedString(_)) {
            new.push((start, vec![Token::LParen]));
            new.push((end, vec![Token::RParen]));
        }
    }
    new
}

/// A join whose condition has not come yet.
struct Pending {
    /// Where the table that is joined begins.
    start: usize,
    /// Whether that is joined itself before.
    nested: bool,
}

/// `a JOIN b JOIN c ON ... ON ...` is `a JOIN (b JOIN c ON ...) ON ...`.
fn nested_joins(tokens: &[TokenWithSpan]) -> Vec<New> {
    let ends = [
        "where",
        "group",
        "having",
        "window",
        "order",
        "limit",
        "offset",
        "fetch",
        "for",
        "union",
        "intersect",
        "except",
    ];
    let mut new = Vec::new();
    // For each open parenthesis.
    let mut open: Vec<Vec<Pending>> = vec![Vec::new()];
    for at in 0..tokens.len() {
        let Some(pending) = open.last_mut() else { return Vec::new() };
        match &tokens[at].token {
            Token::LParen => open.push(Vec::new()),
            Token::RParen => drop(open.pop()),
            Token::Comma | Token::SemiColon => pending.clear(),
            Token::Word(_) if is_word(tokens.get(at), "join") => {
                pending.iter_mut().next_back().into_iter().for_each(|join| join.nested = true);
                if !is_without_condition(&tokens[..at]) {
                    pending.push(Pending { start: at + 1, nested: false });
                }
            }
            Token::Word(_) if is_any(tokens.get(at), &["on", "using"]) => {
                if let Some(Pending { start, nested: true }) = pending.pop() {
                    new.push((start, vec![Token::LParen]));
                    new.push((at, vec![Token::RParen]));
                }
            }
            Token::Word(_) if is_any(tokens.get(at), &ends) => pending.clear(),
            _ => {}
        }
    }
    new
}

/// Whether what stands before `JOIN` says that it has no condition.
fn is_without_condition(before: &[TokenWithSpan]) -> bool {
    let behind =
        |words: &[&str]| before.len() >= words.len() && are_words(&before[before.len() - words.len()..], words);
    let kinds =
        [&["natural"][..], &["natural", "inner"], &["natural", "left"], &["natural", "right"], &["natural", "full"]];
    let outer = [["natural", "left", "outer"], ["natural", "right", "outer"], ["natural", "full", "outer"]];
    behind(&["cross"]) || kinds.iter().any(|words| behind(words)) || outer.iter().any(|words| behind(words))
}
