//! Rows with their index entries, and the constraints of a table by itself.

use annulus_base::time::SECOND;

use super::world::*;
use crate::catalog::Default;
use crate::failure::Failure;
use crate::ops::{Bounds, Checks, explain};
use crate::value::{SqlType, Value};
use annulus_txn::interface::TxnError;
use annulus_txn::testing::{Call, run};

fn indexed() -> crate::catalog::Table {
    indexed_as(20_000)
}

fn indexed_as(id: u32) -> crate::catalog::Table {
    with_index(with_index(table(id, "t", &["id", "a", "b"]), "t_a_key", &["a"], true), "t_b", &["-b", "a"], false)
}

#[test]
fn rows_and_entries_change_together() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 5], &[2, 20, 5], &[3, 30, 6]]).unwrap();
    world.update("t", |row| (row[0] == Value::Int4(2)).then(|| ints(&[2, 21, 7]))).unwrap();
    world.update("t", |row| (row[0] == Value::Int4(3)).then(|| ints(&[9, 30, 6]))).unwrap();
    assert_eq!(world.ints("t"), [[1, 10, 5], [2, 21, 7], [9, 30, 6]]);
    world.delete("t", |row| row[0] == Value::Int4(1)).unwrap();
    assert_eq!(world.ints("t"), [[2, 21, 7], [9, 30, 6]]);
}

#[test]
fn a_key_that_exists_is_refused_in_postgres_words() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 5]]).unwrap();
    let error = sql(world.insert("t", &[&[1, 11, 5]]));
    let report = error.report();
    assert_eq!((report.schema.as_deref(), report.table.as_deref()), (Some("public"), Some("t")));
    assert_eq!(report.constraint.as_deref(), Some("t_pkey"));
    let message = |name: &str| format!("duplicate key value violates unique constraint \"{name}\"");
    assert_eq!(
        told(world.insert("t", &[&[1, 11, 5]])),
        ("23505", message("t_pkey"), "Key (id)=(1) already exists.".to_owned())
    );
    assert_eq!(
        told(world.insert("t", &[&[2, 10, 5]])),
        ("23505", message("t_a_key"), "Key (a)=(10) already exists.".to_owned())
    );
    // Two rows of one statement.
    assert_eq!(told(world.insert("t", &[&[5, 50, 0], &[5, 51, 0]])).2, "Key (id)=(5) already exists.");
    assert_eq!(world.ints("t"), [[1, 10, 5]]);
}

#[test]
fn a_key_of_an_earlier_statement_of_the_transaction_is_refused_and_one_it_deleted_is_free() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 5]]).unwrap();
    for checks in [Checks::AtStatement, Checks::AtCommit] {
        let mut transaction = world.block();
        let mut add = |row: &[i32]| world.execute(&mut transaction, checks, |w| world.add(w, "t", vec![ints(row)]));
        add(&[2, 20, 0]).unwrap();
        assert_eq!(told(add(&[2, 21, 0])).0, "23505");
    }
    let mut transaction = world.block();
    let rows = world.tuples("t");
    world.execute(&mut transaction, Checks::AtStatement, |w| world.remove(w, "t", rows, |_| true)).unwrap();
    world.execute(&mut transaction, Checks::AtStatement, |w| world.add(w, "t", vec![ints(&[1, 10, 6])])).unwrap();
    run(transaction.commit(SECOND)).unwrap();
    assert_eq!(world.ints("t"), [[1, 10, 6]]);
}

#[test]
fn nulls_are_distinct() {
    let world = World::new(vec![indexed()]);
    let row = |id| vec![Value::Int4(id), Value::Null, Value::Int4(0)];
    world.insert_rows("t", vec![row(1), row(2)]).unwrap();
    world.insert_rows("t", vec![row(3)]).unwrap();
    assert_eq!(world.ints("t").len(), 3);
    world.delete("t", |row| row[0] != Value::Int4(2)).unwrap();
    assert_eq!(world.ints("t"), [[2, -99, 0]]);
}

