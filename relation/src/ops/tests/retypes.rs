//! Tables with rows of which columns get other types, step by step, with writers in between.

use std::collections::BTreeMap;

use super::rekeys::{GENERATION, pass_while_rows_change, rows, step, switch};
use super::world::*;
use crate::catalog::{IndexState, Retyped, Retyping, Succession, Table};
use crate::ops::Position;
use crate::value::{Row, SqlType, Value};

/// `t (id, u unique, a)` with an index over `a`, and rows.
fn with_rows(table: Table, rows: Vec<Row>) -> World {
    let t = with_index(with_index(table, "t_u", &["u"], true), "t_a", &["a"], false);
    let world = World::new(vec![t]);
    world.insert_rows("t", rows).unwrap();
    world
}

/// The columns are to become `bigint`, `bigint` and `text`.
fn begin(world: &mut World, using: Option<&str>) {
    let mut t = Table::clone(world.table("t"));
    let retyped = |(column, ty, using)| Retyped { column, ty, using, default: None };
    let all = [(1, SqlType::Int8, None), (2, SqlType::Int8, None), (3, SqlType::Text, using.map(str::to_owned))];
    let columns = all.into_iter().map(retyped).collect();
    let retyping = Retyping { columns, keys: Vec::new(), succession: Succession::new(GENERATION) };
    t.indexes[0].state = IndexState::Retyped(retyping);
    world.put(t);
}

/// Every copy that there is, is that of a row as it is now, with its index entries and nothing else. How many there
/// are.
fn check_copies(world: &World) -> usize {
    world.check("t");
    let physical = world.physical("t");
    let mut stored = world.stored(world.table("t"), GENERATION);
    let mut copies = 0;
    for tuple in world.tuples("t") {
        let all = physical.copies(world.around(), &tuple, |place| stored.get(place).cloned()).unwrap();
        if all.first().is_none_or(|(copy, record)| stored.get(copy) != Some(record)) {
            continue;
        }
        copies += 1;
        for (place, value) in all {
            assert_eq!(stored.remove(&place), Some(value), "of {tuple:?}");
        }
    }
    assert_eq!(stored, BTreeMap::new(), "copies of no row");
    copies
}

/// A row with its values as they will be.
fn converted(row: &Row) -> Row {
    let wide = |value: &Value| match value {
        Value::Int4(number) => Value::Int8((*number).into()),
        other => other.clone(),
    };
    let text = |value: &Value| match value {
        Value::Int4(number) => Value::text(number.to_string()),
        other => other.clone(),
    };
    vec![wide(&row[0]), wide(&row[1]), text(&row[2])]
}

#[test]
fn columns_get_other_types_while_rows_change() {
    for hidden in [false, true] {
        let t = table(20_000, "t", &["id", "u", "a"]);
        let mut world = with_rows(if hidden { without_key(t) } else { t }, rows(40));
        begin(&mut world, None);
        pass_while_rows_change(&world, check_copies);
        let before: Vec<Row> = world.rows("t").iter().map(converted).collect();
        assert_eq!(check_copies(&world), before.len());
        switch(&mut world);
        world.check("t");
        let mut after = world.rows("t");
        let mut before = before;
        let key = |row: &Row| format!("{row:?}");
        before.sort_by_key(key);
        after.sort_by_key(key);
        assert_eq!(before, after);
        let wide = vec![Value::Int8(1 << 40), Value::Int8(1 << 41), Value::text("x")];
        world.insert_rows("t", vec![wide]).unwrap();
        world.check("t");
    }
}

#[test]
fn a_row_that_cannot_be_converted_ends_the_pass() {
    let mut world = with_rows(table(20_000, "t", &["id", "u", "a"]), rows(10));
    // It gives numbers where text must be.
    begin(&mut world, Some("u"));
    assert!(step(&world, &Position::default()).is_err());
    // Given up, the table is as it was.
    let mut t = Table::clone(world.table("t"));
    t.give_succession_up();
    world.put(t);
    world.insert("t", &[&[50, 50, 50]]).unwrap();
    world.check("t");
    assert_eq!(world.ints("t").len(), 11);
}
