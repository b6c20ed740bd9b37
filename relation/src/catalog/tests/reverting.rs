//! What a statement has declared goes again; what was there before, and what others have declared since, stays.

use super::{PUBLIC, table};
use crate::catalog::{Check, Column, Default, NotNull, Standing, Table};
use crate::value::SqlType;

fn check(name: &str, standing: Standing) -> Check {
    Check { name: name.to_owned(), expression: "a > 0".to_owned(), standing }
}

fn column(id: u16) -> Column {
    let name = format!("c{id}");
    Column { id, name, ty: SqlType::Int4, not_null: NotNull::Yes, default: None, missing: None, comment: None }
}

/// A table, and what a statement made of it: another column, a check, an index, and a default.
fn declared() -> (Table, Table) {
    let before = table(100, "t");
    let mut after = before.clone();
    after.columns.push(column(2));
    after.next_column = 3;
    after.columns[0].default = Some(Default::Expression("9".to_owned()));
    after.checks.push(check("positive", Standing::new(false)));
    let mut index = after.indexes[0].clone();
    (index.id, index.name, index.constraint) = (200, "t_a".to_owned(), None);
    after.indexes.push(index);
    (before, after)
}

#[test]
fn only_what_was_added_is_taken_back() {
    let (before, after) = declared();
    assert!(before.is_extended_by(&after));
    let mut now = after.clone();
    now.take_constraints_back(&before, &after);
    now.take_columns_back(&before, &after);
    assert_eq!(now, Table { next_column: 3, ..before });
}

#[test]
fn what_others_have_done_since_stays() {
    let (before, after) = declared();
    let mut now = after.clone();
    now.name = "renamed".to_owned();
    now.columns[0].default = None;
    // It may be about the column that was added.
    now.checks.push(check("theirs", Standing::new(true)));
    now.take_constraints_back(&before, &after);
    now.take_columns_back(&before, &after);
    assert_eq!((now.name.as_str(), &now.columns[0].default), ("renamed", &None));
    assert_eq!(now.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), ["theirs"]);
    assert_eq!((now.columns.len(), now.indexes.len()), (2, 1));
}

#[test]
fn what_takes_something_away_cannot_be_taken_back() {
    let (before, after) = declared();
    let (mut other, mut narrower, mut open) = (before.clone(), before.clone(), before.clone());
    other.checks.push(check("old", Standing::new(false)));
    narrower.columns[0].ty = SqlType::Int8;
    open.columns[0].not_null = NotNull::No;
    assert!(!other.is_extended_by(&after));
    assert!(!before.is_extended_by(&narrower));
    assert!(!before.is_extended_by(&open) && open.is_extended_by(&before));
    assert!(!before.is_extended_by(&Table { schema: PUBLIC + 1, ..before.clone() }));
}
