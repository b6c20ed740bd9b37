//! The statements that would make an object, as PostgreSQL prints them.

use annulus_relation::catalog::{
    Action, Check, ColumnId, ConstraintKind, Deferral, ForeignKey, Index, KeyPart, Table, Unique, View,
};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::bind::quote_name;
use crate::parse::dialect::Postgres;
use crate::parse::with_exclusions;

fn column_name(table: &Table, id: ColumnId) -> String {
    table
        .columns
        .iter()
        .find(|column| column.id == id)
        .map_or_else(|| id.to_string(), |column| quote_name(&column.name))
}

fn names(table: &Table, ids: &[ColumnId]) -> String {
    ids.iter().map(|id| column_name(table, *id)).collect::<Vec<_>>().join(", ")
}

/// The columns that an expression names.
pub(super) fn columns_of(table: &Table, expression: &str) -> Vec<ColumnId> {
    let tokens = Tokenizer::new(&Postgres, expression).tokenize().unwrap_or_default();
    let named = |name: &str| tokens.iter().any(|token| matches!(token, Token::Word(word) if word.value == name));
    table.columns.iter().filter(|column| named(&column.name)).map(|column| column.id).collect()
}

/// A part of an index's key.
pub(super) fn key_part(table: &Table, index: &Index, place: usize, is_pretty: bool) -> Option<String> {
    let part = match index.keys.get(place) {
        Some(key) => &key.part,
        None => {
            let included = index.include.get(place.checked_sub(index.keys.len())?)?;
            return Some(column_name(table, *included));
        }
    };
    Some(match part {
        KeyPart::Column(id) => column_name(table, *id),
        KeyPart::Expression(sql, _) if is_call(sql) => sql.clone(),
        KeyPart::Expression(sql, _) if is_pretty => in_parentheses(sql),
        KeyPart::Expression(sql, _) => format!("({sql})"),
    })
}

/// What an index's column over an expression is called: as the function that it is a call of.
pub(super) fn title(sql: &str) -> &str {
    let name = sql.split('(').next().unwrap_or_default();
    if is_call(sql) { name.rsplit('.').next().unwrap_or(name) } else { "expr" }
}

/// Whether an expression is a function's call, which needs no parentheses.
fn is_call(sql: &str) -> bool {
    let name = sql.split('(').next().unwrap_or_default();
    let plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    plain && sql.ends_with(')') && closes_at_end(&sql[name.len()..])
}

/// Whether the parenthesis that a text begins with is closed by its last letter.
fn closes_at_end(text: &str) -> bool {
    let mut depth = 0;
    for (place, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1 == text.len();
        }
    }
    false
}

/// An expression as people read it: without the parentheses around it. (PostgreSQL leaves out more of them.)
pub(super) fn pretty(sql: &str) -> &str {
    match sql.strip_prefix('(') {
        Some(inner) if closes_at_end(sql) => &inner[..inner.len() - 1],
        _ => sql,
    }
}

fn in_parentheses(sql: &str) -> String {
    if sql.starts_with('(') && closes_at_end(sql) { sql.to_owned() } else { format!("({sql})") }
}

/// `CREATE INDEX`
pub(super) fn index(schema: &str, table: &Table, index: &Index, is_pretty: bool) -> String {
    let unique = if index.is_unique() { "UNIQUE " } else { "" };
    let keys = index.keys.iter().enumerate().map(|(place, key)| {
        let order = match (key.descending, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        format!("{}{order}", key_part(table, index, place, is_pretty).unwrap_or_default())
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let include = match index.include.as_slice() {
        [] => String::new(),
        ids => format!(" INCLUDE ({})", names(table, ids)),
    };
    let nulls = if index.unique == Unique::WithNulls { " NULLS NOT DISTINCT" } else { "" };
    let predicate = index.predicate.as_ref().map(|sql| match is_pretty {
        true => format!(" WHERE {}", pretty(sql)),
        false => format!(" WHERE {}", in_parentheses(sql)),
    });
    let predicate = predicate.unwrap_or_default();
    format!(
        "CREATE {unique}INDEX {} ON {}.{} USING btree ({keys}){include}{nulls}{predicate}",
        quote_name(&index.name),
        quote_name(schema),
        quote_name(&table.name)
    )
}

/// `PRIMARY KEY (...)` or `UNIQUE (...)`
pub(super) fn key(table: &Table, index: &Index) -> String {
    let kind = if index.constraint == Some(ConstraintKind::PrimaryKey) { "PRIMARY KEY" } else { "UNIQUE" };
    let keys: Vec<ColumnId> = super::constraints::column_keys(index).collect();
    let include = match index.include.as_slice() {
        [] => String::new(),
        ids => format!(" INCLUDE ({})", names(table, ids)),
    };
    let nulls = if index.unique == Unique::WithNulls { " NULLS NOT DISTINCT" } else { "" };
    format!("{kind}{nulls} ({}){include}", names(table, &keys))
}

/// `CHECK (...)`
pub(super) fn check(check: &Check, is_pretty: bool) -> String {
    let valid = if check.standing.is_validated() { "" } else { " NOT VALID" };
    match is_pretty {
        true => format!("CHECK ({}){valid}", pretty(&check.expression)),
        false => format!("CHECK ({}){valid}", in_parentheses(&check.expression)),
    }
}

/// `FOREIGN KEY (...) REFERENCES ...`
pub(super) fn foreign_key(table: &Table, key: &ForeignKey, parent: &Table, parent_name: &str) -> String {
    let action = |when: &str, action: &Action| match action {
        Action::NoAction => String::new(),
        Action::Restrict => format!(" ON {when} RESTRICT"),
        Action::Cascade => format!(" ON {when} CASCADE"),
        Action::SetNull => format!(" ON {when} SET NULL"),
        Action::SetDefault => format!(" ON {when} SET DEFAULT"),
        Action::SetNullOf(columns) => format!(" ON {when} SET NULL ({})", names(table, columns)),
        Action::SetDefaultOf(columns) => format!(" ON {when} SET DEFAULT ({})", names(table, columns)),
    };
    format!(
        "FOREIGN KEY ({}) REFERENCES {parent_name}({}){}{}{}{}",
        names(table, &key.columns),
        names(parent, &key.parent_columns),
        action("UPDATE", &key.on_update),
        action("DELETE", &key.on_delete),
        match key.standing.deferral() {
            Deferral::Never => "",
            Deferral::Possible => " DEFERRABLE",
            Deferral::Usual => " DEFERRABLE INITIALLY DEFERRED",
        },
        if key.standing.is_validated() { "" } else { " NOT VALID" }
    )
}

/// The query of a view.
pub(super) fn view(view: &View) -> String {
    format!(" {};", with_exclusions(&view.query).trim().trim_end_matches(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_are_put_where_they_are_missing() {
        assert_eq!(in_parentheses("a > 1"), "(a > 1)");
        assert_eq!(in_parentheses("(a > 1)"), "(a > 1)");
        assert_eq!(in_parentheses("(a) > (1)"), "((a) > (1))");
        assert_eq!(pretty("((a) > (1))"), "(a) > (1)");
        assert_eq!(pretty("(a) > (1)"), "(a) > (1)");
        assert_eq!((title("lower(name)"), title("a || lower(b)")), ("lower", "expr"));
        assert!(is_call("lower(name)"));
        assert!(!is_call("lower(a) || lower(b)"));
        assert!(!is_call("a + 1"));
    }
}
