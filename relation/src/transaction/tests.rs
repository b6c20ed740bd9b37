use annulus_base::NamespaceId;

use super::*;
use annulus_txn::interface::TxnError;
use annulus_txn::testing::{Call, Fake, Fault, both, run};

const PATIENCE: u64 = 1_000_000;

fn place(name: &str) -> Place {
    Place { partition: PartitionId::new(NamespaceId(1), 0), key: Key::new(0, 0, 0, name.as_bytes()) }
}

fn span() -> Span {
    Span { partition: PartitionId::new(NamespaceId(1), 0), range: KeyRange::of_index(0, 0, 0) }
}

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn begin(db: &Fake, mode: Mode) -> Transaction<Fake> {
    Transaction::new(db.clone(), mode, db.begin())
}

fn filled() -> Fake {
    let db = Fake::new();
    for name in ["a", "b", "c"] {
        db.write(place(name), Some(value(name)));
    }
    db
}

fn names(stretch: &Stretch) -> Vec<String> {
    stretch.rows.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

#[test]
fn own_writes_are_seen_and_others_see_them_after_the_commit() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.put(place("d"), value("d"));
        txn.delete(place("b"));
        assert_eq!(txn.get(&[place("d"), place("b")], PATIENCE).await.unwrap(), [Some(value("d")), None]);
        assert_eq!(names(&txn.scan(&span(), 10, PATIENCE).await.unwrap()), ["a", "c", "d"]);
        assert_eq!(db.present().len(), 3);
        assert!(matches!(txn.commit(PATIENCE).await, Ok(Done::Committed(_))));
        let left: Vec<_> = db.present().into_iter().map(|(_, value)| value).collect();
        assert_eq!(left, [value("a"), value("c"), value("d")]);
    });
}

#[test]
fn a_savepoint_undoes_what_came_after_it() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.put(place("a"), value("1"));
        let savepoint = txn.savepoint();
        txn.put(place("a"), value("2"));
        txn.delete(place("b"));
        txn.rollback_to(savepoint);
        assert_eq!(txn.peek(&place("a")), Some(Some(&value("1"))));
        assert_eq!(txn.peek(&place("b")), None);
        txn.commit(PATIENCE).await.unwrap();
        assert_eq!(names(&begin(&db, Mode::Statement).scan(&span(), 9, PATIENCE).await.unwrap()), ["1", "b", "c"]);
    });
}

#[test]
fn a_block_reads_one_instant_and_fails_if_that_has_passed() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.get(&[place("a")], PATIENCE).await.unwrap();
        db.write(place("b"), Some(value("new")));
        assert_eq!(txn.get(&[place("b")], PATIENCE).await.unwrap(), [Some(value("b"))]);
        assert!(matches!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(_))));
    });
}

#[test]
fn a_statement_that_asks_once_needs_no_commit() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Statement);
        txn.get(&[place("a"), place("x")], PATIENCE).await.unwrap();
        db.write(place("a"), Some(value("later")));
        assert_eq!(txn.commit(PATIENCE).await, Ok(Done::ReadOnly));
        assert_eq!(db.take_calls().get(&Call::Commit), None);
    });
}

#[test]
fn a_statement_that_asks_twice_is_validated() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Statement);
        txn.get(&[place("a")], PATIENCE).await.unwrap();
        db.write(place("a"), Some(value("later")));
        txn.get(&[place("b")], PATIENCE).await.unwrap();
        assert_eq!(txn.validate(PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
    });
}

#[test]
fn a_pinned_statement_sees_one_instant_in_many_rounds_without_validation() {
    run(async {
        let db = filled();
        db.set_stretch(1);
        let mut txn = begin(&db, Mode::Statement);
        txn.pin(&[span().partition], Grip::Light, PATIENCE).await.unwrap();
        let (mut all, mut rest) = (Vec::new(), Some(span()));
        while let Some(span) = rest {
            let stretch = txn.scan(&span, 10, PATIENCE).await.unwrap();
            all.extend(names(&stretch));
            db.write(place("c"), Some(value("changed")));
            db.write(place("bb"), Some(value("phantom")));
            rest = stretch.next.map(|start| Span { range: KeyRange { start, ..span.range }, ..span });
        }
        assert_eq!(all, ["a", "b", "c"]);
        assert_eq!(txn.commit(PATIENCE).await, Ok(Done::ReadOnly));
    });
}