#[test]
fn a_statement_that_shifts_keys_does_not_fail() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 0], &[2, 11, 0], &[3, 12, 0]]).unwrap();
    let shift = |by: i32| {
        move |row: &Vec<Value>| {
            let plus = |value: &Value| match value {
                Value::Int4(value) => Value::Int4(value + by),
                other => other.clone(),
            };
            Some(row.iter().map(plus).collect())
        }
    };
    world.update("t", shift(1)).unwrap();
    assert_eq!(world.ints("t"), [[2, 11, 1], [3, 12, 1], [4, 13, 1]]);
    world.update("t", shift(-1)).unwrap();
    // Two rows change places.
    let swap = |row: &Vec<Value>| match row[0] {
        Value::Int4(1) => Some(ints(&[2, 11, 0])),
        Value::Int4(2) => Some(ints(&[1, 10, 7])),
        _ => None,
    };
    world.update("t", swap).unwrap();
    assert_eq!(world.ints("t"), [[1, 10, 7], [2, 11, 0], [3, 12, 0]]);
    let onto = |row: &Vec<Value>| (row[0] == Value::Int4(1)).then(|| ints(&[3, 99, 0]));
    assert_eq!(told(world.update("t", onto)).2, "Key (id)=(3) already exists.");
}

#[test]
fn partial_and_expression_indexes() {
    let mut t = with_index(table(20_000, "t", &["id", "a", "b"]), "t_sum", &["a + b"], true);
    t.indexes[1].predicate = Some("b > 0".to_owned());
    let world = World::new(vec![t]);
    world.insert("t", &[&[1, 1, 2], &[2, 3, -1], &[3, 4, -1]]).unwrap();
    assert_eq!(told(world.insert("t", &[&[4, 2, 1]])).2, "Key ((a + b))=(3) already exists.");
    world.insert("t", &[&[4, 3, 0]]).unwrap();
    world.update("t", |row| (row[0] == Value::Int4(1)).then(|| ints(&[1, 1, -2]))).unwrap();
    world.insert("t", &[&[5, 2, 1]]).unwrap();
    assert_eq!(world.ints("t").len(), 5);
}

#[test]
fn at_commit_keys_are_not_read_and_a_conflict_is_explained() {
    let world = World::new(vec![indexed()]);
    let attempt = |row: &[i32]| {
        let mut transaction = world.begin();
        let claims = world.execute(&mut transaction, Checks::AtCommit, |w| world.add(w, "t", vec![ints(row)])).unwrap();
        let premises = transaction.premises(claims.places());
        (claims, premises, run(transaction.commit(SECOND)))
    };
    world.fake.take_calls();
    attempt(&[1, 10, 5]).2.unwrap();
    assert_eq!(world.fake.take_calls(), [(Call::Commit, 1)].into());
    let (claims, premises, committed) = attempt(&[2, 10, 5]);
    assert!(is_conflict(&committed));
    let error = run(explain(&world.fake, &world.catalog, &claims, premises, SECOND)).unwrap().unwrap();
    assert_eq!(error.report().detail.as_deref(), Some("Key (a)=(10) already exists."));
    // A conflict about something else: the table was changed.
    let mut transaction = world.begin();
    let claims =
        world.execute(&mut transaction, Checks::AtCommit, |w| world.add(w, "t", vec![ints(&[3, 30, 0])])).unwrap();
    let premises = transaction.premises(claims.places());
    let place = world.catalog.home().stamp(20_000, world.physical("t").row_place(&ints(&[3])).unwrap().partition);
    world.fake.write(place, Some(bytes::Bytes::from_static(b"2")));
    assert!(is_conflict(&run(transaction.commit(SECOND))));
    let explained = run(explain(&world.fake, &world.catalog, &claims, premises, SECOND));
    assert!(matches!(explained, Err(Failure::Txn(TxnError::Conflict(_)))), "{explained:?}");
}

