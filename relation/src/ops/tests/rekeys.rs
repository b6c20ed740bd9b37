//! Tables with rows that are given a primary key, or lose it, step by step, with writers in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use annulus_base::time::SECOND;
use proptest::prelude::*;

use super::world::*;
use crate::catalog::{IndexState, Rekeying, Succession, Swept, Table, sweep};
use crate::failure::{Failure, Outcome};
use crate::ops::{Checks, Copies, Physical, Position, rekey};
use crate::transaction::Transaction;
use crate::value::{Row, Value};
use annulus_txn::interface::{Place, TxnError};
use annulus_txn::testing::{Fake, run};
use bytes::Bytes;

/// The generation of the copies.
pub(super) const GENERATION: u32 = 77;

/// `t (id, u unique, a)` without a primary key, with an index over `a`, and rows.
fn keyless(rows: Vec<Row>) -> World {
    indexed(without_key(table(20_000, "t", &["id", "u", "a"])), rows)
}

/// The same, with a primary key over `id`.
fn keyed(rows: Vec<Row>) -> World {
    indexed(table(20_000, "t", &["id", "u", "a"]), rows)
}

fn indexed(t: Table, rows: Vec<Row>) -> World {
    let t = with_index(with_index(t, "t_u", &["u"], true), "t_a", &["a"], false);
    let world = World::new(vec![t]);
    world.insert_rows("t", rows).unwrap();
    world
}

/// The table is to have a primary key over `id`.
fn begin(world: &mut World) {
    begin_key(world, "t_pkey", &["id"]);
}

/// The table is to have a primary key over some columns, or none.
fn begin_key(world: &mut World, name: &str, columns: &[&str]) {
    let mut t = Table::clone(world.table("t"));
    let keys = index(&t, "", columns, true).keys;
    t.indexes[0].state =
        IndexState::Rekeyed(Rekeying { name: name.to_owned(), keys, succession: Succession::new(GENERATION) });
    world.put(t);
}

pub(super) fn step(world: &World, from: &Position) -> Outcome<Option<Position>> {
    let (mut known, physical) = (Copies::Missing, world.physical("t"));
    loop {
        let mut transaction = world.begin();
        let (next, _) = run(rekey(&mut transaction, world.around(), &physical, (from, known), 5, SECOND))?;
        match run(transaction.commit(SECOND)) {
            Err(TxnError::Conflict(_)) if known == Copies::Missing => known = Copies::Perhaps,
            committed => return Ok(committed.map(|_| next)?),
        }
    }
}

fn pass(world: &World) -> Outcome<()> {
    let mut next = Some(Position::default());
    while let Some(from) = next {
        next = step(world, &from)?;
    }
    Ok(())
}

/// The successor takes the table's place; what was there before goes.
pub(super) fn switch(world: &mut World) {
    let after = world.table("t").successor().unwrap();
    world.put(after);
    while run(sweep(&world.fake, *world.catalog.home(), 50, SECOND)).unwrap() != Swept::Clean {}
    assert!(world.stored(world.table("t"), 0).is_empty());
}

/// All rows have copies, and are the same when those are the table. How many there are.
fn switch_all(world: &mut World) -> usize {
    let sorted = |world: &World| {
        let mut rows = world.ints("t");
        rows.sort();
        rows
    };
    let before = sorted(world);
    assert_eq!(check_copies(world), before.len());
    switch(world);
    assert_eq!(sorted(world), before);
    world.check("t");
    before.len()
}

/// Every copy that there is, is that of a row as it is now, with its index entries and nothing else. How many there
/// are.
fn check_copies(world: &World) -> usize {
    check_copies_of(world, 0)
}

fn check_copies_without_first(world: &World) -> usize {
    check_copies_of(world, 1)
}

