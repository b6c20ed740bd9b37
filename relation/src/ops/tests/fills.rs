//! Filling indexes and checking constraints, step by step, with writers in between.

use annulus_base::time::SECOND;

use super::world::*;
use crate::catalog::{Action, IndexState, Table};
use crate::failure::Outcome;
use crate::ops::{Checks, Position, Validation, fill, read_rows, validate};
use crate::value::Value;
use annulus_txn::testing::run;

/// A table with rows, and then a second index that is still empty.
fn filling(unique: bool, rows: i32) -> World {
    let t = table(20_000, "t", &["id", "a"]);
    let mut world = World::new(vec![t.clone()]);
    let rows: Vec<_> = (0..rows).map(|n| ints(&[n, n % 7])).collect();
    world.insert_rows("t", rows).unwrap();
    let mut t = with_index(t, "t_a", &["a"], unique);
    t.indexes[1].state = IndexState::Filling { done: Vec::new(), rows: 0 };
    world.put(t);
    world
}

fn step(world: &World, from: &Position) -> Outcome<(Option<Position>, u64)> {
    let mut transaction = world.begin();
    let filled = run(fill(&mut transaction, world.around(), &world.physical("t"), 1, from, 5, SECOND))?;
    run(transaction.commit(SECOND))?;
    Ok(filled)
}

#[test]
fn an_index_is_filled_while_rows_change() {
    let world = filling(false, 40);
    assert!(!world.physical("t").is_readable(1));
    let (mut next, mut looked_at, mut steps) = (Some(Position::default()), 0, 0);
    while let Some(from) = next {
        let (after, rows) = step(&world, &from).unwrap();
        (next, looked_at, steps) = (after, looked_at + rows, steps + 1);
        let id = steps;
        world.statement(|writer| world.add(writer, "t", vec![ints(&[100 + id, 3])])).unwrap();
        world.delete("t", |row| row[0] == Value::Int4(id * 3)).unwrap();
        world.update("t", |row| (row[0] == Value::Int4(id * 3 + 1)).then(|| ints(&[id * 3 + 1, 6]))).unwrap();
    }
    assert!(steps > 8 && looked_at > 30, "{steps} steps, {looked_at} rows");
    // Looks at every entry.
    world.rows("t");
}

#[test]
fn a_step_that_somebody_disturbs_has_no_effect() {
    let world = filling(false, 3);
    let mut transaction = world.begin();
    let physical = world.physical("t");
    let slot = physical.row_place(&ints(&[1])).unwrap().partition.slot;
    let from = Position { slot, key: Vec::new() };
    run(fill(&mut transaction, world.around(), &physical, 1, &from, 5, SECOND)).unwrap();
    let rows = world.tuples("t");
    let change = |row: &Vec<Value>| (row[0] == Value::Int4(1)).then(|| ints(&[1, 5]));
    world.statement(|writer| world.change(writer, "t", rows, change)).unwrap();
    assert!(is_conflict(&run(transaction.commit(SECOND))));
}

#[test]
fn a_unique_index_tells_what_is_not_unique() {
    let world = filling(true, 20);
    let mut next = Some(Position::default());
    let error = loop {
        match step(&world, &next.clone().unwrap()) {
            Ok((after, _)) => next = after,
            Err(error) => break error,
        }
    };
    let (state, message, detail) = told::<()>(Err(error));
    assert_eq!((state, message.as_str()), ("23505", "could not create unique index \"t_a\""));
    assert!(detail.starts_with("Key (a)=(") && detail.ends_with(") is duplicated."), "{detail}");
}

#[test]
fn a_unique_index_that_is_being_filled_refuses_writers() {
    let world = filling(true, 7);
    let mut next = Some(Position::default());
    while let Some(from) = next {
        next = step(&world, &from).unwrap().0;
    }
    assert_eq!(told(world.insert("t", &[&[50, 3]])).2, "Key (a)=(3) already exists.");
    world.insert("t", &[&[50, 30]]).unwrap();
    // Steps that are done twice do no harm.
    step(&world, &Position::default()).unwrap();
    assert_eq!(world.rows("t").len(), 8);
}