/// Two transactions make the same of one row: the second has read what is over, and nobody else has its key.
#[test]
fn a_key_that_follows_from_what_is_over_is_no_violation() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 5]]).unwrap();
    let change = || {
        let mut transaction = world.begin();
        let old = world.read(&mut transaction, "t", 0, &[Bounds::all()], None, true);
        let claims = world
            .execute(&mut transaction, Checks::AtCommit, |w| world.change(w, "t", old, |_| Some(ints(&[1, 11, 5]))));
        (transaction, claims.unwrap())
    };
    let ((first, _), (second, claims)) = (change(), change());
    run(first.commit(SECOND)).unwrap();
    let premises = second.premises(claims.places());
    assert!(is_conflict(&run(second.commit(SECOND))));
    let explained = run(explain(&world.fake, &world.catalog, &claims, premises, SECOND));
    assert!(matches!(explained, Err(Failure::Txn(TxnError::Conflict(_)))), "{explained:?}");
}

#[test]
fn of_two_transactions_that_insert_one_key_one_fails() {
    for checks in [Checks::AtStatement, Checks::AtCommit] {
        let world = World::new(vec![indexed()]);
        let (mut one, mut other) = (world.begin(), world.block());
        world.execute(&mut one, checks, |w| world.add(w, "t", vec![ints(&[1, 10, 0])])).unwrap();
        world.execute(&mut other, checks, |w| world.add(w, "t", vec![ints(&[2, 10, 0])])).unwrap();
        run(one.commit(SECOND)).unwrap();
        assert!(is_conflict(&run(other.commit(SECOND))));
        assert_eq!(world.ints("t"), [[1, 10, 0]]);
    }
}

#[test]
fn of_two_transactions_that_change_one_row_one_fails() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 0]]).unwrap();
    let change = |to: i32| {
        let mut transaction = world.begin();
        let rows = world.read(&mut transaction, "t", 0, &[crate::ops::Bounds::equal(ints(&[1]))], None, false);
        let result = world.execute(&mut transaction, Checks::AtStatement, |w| {
            world.change(w, "t", rows, |_| Some(ints(&[1, 10, to])))
        });
        result.unwrap();
        transaction
    };
    let (one, other) = (change(1), change(2));
    run(one.commit(SECOND)).unwrap();
    assert!(is_conflict(&run(other.commit(SECOND))));
    assert_eq!(world.ints("t"), [[1, 10, 1]]);
}

#[test]
fn nulls_and_checks_are_refused_in_postgres_words() {
    let world = World::new(vec![with_check(table(20_000, "t", &["id", "a"]), "t_a_check", "a > 0")]);
    let row = |a: Value, b: Value| world.insert_rows("t", vec![vec![a, b]]);
    assert_eq!(
        told(row(Value::Null, Value::Int4(1))),
        (
            "23502",
            "null value in column \"id\" of relation \"t\" violates not-null constraint".to_owned(),
            "Failing row contains (null, 1).".to_owned()
        )
    );
    assert_eq!(
        told(row(Value::Int4(1), Value::Int4(0))),
        (
            "23514",
            "new row for relation \"t\" violates check constraint \"t_a_check\"".to_owned(),
            "Failing row contains (1, 0).".to_owned()
        )
    );
    // What is not known is not false.
    row(Value::Int4(1), Value::Null).unwrap();
    let to_zero = |row: &Vec<Value>| Some(vec![row[0].clone(), Value::Int4(0)]);
    assert_eq!(told(world.update("t", to_zero)).0, "23514");
    assert_eq!(world.ints("t"), [[1, -99]]);
}

#[test]
fn generated_columns_follow_the_row() {
    let t = with_default(table(20_000, "t", &["id", "a", "sum"]), "sum", Default::Generated("id + a".to_owned()));
    let world = World::new(vec![with_index(t, "t_sum", &["sum"], true)]);
    world.insert("t", &[&[1, 2, 0]]).unwrap();
    assert_eq!(world.ints("t"), [[1, 2, 3]]);
    world.update("t", |_| Some(ints(&[1, 9, 0]))).unwrap();
    assert_eq!(world.ints("t"), [[1, 9, 10]]);
}