#[test]
fn what_is_not_settled_moves_the_instant_up_before_anything_is_read() {
    run(async {
        let db = filled();
        db.inject(Call::Unsettled, Fault::Precedes(Box::new(|db| db.write(place("a"), Some(value("new"))))));
        let mut txn = begin(&db, Mode::Statement);
        txn.pin(&[span().partition], Grip::Light, PATIENCE).await.unwrap();
        assert_eq!(db.take_calls().get(&Call::Unsettled), Some(&2));
        assert_eq!(names(&txn.scan(&span(), 10, PATIENCE).await.unwrap()), ["new", "b", "c"]);
        assert_eq!(db.take_calls().get(&Call::Unsettled), Some(&2));
        assert_eq!(txn.commit(PATIENCE).await, Ok(Done::ReadOnly));
    });
}

#[test]
fn what_is_not_settled_cannot_be_read_after_something_else() {
    run(async {
        let db = filled();
        db.inject(Call::Unsettled, Fault::Precedes(Box::new(|db| db.write(place("a"), Some(value("new"))))));
        let mut txn = begin(&db, Mode::Statement);
        txn.pin(&[span().partition], Grip::Light, PATIENCE).await.unwrap();
        txn.get(&[place("b")], PATIENCE).await.unwrap();
        assert_eq!(txn.get(&[place("a")], PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        assert_eq!(txn.scan(&span(), 10, PATIENCE).await.map(drop), Err(TxnError::Conflict(place("a").key)));
        assert_eq!(txn.standing(&[span()], PATIENCE).await.map(drop), Err(TxnError::Conflict(place("a").key)));
    });
}

#[test]
fn a_firm_grip_waits_until_all_is_settled() {
    run(async {
        let db = filled();
        for name in ["a", "b"] {
            let write = move |db: &Fake| db.write(place(name), Some(value("new")));
            db.inject(Call::Unsettled, Fault::Precedes(Box::new(write)));
        }
        let mut txn = begin(&db, Mode::Statement);
        txn.pin(&[span().partition], Grip::Firm, PATIENCE).await.unwrap();
        txn.get(&[place("c")], PATIENCE).await.unwrap();
        assert_eq!(txn.get(&[place("a")], PATIENCE).await, Ok(vec![Some(value("new"))]));
        assert_eq!(txn.commit(PATIENCE).await, Ok(Done::ReadOnly));
    });
}

#[test]
fn what_lies_outside_of_the_pinned_partitions_is_validated() {
    run(async {
        let db = filled();
        let elsewhere = Place { partition: PartitionId::new(NamespaceId(2), 0), ..place("a") };
        let mut txn = begin(&db, Mode::Statement);
        txn.pin(&[span().partition], Grip::Light, PATIENCE).await.unwrap();
        txn.get(&[place("a"), elsewhere], PATIENCE).await.unwrap();
        db.write(place("a"), Some(value("later")));
        assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
    });
}

#[test]
fn a_block_that_has_read_much_takes_an_instant() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.pins_after(2, vec![span().partition]);
        txn.get(&[place("a")], PATIENCE).await.unwrap();
        db.write(place("c"), Some(value("changed")));
        txn.get(&[place("b")], PATIENCE).await.unwrap();
        assert_eq!(db.take_calls().get(&Call::Unsettled), None);
        assert_eq!(txn.get(&[place("c")], PATIENCE).await, Ok(vec![Some(value("changed"))]), "up to the instant");
        assert_eq!(db.take_calls().get(&Call::Unsettled), Some(&2));
        for name in ["a", "b", "c", "d"] {
            db.write(place(name), Some(value("later")));
        }
        assert_eq!(names(&txn.scan(&span(), 10, PATIENCE).await.unwrap()), ["a", "b", "changed"]);
        assert_eq!(txn.commit(PATIENCE).await, Ok(Done::ReadOnly));
    });
}

#[test]
fn a_block_takes_no_instant_at_which_something_was_otherwise() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.pins_after(2, vec![span().partition]);
        txn.get(&[place("a"), place("b")], PATIENCE).await.unwrap();
        db.write(place("a"), Some(value("changed")));
        assert_eq!(txn.get(&[place("c")], PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        assert_eq!(txn.scan(&span(), 9, PATIENCE).await, Err(TxnError::Conflict(place("a").key)), "not later, either");
        assert_eq!(txn.get(&[place("a")], PATIENCE).await, Ok(vec![Some(value("a"))]), "it sees its snapshot still");
        assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
    });
}

#[test]
fn what_a_block_with_an_instant_has_read_is_validated_if_it_writes_or_locks() {
    run(async {
        for locks in [false, true] {
            let db = filled();
            let mut txn = begin(&db, Mode::Block);
            txn.pins_after(1, vec![span().partition]);
            txn.get(&[place("a")], PATIENCE).await.unwrap();
            txn.get(&[place("b")], PATIENCE).await.unwrap();
            if locks {
                txn.lock(&[place("c")], false, PATIENCE).await.unwrap();
            } else {
                txn.put(place("c"), value("mine"));
            }
            db.write(place("a"), Some(value("changed")));
            assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        }
    });
}

