//! Finding the rows in the way of an upsert.

use annulus_base::time::SECOND;

use super::world::*;
use crate::ops::{Conflicting, conflicting};
use crate::value::{Row, Value};
use annulus_txn::testing::run;

fn world() -> World {
    let t = with_index(table(20_000, "t", &["id", "a"]), "t_a_key", &["a"], true);
    let world = World::new(vec![t]);
    world.insert("t", &[&[1, 10], &[2, 20]]).unwrap();
    world
}

fn found(world: &World, indexes: &[usize], rows: &[Row]) -> Vec<Option<(usize, Row)>> {
    let physical = world.physical("t");
    let mut transaction = world.begin();
    let found = run(conflicting(&mut transaction, world.around(), &physical, indexes, rows, SECOND)).unwrap();
    found.into_iter().map(|found| found.map(|Conflicting { row, index }| (index, row.values))).collect()
}

#[test]
fn the_row_in_the_way_is_found_by_any_of_the_indexes() {
    let world = world();
    let rows = [ints(&[1, 99]), ints(&[3, 20]), ints(&[2, 10]), ints(&[4, 40]), vec![Value::Int4(5), Value::Null]];
    let by_both = found(&world, &[0, 1], &rows);
    let expected = [Some((0, ints(&[1, 10]))), Some((1, ints(&[2, 20]))), Some((0, ints(&[2, 20]))), None, None];
    assert_eq!(by_both, expected);
    assert_eq!(found(&world, &[1], &rows[2..3]), [Some((1, ints(&[1, 10])))]);
    assert_eq!(found(&world, &[1], &rows[..1]), [None]);
}

#[test]
fn rows_of_the_statement_itself_are_known() {
    let world = world();
    let old = world.tuples("t").remove(0);
    world
        .statement(|writer| {
            writer.insert(20_000, ints(&[3, 30]), None)?;
            writer.update(20_000, old, ints(&[1, 11]))?;
            assert!(writer.has_proposed(20_000, &[0, 1], &ints(&[3, 99]))?);
            assert!(writer.has_proposed(20_000, &[0, 1], &ints(&[9, 30]))?);
            assert!(writer.has_proposed(20_000, &[1], &ints(&[9, 11]))?);
            assert!(!writer.has_proposed(20_000, &[1], &ints(&[3, 99]))?);
            assert!(!writer.has_proposed(20_000, &[0, 1], &ints(&[2, 20]))?);
            Ok(())
        })
        .unwrap();
}
