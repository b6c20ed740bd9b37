//! Bounds of all kinds, in all orders, over all partitions.

use std::ops::Bound;

use annulus_base::time::SECOND;
use proptest::prelude::*;

use super::world::*;
use crate::ops::{Bounds, read_rows};
use crate::value::{Row, Value, compare};
use annulus_txn::testing::{Call, run};

fn world() -> World {
    let mut t = table(20_000, "t", &["id", "a", "b", "c"]);
    t = with_index(t, "t_a_b", &["a", "b"], false);
    t = with_index(t, "t_a_desc", &["-a", "-b"], false);
    t = with_index(t, "t_c", &["c"], true);
    t.indexes[1].include = vec![4];
    let world = World::new(vec![t]);
    let value = |n: i32| if n % 7 == 0 { Value::Null } else { Value::Int4(n % 5) };
    let row = |n: i32| vec![Value::Int4(n), value(n), value(n * 3 + 1), Value::Int4(100 - n)];
    world.insert_rows("t", (0..40).map(row).collect()).unwrap();
    world
}

/// Whether a key is inside, as SQL sees it.
fn inside(keys: &[Value], bounds: &Bounds) -> bool {
    let (equal, rest) = keys.split_at(bounds.equal.len());
    let lower = |value: &Value| match &bounds.lower {
        Bound::Unbounded => true,
        Bound::Included(low) => !low.is_null() && compare(value, low).is_ge(),
        Bound::Excluded(low) => !low.is_null() && compare(value, low).is_gt(),
    };
    let upper = |value: &Value| match &bounds.upper {
        Bound::Unbounded => true,
        Bound::Included(high) => !high.is_null() && compare(value, high).is_le(),
        Bound::Excluded(high) => !high.is_null() && compare(value, high).is_lt(),
    };
    let unbounded = matches!((&bounds.lower, &bounds.upper), (Bound::Unbounded, Bound::Unbounded));
    equal == bounds.equal
        && (unbounded || rest.first().is_some_and(|value| !value.is_null() && lower(value) && upper(value)))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 8 => (-1..6).prop_map(Value::Int4)]
}

fn bound() -> impl Strategy<Value = Bound<Value>> {
    prop_oneof![Just(Bound::Unbounded), value().prop_map(Bound::Included), value().prop_map(Bound::Excluded)]
}

#[test]
fn bounds_hold_what_they_say_in_the_order_of_the_index() {
    let world = world();
    let all = world.rows("t");
    // The columns of each index, and the positions of its keys.
    let strategy = (0..3_usize, prop::collection::vec(value(), 0..2), bound(), bound(), 1..5_usize);
    proptest!(ProptestConfig::with_cases(300), |((index, equal, lower, upper, stretch) in strategy)| {
        world.fake.set_stretch(stretch);
        let keys = |row: &Row| match index {
            0 => vec![row[0].clone()],
            _ => vec![row[1].clone(), row[2].clone()],
        };
        let equal = if index == 0 { Vec::new() } else { equal };
        let bounds = Bounds { equal, lower, upper };
        let mut expected: Vec<Row> = all.iter().filter(|row| inside(&keys(row), &bounds)).cloned().collect();
        let position = |row: &Row| {
            let order = |value: &Value| match value {
                Value::Int4(n) => if index == 2 { -n } else { *n },
                _ => if index == 2 { i32::MIN } else { i32::MAX },
            };
            keys(row).iter().map(order).collect::<Vec<_>>()
        };
        expected.sort_by_key(|row| (position(row), row[0] == Value::Null));
        let found = world.read(&mut world.begin(), "t", index, &[bounds], None, true);
        let found: Vec<Row> = found.into_iter().map(|tuple| tuple.values).collect();
        let key_order: Vec<_> = found.iter().map(position).collect();
        prop_assert!(key_order.is_sorted(), "{key_order:?}");
        prop_assert_eq!(found.len(), expected.len());
        prop_assert!(expected.iter().all(|row| found.contains(row)));
    });
    world.fake.set_stretch(usize::MAX);
}

