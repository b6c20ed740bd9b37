//! Deferred foreign keys: parents exist at the end of every transaction.

use annulus_base::time::SECOND;
use annulus_txn::testing::{Fake, run};

use super::world::*;
use crate::catalog::{Action, Deferral, Standing, Table};
use crate::error::SqlResult;
use crate::failure::Outcome;
use crate::ops::{Bounds, Checks, Deferrals, Pending, check_deferred};
use crate::transaction::Transaction;
use crate::value::Value;

/// Parents 1 to 3; children 10 and 11 of 1.
fn family(on_delete: Action, deferral: Deferral, child: fn(Table) -> Table) -> World {
    let (mut p, mut c) = (table(20_000, "p", &["id", "x"]), child(table(30_000, "c", &["id", "p", "d"])));
    refer(&mut c, "p", &mut p, on_delete, Action::NoAction);
    c.foreign_keys[0].standing = Standing::new(true).with_deferral(deferral);
    let world = World::new(vec![p, c]);
    world.insert("p", &[&[1, 0], &[2, 0], &[3, 0]]).unwrap();
    world.insert("c", &[&[10, 1, 0], &[11, 1, 0]]).unwrap();
    world
}

fn with_p_index(child: Table) -> Table {
    with_index(child, "c_p", &["p"], false)
}

fn without_index(child: Table) -> Table {
    child
}

/// A transaction that defers what is deferred usually.
struct Deferring<'w> {
    world: &'w World,
    transaction: Transaction<Fake>,
    deferrals: Deferrals,
    pending: Pending,
}

impl<'w> Deferring<'w> {
    fn new(world: &'w World) -> Self {
        let transaction = world.block();
        Self { world, transaction, deferrals: Deferrals::default(), pending: Pending::default() }
    }

