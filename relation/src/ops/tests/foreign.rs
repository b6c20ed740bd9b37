//! Foreign keys: parents exist at the end of every statement, whatever others do at the same time.

use std::cell::Cell;

use annulus_base::time::SECOND;

use super::world::*;
use crate::catalog::{Action, Default, NotNull, Table};
use crate::error::{SqlError, SqlState};
use crate::failure::{Failure, Outcome};
use crate::ops::{Bounds, Checks, Deferrals, Pending, Writer, confirm};
use crate::value::{SqlType, Value};
use annulus_txn::interface::TxnError;
use annulus_txn::testing::{Call, Fault, run};

/// Parents 1 to 3; children 10 and 11 of 1, and 12 of nobody.
fn family(on_delete: Action, on_update: Action, child: impl FnOnce(Table) -> Table) -> World {
    let (mut p, mut c) = (table(20_000, "p", &["id", "x"]), child(table(30_000, "c", &["id", "p", "d"])));
    refer(&mut c, "p", &mut p, on_delete, on_update);
    let world = World::new(vec![p, c]);
    world.insert("p", &[&[1, 0], &[2, 0], &[3, 0]]).unwrap();
    let orphan = vec![Value::Int4(12), Value::Null, Value::Int4(0)];
    world.insert_rows("c", vec![ints(&[10, 1, 0]), ints(&[11, 1, 0]), orphan]).unwrap();
    world
}

fn with_p_index(child: Table) -> Table {
    with_index(child, "c_p", &["p"], false)
}

fn is(value: i32) -> impl Fn(&Vec<Value>) -> bool {
    move |row| row[0] == Value::Int4(value)
}

fn renumber(from: i32, to: i32) -> impl Fn(&Vec<Value>) -> Option<Vec<Value>> {
    move |row| (row[0] == Value::Int4(from)).then(|| [&ints(&[to])[..], &row[1..]].concat())
}

#[test]
fn a_child_needs_its_parent() {
    let world = family(Action::NoAction, Action::NoAction, with_p_index);
    assert_eq!(
        told(world.insert("c", &[&[13, 4, 0]])),
        (
            "23503",
            "insert or update on table \"c\" violates foreign key constraint \"c_p_fkey\"".to_owned(),
            "Key (p)=(4) is not present in table \"p\".".to_owned()
        )
    );
    let adopt = |row: &Vec<Value>| Some(vec![row[0].clone(), Value::Int4(7), row[2].clone()]);
    assert_eq!(told(world.update("c", adopt)).0, "23503");
    world.insert("c", &[&[13, 2, 0]]).unwrap();
    // A change of another column asks for nothing.
    world.fake.take_calls();
    world.update("c", |row| Some(vec![row[0].clone(), row[1].clone(), Value::Int4(1)])).unwrap();
    assert!(!world.fake.take_calls().contains_key(&annulus_txn::testing::Call::Read));
    assert_eq!(world.ints("c"), [[10, 1, 1], [11, 1, 1], [12, -99, 1], [13, 2, 1]]);
}

