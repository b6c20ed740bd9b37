//! The database in memory judges as the real one does.

use annulus_base::Key;
use annulus_base::time::SECOND;

use crate::interface::RangeCheck;

use super::*;

fn key(field: &str) -> Key {
    Key::new(1, 1, 1, field.as_bytes())
}

fn place(field: &str) -> Place {
    Place { partition: PartitionId::default(), key: key(field) }
}

fn value(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn read(fake: &Fake, field: &str, when: When) -> Seen {
    run(fake.read(vec![place(field)], when, SECOND)).unwrap().remove(0)
}

fn commit(fake: &Fake, commit: Commit) -> Result<Committed, TxnError> {
    run(fake.commit(fake.begin(), None, commit, SECOND))
}

fn writes(field: &str, text: &'static str) -> Vec<(Place, Option<Bytes>)> {
    vec![(place(field), value(text))]
}

#[test]
fn a_read_that_changed_is_a_conflict() {
    let fake = Fake::new();
    fake.write(place("a"), value("1"));
    let seen = read(&fake, "a", When::Latest);
    let attempt = Commit { reads: vec![(place("a"), seen.stamp)], writes: writes("b", "2"), ..Commit::default() };
    commit(&fake, attempt.clone()).unwrap();
    fake.write(place("a"), value("3"));
    assert_eq!(commit(&fake, attempt), Err(TxnError::Conflict(key("a"))));
}

#[test]
fn a_range_is_its_present_keys() {
    let fake = Fake::new();
    fake.write(place("a"), value("1"));
    fake.write(place("b"), value("1"));
    let range = KeyRange::of_index(1, 1, 1);
    let seen =
        run(fake.scan(vec![(PartitionId::default(), range.clone(), 10)], When::Latest, SECOND)).unwrap().remove(0);
    let rows = seen.rows.iter().map(|(key, seen)| (key.clone(), seen.stamp)).collect();
    let check = RangeCheck { partition: PartitionId::default(), range, rows };
    let attempt = Commit { ranges: vec![check], writes: vec![(place("z"), None)], ..Commit::default() };
    commit(&fake, attempt.clone()).unwrap();
    fake.write(place("b"), None);
    assert_eq!(commit(&fake, attempt), Err(TxnError::Conflict(key("b"))));
}

#[test]
fn history_is_kept() {
    let fake = Fake::new();
    fake.write(place("a"), value("1"));
    let then = fake.begin();
    fake.write(place("a"), value("2"));
    assert_eq!(read(&fake, "a", When::At(then)).value, value("1"));
    assert_eq!(read(&fake, "a", When::Latest).value, value("2"));
}

#[test]
fn stretches_end_where_they_are_told_to() {
    let fake = Fake::new();
    fake.set_stretch(2);
    fake.write(place("a"), None);
    fake.write(place("b"), value("1"));
    fake.write(place("c"), value("1"));
    let range = KeyRange::of_index(1, 1, 1);
    let seen = run(fake.scan(vec![(PartitionId::default(), range, 10)], When::Latest, SECOND)).unwrap().remove(0);
    assert_eq!(seen.rows.len(), 1);
    assert_eq!(seen.range.end, key("b").successor());
}

#[test]
fn an_older_transaction_takes_the_lock_a_younger_one_waits() {
    let fake = Fake::new();
    let (older, younger) = (fake.begin(), fake.begin());
    let (held, _) = run(fake.lock(younger, vec![place("a")], false, SECOND)).unwrap();
    run(fake.lock(older, vec![place("a")], false, SECOND)).unwrap();
    let attempt = Commit { writes: writes("a", "1"), ..Commit::default() };
    assert_eq!(run(fake.commit(younger, Some(held), attempt, SECOND)), Err(TxnError::Wounded));
    let locked = run(fake.lock(younger, vec![place("a")], false, SECOND));
    assert!(matches!(locked, Err(TxnError::Locked(_))));
}

#[test]
fn a_waiting_transaction_goes_on_when_the_lock_is_dropped() {
    let fake = Fake::new();
    let (older, younger) = (fake.begin(), fake.begin());
    let (held, _) = run(fake.lock(older, vec![place("a")], false, SECOND)).unwrap();
    let waits = fake.lock(younger, vec![place("a")], false, SECOND);
    let commits = fake.commit(older, Some(held), Commit { writes: writes("a", "1"), ..Commit::default() }, SECOND);
    let (got, done) = run(both(waits, commits));
    done.unwrap();
    assert_eq!(got.unwrap().1[0].value, value("1"));
}

#[test]
fn faults_meet_their_calls() {
    let fake = Fake::new();
    fake.inject(Call::Commit, Fault::FailsAfter(TxnError::Unknown));
    let unknown = commit(&fake, Commit { writes: writes("a", "1"), ..Commit::default() });
    let Err(TxnError::Unknown(txn)) = unknown else { panic!("{unknown:?}") };
    assert_eq!(run(fake.outcome(txn, SECOND)), Ok(Fate::Committed));
    assert_eq!(read(&fake, "a", When::Latest).value, value("1"));
    assert_eq!(fake.take_calls()[&Call::Commit], 1);
}

#[test]
#[should_panic(expected = "written twice")]
fn a_key_written_twice_is_a_bug() {
    let twice = [writes("a", "1"), writes("a", "2")].concat();
    let _ = commit(&Fake::new(), Commit { writes: twice, ..Commit::default() });
}