    fn run(&mut self, change: impl FnOnce(&mut Write<'_>) -> SqlResult<()>) -> Outcome<()> {
        let checks = Checks::AtStatement;
        let left = self.world.deferring(&mut self.transaction, checks, &self.deferrals, change)?;
        Ok(self.pending.note(left.violations)?)
    }

    fn insert(&mut self, table: &str, row: &[i32]) -> Outcome<()> {
        let world = self.world;
        self.run(|writer| world.add(writer, table, vec![ints(row)]))
    }

    fn delete(&mut self, table: &str, id: i32) -> Outcome<()> {
        let world = self.world;
        let rows = world.read(&mut self.transaction, table, 0, &[Bounds::all()], None, false);
        self.run(|writer| world.remove(writer, table, rows, |row| row[0] == Value::Int4(id)))
    }

    fn commit(mut self) -> Outcome<()> {
        let (world, transaction) = (self.world, &mut self.transaction);
        run(check_deferred(&world.catalog, &self.pending.violations, &Deferrals::NONE, transaction, SECOND))?;
        run(self.transaction.commit(SECOND))?;
        Ok(())
    }
}

#[test]
fn a_parent_may_come_after_its_child() {
    let world = family(Action::NoAction, Deferral::Usual, with_p_index);
    let mut transaction = Deferring::new(&world);
    transaction.insert("c", &[12, 4, 0]).unwrap();
    transaction.insert("p", &[4, 0]).unwrap();
    transaction.commit().unwrap();
    let mut transaction = Deferring::new(&world);
    transaction.insert("c", &[13, 5, 0]).unwrap();
    assert_eq!(
        told(transaction.commit()),
        (
            "23503",
            "insert or update on table \"c\" violates foreign key constraint \"c_p_fkey\"".to_owned(),
            "Key (p)=(5) is not present in table \"p\".".to_owned()
        )
    );
    assert_eq!(world.ints("c"), [[10, 1, 0], [11, 1, 0], [12, 4, 0]]);
}

#[test]
fn children_may_go_after_their_parent_or_be_given_another() {
    for index in [with_p_index, without_index] {
        let world = family(Action::NoAction, Deferral::Usual, index);
        let mut transaction = Deferring::new(&world);
        transaction.delete("p", 1).unwrap();
        transaction.delete("c", 10).unwrap();
        assert_eq!(
            told(transaction.commit()),
            (
                "23503",
                "update or delete on table \"p\" violates foreign key constraint \"c_p_fkey\" on table \"c\""
                    .to_owned(),
                "Key (id)=(1) is still referenced from table \"c\".".to_owned()
            )
        );
        let mut transaction = Deferring::new(&world);
        transaction.delete("p", 1).unwrap();
        transaction.insert("p", &[1, 7]).unwrap();
        transaction.commit().unwrap();
        let mut transaction = Deferring::new(&world);
        transaction.delete("p", 1).unwrap();
        transaction.delete("c", 10).unwrap();
        transaction.delete("c", 11).unwrap();
        transaction.commit().unwrap();
        assert_eq!((world.ints("p").len(), world.ints("c").len()), (2, 0));
    }
}

#[test]
fn a_child_that_went_elsewhere_is_found() {
    let world = family(Action::NoAction, Deferral::Usual, with_p_index);
    let mut transaction = Deferring::new(&world);
    transaction.insert("c", &[12, 4, 0]).unwrap();
    // Another key of its own, the same parent: nothing that the statement itself would look at.
    let rows = world.read(&mut transaction.transaction, "c", 0, &[Bounds::all()], None, false);
    let renumber = |row: &Vec<Value>| (row[0] == Value::Int4(12)).then(|| ints(&[20, 4, 0]));
    transaction.run(|writer| world.change(writer, "c", rows, renumber)).unwrap();
    assert_eq!(told(transaction.commit()).0, "23503");
}

#[test]
fn what_was_undone_violates_nothing() {
    let world = family(Action::NoAction, Deferral::Usual, with_p_index);
    let mut transaction = Deferring::new(&world);
    let savepoint = transaction.transaction.savepoint();
    transaction.insert("c", &[12, 4, 0]).unwrap();
    transaction.delete("p", 1).unwrap();
    transaction.transaction.rollback_to(savepoint);
    transaction.insert("c", &[13, 2, 0]).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn only_what_takes_no_action_is_deferred() {
    for (action, state) in [(Action::Restrict, "23503"), (Action::Cascade, "")] {
        let world = family(action.clone(), Deferral::Usual, with_p_index);
        let mut transaction = Deferring::new(&world);
        match transaction.delete("p", 1) {
            Ok(()) => {
                let left = world.read(&mut transaction.transaction, "c", 0, &[Bounds::all()], None, false);
                assert_eq!((action, left.len()), (Action::Cascade, 0));
            }
            refused => assert_eq!(told(refused).0, state),
        }
    }
}

#[test]
fn a_transaction_says_what_it_defers() {
    let of = |deferral| family(Action::NoAction, deferral, with_p_index);
    let violates = |world: &World, deferrals: Deferrals| {
        let mut transaction = Deferring::new(world);
        transaction.deferrals = deferrals;
        transaction.insert("c", &[12, 4, 0]).is_err()
    };
    let all = |deferred| {
        let mut deferrals = Deferrals::default();
        deferrals.set_all(deferred);
        deferrals
    };
    let named = |mut deferrals: Deferrals, deferred| {
        deferrals.set(30_000, "c_p_fkey", deferred);
        deferrals
    };
    let (never, possible, usual) = (of(Deferral::Never), of(Deferral::Possible), of(Deferral::Usual));
    let immediate = |deferrals: Deferrals| [&never, &possible, &usual].map(|world| violates(world, deferrals.clone()));
    assert_eq!(immediate(Deferrals::default()), [true, true, false]);
    assert_eq!(immediate(all(true)), [true, false, false]);
    assert_eq!(immediate(all(false)), [true, true, true]);
    assert_eq!(immediate(named(Deferrals::default(), true)), [true, false, false]);
    assert_eq!(immediate(named(all(true), false)), [true, true, true]);
    let mut after_all = named(Deferrals::default(), false);
    after_all.set_all(true);
    assert_eq!(immediate(after_all), [true, false, false]);
}

#[test]
fn what_is_deferred_no_more_is_looked_at() {
    let world = family(Action::NoAction, Deferral::Usual, with_p_index);
    let mut transaction = Deferring::new(&world);
    transaction.insert("c", &[12, 4, 0]).unwrap();
    let mut check = |deferrals: &Deferrals| {
        let violations = &transaction.pending.violations;
        run(check_deferred(&world.catalog, violations, deferrals, &mut transaction.transaction, SECOND))
    };
    check(&Deferrals::default()).unwrap();
    assert_eq!(told(check(&Deferrals::NONE)).0, "23503");
}

/// One deletes a parent and then its children, the other inserts another child: not both commit.
#[test]
fn others_cannot_slip_in() {
    for inserts_first in [false, true] {
        let world = family(Action::NoAction, Deferral::Usual, with_p_index);
        let mut deletes = Deferring::new(&world);
        deletes.delete("p", 1).unwrap();
        deletes.delete("c", 10).unwrap();
        deletes.delete("c", 11).unwrap();
        let mut inserts = Deferring::new(&world);
        inserts.insert("c", &[12, 1, 0]).unwrap();
        let (first, second) = if inserts_first { (inserts, deletes) } else { (deletes, inserts) };
        first.commit().unwrap();
        assert!(second.commit().is_err());
    }
}

/// Many violations: each is looked at, and remembered once.
#[test]
fn violations_are_noted_once() {
    let world = family(Action::NoAction, Deferral::Usual, with_p_index);
    let mut transaction = Deferring::new(&world);
    for id in 0..10 {
        transaction.insert("c", &[20 + id, 4 + id % 2, 0]).unwrap();
    }
    assert_eq!(transaction.pending.violations.tables().count(), 4);
    transaction.insert("p", &[4, 0]).unwrap();
    assert_eq!(told(transaction.commit()).2, "Key (p)=(5) is not present in table \"p\".");
}