#[test]
fn a_writer_that_has_read_much_demands_that_nothing_has_changed() {
    run(async {
        let changes = [
            (None, true),
            (Some(("elsewhere", None)), true),
            (Some(("a", Some(value("changed")))), false),
            (Some(("c", None)), false),
            (Some(("bb", Some(value("phantom")))), false),
        ];
        for mode in [Mode::Statement, Mode::Block] {
            for (change, commits) in changes.clone() {
                let db = filled();
                let mut txn = begin(&db, mode);
                txn.pins_after(2, vec![span().partition]);
                let within = Span { range: KeyRange { start: place("a").key, end: place("d").key }, ..span() };
                txn.scan(
                    &Span { range: KeyRange { end: place("c").key, ..within.range.clone() }, ..within },
                    9,
                    PATIENCE,
                )
                .await
                .unwrap();
                txn.scan(
                    &Span { range: KeyRange { start: place("c").key, ..within.range.clone() }, ..within },
                    9,
                    PATIENCE,
                )
                .await
                .unwrap();
                assert_eq!(txn.demands().ranges, [], "it is said as a whole");
                assert_eq!(
                    txn.demands().unchanged.iter().map(|check| &check.range).collect::<Vec<_>>(),
                    [&within.range]
                );
                txn.put(place("z"), value("mine"));
                if let Some((name, value)) = change {
                    db.write(place(name), value);
                }
                assert_eq!(txn.commit(PATIENCE).await.is_ok(), commits);
            }
        }
    });
}

#[test]
fn many_keys_are_not_read_again_to_find_out_whether_they_are_the_same() {
    run(async {
        for changed in [None, Some("17"), Some("elsewhere")] {
            let db = filled();
            let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
            let places: Vec<Place> = names.iter().map(|name| place(name)).collect();
            db.write(place("17"), Some(value("17")));
            let mut txn = begin(&db, Mode::Block);
            txn.pins_after(50, vec![span().partition]);
            txn.get(&places, PATIENCE).await.unwrap();
            if let Some(name) = changed {
                db.write(place(name), Some(value("changed")));
            }
            db.take_calls();
            let read = txn.get(&[place("a")], PATIENCE).await;
            let calls = db.take_calls();
            assert_eq!(calls.get(&Call::Commit), Some(&1));
            if changed == Some("17") {
                assert_eq!(read, Err(TxnError::Conflict(place("17").key)));
                assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("17").key)));
            } else {
                assert_eq!((read, calls.get(&Call::Read)), (Ok(vec![Some(value("a"))]), Some(&1)));
                db.write(place("17"), Some(value("later")));
                assert_eq!(txn.commit(PATIENCE).await, Ok(Done::ReadOnly));
            }
        }
    });
}

#[test]
fn what_was_read_as_a_whole_moves_up_with_the_snapshot() {
    run(async {
        for changed in [false, true] {
            let db = filled();
            let mut txn = begin(&db, Mode::Block);
            txn.pins_after(1, vec![span().partition]);
            txn.get(&[place("a")], PATIENCE).await.unwrap();
            txn.scan(&Span { range: KeyRange { start: place("b").key, end: place("c").key }, ..span() }, 9, PATIENCE)
                .await
                .unwrap();
            db.write(place(if changed { "b" } else { "c" }), Some(value("new")));
            let locked = txn.lock(&[place("c")], false, PATIENCE).await;
            if changed {
                assert_eq!(locked, Ok(vec![Some(value("c"))]), "nothing newer is locked");
                assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("b").key)));
                continue;
            }
            assert_eq!(locked, Ok(vec![Some(value("new"))]));
            txn.put(place("z"), value("mine"));
            assert!(txn.commit(PATIENCE).await.is_ok());
        }
    });
}

#[test]
fn where_a_block_has_asked_how_things_stand_nothing_may_have_changed() {
    run(async {
        for writes in [false, true] {
            let db = filled();
            let mut txn = begin(&db, Mode::Block);
            assert!(txn.standing(&[span()], PATIENCE).await.unwrap().is_some());
            if writes {
                txn.put(place("z"), value("mine"));
            }
            db.write(place("b"), Some(value("changed")));
            assert_eq!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(place("b").key)));
        }
    });
}