#[test]
fn a_single_key_is_read_at_its_place() {
    let world = world();
    world.fake.take_calls();
    let found = world.read(&mut world.begin(), "t", 0, &[Bounds::equal(ints(&[5]))], None, true);
    assert_eq!(found[0].values[3], Value::Int4(95));
    let by_c = world.read(&mut world.begin(), "t", 3, &[Bounds::equal(ints(&[95]))], None, true);
    assert_eq!(by_c, found);
    assert!(world.read(&mut world.begin(), "t", 3, &[Bounds::equal(ints(&[-1]))], None, true).is_empty());
    assert!(!world.fake.take_calls().contains_key(&Call::Scan));
    let several = [Bounds::equal(ints(&[7])), Bounds::equal(ints(&[5])), Bounds::equal(ints(&[99]))];
    for ordered in [true, false] {
        let found = world.read(&mut world.begin(), "t", 0, &several, Some(vec![0]), ordered);
        let mut ids: Vec<Row> = found.into_iter().map(|tuple| tuple.values).collect();
        if !ordered {
            ids.sort_by(|a, b| compare(&a[0], &b[0]));
        }
        assert_eq!(ids, [ints(&[5]), ints(&[7])]);
    }
}

#[test]
fn an_index_that_holds_all_columns_is_enough() {
    let world = world();
    world.fake.take_calls();
    let bounds = [Bounds::equal(ints(&[3]))];
    let covered = world.read(&mut world.begin(), "t", 1, &bounds, Some(vec![3, 2, 0]), true);
    assert!(!world.fake.take_calls().contains_key(&Call::Read));
    let whole = world.read(&mut world.begin(), "t", 1, &bounds, None, true);
    assert!(world.fake.take_calls().contains_key(&Call::Read));
    let picked: Vec<Row> =
        whole.iter().map(|tuple| [3, 2, 0].map(|column| tuple.values[column].clone()).to_vec()).collect();
    assert_eq!(covered.iter().map(|tuple| tuple.values.clone()).collect::<Vec<_>>(), picked);
    assert_eq!(
        covered.iter().map(|tuple| &tuple.place).collect::<Vec<_>>(),
        whole.iter().map(|tuple| &tuple.place).collect::<Vec<_>>()
    );
}

#[test]
fn own_writes_are_seen_and_others_are_not_until_they_commit() {
    let world = world();
    let mut transaction = world.block();
    let before = world.read(&mut transaction, "t", 1, &[Bounds::equal(ints(&[3]))], None, true);
    world.delete("t", |row| row[1] == Value::Int4(3)).unwrap();
    let again = world.read(&mut transaction, "t", 1, &[Bounds::equal(ints(&[3]))], None, true);
    assert_eq!(before, again);
    world
        .execute(&mut transaction, crate::ops::Checks::AtStatement, |w| {
            world.add(w, "t", vec![ints(&[99, 3, 3, 1_000])])
        })
        .unwrap();
    let own = world.read(&mut transaction, "t", 1, &[Bounds::equal(ints(&[3]))], None, true);
    assert_eq!(own.len(), before.len() + 1);
    assert!(is_conflict(&run(transaction.commit(SECOND))));
}

#[test]
fn an_entry_whose_row_is_gone_is_never_passed_over() {
    let world = world();
    let place = world.physical("t").row_place(&ints(&[5])).unwrap();
    world.fake.write(place, None);
    let physical = world.physical("t");
    let read = |mut transaction: crate::transaction::Transaction<annulus_txn::testing::Fake>| {
        let bounds = [Bounds::equal(ints(&[95]))];
        let mut cursor = crate::ops::Cursor::new(&physical, 3, &bounds, None, false).unwrap();
        run(cursor.next(&mut transaction, &world.catalog, 10, SECOND))
    };
    assert!(matches!(read(world.begin()), Err(crate::Failure::Txn(_))));
    assert_eq!(sql(read(world.block())).state().0, "XX001");
}

#[test]
fn rows_are_read_by_place() {
    let world = world();
    let physical = world.physical("t");
    let places = [5, 77].map(|id| physical.row_place(&ints(&[id])).unwrap());
    let rows = run(read_rows(&mut world.begin(), &world.catalog, &physical, &places, SECOND)).unwrap();
    assert_eq!(rows[0].as_ref().unwrap().values[0], Value::Int4(5));
    assert_eq!(rows[1], None);
}

#[test]
fn rows_that_are_too_large_together_are_read_one_after_the_other() {
    let world = world();
    let physical = world.physical("t");
    let places = [1, 2, 3].map(|id| physical.row_place(&ints(&[id])).unwrap());
    let too_large = annulus_txn::interface::TxnError::Limit("too large".to_owned());
    world.fake.inject(Call::Read, annulus_txn::testing::Fault::Fails(too_large));
    world.fake.take_calls();
    let rows = run(read_rows(&mut world.begin(), &world.catalog, &physical, &places, SECOND)).unwrap();
    assert_eq!(rows.iter().flatten().map(|row| row.values[0].clone()).collect::<Vec<_>>(), ints(&[1, 2, 3]));
    assert_eq!(world.fake.take_calls()[&Call::Read], 4);
}
