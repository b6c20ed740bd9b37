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
    let retyped = |(column, ty, using)| Retyped { column, ty, using, default: None };
    let all = [(1, SqlType::Int8, None), (2, SqlType::Int8, None), (3, SqlType::Text, using.map(str::to_owned))];
    begin_all(world, all.into_iter().map(retyped).collect());
}

/// Columns, by their numbers, are to become what expressions give.
fn begin_using(world: &mut World, columns: &[(u16, &str)]) {
    let retyped = |(column, using): &(u16, &str)| Retyped {
        column: *column,
        ty: SqlType::Int4,
        using: Some((*using).to_owned()),
        default: None,
    };
    begin_all(world, columns.iter().map(retyped).collect());
}

fn begin_all(world: &mut World, columns: Vec<Retyped>) {
    let mut t = Table::clone(world.table("t"));
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

/// Nobody knows beforehand that no two rows get one key.
#[test]
fn unique_keys_are_computed_anew_while_rows_change() {
    for hidden in [false, true] {
        let t = table(20_000, "t", &["id", "u", "a"]);
        let mut world = with_rows(if hidden { without_key(t) } else { t }, rows(40));
        begin_using(&mut world, &[(1, "id + 7"), (2, "u + 1")]);
        pass_while_rows_change(&world, check_copies);
        let sorted = |mut rows: Vec<Vec<i32>>| {
            rows.sort();
            rows
        };
        let before = world.ints("t").iter().map(|row| vec![row[0] + 7, row[1] + 1, row[2]]).collect();
        assert_eq!(check_copies(&world), world.rows("t").len());
        switch(&mut world);
        assert_eq!(sorted(world.ints("t")), sorted(before));
        world.check("t");
        assert_eq!(told(world.insert("t", &[&[1, 102, 1]])).2, "Key (u)=(102) already exists.");
    }
}

#[test]
fn two_rows_do_not_get_one_key() {
    let keyed = || table(20_000, "t", &["id", "u", "a"]);
    let cases = [(keyed(), 1, "t_pkey", "id"), (keyed(), 2, "t_u", "u"), (without_key(keyed()), 2, "t_u", "u")];
    for (t, column, index, name) in cases {
        // The pass finds them, in one step or in several.
        for count in [4, 40] {
            let mut world = with_rows(t.clone(), rows(count));
            begin_using(&mut world, &[(column, "a")]);
            let (mut next, mut found) = (Some(Position::default()), None);
            while let (Some(from), None) = (&next, &found) {
                match step(&world, from) {
                    Ok(after) => next = after,
                    Err(error) => found = Some(told(Err::<(), _>(error))),
                }
            }
            let (state, message, detail) = found.unwrap();
            assert_eq!((state, message), ("23505", format!("could not create unique index \"{index}\"")));
            assert!(detail.starts_with(&format!("Key ({name})=(")) && detail.ends_with(" is duplicated."), "{detail}");
        }
        // Writers find them as well.
        let mut world = with_rows(t.clone(), vec![ints(&[0, 1_000, 0]), ints(&[1, 1_001, 1])]);
        begin_using(&mut world, &[(column, "a")]);
        pass_over(&world);
        let told_of = |row: &[i32]| told(world.insert("t", &[row])).2;
        assert_eq!(told_of(&[5, 5, 1]), format!("Key ({name})=(1) already exists."));
        let changed = world.update("t", |row| (row[2] == Value::Int4(0)).then(|| ints(&[0, 1_000, 1])));
        assert_eq!(told(changed).2, format!("Key ({name})=(1) already exists."));
        world.update("t", |row| (row[2] == Value::Int4(0)).then(|| ints(&[0, 1_000, 2]))).unwrap();
        world.insert("t", &[&[5, 5, 0]]).unwrap();
        assert_eq!(check_copies(&world), 3);
        // A row that has no copy takes none of another's away.
        let mut world = with_rows(t, vec![ints(&[0, 1_000, 0]), ints(&[3, 1_003, 0])]);
        begin_using(&mut world, &[(column, "a")]);
        let is = |id: i32| move |row: &Row| row[0] == Value::Int4(id);
        world.update("t", |row| is(0)(row).then(|| ints(&[0, 2_000, 0]))).unwrap();
        assert_eq!(told(world.update("t", |row| is(3)(row).then(|| ints(&[3, 3_000, 0])))).0, "23505");
        world.delete("t", is(3)).unwrap();
        assert_eq!(check_copies(&world), 1);
        pass_over(&world);
        switch(&mut world);
        world.check("t");
    }
}

fn pass_over(world: &World) {
    let mut next = Some(Position::default());
    while let Some(from) = next {
        next = step(world, &from).unwrap();
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