/// Another row's entry stays when a row goes that was never entered.
#[test]
fn rows_that_were_not_entered_have_nothing_to_leave() {
    let world = filling(true, 8);
    // Both 0 and 7 have the key 0.
    let physical = world.physical("t");
    let place = physical.row_place(&ints(&[0])).unwrap();
    let found = run(read_rows(&mut world.begin(), &world.catalog, &physical, &[place], SECOND)).unwrap();
    let first = found.into_iter().flatten().next().unwrap();
    let mut transaction = world.begin();
    let entry = physical.entry(1, &first.place, &first.values, &Simple).unwrap().unwrap();
    transaction.put(entry.place.clone(), entry.value.clone());
    run(transaction.commit(SECOND)).unwrap();
    // A change that keeps the key would take it from the other row.
    let change = |row: &Vec<Value>| (row[0] == Value::Int4(7)).then(|| ints(&[17, 0]));
    assert_eq!(told(world.update("t", change)).2, "Key (a)=(0) already exists.");
    world.delete("t", |row| row[0] == Value::Int4(7)).unwrap();
    let mut next = Some(Position::default());
    while let Some(from) = next {
        next = step(&world, &from).unwrap().0;
    }
    assert!(world.fake.present().contains(&(entry.place, entry.value)));
    world.check("t");
}

fn all_valid(world: &World, name: &str, what: Validation) -> Outcome<()> {
    let mut next = Some(Position::default());
    while let Some(from) = next {
        let mut transaction = world.begin();
        let physical = world.physical(name);
        next = run(validate(&mut transaction, world.around(), &physical, what, &from, 5, SECOND))?;
        run(transaction.commit(SECOND))?;
    }
    Ok(())
}

#[test]
fn rows_that_were_there_are_checked() {
    let t = with_check(table(20_000, "t", &["id", "a"]), "positive", "a > 0");
    let bare = Table { checks: Vec::new(), ..t.clone() };
    let mut world = World::new(vec![bare]);
    world.insert("t", &[&[1, 1], &[2, 2], &[3, 3]]).unwrap();
    world.put(t);
    all_valid(&world, "t", Validation::Check(0)).unwrap();
    all_valid(&world, "t", Validation::NotNull(1)).unwrap();
    world.insert_rows("t", vec![vec![Value::Int4(4), Value::Null]]).unwrap();
    all_valid(&world, "t", Validation::Check(0)).unwrap();
    assert_eq!(
        told(all_valid(&world, "t", Validation::NotNull(1))),
        ("23502", "column \"a\" of relation \"t\" contains null values".to_owned(), String::new())
    );
    let mut bad = with_check(table(20_000, "t", &["id", "a"]), "large", "a > 2");
    bad.generation = 0;
    world.put(bad);
    assert_eq!(
        told(all_valid(&world, "t", Validation::Check(0))),
        ("23514", "check constraint \"large\" of relation \"t\" is violated by some row".to_owned(), String::new())
    );
}

#[test]
fn children_that_were_there_need_parents() {
    let (mut p, mut c) = (table(20_000, "p", &["id"]), table(30_000, "c", &["id", "p"]));
    let mut world = World::new(vec![p.clone(), c.clone()]);
    world.insert("p", &[&[1]]).unwrap();
    world.insert("c", &[&[1, 1], &[2, 7]]).unwrap();
    refer(&mut c, "p", &mut p, Action::Cascade, Action::NoAction);
    world.put(p);
    world.put(c);
    assert_eq!(told(all_valid(&world, "c", Validation::ForeignKey(0))).2, "Key (p)=(7) is not present in table \"p\".");
    // Writers keep it already.
    assert_eq!(told(world.insert("c", &[&[3, 8]])).0, "23503");
    let mut transaction = world.begin();
    let rows = world.tuples("c");
    let wrong = |row: &Vec<Value>| row[1] == Value::Int4(7);
    world.execute(&mut transaction, Checks::AtStatement, |w| world.remove(w, "c", rows, wrong)).unwrap();
    run(transaction.commit(SECOND)).unwrap();
    all_valid(&world, "c", Validation::ForeignKey(0)).unwrap();
}