#[test]
fn rows_without_a_key_have_hidden_ids() {
    let world = World::new(vec![with_index(without_key(table(20_000, "t", &["a", "b"])), "t_b", &["b"], false)]);
    world.insert("t", &[&[1, 5], &[1, 5], &[2, 6]]).unwrap();
    assert_eq!(world.ints("t"), [[1, 5], [1, 5], [2, 6]]);
    world.update("t", |row| (row[0] == Value::Int4(2)).then(|| ints(&[3, 5]))).unwrap();
    assert_eq!(world.ints("t"), [[1, 5], [1, 5], [3, 5]]);
    let found = world.read(&mut world.begin(), "t", 1, &[crate::ops::Bounds::equal(ints(&[5]))], None, true);
    assert_eq!(found.len(), 3);
    world.delete("t", |row| row[0] == Value::Int4(1)).unwrap();
    assert_eq!(world.ints("t"), [[3, 5]]);
}

#[test]
fn a_row_is_changed_once_by_a_statement() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 5]]).unwrap();
    let tuple = world.tuples("t").remove(0);
    world
        .statement(|writer| {
            assert!(writer.update(20_000, tuple.clone(), ints(&[1, 11, 5]))?.is_some());
            assert!(writer.update(20_000, tuple.clone(), ints(&[1, 12, 5]))?.is_none());
            assert!(!writer.delete(20_000, tuple.clone())?);
            Ok(())
        })
        .unwrap();
    assert_eq!(world.ints("t"), [[1, 11, 5]]);
}

#[test]
fn a_key_that_is_too_long_is_refused() {
    let mut t = with_index(table(20_000, "t", &["id", "a"]), "t_a", &["a"], false);
    t.columns[1].ty = SqlType::Text;
    let world = World::new(vec![t]);
    let row = |length| vec![vec![Value::Int4(1), Value::text("x".repeat(length))]];
    let (state, message, _) = told(world.insert_rows("t", row(5_000)));
    assert_eq!(state, "54000");
    assert!(message.ends_with("exceeds maximum 4096 for index \"t_a\""), "{message}");
    world.insert_rows("t", row(4_000)).unwrap();
    assert_eq!(world.rows("t").len(), 1);
}

#[test]
fn a_damaged_row_is_told() {
    let world = World::new(vec![indexed()]);
    world.insert("t", &[&[1, 10, 5]]).unwrap();
    let tuple = world.tuples("t").remove(0);
    world.fake.write(tuple.place, Some(bytes::Bytes::from_static(b"nonsense")));
    let mut transaction = world.begin();
    let bounds = crate::ops::Bounds::all();
    let mut cursor = crate::ops::Cursor::new(&world.physical("t"), 0, &[bounds], None, false).unwrap();
    let error = run(cursor.next(&mut transaction, &world.catalog, 10, SECOND));
    assert_eq!(told(error).0, "XX001");
}

#[test]
fn who_overwrites_reads_nothing_and_the_last_one_wins() {
    let world = World::new(vec![table(20_000, "plain", &["id", "a"]), indexed_as(21_000)]);
    world.insert("plain", &[&[1, 10]]).unwrap();
    let overwrite = |transaction: &mut _, row: &[i32]| {
        world.execute(transaction, Checks::AtStatement, |w| w.overwrite(20_000, ints(row)).map(drop)).map(drop)
    };
    let (mut first, mut second, mut reader) = (world.block(), world.block(), world.block());
    world.read(&mut reader, "plain", 0, &[Bounds::all()], None, true);
    overwrite(&mut first, &[1, 11]).unwrap();
    overwrite(&mut second, &[1, 12]).unwrap();
    overwrite(&mut second, &[2, 20]).unwrap();
    assert_eq!((first.rounds(), second.rounds()), (0, 0));
    run(first.commit(SECOND)).unwrap();
    run(second.commit(SECOND)).unwrap();
    assert_eq!(world.ints("plain"), [[1, 12], [2, 20]]);
    // What was read still counts.
    overwrite(&mut reader, &[1, 13]).unwrap();
    assert!(matches!(run(reader.commit(SECOND)), Err(TxnError::Conflict(_))));
    // An index would keep the entry of a row that nobody has seen.
    let refused =
        world.execute(&mut world.block(), Checks::AtStatement, |w| w.overwrite(21_000, ints(&[1, 2, 3])).map(drop));
    assert_eq!(told(refused).0, "XX000");
}