#[test]
fn a_phantom_in_a_range_that_was_read_is_a_conflict() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.scan(&span(), 10, PATIENCE).await.unwrap();
        txn.put(place("count"), value("3"));
        db.write(place("bb"), Some(value("phantom")));
        assert!(matches!(txn.commit(PATIENCE).await, Err(TxnError::Conflict(_))));
    });
}

#[test]
fn what_is_expected_is_confirmed_by_the_first_read_or_the_commit() {
    run(async {
        let db = filled();
        let stamp = db.read(vec![place("a")], annulus_txn::interface::When::Latest, 0).await.unwrap()[0].stamp;
        let mut right = begin(&db, Mode::Statement);
        right.expect(place("a"), stamp);
        right.get(&[place("b")], PATIENCE).await.unwrap();
        assert_eq!(right.commit(PATIENCE).await, Ok(Done::ReadOnly));
        assert_eq!(db.take_calls().get(&Call::Commit), None);

        db.write(place("a"), Some(value("altered")));
        let stale = || {
            let mut txn = begin(&db, Mode::Statement);
            txn.expect(place("a"), stamp);
            txn
        };
        assert_eq!(stale().get(&[place("b")], PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        assert_eq!(stale().scan(&span(), 5, PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        assert_eq!(stale().pin(&[], Grip::Light, PATIENCE).await, Err(TxnError::Conflict(place("a").key)));
        let mut blind = stale();
        blind.put(place("x"), value("x"));
        assert!(matches!(blind.commit(PATIENCE).await, Err(TxnError::Conflict(_))));
    });
}

#[test]
fn absence_is_demanded_without_reading() {
    run(async {
        let db = filled();
        db.write(place("gone"), None);
        for (name, free) in [("new", true), ("gone", true), ("a", false)] {
            let mut txn = begin(&db, Mode::Statement);
            txn.expect_absent(place(name));
            txn.put(place(name), value("mine"));
            assert_eq!(txn.commit(PATIENCE).await.is_ok(), free, "{name}");
        }
        assert_eq!(db.take_calls().get(&Call::Read), None);
    });
}

#[test]
fn locks_are_extended_and_freed_however_it_ends() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.lock(&[place("a")], false, PATIENCE).await.unwrap();
        txn.lock(&[place("b")], false, PATIENCE).await.unwrap();
        assert_eq!(db.locks(), 2);
        let mut other = begin(&db, Mode::Block);
        assert!(matches!(other.lock(&[place("b")], true, PATIENCE).await, Err(TxnError::Locked(_))));
        txn.put(place("a"), value("1"));
        txn.commit(PATIENCE).await.unwrap();
        assert_eq!(db.locks(), 0);
        other.lock(&[place("c")], true, PATIENCE).await.unwrap();
        drop(other);
        assert_eq!(db.locks(), 0);
    });
}

#[test]
fn a_locking_read_moves_the_snapshot_up_if_nothing_read_has_changed() {
    run(async {
        let db = filled();
        let mut txn = begin(&db, Mode::Block);
        txn.get(&[place("a")], PATIENCE).await.unwrap();
        db.write(place("b"), Some(value("new")));
        assert_eq!(txn.lock(&[place("b")], false, PATIENCE).await.unwrap(), [Some(value("new"))]);
        txn.put(place("b"), value("newer"));
        txn.commit(PATIENCE).await.unwrap();

        let mut doomed = begin(&db, Mode::Block);
        doomed.scan(&span(), 10, PATIENCE).await.unwrap();
        db.write(place("c"), Some(value("new")));
        assert!(matches!(doomed.lock(&[place("c")], false, PATIENCE).await, Err(TxnError::Conflict(_))));
    });
}

#[test]
fn increments_at_the_same_time_are_not_lost() {
    run(async {
        let db = Fake::new();
        let increment = || async {
            let mut txn = begin(&db, Mode::Block);
            let old = txn.lock(&[place("n")], false, PATIENCE).await.unwrap();
            let old = old[0].as_ref().map_or(0, |bytes| bytes.len());
            txn.put(place("n"), Bytes::from(vec![0; old + 1]));
            txn.commit(PATIENCE).await.unwrap();
        };
        both(increment(), increment()).await;
        assert_eq!(db.present()[0].1.len(), 2);
    });
}

#[test]
fn an_unknown_outcome_is_told_with_its_transaction() {
    run(async {
        let db = filled();
        db.inject(Call::Commit, Fault::FailsAfter(TxnError::Unknown));
        let mut txn = begin(&db, Mode::Statement);
        txn.put(place("a"), value("1"));
        assert!(matches!(txn.commit(PATIENCE).await, Err(TxnError::Unknown(_))));
    });
}
