//! Stored expressions as they are shown: enumerations, which they name by their numbers, have names and labels.

use annulus_relation::SqlType;
use annulus_relation::value::{self, Env, KnownTypes};

use crate::bind::shown_type;

/// What a type that is named by its number begins with.
const NUMBERED: &str = "::\"enum ";

/// The expression with the names of types, and the labels of values.
pub(crate) fn with_names(sql: &str, types: &KnownTypes) -> String {
    if !sql.contains(NUMBERED) {
        return sql.to_owned();
    }
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    // Where the literal begins that was written last.
    let mut literal = None;
    while let Some(first) = rest.chars().next() {
        if let Some((ty, after)) = numbered(rest, types) {
            if let Some(begin) = literal.take() {
                let label = labelled(&out[begin..], &ty);
                out.truncate(begin);
                out.push_str(&label);
            }
            out.push_str("::");
            out.push_str(&shown_type(&ty, types));
            rest = after;
            continue;
        }
        let length = if matches!(first, '\'' | '"') { quoted_length(rest, first) } else { first.len_utf8() };
        literal = (first == '\'').then_some(out.len());
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The type that comes next, and what is behind it.
fn numbered<'a>(sql: &'a str, types: &KnownTypes) -> Option<(SqlType, &'a str)> {
    let (number, after) = sql.strip_prefix(NUMBERED)?.split_once('"')?;
    let ty = types.numbered(number.parse().ok()?)?;
    Some(match after.strip_prefix("[]") {
        Some(after) => (ty.array(), after),
        None => (ty, after),
    })
}

/// How long a text in quotes is that comes next; quotes in it are doubled.
fn quoted_length(sql: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = sql[at..].find(quote) {
        at += end + 1;
        if !sql[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    sql.len()
}

/// A literal of an enumeration's numbers as one of its labels.
fn labelled(literal: &str, ty: &SqlType) -> String {
    let numbers = literal.trim_matches('\'');
    match value::parse(numbers, &ty.unlabelled(), &Env::default()) {
        Ok(value) => format!("'{}'", value::print(&value, ty, &Env::default()).replace('\'', "''")),
        Err(_) => literal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use annulus_relation::value::{EnumType, Labels, MadeTypes};

    use super::*;

    #[test]
    fn numbers_become_labels_and_names() {
        let labels = vec![(0, "it's".into()), (7, "b".into())];
        let labels = Labels::new("s", "Mood", labels);
        let made = MadeTypes::new([EnumType::new(16_400, Arc::new(labels))]);
        let types = KnownTypes::new(Arc::new(made), ["s".to_owned()].into());
        for (stored, shown) in [
            ("(a = '7'::\"enum 16400\")", "(a = 'b'::\"Mood\")"),
            ("'0'::\"enum 16400\"", "'it''s'::\"Mood\""),
            ("'{0,NULL,7}'::\"enum 16400\"[]", "'{it''s,NULL,b}'::\"Mood\"[]"),
            ("('x''::\"enum 16400\"'::text)::\"enum 16400\"", "('x''::\"enum 16400\"'::text)::\"Mood\""),
            ("NULL::\"enum 16400\"", "NULL::\"Mood\""),
            ("'7'::\"enum 9\"", "'7'::\"enum 9\""),
        ] {
            assert_eq!(with_names(stored, &types), shown);
        }
    }
}