/// A statement that finds out about its unique keys at commit fails before that: for the key, if somebody has it, for the
/// parent otherwise, and for neither if something else was over.
#[test]
fn of_a_key_and_a_parent_the_key_is_told() {
    let world = family(Action::NoAction, Action::NoAction, with_p_index);
    let fails = |row: [i32; 3], over: &dyn Fn()| {
        let (mut transaction, mut pending) = (world.begin(), Pending::default());
        let mut writer = Writer::new(world.around(), Checks::AtCommit);
        world.add(&mut writer, "c", vec![ints(&row)]).unwrap();
        let failed = run(writer.finish(&mut transaction, &Deferrals::NONE, &mut pending, SECOND));
        let Err(Failure::Sql(error)) = failed else { panic!("{failed:?}") };
        over();
        run(confirm(&mut transaction, &world.catalog, &pending.claims, error, SECOND))
    };
    let of = |outcome: Outcome<SqlError>| outcome.unwrap().state();
    assert_eq!(of(fails([13, 4, 0], &|| {})), SqlState::FOREIGN_KEY_VIOLATION);
    assert_eq!(of(fails([11, 4, 0], &|| {})), SqlState::UNIQUE_VIOLATION);
    let parent = || world.insert("p", &[&[4, 0]]).unwrap();
    let over = fails([11, 4, 0], &parent);
    assert!(matches!(over, Err(Failure::Txn(TxnError::Conflict(_)))), "{over:?}");
    // Nor is anything told that cannot be confirmed.
    for fault in [Fault::Fails(TxnError::Overloaded), Fault::FailsAfter(TxnError::Unknown)] {
        let faults = Cell::new(Some(fault));
        let unconfirmed = fails([13, 5, 0], &|| {
            faults.take().into_iter().for_each(|fault| world.fake.inject(Call::Commit, fault));
        });
        let Err(Failure::Txn(error)) = unconfirmed else { panic!("{unconfirmed:?}") };
        assert!(matches!(error, TxnError::Overloaded | TxnError::Unavailable { .. }), "{error:?}");
    }
}

#[test]
fn a_parent_of_the_same_statement_or_transaction_will_do() {
    let world = family(Action::NoAction, Action::NoAction, with_p_index);
    world
        .statement(|writer| {
            world.add(writer, "c", vec![ints(&[13, 4, 0])])?;
            world.add(writer, "p", vec![ints(&[4, 0])])
        })
        .unwrap();
    let mut transaction = world.block();
    world.execute(&mut transaction, Checks::AtStatement, |w| world.add(w, "p", vec![ints(&[5, 0])])).unwrap();
    world.execute(&mut transaction, Checks::AtStatement, |w| world.add(w, "c", vec![ints(&[14, 5, 0])])).unwrap();
    run(transaction.commit(SECOND)).unwrap();
    assert_eq!(world.ints("c").len(), 5);
}

#[test]
fn a_parent_with_children_stays() {
    for index in [with_p_index as fn(Table) -> Table, |child| child] {
        for action in [Action::NoAction, Action::Restrict] {
            let world = family(action.clone(), action, index);
            let refused = (
                "23503",
                "update or delete on table \"p\" violates foreign key constraint \"c_p_fkey\" on table \"c\""
                    .to_owned(),
                "Key (id)=(1) is still referenced from table \"c\".".to_owned(),
            );
            assert_eq!(told(world.delete("p", is(1))), refused);
            assert_eq!(told(world.update("p", renumber(1, 9))), refused);
            world.update("p", |row| Some(vec![row[0].clone(), Value::Int4(5)])).unwrap();
            world.delete("p", is(2)).unwrap();
            // With its children it can go.
            let (parents, children) = (world.tuples("p"), world.tuples("c"));
            world
                .statement(|writer| {
                    world.remove(writer, "p", parents, is(1))?;
                    world.remove(writer, "c", children, |row| row[1] == Value::Int4(1))
                })
                .unwrap();
            assert_eq!((world.ints("p"), world.ints("c")), (vec![vec![3, 5]], vec![vec![12, -99, 0]]));
        }
    }
}

#[test]
fn another_row_may_take_a_parents_key_unless_restricted() {
    let swap = |row: &Vec<Value>| match row[0] {
        Value::Int4(1) => Some(ints(&[2, 0])),
        Value::Int4(2) => Some(ints(&[1, 0])),
        _ => None,
    };
    family(Action::NoAction, Action::NoAction, with_p_index).update("p", swap).unwrap();
    let restricted = family(Action::NoAction, Action::Restrict, with_p_index);
    assert_eq!(told(restricted.update("p", swap)).0, "23503");
}

