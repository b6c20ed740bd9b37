//! `EXCLUDE` of windows' frames, which sqlparser does not know: a constant stands for it before what the rows are parted by.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clauses::{are_words, is_any, is_word};
use super::source::Source;

/// How the constant begins. No client writes such a one.
pub(crate) const EXCLUDED: &str = "annulus: exclude ";

/// Takes `EXCLUDE` out of windows, and says it by the constant.
pub(super) fn mark_exclusions(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut open = Vec::new();
    // Where each constant goes, and how many tokens are left away from where.
    let (mut marks, mut gone) = (BTreeMap::new(), BTreeMap::new());
    for at in 0..tokens.len() {
        match tokens[at].token {
            Token::LParen => open.push(at),
            Token::RParen => drop(open.pop()),
            _ => {
                let (Some((length, what)), Some(window)) = (excluded(&tokens, at), open.last()) else { continue };
                gone.insert(at, length);
                if let Some(what) = what {
                    marks.insert(place(&tokens, *window), what);
                }
            }
        }
    }
    if gone.is_empty() { tokens } else { marked(&tokens, &marks, &gone) }
}

/// How many tokens from a place on are an exclusion, and what that excludes, if anything.
fn excluded(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, Option<&'static str>)> {
    let known = [
        (&["current", "row"][..], Some("current row")),
        (&["group"], Some("group")),
        (&["ties"], Some("ties")),
        (&["no", "others"], None),
    ];
    let behind_a_frame = at > 0 && is_any(tokens.get(at - 1), &["row", "preceding", "following"]);
    if !behind_a_frame || !is_word(tokens.get(at), "exclude") {
        return None;
    }
    let (words, what) = known.into_iter().find(|(words, _)| are_words(&tokens[at + 1..], words))?;
    let ends = tokens.get(at + 1 + words.len()).is_some_and(|token| token.token == Token::RParen);
    ends.then_some((1 + words.len(), what))
}

/// Where the constant stands in a window that begins at a parenthesis.
fn place(tokens: &[TokenWithSpan], window: usize) -> usize {
    let begins = ["partition", "order", "rows", "range", "groups"];
    // The name of another window may come first.
    let at = window + 1 + usize::from(!is_any(tokens.get(window + 1), &begins));
    at + if tokens.get(at..).is_some_and(|rest| are_words(rest, &["partition", "by"])) { 2 } else { 0 }
}

fn marked(
    tokens: &[TokenWithSpan],
    marks: &BTreeMap<usize, &str>,
    gone: &BTreeMap<usize, usize>,
) -> Vec<TokenWithSpan> {
    let (mut kept, mut at) = (Vec::with_capacity(tokens.len() + 3 * marks.len()), 0);
    while at < tokens.len() {
        if let Some(what) = marks.get(&at) {
            let constant = Token::SingleQuotedString(format!("{EXCLUDED}{what}"));
            let new = match at >= 2 && are_words(&tokens[at - 2..at], &["partition", "by"]) {
                true => vec![constant, Token::Comma],
                false => vec![Token::make_keyword("partition"), Token::make_keyword("by"), constant],
            };
            let span = tokens[at].span;
            kept.extend(new.into_iter().map(|token| TokenWithSpan { token, span }));
        }
        match gone.get(&at) {
            Some(length) => at += length,
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// The text of a query that is kept, with `EXCLUDE` where the constant stands for it.
pub(crate) fn with_exclusions(text: &str) -> Cow<'_, str> {
    let Some(source) = text.contains(EXCLUDED).then(|| Source::new(text).ok()).flatten() else { return text.into() };
    let (tokens, begin) = (&source.tokens, |token: &TokenWithSpan| source.bytes(token.span.start.column, 0).start);
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    // What each open parenthesis excludes at its end.
    let mut open: Vec<Option<&str>> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen => open.push(None),
            Token::RParen => {
                if let Some(what) = open.pop().flatten() {
                    shown.push_str(&text[from..begin(token)]);
                    shown.push_str(&format!(" EXCLUDE {}", what.to_uppercase()));
                    from = begin(token);
                }
            }
            Token::SingleQuotedString(constant) => {
                let parts = at >= 2 && are_words(&tokens[at - 2..at], &["partition", "by"]);
                let (Some(what), true) = (constant.strip_prefix(EXCLUDED), parts) else { continue };
                let more = tokens.get(at + 1).is_some_and(|next| next.token == Token::Comma);
                shown.push_str(&text[from..begin(&tokens[if more { at } else { at - 2 }])]);
                from = tokens.get(at + 1 + usize::from(more)).map_or(text.len(), begin);
                open.iter_mut().next_back().into_iter().for_each(|window| *window = Some(what));
            }
            _ => {}
        }
    }
    shown.push_str(&text[from..]);
    shown.into()
}