/// The first columns are left behind.
fn check_copies_of(world: &World, left: usize) -> usize {
    world.check("t");
    let physical = world.physical("t");
    let after = Physical::new(*world.catalog.home(), &Arc::new(world.table("t").successor().unwrap())).unwrap();
    let mut stored = world.stored(world.table("t"), GENERATION);
    let mut copies = 0;
    for tuple in world.tuples("t") {
        let all = physical.copies(world.around(), &tuple, |place| stored.get(place).cloned()).unwrap();
        let is_made = |(copy, record): &&(Place, Bytes)| stored.get(copy) == Some(record);
        let Some((copy, record)) = all.first().filter(is_made) else { continue };
        assert_eq!(after.decode(copy.clone(), record).unwrap().values, tuple.values[left..]);
        copies += 1;
        for (place, value) in all {
            assert_eq!(stored.remove(&place), Some(value), "of {tuple:?}");
        }
    }
    assert_eq!(stored, BTreeMap::new(), "copies of no row");
    copies
}

pub(super) fn rows(count: i32) -> Vec<Row> {
    (0..count).map(|n| ints(&[n, 1_000 + n, n % 3])).collect()
}

fn id_is(id: i32) -> impl Fn(&Row) -> bool {
    move |row| row[0] == Value::Int4(id)
}

/// The whole pass, with rows that come, change and go between its steps.
pub(super) fn pass_while_rows_change(world: &World, check: impl Fn(&World) -> usize) {
    let (mut next, mut n) = (Some(Position::default()), 0);
    while let Some(from) = next {
        next = step(world, &from).unwrap();
        check(world);
        n += 1;
        world.insert("t", &[&[100 + n, 100 + n, 7]]).unwrap();
        world.delete("t", id_is(n * 3)).unwrap();
        world.update("t", |row| id_is(n * 3 + 1)(row).then(|| ints(&[n * 3 + 1, 500 + n, 2]))).unwrap();
        world.update("t", |row| id_is(n * 3 + 2)(row).then(|| ints(&[200 + n, 600 + n, 2]))).unwrap();
        // A unique key is nobody else's, whether or not there are copies.
        assert_eq!(told(world.insert("t", &[&[900, 100 + n, 7]])).0, "23505");
        check(world);
    }
    assert!(n > 8, "{n} steps");
}

#[test]
fn a_table_is_given_a_primary_key_while_rows_change() {
    let mut world = keyless(rows(40));
    begin(&mut world);
    pass_while_rows_change(&world, check_copies);
    let count = switch_all(&mut world);
    assert!(!world.physical("t").has_row_id() && world.table("t").columns[0].not_null.is_certain());
    assert_eq!(told(world.insert("t", &[&[101, 1, 1]])).2, "Key (id)=(101) already exists.");
    // Rows that were copied can be changed as any others.
    world.update("t", |row| id_is(101)(row).then(|| ints(&[101, 9, 9]))).unwrap();
    world.delete("t", id_is(102)).unwrap();
    assert_eq!(world.rows("t").len(), count - 1);
}

#[test]
fn a_table_loses_its_primary_key_while_rows_change() {
    let mut world = keyed(rows(40));
    begin_key(&mut world, "", &[]);
    pass_while_rows_change(&world, check_copies);
    // Until it is gone it holds.
    assert_eq!(told(world.insert("t", &[&[101, 1, 1]])).2, "Key (id)=(101) already exists.");
    let count = switch_all(&mut world);
    assert!(world.physical("t").has_row_id() && world.table("t").indexes[0].constraint.is_none());
    world.insert("t", &[&[101, 1, 1], &[101, 2, 2]]).unwrap();
    assert_eq!(world.rows("t").len(), count + 2);
    world.delete("t", id_is(101)).unwrap();
    assert_eq!(world.rows("t").len(), count - 1);
    world.check("t");
}

#[test]
fn a_table_is_given_another_primary_key_while_rows_change() {
    let mut world = keyed(rows(40));
    begin_key(&mut world, "t_u_id", &["u", "id"]);
    pass_while_rows_change(&world, check_copies);
    switch_all(&mut world);
    // What was the key is none any more.
    world.insert("t", &[&[101, 1, 1]]).unwrap();
    assert_eq!(told(world.insert("t", &[&[101, 1, 1]])).0, "23505");
}