#[test]
fn children_follow_their_parent() {
    for index in [with_p_index as fn(Table) -> Table, |child| child] {
        let world = family(Action::Cascade, Action::Cascade, index);
        world.update("p", renumber(1, 7)).unwrap();
        assert_eq!(world.ints("c"), [[10, 7, 0], [11, 7, 0], [12, -99, 0]]);
        world.delete("p", is(7)).unwrap();
        assert_eq!((world.ints("p").len(), world.ints("c")), (2, vec![vec![12, -99, 0]]));
    }
}

#[test]
fn children_follow_parents_that_shift() {
    let world = family(Action::Cascade, Action::Cascade, with_p_index);
    world.insert("c", &[&[13, 2, 0]]).unwrap();
    let shift = |row: &Vec<Value>| match row[0] {
        Value::Int4(id) => Some(ints(&[id + 1, 0])),
        _ => None,
    };
    world.update("p", shift).unwrap();
    assert_eq!(world.ints("c"), [[10, 2, 0], [11, 2, 0], [12, -99, 0], [13, 3, 0]]);
}

#[test]
fn children_lose_their_parent() {
    let world = family(Action::SetNull, Action::SetNull, with_p_index);
    world.delete("p", is(1)).unwrap();
    assert_eq!(world.ints("c"), [[10, -99, 0], [11, -99, 0], [12, -99, 0]]);
    world.insert("c", &[&[13, 2, 0]]).unwrap();
    world.update("p", renumber(2, 5)).unwrap();
    assert_eq!(world.ints("c")[3], [13, -99, 0]);
    // Where a column has no NULL, the parent cannot go.
    world.delete("c", |row| row[1].is_null()).unwrap();
    world.insert("c", &[&[14, 3, 0]]).unwrap();
    let mut c = (**world.table("c")).clone();
    c.columns[1].not_null = NotNull::Yes;
    let mut world = world;
    world.put(c);
    assert_eq!(told(world.delete("p", is(3))).0, "23502");
}

#[test]
fn children_get_their_default_parent() {
    let by_default = |mut c: Table| {
        c = with_default(c, "p", Default::Expression("3".to_owned()));
        with_p_index(c)
    };
    let world = family(Action::SetDefault, Action::SetDefault, by_default);
    world.delete("p", is(1)).unwrap();
    assert_eq!(world.ints("c"), [[10, 3, 0], [11, 3, 0], [12, -99, 0]]);
    assert_eq!(told(world.delete("p", is(3))).2, "Key (p)=(3) is not present in table \"p\".");
}

#[test]
fn a_table_refers_to_itself() {
    let mut t = with_index(table(20_000, "t", &["id", "boss"]), "t_boss", &["boss"], false);
    let mut other = t.clone();
    refer(&mut t, "boss", &mut other, Action::Cascade, Action::Cascade);
    t.referenced_by = vec![20_000];
    let world = World::new(vec![t]);
    world.insert("t", &[&[3, 2], &[2, 1], &[1, 1], &[4, 4]]).unwrap();
    assert_eq!(told(world.insert("t", &[&[9, 8]])).0, "23503");
    world.update("t", renumber(1, 5)).unwrap();
    assert_eq!(world.ints("t"), [[2, 5], [3, 2], [4, 4], [5, 5]]);
    world.delete("t", is(5)).unwrap();
    assert_eq!(world.ints("t"), [[4, 4]]);
}

