//! Tables with rows that are given columns, step by step, with writers in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rekeys::{GENERATION, pass_while_rows_change, rows, step, switch};
use super::world::*;
use crate::catalog::{Column, Default, Extension, IndexState, NotNull, Succession, Table};
use crate::codec::encode_value;
use crate::ops::{Physical, Position};
use crate::value::{Row, SqlType, Value};

/// `n` is another number for each row, `g` is `a + 1`, and `d` is 5 in rows that were there before, 6 in others.
fn begin(world: &mut World) {
    let mut t = Table::clone(world.table("t"));
    let column = |id: u16, name: &str, default, missing: Option<Value>| Column {
        id,
        name: name.to_owned(),
        ty: SqlType::Int4,
        not_null: NotNull::Yes,
        default: Some(default),
        missing: missing.map(|value| encode_value(&value)),
        comment: None,
    };
    let columns = vec![
        column(10, "n", Default::Expression("next".to_owned()), None),
        column(11, "g", Default::Generated("a + 1".to_owned()), None),
        column(12, "d", Default::Expression("6".to_owned()), Some(Value::Int4(5))),
    ];
    t.indexes[0].state = IndexState::Extended(Extension {
        columns,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        then: None,
        succession: Succession::new(GENERATION),
    });
    world.put(t);
}

fn keyed(count: i32) -> World {
    let t = with_index(table(20_000, "t", &["id", "u", "a"]), "t_u", &["u"], true);
    let world = World::new(vec![with_index(t, "t_a", &["a"], false)]);
    world.insert_rows("t", rows(count)).unwrap();
    world
}

/// The copies that there are, by the key of their rows: each is that of a row as it is now, with its index entries and
/// nothing else.
fn copies(world: &World) -> BTreeMap<i32, Row> {
    world.check("t");
    let physical = world.physical("t");
    let after = Physical::new(*world.catalog.home(), &Arc::new(world.table("t").successor().unwrap())).unwrap();
    let mut stored = world.stored(world.table("t"), GENERATION);
    let mut copies = BTreeMap::new();
    for tuple in world.tuples("t") {
        let all = physical.copies(world.around(), &tuple, |place| stored.get(place).cloned()).unwrap();
        let Some((copy, record)) = all.first() else { continue };
        let values = after.decode(copy.clone(), record).unwrap().values;
        assert_eq!(values[..3], tuple.values);
        copies.insert(number(&values[0]), values);
        for (place, value) in all {
            assert_eq!(stored.remove(&place), Some(value), "of {tuple:?}");
        }
    }
    assert_eq!(stored, BTreeMap::new(), "copies of no row");
    copies
}

fn number(value: &Value) -> i32 {
    match value {
        Value::Int4(number) => *number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_is_given_columns_while_rows_change() {
    let mut world = keyed(40);
    begin(&mut world);
    // What a row was given stays, whatever else is changed of it.
    let known = std::cell::RefCell::new(BTreeMap::<i32, (Value, Value)>::new());
    pass_while_rows_change(&world, |world| {
        let now = copies(world);
        let mut known = known.borrow_mut();
        for (id, row) in &now {
            let own = (row[3].clone(), row[5].clone());
            assert_eq!(*known.entry(*id).or_insert_with(|| own.clone()), own, "of {id}");
        }
        known.retain(|id, _| now.contains_key(id));
        now.len()
    });
    let before = world.rows("t");
    assert_eq!(copies(&world).len(), before.len());
    switch(&mut world);
    let after = world.rows("t");
    assert_eq!(after.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>(), before);
    let mut own: Vec<i32> = after.iter().map(|row| number(&row[3])).collect();
    own.sort_unstable();
    own.dedup();
    assert_eq!(own.len(), after.len(), "no two rows have one number");
    for row in &after {
        assert_eq!(number(&row[4]), number(&row[2]) + 1);
        // Rows with a new key are the same rows.
        let is_new = (100..200).contains(&number(&row[0]));
        assert_eq!(number(&row[5]), if is_new { 6 } else { 5 }, "of {row:?}");
    }
    for (id, (own, _)) in known.into_inner() {
        assert!(after.iter().any(|row| number(&row[0]) == id && row[3] == own));
    }
    world.check("t");
}

/// A row whose key is changed is not found any more by a pass that was there already.
#[test]
fn rows_that_move_are_given_their_values() {
    let mut world = keyed(8);
    begin(&mut world);
    world.update("t", |row| Some(ints(&[number(&row[0]) + 50, number(&row[1]), 1]))).unwrap();
    assert_eq!(copies(&world).len(), 8);
    world.delete("t", |row| number(&row[0]) < 54).unwrap();
    assert_eq!(copies(&world).len(), 4);
    world.update("t", |row| Some(ints(&[number(&row[0]), number(&row[1]), 2]))).unwrap();
    let kept: Vec<Value> = copies(&world).values().map(|row| row[3].clone()).collect();
    let mut next = Some(Position::default());
    while let Some(from) = next {
        next = step(&world, &from).unwrap();
    }
    assert_eq!(copies(&world).values().map(|row| row[3].clone()).collect::<Vec<_>>(), kept);
    switch(&mut world);
    assert_eq!(world.rows("t").len(), 4);
}

#[test]
fn what_a_column_refuses_is_told() {
    let mut world = keyed(3);
    begin(&mut world);
    let mut t = Table::clone(world.table("t"));
    if let IndexState::Extended(extension) = &mut t.indexes[0].state {
        extension.columns[0].default = None;
    }
    world.put(t);
    let mut steps = (0..4).map(|slot| step(&world, &Position { slot, key: Vec::new() }));
    let refused = steps.find(std::result::Result::is_err).unwrap();
    assert_eq!(told(refused).1, "column \"n\" of relation \"t\" contains null values");
    assert_eq!(told(world.insert("t", &[&[9, 9, 9]])).0, "23502");
    assert_eq!(told(world.update("t", |row| Some(row.clone()))).0, "23502");
}
