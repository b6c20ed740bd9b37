//! Random statements against a model that keeps only the rows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::*;
use crate::value::{Row, Value};

/// What a statement does; rows are named by their key.
#[derive(Clone, Debug)]
enum Statement {
    Insert(Vec<(i32, Option<i32>, i32)>),
    /// Adds to the key, the unique column and the other one of some rows.
    Update(BTreeSet<i32>, i32, i32, i32),
    Delete(BTreeSet<i32>),
}

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    let row = || (0..12, prop_oneof![1 => Just(None), 4 => (0..12).prop_map(Some)], 0..3);
    let ids = || prop::collection::btree_set(0..12, 1..6);
    let statement = prop_oneof![
        3 => prop::collection::vec(row(), 1..4).prop_map(Statement::Insert),
        3 => (ids(), -1..2, -1..2, -1..2).prop_map(|(ids, key, unique, other)| Statement::Update(ids, key, unique, other)),
        1 => ids().prop_map(Statement::Delete),
    ];
    prop::collection::vec(statement, 1..25)
}

type Model = BTreeMap<i32, (Option<i32>, i32)>;

/// The rows afterwards; `None` if the statement must be refused.
fn apply(model: &Model, statement: &Statement) -> Option<Model> {
    let mut rows: Vec<(i32, Option<i32>, i32)> = Vec::new();
    for (id, (unique, other)) in model {
        match statement {
            Statement::Update(ids, key, by, and) if ids.contains(id) => {
                rows.push((id + key, unique.map(|unique| unique + by), other + and));
            }
            Statement::Delete(ids) if ids.contains(id) => {}
            _ => rows.push((*id, *unique, *other)),
        }
    }
    if let Statement::Insert(new) = statement {
        rows.extend(new);
    }
    let count = rows.len();
    let uniques: Vec<i32> = rows.iter().filter_map(|(_, unique, _)| *unique).collect();
    let distinct = uniques.iter().collect::<BTreeSet<_>>().len() == uniques.len();
    let after: Model = rows.into_iter().map(|(id, unique, other)| (id, (unique, other))).collect();
    (distinct && after.len() == count).then_some(after)
}

fn row(id: i32, unique: Option<i32>, other: i32) -> Row {
    vec![Value::Int4(id), unique.map_or(Value::Null, Value::Int4), Value::Int4(other)]
}

fn plus(value: &Value, by: i32) -> Value {
    match value {
        Value::Int4(value) => Value::Int4(value + by),
        other => other.clone(),
    }
}

fn execute(world: &World, statement: &Statement) -> crate::failure::Outcome<()> {
    let named = |ids: &BTreeSet<i32>, row: &Row| matches!(row[0], Value::Int4(id) if ids.contains(&id));
    match statement {
        Statement::Insert(rows) => {
            world.insert_rows("t", rows.iter().map(|(id, unique, other)| row(*id, *unique, *other)).collect())
        }
        Statement::Update(ids, key, unique, other) => world.update("t", |row| {
            let change = || vec![plus(&row[0], *key), plus(&row[1], *unique), plus(&row[2], *other)];
            named(ids, row).then(change)
        }),
        Statement::Delete(ids) => world.delete("t", |row| named(ids, row)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn rows_are_what_the_statements_say(statements in statements()) {
        let mut t = with_index(table(20_000, "t", &["id", "u", "o"]), "t_u", &["u"], true);
        t = with_index(t, "t_o", &["-o", "u"], false);
        t = with_index(t, "t_part", &["o + u"], false);
        t.indexes[3].predicate = Some("o > 0".to_owned());
        let world = World::new(vec![t]);
        let mut model = Model::new();
        for statement in &statements {
            match (apply(&model, statement), execute(&world, statement)) {
                (Some(after), Ok(())) => model = after,
                (None, Err(error)) => prop_assert_eq!(sql::<()>(Err(error)).state().0, "23505"),
                (expected, actual) => prop_assert!(false, "{statement:?}: {expected:?}, {actual:?}"),
            }
            let mut expected: Vec<Row> = model.iter().map(|(id, (unique, other))| row(*id, *unique, *other)).collect();
            expected.sort_by(|a, b| crate::value::compare(&a[0], &b[0]));
            prop_assert_eq!(world.rows("t"), expected);
        }
    }
}