/// A column of the key goes with it, be there another key or none.
#[test]
fn a_table_loses_a_column_of_its_primary_key_while_rows_change() {
    for columns in [&["u"] as &[&str], &[]] {
        let mut world = keyed(rows(40));
        begin_key(&mut world, if columns.is_empty() { "" } else { "t_u_key" }, columns);
        let mut t = Table::clone(world.table("t"));
        t.reshaping_mut().unwrap().dropped.push(1);
        world.put(t);
        pass_while_rows_change(&world, check_copies_without_first);
        let sorted = |mut rows: Vec<Vec<i32>>| {
            rows.sort();
            rows
        };
        let before = world.ints("t").into_iter().map(|row| row[1..].to_vec()).collect();
        switch(&mut world);
        assert_eq!(sorted(world.ints("t")), sorted(before));
        world.check("t");
        let inserted = world.insert("t", &[&[101, 1]]);
        assert_eq!(told(inserted).2, "Key (u)=(101) already exists.");
        world.update("t", |row| (row[0] == Value::Int4(101)).then(|| ints(&[9, 9]))).unwrap();
        world.insert("t", &[&[101, 1]]).unwrap();
        world.check("t");
    }
}

#[test]
fn writers_keep_another_key_that_is_being_made() {
    let mut world = keyed(rows(3));
    begin_key(&mut world, "t_a_key", &["a"]);
    pass(&world).unwrap();
    assert_eq!(told(world.insert("t", &[&[9, 9, 1]])).2, "Key (a)=(1) already exists.");
    assert_eq!(told(world.update("t", |row| id_is(0)(row).then(|| ints(&[0, 1_000, 2])))).0, "23505");
    world.update("t", |row| id_is(0)(row).then(|| ints(&[7, 1_000, 0]))).unwrap();
    assert_eq!(check_copies(&world), 3);
}

#[test]
fn a_step_that_somebody_disturbs_has_no_effect() {
    let mut world = keyless(rows(3));
    begin(&mut world);
    for slot in 0..4 {
        let mut transaction = world.begin();
        let from = Position { slot, key: Vec::new() };
        let known = if slot % 2 == 0 { Copies::Missing } else { Copies::Perhaps };
        run(rekey(&mut transaction, world.around(), &world.physical("t"), (&from, known), 5, SECOND)).unwrap();
        if transaction.has_writes() {
            world.update("t", |row| Some(vec![row[0].clone(), row[1].clone(), Value::Int4(9)])).unwrap();
            assert!(is_conflict(&run(transaction.commit(SECOND))));
            return;
        }
    }
    panic!("no partition has rows");
}

#[test]
fn what_is_no_key_is_told() {
    let told_of = |rows: Vec<Row>| {
        let mut world = keyless(rows);
        begin(&mut world);
        told(pass(&world))
    };
    let twice = |u: i32| ints(&[3, u, 1]);
    let (state, message, detail) = told_of(vec![twice(1), ints(&[4, 4, 4]), twice(2)]);
    assert_eq!((state, message.as_str()), ("23505", "could not create unique index \"t_pkey\""));
    assert_eq!(detail, "Key (id)=(3) is duplicated.");
    let null = vec![Value::Null, Value::Int4(1), Value::Int4(1)];
    assert_eq!(
        told_of(vec![ints(&[1, 2, 3]), null]),
        ("23502", "column \"id\" of relation \"t\" contains null values".to_owned(), String::new())
    );
}

/// Two rows that do not differ are two rows, and have one key.
#[test]
fn equal_rows_are_told_apart() {
    let t = without_key(table(20_000, "t", &["id", "u", "a"]));
    let mut world = World::new(vec![t]);
    world.insert("t", &[&[1, 1, 1], &[1, 1, 1]]).unwrap();
    begin(&mut world);
    assert_eq!(told(pass(&world)).0, "23505");
    world.update("t", |row| (row[2] == Value::Int4(1)).then(|| row.clone())).unwrap_err();
}

