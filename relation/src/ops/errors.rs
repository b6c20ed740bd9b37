//! The errors of constraints, in PostgreSQL's words.

use crate::catalog::{Catalog, Check, ForeignKey, Index, KeyPart, Table};
use crate::error::{SqlError, SqlState};
use crate::value::{self, Env, SqlType, Value};

/// Longest value in a detail, bytes; the rest is "...".
///
/// Source: PostgreSQL 15, `ExecBuildSlotValueDescription`.
const MOST: usize = 64;

/// The name of a table's schema.
fn schema_name(catalog: &Catalog, table: &Table) -> String {
    catalog.schema_by_id(table.schema).map(|schema| schema.name.clone()).unwrap_or_default()
}

fn about(error: SqlError, catalog: &Catalog, table: &Table) -> SqlError {
    error.table(schema_name(catalog, table), table.name.clone())
}

/// A value as details show it.
fn shown(value: &Value, ty: &SqlType) -> String {
    match value {
        Value::Null => "null".to_owned(),
        value => value::print(value, ty, &Env::default()),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// `(a, b)=(1, 2)`, for the columns and expressions of an index.
fn key_detail(table: &Table, index: &Index, values: &[Value]) -> String {
    let part = |part: &KeyPart| match part {
        KeyPart::Column(id) => {
            let column = table.columns.iter().find(|column| column.id == *id);
            column.map_or_else(|| (String::new(), SqlType::Unknown), |column| (column.name.clone(), column.ty.clone()))
        }
        KeyPart::Expression(text, ty) => (key_name(text), ty.clone()),
    };
    let parts: Vec<(String, SqlType)> = index.keys.iter().map(|key| part(&key.part)).collect();
    pairs(&parts, values)
}

/// An expression as PostgreSQL names it among keys: calls of functions as they are, the rest in parentheses.
fn key_name(expression: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    let name_end = expression.find(|c: char| !is_name(c)).unwrap_or(expression.len());
    if is_in_parentheses(&expression[name_end..]) { expression.to_owned() } else { format!("({expression})") }
}

/// Whether the first parenthesis is closed by the last one.
fn is_in_parentheses(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut closes = text.bytes().enumerate().filter_map(|(at, byte)| {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        (depth <= 0).then_some(at)
    });
    text.len() > 1 && closes.next() == Some(text.len() - 1)
}

fn pairs(parts: &[(String, SqlType)], values: &[Value]) -> String {
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<String> = parts.iter().zip(values).map(|((_, ty), value)| shown(value, ty)).collect();
    format!("({})=({})", names.join(", "), values.join(", "))
}

fn row_detail(table: &Table, row: &[Value]) -> String {
    let values: Vec<String> =
        table.columns.iter().zip(row).map(|(column, value)| cut(shown(value, &column.ty))).collect();
    format!("Failing row contains ({}).", values.join(", "))
}

/// `23505`: a key that exists already.
#[must_use]
pub fn unique_violation(catalog: &Catalog, table: &Table, index: &Index, values: &[Value]) -> SqlError {
    let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    let error = SqlError::new(SqlState::UNIQUE_VIOLATION, message)
        .detail(format!("Key {} already exists.", key_detail(table, index, values)))
        .constraint(index.name.clone());
    about(error, catalog, table)
}

/// `23505`: a unique index that cannot be made.
pub(super) fn not_unique(catalog: &Catalog, table: &Table, index: &Index, values: &[Value]) -> SqlError {
    let error = SqlError::new(SqlState::UNIQUE_VIOLATION, format!("could not create unique index \"{}\"", index.name))
        .detail(format!("Key {} is duplicated.", key_detail(table, index, values)))
        .constraint(index.name.clone());
    about(error, catalog, table)
}

/// `23502`: a NULL in a column that has none.
#[must_use]
pub fn not_null_violation(catalog: &Catalog, table: &Table, column: &str, row: &[Value]) -> SqlError {
    let message =
        format!("null value in column \"{column}\" of relation \"{}\" violates not-null constraint", table.name);
    let error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message).detail(row_detail(table, row)).column(column);
    about(error, catalog, table)
}

/// `23514`: a row that a check refuses.
pub(super) fn check_violation(catalog: &Catalog, table: &Table, check: &Check, row: &[Value]) -> SqlError {
    let message = format!("new row for relation \"{}\" violates check constraint \"{}\"", table.name, check.name);
    let error = SqlError::new(SqlState::CHECK_VIOLATION, message).detail(row_detail(table, row));
    about(error.constraint(check.name.clone()), catalog, table)
}

fn foreign_detail(table: &Table, columns: &[u16], values: &[Value]) -> String {
    let part = |id: &u16| {
        let column = table.columns.iter().find(|column| column.id == *id);
        column.map_or_else(|| (String::new(), SqlType::Unknown), |column| (column.name.clone(), column.ty.clone()))
    };
    pairs(&columns.iter().map(part).collect::<Vec<_>>(), values)
}

/// `23503`: a child without its parent.
pub(super) fn no_parent(
    catalog: &Catalog,
    child: &Table,
    key: &ForeignKey,
    parent: &Table,
    values: &[Value],
) -> SqlError {
    let message =
        format!("insert or update on table \"{}\" violates foreign key constraint \"{}\"", child.name, key.name);
    let detail = foreign_detail(child, &key.columns, values);
    let error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message)
        .detail(format!("Key {detail} is not present in table \"{}\".", parent.name))
        .constraint(key.name.clone());
    about(error, catalog, child)
}

