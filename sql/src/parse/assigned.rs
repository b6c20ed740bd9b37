//! Assignments to elements of columns, `SET column[subscript] = value`, which sqlparser does not know: the column is assigned
//! what a function makes of it, the value and the subscripts.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::clauses::{are_words, is_word};
use super::spelling::name_behind;

/// The function. No client writes such a name.
pub(crate) const ASSIGNED_ELEMENT: &str = "assigned element";

/// Spells assignments to elements as assignments to columns. Slices stay as they are, which is refused then.
pub(super) fn assign_columns(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_element = |at: usize| matches!(tokens[at].token, Token::Word(_)) && tokens[at + 1].token == Token::LBracket;
    let changes = ["update", "insert", "merge", "with"].iter().any(|word| is_word(tokens.first(), word));
    if !changes || !(0..tokens.len().saturating_sub(1)).any(is_element) {
        return tokens;
    }
    let mut at = 0;
    while at < tokens.len() {
        if begins_list(&tokens, at) {
            let owner = owner(&tokens, at);
            let end = end_of_item(&tokens, at + 1, |_| false);
            let spelled = spelled(&tokens[at + 1..end], owner.as_ref());
            let length = spelled.len();
            tokens.splice(at + 1..end, spelled);
            at += length;
        }
        at += 1;
    }
    tokens
}

/// Whether a word is the `SET` before assignments, and no name.
fn begins_list(tokens: &[TokenWithSpan], at: usize) -> bool {
    let behind_a_name = at > 0 && matches!(tokens[at - 1].token, Token::Word(_) | Token::Mul);
    let before_an_assignment = match tokens.get(at + 1..at + 3) {
        Some([first, second]) => match first.token {
            Token::Word(_) => matches!(second.token, Token::Eq | Token::LBracket),
            _ => first.token == Token::LParen,
        },
        _ => false,
    };
    is_word(tokens.get(at), "set") && behind_a_name && before_an_assignment
}

/// What a column is to be qualified with, so that it is not taken for that of another table: the name that stands before
/// `SET`; in `MERGE` and `INSERT ... ON CONFLICT` that of the table after `INTO`.
fn owner(tokens: &[TokenWithSpan], set: usize) -> Option<TokenWithSpan> {
    let name = match is_word(tokens.get(set - 1), "update") {
        false => set - 1,
        true => {
            let verbs = ["insert", "merge"];
            let begins = |at: usize| verbs.iter().any(|verb| are_words(&tokens[at..], &[verb, "into"]));
            let name = name_behind(tokens, (0..set).rev().find(|at| begins(*at))? + 1);
            let alias = name.end + usize::from(is_word(tokens.get(name.end), "as"));
            let is_alias = alias > name.end
                || ["using", "values", "select", "default", "overriding"]
                    .iter()
                    .all(|word| !is_word(tokens.get(alias), word));
            match tokens.get(alias).map(|token| &token.token) {
                Some(Token::Word(_)) if is_alias => alias,
                _ => name.end - 1,
            }
        }
    };
    tokens.get(name).filter(|token| matches!(token.token, Token::Word(_))).cloned()
}

/// Where a list, or an item of one, ends: at a clause that follows, or where it is said.
fn end_of_item(tokens: &[TokenWithSpan], from: usize, ends: impl Fn(&Token) -> bool) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return at,
            Token::RParen | Token::RBracket => depth -= 1,
            other if depth == 0 && (ends(other) || begins_clause(tokens, at)) => return at,
            _ => {}
        }
    }
    tokens.len()
}

fn begins_clause(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is = |word: &str| is_word(tokens.get(at), word);
    let of_distinct = at > 0 && is_word(tokens.get(at - 1), "distinct");
    is("where") || is("returning") || (is("from") && !of_distinct) || merges_on(tokens, at)
}

/// `WHEN MATCHED` and `WHEN NOT MATCHED` of `MERGE`.
fn merges_on(tokens: &[TokenWithSpan], at: usize) -> bool {
    [&["when", "matched"][..], &["when", "not", "matched"]].iter().any(|words| are_words(&tokens[at..], words))
}