#[test]
fn writers_keep_the_key_that_is_being_made() {
    let mut world = keyless(rows(6));
    begin(&mut world);
    pass(&world).unwrap();
    let (state, message, detail) = told(world.insert("t", &[&[3, 50, 1]]));
    assert_eq!((state, detail.as_str()), ("23505", "Key (id)=(3) already exists."));
    assert_eq!(message, "duplicate key value violates unique constraint \"t_pkey\"");
    let null = vec![Value::Null, Value::Int4(51), Value::Int4(1)];
    assert_eq!(told(world.insert_rows("t", vec![null])).0, "23502");
    assert_eq!(told(world.update("t", |row| id_is(1)(row).then(|| ints(&[2, 52, 1])))).0, "23505");
    // Keys may be shifted by one statement.
    let shift = |row: &Row| match row[0] {
        Value::Int4(id) => Some(vec![Value::Int4(id + 1), row[1].clone(), row[2].clone()]),
        _ => None,
    };
    world.update("t", shift).unwrap();
    assert_eq!(check_copies(&world), 6);
    // A single statement demands keys at commit, and is told all the same.
    let mut transaction = world.begin();
    let insert = |w: &mut Write<'_>| world.add(w, "t", vec![ints(&[3, 60, 1])]);
    assert_eq!(told(world.execute(&mut transaction, Checks::AtCommit, insert)).0, "23505");
}

/// A row that has no copy yet leaves the copy of another one with its key alone.
#[test]
fn rows_that_have_no_copy_have_nothing_to_leave() {
    let mut world = keyless(vec![ints(&[3, 1, 1]), ints(&[3, 2, 2])]);
    begin(&mut world);
    let first = |row: &Row| row[1] == Value::Int4(1);
    world.update("t", |row| first(row).then(|| ints(&[3, 1, 8]))).unwrap();
    assert_eq!(check_copies(&world), 1);
    assert_eq!(told(world.update("t", |row| (!first(row)).then(|| ints(&[3, 2, 9])))).0, "23505");
    world.delete("t", |row| !first(row)).unwrap();
    assert_eq!(check_copies(&world), 1);
    pass(&world).unwrap();
    switch(&mut world);
    assert_eq!(world.ints("t"), [[3, 1, 8]]);
}

#[test]
fn what_is_given_up_is_swept() {
    let mut world = keyless(rows(9));
    begin(&mut world);
    pass(&world).unwrap();
    let mut t = Table::clone(world.table("t"));
    t.indexes[0].state = IndexState::Ready;
    world.put(t);
    while run(sweep(&world.fake, *world.catalog.home(), 50, SECOND)).unwrap() != Swept::Clean {}
    assert!(world.stored(world.table("t"), GENERATION).is_empty());
    assert_eq!(world.rows("t").len(), 9);
}

/// What one of the writers, or the pass, does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(i32, i32),
    Remove(i32),
    /// Gives rows of one key another one.
    Renumber(i32, i32),
    /// Changes what is no key.
    Change(i32, i32),
    Commit,
    Rollback,
    /// The pass reads on, or commits what it has read.
    Look(bool),
    Enter,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let id = || 0..7_i32;
    let step = prop_oneof![
        3 => (id(), 0..30_i32).prop_map(|(id, u)| Step::Add(id, u)),
        2 => id().prop_map(Step::Remove),
        2 => (id(), id()).prop_map(|(from, to)| Step::Renumber(from, to)),
        2 => (id(), 0..9_i32).prop_map(|(id, a)| Step::Change(id, a)),
        4 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        3 => any::<bool>().prop_map(Step::Look),
        3 => Just(Step::Enter),
    ];
    prop::collection::vec((0..2_usize, step), 1..50)
}

