//! Transactions that run at the same time, their statements in any order: whatever commits keeps every constraint.

use std::collections::BTreeSet;

use annulus_base::time::SECOND;
use proptest::prelude::*;

use super::world::*;
use crate::catalog::Action;
use crate::ops::{Bounds, Checks};
use crate::transaction::Transaction;
use crate::value::{Row, Value};
use annulus_txn::testing::{Fake, run};

/// What one of the transactions does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    AddParent(i32),
    RemoveParent(i32),
    RenumberParent(i32, i32),
    /// Number, parent, unique value.
    AddChild(i32, i32, i32),
    /// Gives children of a parent another one, and unique values another one.
    MoveChildren(i32, i32),
    RemoveChild(i32),
    Commit,
    Rollback,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let parent = || 0..4_i32;
    let step = prop_oneof![
        2 => parent().prop_map(Step::AddParent),
        2 => parent().prop_map(Step::RemoveParent),
        1 => (parent(), parent()).prop_map(|(from, to)| Step::RenumberParent(from, to)),
        4 => (0..6, parent(), 0..5).prop_map(|(id, parent, unique)| Step::AddChild(id, parent, unique)),
        2 => (parent(), parent()).prop_map(|(from, to)| Step::MoveChildren(from, to)),
        1 => (0..6).prop_map(Step::RemoveChild),
        4 => Just(Step::Commit),
        1 => Just(Step::Rollback),
    ];
    prop::collection::vec((0..3_usize, step), 1..40)
}

fn family(action: Action, indexed: bool) -> World {
    let (mut p, mut c) = (table(20_000, "p", &["id"]), table(30_000, "c", &["id", "p", "u"]));
    c = with_index(c, "c_u", &["u"], true);
    if indexed {
        c = with_index(c, "c_p", &["p"], false);
    }
    refer(&mut c, "p", &mut p, action.clone(), action);
    World::new(vec![p, c])
}

/// One statement. A violation leaves the transaction as it was.
fn execute(world: &World, transaction: &mut Transaction<Fake>, step: Step, checks: Checks) {
    let mut read = |table: &str| world.read(transaction, table, 0, &[Bounds::all()], None, false);
    let is = |row: &Row, column: usize, value: i32| row[column] == Value::Int4(value);
    let rows = match step {
        Step::RemoveParent(_) | Step::RenumberParent(..) => read("p"),
        Step::MoveChildren(..) | Step::RemoveChild(_) => read("c"),
        _ => Vec::new(),
    };
    let result = world.execute(transaction, checks, |writer| match step {
        Step::AddParent(id) => world.add(writer, "p", vec![ints(&[id])]),
        Step::RemoveParent(id) => world.remove(writer, "p", rows, |row| is(row, 0, id)),
        Step::RenumberParent(from, to) => world.change(writer, "p", rows, |row| is(row, 0, from).then(|| ints(&[to]))),
        Step::AddChild(id, parent, unique) => world.add(writer, "c", vec![ints(&[id, parent, unique])]),
        Step::MoveChildren(from, to) => world.change(writer, "c", rows, |row| {
            let shifted = |value: &Value| match value {
                Value::Int4(value) => Value::Int4(value + 1),
                other => other.clone(),
            };
            is(row, 1, from).then(|| vec![row[0].clone(), Value::Int4(to), shifted(&row[2])])
        }),
        Step::RemoveChild(id) => world.remove(writer, "c", rows, |row| is(row, 0, id)),
        Step::Commit | Step::Rollback => Ok(()),
    });
    if let Err(crate::Failure::Sql(error)) = result {
        assert!(["23505", "23503"].contains(&error.state().0), "{error}");
    }
}

fn keeps_constraints(world: &World) -> Result<(), TestCaseError> {
    let (parents, children) = (world.rows("p"), world.rows("c"));
    let keys: BTreeSet<String> = parents.iter().map(|row| format!("{:?}", row[0])).collect();
    prop_assert_eq!(keys.len(), parents.len());
    for child in &children {
        prop_assert!(child[1].is_null() || keys.contains(&format!("{:?}", child[1])), "{child:?} of {parents:?}");
    }
    for column in [0, 2] {
        let values: BTreeSet<String> = children.iter().map(|row| format!("{:?}", row[column])).collect();
        prop_assert_eq!(values.len(), children.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_commits_keeps_every_constraint(
        steps in steps(),
        action in prop::sample::select(vec![Action::NoAction, Action::Restrict, Action::Cascade, Action::SetNull]),
        indexed in any::<bool>(),
        blocks in any::<[bool; 3]>(),
        stretch in 1..5_usize,
    ) {
        let world = family(action, indexed);
        world.fake.set_stretch(stretch);
        let mut open: [Option<Transaction<Fake>>; 3] = [None, None, None];
        for (who, step) in steps {
            let begin = || if blocks[who] { world.block() } else { world.begin() };
            let transaction = open[who].get_or_insert_with(begin);
            match step {
                Step::Commit => {
                    let committed = open[who].take().map(|transaction| run(transaction.commit(SECOND)));
                    prop_assert!(committed.is_none_or(|committed| committed.is_ok() || is_conflict(&committed)));
                    keeps_constraints(&world)?;
                }
                Step::Rollback => drop(open[who].take()),
                step => {
                    let checks = if blocks[who] { Checks::AtStatement } else { Checks::AtCommit };
                    execute(&world, transaction, step, checks);
                }
            }
        }
    }
}