/// An assignment: to a column, by a name, whose elements are assigned to, or anything else.
enum Item {
    Elements(TokenWithSpan, Vec<TokenWithSpan>),
    Other(Vec<TokenWithSpan>),
}

fn spelled(list: &[TokenWithSpan], owner: Option<&TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut items: Vec<Item> = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = end_of_item(rest, 0, |token| *token == Token::Comma).min(rest.len());
        let (item, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        match element(item) {
            None => items.push(Item::Other(item.to_vec())),
            Some((name, subscripts, value)) => {
                let same = items.iter_mut().find_map(|item| match item {
                    Item::Elements(known, made) if known.token == name.token => Some(made),
                    _ => None,
                });
                match same {
                    Some(made) => *made = call(name, std::mem::take(made), value, &subscripts),
                    None => {
                        let made = call(name, qualified(name, owner), value, &subscripts);
                        items.push(Item::Elements(name.clone(), made));
                    }
                }
            }
        }
    }
    let with = |token: Token, like: &TokenWithSpan| TokenWithSpan { token, span: like.span };
    let mut tokens = Vec::with_capacity(list.len() * 2);
    for item in items {
        let (name, mut all) = match item {
            Item::Elements(name, made) => (Some(name), made),
            Item::Other(tokens) => (None, tokens),
        };
        if let (false, Some(like)) = (tokens.is_empty(), all.first()) {
            tokens.push(with(Token::Comma, like));
        }
        if let Some(name) = name {
            let equals = with(Token::Eq, &name);
            tokens.extend([name, equals]);
        }
        tokens.append(&mut all);
    }
    tokens
}

type Element<'t> = (&'t TokenWithSpan, Vec<&'t [TokenWithSpan]>, &'t [TokenWithSpan]);

/// `name[subscript]... = value`
fn element(item: &[TokenWithSpan]) -> Option<Element<'_>> {
    let (name, mut rest) = item.split_first().filter(|(name, _)| matches!(name.token, Token::Word(_)))?;
    let mut subscripts = Vec::new();
    while let Some((_, inside)) = rest.split_first().filter(|(first, _)| first.token == Token::LBracket) {
        let close = end_of_item(inside, 0, |token| *token == Token::Colon);
        let subscript = inside.get(..close).filter(|subscript| !subscript.is_empty())?;
        inside.get(close).filter(|token| token.token == Token::RBracket)?;
        subscripts.push(subscript);
        rest = &inside[close + 1..];
    }
    let (equals, value) = rest.split_first()?;
    let is_default = matches!(value, [value] if is_word(Some(value), "default"));
    let is_element = !subscripts.is_empty() && equals.token == Token::Eq && !value.is_empty() && !is_default;
    is_element.then_some((name, subscripts, value))
}

fn qualified(name: &TokenWithSpan, owner: Option<&TokenWithSpan>) -> Vec<TokenWithSpan> {
    let period = TokenWithSpan { token: Token::Period, span: name.span };
    owner.cloned().into_iter().flat_map(|owner| [owner, period.clone()]).chain([name.clone()]).collect()
}

/// `"assigned element"(column, value, subscript, ...)`
fn call(
    name: &TokenWithSpan,
    column: Vec<TokenWithSpan>,
    value: &[TokenWithSpan],
    subscripts: &[&[TokenWithSpan]],
) -> Vec<TokenWithSpan> {
    let with = |token: Token| TokenWithSpan { token, span: name.span };
    let function = Word { value: ASSIGNED_ELEMENT.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
    let mut tokens = vec![with(Token::Word(function)), with(Token::LParen)];
    tokens.extend(column);
    for argument in std::iter::once(value).chain(subscripts.iter().copied()) {
        tokens.push(with(Token::Comma));
        tokens.extend_from_slice(argument);
    }
    tokens.push(with(Token::RParen));
    tokens
}