/// One statement; a violation leaves the transaction as it was.
fn execute(world: &World, transaction: &mut Transaction<Fake>, step: Step, checks: Checks) {
    let all = [crate::ops::Bounds::all()];
    let rows = world.read(transaction, "t", 0, &all, None, false);
    let result = world.execute(transaction, checks, |writer| match step {
        Step::Add(id, u) => world.add(writer, "t", vec![ints(&[id, u, 0])]),
        Step::Remove(id) => world.remove(writer, "t", rows, id_is(id)),
        Step::Renumber(from, to) => world.change(writer, "t", rows, |row| {
            id_is(from)(row).then(|| vec![Value::Int4(to), row[1].clone(), row[2].clone()])
        }),
        Step::Change(id, a) => world.change(writer, "t", rows, |row| {
            id_is(id)(row).then(|| vec![row[0].clone(), row[1].clone(), Value::Int4(a)])
        }),
        _ => Ok(()),
    });
    if let Err(Failure::Sql(error)) = result {
        assert!(["23505", "23502"].contains(&error.state().0), "{error}");
    }
}

/// Whether the rows are ones that no primary key is possible for.
fn has_no_key(world: &World) -> bool {
    let mut ids: Vec<i32> = world.ints("t").iter().map(|row| row[0]).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ids.len() < count || ids.contains(&-99)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_written_meanwhile_the_key_holds_or_is_refused(
        ids in prop::collection::vec(prop::option::weighted(0.97, 0..9_i32), 0..9),
        steps in steps(),
        blocks in any::<[bool; 2]>(),
        stretch in 1..5_usize,
    ) {
        let row = |(id, n): (&Option<i32>, i32)| vec![id.map_or(Value::Null, Value::Int4), Value::Int4(n), Value::Int4(0)];
        let mut world = keyless(ids.iter().zip(100..).map(row).collect());
        begin(&mut world);
        world.fake.set_stretch(stretch);
        let mut open: [Option<Transaction<Fake>>; 2] = [None, None];
        let (mut next, mut looked) = (Some(Position::default()), None);
        for (who, step) in steps {
            match step {
                Step::Look(blind) => {
                    let Some(from) = &next else { continue };
                    let from = (from, if blind { Copies::Missing } else { Copies::Perhaps });
                    let mut transaction = world.begin();
                    match run(rekey(&mut transaction, world.around(), &world.physical("t"), from, 3, SECOND)) {
                        Ok((after, _)) => looked = Some((transaction, after)),
                        Err(Failure::Sql(_)) => {
                            prop_assert!(run(transaction.validate(SECOND)).is_err() || has_no_key(&world));
                        }
                        Err(Failure::Txn(error)) => prop_assert!(is_conflict::<()>(&Err(error))),
                    }
                }
                Step::Enter => {
                    let Some((transaction, after)) = looked.take() else { continue };
                    if run(transaction.commit(SECOND)).is_ok() {
                        next = after;
                    }
                    check_copies(&world);
                }
                Step::Commit => {
                    let committed = open[who].take().map(|transaction| run(transaction.commit(SECOND)));
                    prop_assert!(committed.is_none_or(|committed| committed.is_ok() || is_conflict(&committed)));
                    check_copies(&world);
                }
                Step::Rollback => drop(open[who].take()),
                step => {
                    let begin = || if blocks[who] { world.block() } else { world.begin() };
                    let checks = if blocks[who] { Checks::AtStatement } else { Checks::AtCommit };
                    execute(&world, open[who].get_or_insert_with(begin), step, checks);
                }
            }
        }
        drop((open, looked));
        let mut done = Ok(());
        while let (Some(from), Ok(())) = (&next, &done) {
            done = step(&world, from).map(|after| next = after);
        }
        prop_assert_eq!(done.is_err(), has_no_key(&world));
        if done.is_ok() {
            let mut before = world.ints("t");
            prop_assert_eq!(check_copies(&world), before.len());
            switch(&mut world);
            let mut after = world.ints("t");
            before.sort();
 after.sort();
            prop_assert_eq!(before, after);
        }
    }
}