/// `23503`: a parent that goes while it has children.
pub(super) fn still_referenced(
    catalog: &Catalog,
    parent: &Table,
    key: &ForeignKey,
    child: &Table,
    values: &[Value],
) -> SqlError {
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        parent.name, key.name, child.name
    );
    let detail = foreign_detail(parent, &key.parent_columns, values);
    let error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message)
        .detail(format!("Key {detail} is still referenced from table \"{}\".", child.name))
        .constraint(key.name.clone());
    about(error, catalog, child)
}

/// `54000`: a key that is too long.
pub(super) fn key_too_long(index: &Index, length: usize) -> SqlError {
    let most = annulus_base::limits::MAX_KEY_LEN;
    let message = format!("index row size {length} exceeds maximum {most} for index \"{}\"", index.name);
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
        .hint("Consider an index over a hash of the value, such as md5(column).")
}

/// `23514`: rows that were there before a check.
pub(super) fn check_violated_by_some(catalog: &Catalog, table: &Table, check: &Check) -> SqlError {
    let message = format!("check constraint \"{}\" of relation \"{}\" is violated by some row", check.name, table.name);
    about(SqlError::new(SqlState::CHECK_VIOLATION, message).constraint(check.name.clone()), catalog, table)
}

/// `23502`: rows that were there before `NOT NULL`.
pub(super) fn contains_nulls(catalog: &Catalog, table: &Table, column: &str) -> SqlError {
    let message = format!("column \"{column}\" of relation \"{}\" contains null values", table.name);
    about(SqlError::new(SqlState::NOT_NULL_VIOLATION, message).column(column), catalog, table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_named_as_postgres_names_them() {
        let cases = [
            ("a + 1", "(a + 1)"),
            ("(a + 1)", "(a + 1)"),
            ("(a) + (b)", "((a) + (b))"),
            ("lower(b)", "lower(b)"),
            ("lower(b) || upper(c)", "(lower(b) || upper(c))"),
            ("pg_catalog.lower((b))", "pg_catalog.lower((b))"),
            ("a", "(a)"),
            ("", "()"),
        ];
        for (expression, name) in cases {
            assert_eq!(key_name(expression), name);
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(cut("x".repeat(64)), "x".repeat(64));
        assert_eq!(cut(format!("x{}", "é".repeat(40))), format!("x{}...", "é".repeat(31)));
    }
}