#[test]
fn generations_go_together() {
    let mut a = table(20_000, "a", &["id"]);
    let mut b = with_index(table(30_000, "b", &["id", "a"]), "b_a", &["a"], false);
    let mut c = table(40_000, "c", &["id", "b"]);
    let mut d = table(50_000, "d", &["id", "c"]);
    refer(&mut b, "a", &mut a, Action::Cascade, Action::NoAction);
    refer(&mut c, "b", &mut b, Action::Cascade, Action::NoAction);
    refer(&mut d, "c", &mut c, Action::SetNull, Action::NoAction);
    let world = World::new(vec![a, b, c, d]);
    world.insert("a", &[&[1], &[2]]).unwrap();
    world.insert("b", &[&[1, 1], &[2, 1], &[3, 2]]).unwrap();
    world.insert("c", &[&[1, 1], &[2, 2], &[3, 3]]).unwrap();
    world.insert("d", &[&[1, 2], &[2, 3]]).unwrap();
    world.delete("a", is(1)).unwrap();
    assert_eq!((world.ints("b"), world.ints("c")), (vec![vec![3, 2]], vec![vec![3, 3]]));
    assert_eq!(world.ints("d"), [[1, -99], [2, 3]]);
}

#[test]
fn two_foreign_keys_change_one_child() {
    let (mut p, mut c) = (table(20_000, "p", &["id"]), table(30_000, "c", &["id", "p", "q"]));
    refer(&mut c, "p", &mut p, Action::SetNull, Action::Cascade);
    refer(&mut c, "q", &mut p, Action::SetNull, Action::Cascade);
    let world = World::new(vec![p, c]);
    world.insert("p", &[&[1], &[2]]).unwrap();
    world.insert("c", &[&[10, 1, 2], &[11, 1, 1]]).unwrap();
    world.update("p", |row| Some(ints(&[if row[0] == Value::Int4(1) { 2 } else { 3 }]))).unwrap();
    assert_eq!(world.ints("c"), [[10, 2, 3], [11, 2, 2]]);
    world.delete("p", |_| true).unwrap();
    assert_eq!(world.ints("c"), [[10, -99, -99], [11, -99, -99]]);
}

#[test]
fn children_of_a_wider_type() {
    let (mut p, mut c) =
        (table(20_000, "p", &["id"]), with_index(table(30_000, "c", &["id", "p"]), "c_p", &["p"], false));
    c.columns[1].ty = SqlType::Int8;
    refer(&mut c, "p", &mut p, Action::Cascade, Action::Cascade);
    let world = World::new(vec![p, c]);
    world.insert("p", &[&[1], &[2]]).unwrap();
    let child = |id, parent| vec![Value::Int4(id), Value::Int8(parent)];
    world.insert_rows("c", vec![child(10, 1), child(11, 2)]).unwrap();
    assert_eq!(told(world.insert_rows("c", vec![child(12, 1 << 40)])).0, "23503");
    world.update("p", renumber(1, 5)).unwrap();
    world.delete("p", is(2)).unwrap();
    assert_eq!(world.rows("c"), [child(10, 5)]);
}

#[test]
fn a_parent_deleted_while_a_child_comes_is_found_out() {
    for index in [with_p_index as fn(Table) -> Table, |child| child] {
        let begin = |world: &World| {
            let (mut inserts, mut deletes) = (world.begin(), world.begin());
            world.execute(&mut inserts, Checks::AtStatement, |w| world.add(w, "c", vec![ints(&[13, 2, 0])])).unwrap();
            let rows = world.read(&mut deletes, "p", 0, &[Bounds::equal(ints(&[2]))], None, false);
            world.execute(&mut deletes, Checks::AtStatement, |w| world.remove(w, "p", rows, |_| true)).unwrap();
            (inserts, deletes)
        };
        let world = family(Action::NoAction, Action::NoAction, index);
        let (inserts, deletes) = begin(&world);
        run(deletes.commit(SECOND)).unwrap();
        assert!(is_conflict(&run(inserts.commit(SECOND))));
        assert_eq!((world.ints("p").len(), world.ints("c").len()), (2, 3));
        let world = family(Action::Cascade, Action::NoAction, index);
        let (inserts, deletes) = begin(&world);
        run(inserts.commit(SECOND)).unwrap();
        assert!(is_conflict(&run(deletes.commit(SECOND))));
        assert_eq!((world.ints("p").len(), world.ints("c").len()), (3, 4));
    }
}
