//! Edits are serial, and strictly serializable with the statements that use what they change.

use annulus_base::Key;
use annulus_replica::store::Stamp;
use annulus_txn::interface::Place;
use bytes::Bytes;

use super::super::home::kind_and_number;
use super::super::record;
use super::*;
use annulus_txn::testing::{Call, Fault};

#[test]
fn a_new_database_has_an_empty_public_schema() {
    let catalog = read(&Fake::new());
    assert_eq!(catalog.schemas().map(|schema| schema.name.as_str()).collect::<Vec<_>>(), ["public"]);
    assert_eq!(catalog.stamp(), Some(Stamp::NONE));
    assert_eq!(catalog.schema("public").unwrap().id, PUBLIC);
    assert_eq!(catalog.tables().count(), 0);
}

#[test]
fn what_was_created_is_found_by_name_and_number() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    assert_eq!(id, FIRST_OBJECT);
    let catalog = read(&fake);
    assert_eq!(**catalog.table(PUBLIC, "t").unwrap(), table(id, "t"));
    assert_eq!(catalog.table_by_id(id).unwrap().name, "t");
    assert_eq!(catalog.index(PUBLIC, "t_pkey").unwrap().1.id, id + 1);
    assert_eq!(catalog.index_by_id(id + 1).unwrap().0.id, id);
    assert_eq!(catalog.resolve(&[99, PUBLIC], "t").unwrap().id(), id);
    assert!(catalog.resolve(&[99], "t").is_none());
    assert!(catalog.view(PUBLIC, "t").is_none());
    let names: Vec<_> = catalog.object_names(PUBLIC).map(|(name, relation)| (name, relation.kind())).collect();
    assert_eq!(names, [("t", "table"), ("t_pkey", "index")]);
    assert_eq!(catalog.schema("public").unwrap().id, PUBLIC);
}

#[test]
fn names_are_unique_in_their_schema() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    assert_eq!(state(change(&fake, |edit| edit.put_table(table(90_000, "t")))), "42P07");
    assert_eq!(state(change(&fake, |edit| edit.put_table(table(90_000, "t_pkey")))), "42P07");
    let schema = Schema { id: 90_000, name: "public".to_owned(), comment: None };
    assert_eq!(state(change(&fake, |edit| edit.put_schema(schema))), "42P06");
    change(&fake, |edit| edit.put_table(table(id, "renamed"))).unwrap();
    assert!(read(&fake).table(PUBLIC, "t").is_none());
}

#[test]
fn two_edits_from_one_catalog_conflict() {
    let fake = Fake::new();
    let catalog = read(&fake);
    let edit = |id, name: &str| {
        let mut transaction = transaction(&fake);
        let mut edit = Edit::new(&catalog);
        edit.put_table(table(id, name)).unwrap();
        edit.finish(&mut transaction).unwrap();
        transaction
    };
    let (one, other) = (edit(20_000, "a"), edit(20_010, "b"));
    run(one.commit(SECOND)).unwrap();
    assert!(matches!(run(other.commit(SECOND)), Err(TxnError::Conflict(_))));
}

#[test]
fn a_cached_table_that_changed_is_found_out_in_every_partition() {
    let fake = Fake::new();
    let (changed, other) = (create(&fake, "changed"), create(&fake, "other"));
    let cached = read(&fake);
    for partition in home().partitions() {
        let seen = run(fake.read(vec![home().stamp(changed, partition)], When::Latest, SECOND)).unwrap();
        assert_eq!(Some(seen[0].stamp), cached.tables[&changed].stamp);
    }
    uses(&fake, &cached, changed).unwrap();
    change(&fake, |edit| edit.put_table(Table { comment: Some("new".to_owned()), ..table(changed, "changed") }))
        .unwrap();
    assert!(is_conflict(uses(&fake, &cached, changed)));
    uses(&fake, &cached, other).unwrap();
    uses(&fake, &read(&fake), changed).unwrap();
    change(&fake, |edit| {
        edit.drop_table(other);
        Ok(())
    })
    .unwrap();
    assert!(is_conflict(uses(&fake, &cached, other)));
}

#[test]
fn a_name_that_means_something_else_is_found_out() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    change(&fake, |edit| edit.put_schema(Schema { id: 50_000, name: "first".to_owned(), comment: None })).unwrap();
    let cached = read(&fake);
    change(&fake, |edit| edit.put_table(Table { schema: 50_000, ..table(50_001, "t") })).unwrap();
    assert!(is_conflict(uses(&fake, &cached, id)));
    let cached = read(&fake);
    assert_eq!(cached.resolve(&[50_000, PUBLIC], "t").unwrap().id(), 50_001);
    change(&fake, |edit| edit.put_schema(Schema { id: 50_000, name: "second".to_owned(), comment: None })).unwrap();
    assert!(is_conflict(uses(&fake, &cached, 50_001)));
}

#[test]
fn the_transaction_of_an_edit_uses_what_it_made() {
    let fake = Fake::new();
    let old = create(&fake, "old");
    let mut edit = Edit::new(&read(&fake));
    edit.put_table(table(30_000, "new")).unwrap();
    edit.put_table(Table { comment: Some("changed".to_owned()), ..table(old, "old") }).unwrap();
    let mut transaction = transaction(&fake);
    let own = edit.finish(&mut transaction).unwrap();
    for (id, partition) in [(30_000, home().catalog()), (old, home().catalog())] {
        own.expect_table(&mut transaction, id, partition);
    }
    own.expect_unchanged(&mut transaction);
    let mut again = Edit::new(&own);
    again.put_table(table(31_000, "newer")).unwrap();
    again.finish(&mut transaction).unwrap();
    run(transaction.commit(SECOND)).unwrap();
    let names = |catalog: &Catalog| catalog.tables().map(|table| table.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&read(&fake)), ["old", "new", "newer"]);
}

#[test]
fn whoever_found_no_name_finds_out_when_it_appears() {
    let fake = Fake::new();
    let cached = read(&fake);
    create(&fake, "t");
    let mut transaction = transaction(&fake);
    cached.expect_unchanged(&mut transaction);
    assert!(matches!(run(transaction.commit(SECOND)), Err(TxnError::Conflict(_))));
}

#[test]
fn a_long_catalog_is_read_at_one_instant() {
    let fake = Fake::new();
    let ids: Vec<_> = (0..5).map(|n| create(&fake, &format!("t{n}"))).collect();
    fake.set_stretch(3);
    let (other, dropped) = (fake.clone(), ids[0]);
    // Between the first stretch and the last.
    fake.inject(Call::Scan, Fault::Precedes(Box::new(|_| ())));
    fake.inject(
        Call::Scan,
        Fault::Precedes(Box::new(move |fake| {
            fake.set_stretch(100);
            change(&other, |edit| {
                edit.drop_table(dropped);
                Ok(())
            })
            .unwrap();
            fake.set_stretch(3);
        })),
    );
    assert_eq!(read(&fake).tables().map(|table| table.id).collect::<Vec<_>>(), ids[1..]);
}

#[test]
fn the_past_is_read_as_it_was() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    let then = fake.begin();
    change(&fake, |edit| {
        edit.drop_table(id);
        Ok(())
    })
    .unwrap();
    let past = run(load(&fake, home(), When::At(then), SECOND)).unwrap();
    assert!(past.table(PUBLIC, "t").is_some());
    assert!(read(&fake).table(PUBLIC, "t").is_none());
}

/// How many keys of a table's data are left.
fn rows(fake: &Fake, table: ObjectId) -> usize {
    let object = |key: &Key| u32::from_be_bytes(key.as_bytes()[4..8].try_into().unwrap());
    fake.present().iter().filter(|(place, _)| object(&place.key) == table).count()
}

fn fill(fake: &Fake, generation: u32, table: ObjectId, index: u32) {
    for partition in home().partitions() {
        for row in 0..5_u8 {
            fake.write(
                Place { partition, key: Key::new(generation, table, index, &[row]) },
                Some(Bytes::from_static(b"x")),
            );
        }
    }
}

fn sweep_all(fake: &Fake, limit: u32) -> usize {
    let mut steps = 0;
    while run(sweep(fake, home(), limit, SECOND)).unwrap() == Swept::Part {
        steps += 1;
    }
    steps
}

#[test]
fn what_is_dropped_is_deleted_in_bounded_steps() {
    let fake = Fake::new();
    let (dropped, kept) = (create(&fake, "dropped"), create(&fake, "kept"));
    fill(&fake, 0, dropped, dropped + 1);
    fill(&fake, 0, kept, kept + 1);
    change(&fake, |edit| {
        edit.drop_table(dropped);
        Ok(())
    })
    .unwrap();
    assert_eq!(rows(&fake, dropped), 20);
    assert_eq!(sweep_all(&fake, 2), 12);
    assert_eq!((rows(&fake, dropped), rows(&fake, kept)), (0, 24));
    assert_eq!(run(sweep(&fake, home(), 2, SECOND)), Ok(Swept::Clean));
}

#[test]
fn a_new_generation_and_a_dropped_index_leave_the_rest() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    fill(&fake, 0, id, id + 1);
    fill(&fake, 0, id, id + 2);
    let with_index = |generation| {
        let mut table = Table { generation, ..table(id, "t") };
        let second = Index { id: id + 2, name: "second".to_owned(), ..table.indexes[0].clone() };
        table.indexes.push(second);
        table
    };
    change(&fake, |edit| edit.put_table(with_index(0))).unwrap();
    change(&fake, |edit| edit.put_table(table(id, "t"))).unwrap();
    sweep_all(&fake, 100);
    assert_eq!(rows(&fake, id), 24);
    change(&fake, |edit| edit.put_table(Table { generation: 1, ..table(id, "t") })).unwrap();
    fill(&fake, 1, id, id + 1);
    sweep_all(&fake, 100);
    assert_eq!(rows(&fake, id), 24);
}

#[test]
fn a_dropped_sequence_leaves_no_state() {
    let fake = Fake::new();
    let sequence = Sequence {
        id: 40_000,
        schema: PUBLIC,
        name: "s".to_owned(),
        ty: SqlType::Int8,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owner: None,
        comment: None,
    };
    change(&fake, |edit| edit.put_sequence(sequence)).unwrap();
    fake.write(home().sequence_state(40_000), Some(Bytes::from_static(b"5")));
    assert_eq!(read(&fake).sequence(PUBLIC, "s").unwrap().id, 40_000);
    change(&fake, |edit| {
        edit.drop_sequence(40_000);
        Ok(())
    })
    .unwrap();
    assert_eq!(rows(&fake, 40_000), 0);
    assert!(read(&fake).sequence_by_id(40_000).is_none());
}

#[test]
fn a_damaged_record_is_an_error() {
    let fake = Fake::new();
    create(&fake, "t");
    let records = fake.present();
    let (place, bytes) =
        records.iter().find(|(place, _)| kind_and_number(&place.key) == Some((2, FIRST_OBJECT))).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x10;
        fake.write(place.clone(), Some(Bytes::from(damaged)));
        let error = run(load(&fake, home(), When::Latest, SECOND)).unwrap_err();
        assert!(matches!(error, Failure::Sql(error) if error.state().0 == "XX001"));
    }
}

/// Descriptors are stored data: a change of these bytes would lose every table.
#[test]
fn the_bytes_of_descriptors_never_change() {
    let hex: String = record::encode(&table(16_384, "t")).iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "01d7b51df4004000009808000001000000000000007400000000010000000000000001000100000000000000611700",
        "0000ffffffff0101000000000100000000000000370000020001000000000000000140000006000000000000007",
        "45f706b6579010100000000000000000000000100000000000000000000000001000000000100000000000000000",
        "00000000000000000000000000000000000000000"
    );
    assert_eq!(hex, golden);
}

fn half_way() -> Succession {
    Succession { generation: 5, done: vec![(1, vec![2])], rows: 3 }
}

#[test]
fn what_a_table_is_to_become_keeps_its_bytes() {
    let keys = table(16_384, "t").indexes[0].keys.clone();
    let rekeying = Rekeying { name: "k".to_owned(), keys, succession: half_way() };
    let state = record::encode(&IndexState::Rekeyed(rekeying));
    let hex: String = state[5..].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "0200000001000000000000006b01000000000000000000000001000000",
        "0500000001000000000000000100010000000000000002",
        "0300000000000000"
    );
    assert_eq!(hex, golden);
}

#[test]
fn what_becomes_of_a_table_with_its_key_keeps_its_bytes() {
    let mut t = table(16_384, "t");
    let rekeying = Rekeying { name: String::new(), keys: Vec::new(), succession: half_way() };
    t.indexes[0].state = IndexState::Rekeyed(rekeying);
    let reshaping = t.reshaping_mut().unwrap();
    reshaping.dropped = vec![1];
    reshaping.nullable = vec![2];
    let hex: String = record::encode(&t.indexes[0].state)[5..].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "0500000000000000000000000000000000000000",
        "0500000001000000000000000100010000000000000002",
        "0300000000000000",
        "01000000000000000100",
        "01000000000000000200",
        "0000000000000000"
    );
    assert_eq!(hex, golden);
    assert!(t.is_leaving(1) && !t.is_leaving(2));
    assert_eq!(t.succeeded().unwrap().columns.len(), t.columns.len() - 1);
}

#[test]
fn what_becomes_of_children_keeps_its_bytes() {
    use Action::{Cascade, NoAction, Restrict, SetDefault, SetDefaultOf, SetNull, SetNullOf};
    let actions = vec![NoAction, Restrict, Cascade, SetNull, SetDefault, SetNullOf(vec![1, 2]), SetDefaultOf(vec![3])];
    let hex: String = record::encode(&actions)[5..].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "07000000000000000000000001000000020000000300000004000000",
        "05000000020000000000000001000200",
        "0600000001000000000000000300"
    );
    assert_eq!(hex, golden);
}

#[test]
fn what_types_columns_are_to_have_keeps_its_bytes() {
    let columns = vec![
        Retyped { column: 1, ty: SqlType::Int8, using: None, default: None },
        Retyped { column: 2, ty: SqlType::Text, using: Some("u".to_owned()), default: Some("d".to_owned()) },
    ];
    let keys = vec![(7, 1, SqlType::Int8)];
    let retyping = Retyping { columns, keys, succession: half_way() };
    let state = record::encode(&IndexState::Retyped(retyping));
    let hex: String = state[5..].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "030000000200000000000000010014000000ffffffff0000020019000000ffffffff010100000000000000750101000000",
        "0000000064010000000000000007000000010014000000ffffffff05000000010000000000000001000100000000000000",
        "020300000000000000"
    );
    assert_eq!(hex, golden);
}

#[test]
fn what_columns_a_table_is_given_keeps_its_bytes() {
    let mut t = table(16_384, "t");
    let index = Index { id: 7, name: "i".to_owned(), ..t.indexes[0].clone() };
    let column = Column { default: Some(Default::Generated("a".to_owned())), ..t.columns[0].clone() };
    let keys = t.indexes[0].keys.clone();
    let rekeying = Rekeying { name: "k".to_owned(), keys, succession: Succession::new(6) };
    let extension = Extension {
        columns: vec![column],
        indexes: vec![index],
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        then: Some(Then::Rekeyed(rekeying)),
        succession: half_way(),
    };
    let state = IndexState::Extended(extension);
    let bytes = record::encode(&state);
    let hex: String = bytes[5..].iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "040000000100000000000000010001000000000000006117000000ffffffff0101020000000100000000000000610000",
        "010000000000000007000000010000000000000069010100000000000000000000000100000000000000000000000001",
        "00000000010000000000000000000000000000000000000000010000000001000000000000006b010000000000000000",
        "000000010000000600000000000000000000000000000000000000050000000100000000000000010001000000000000",
        "00020300000000000000",
    );
    assert_eq!(hex, golden);
    // Names to come are taken, and what is to come is made of it in the end.
    t.indexes[0].state = state;
    assert_eq!(t.index_names().map(|(name, _)| name).collect::<Vec<_>>(), ["t_pkey", "i", "k"]);
    let after = t.succeeded().unwrap();
    assert_eq!((after.generation, after.columns.len(), after.indexes[1].id), (5, t.columns.len() + 1, 7));
    assert!(after.rekeying().is_some_and(|rekeying| rekeying.succession.generation == 6));
}

/// The first two are what a bool was stored as.
#[test]
fn whether_an_index_is_unique_is_a_byte() {
    for (unique, byte) in [(Unique::No, 0), (Unique::Yes, 1), (Unique::WithNulls, 2)] {
        assert_eq!(record::encode(&unique)[5..], [byte], "{unique:?}");
    }
}

/// The first two are what a bool was stored as.
#[test]
fn how_a_constraint_stands_is_a_byte() {
    let deferred = Standing::new(true).with_deferral(Deferral::Usual);
    let all = [
        (Standing::new(false), 0),
        (Standing::new(true), 1),
        (Standing::new(true).with_deferral(Deferral::Possible), 3),
        (deferred, 7),
        (Standing::new(false).left(), 8),
        (deferred.left().asked(), 30),
    ];
    for (standing, byte) in all {
        assert_eq!(record::encode(&standing)[5..], [byte], "{standing:?}");
    }
    let pending = all.map(|(standing, _)| standing.is_pending());
    assert_eq!(pending, [true, false, false, false, false, true]);
    assert_eq!(Standing::new(false).refuted(), None);
    assert_eq!(deferred.left().asked().refuted(), Some(deferred.left()));
    assert_eq!(deferred.left().asked().validated(), deferred);
}

#[test]
fn both_generations_of_a_table_are_deleted_with_it() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    let mut marked = Table::clone(read(&fake).table_by_id(id).unwrap());
    let keys = marked.indexes[0].keys.clone();
    let rekeying =
        |generation| Rekeying { name: "k".to_owned(), keys: keys.clone(), succession: Succession::new(generation) };
    marked.indexes[0].state = IndexState::Rekeyed(rekeying(7));
    change(&fake, |edit| edit.put_table(marked.clone())).unwrap();
    // The name of the key to come is taken, and that of the one that it has yet.
    assert_eq!(state(change(&fake, |edit| edit.put_table(table(20_000, "k")))), "42P07");
    assert_eq!(state(change(&fake, |edit| edit.put_table(table(20_000, "t_pkey")))), "42P07");
    let mut row = transaction(&fake);
    for generation in [0, 7] {
        let partition = home().partitions().next().unwrap();
        row.put(Place { partition, key: Key::new(generation, id, id + 1, b"row") }, Bytes::from_static(b"row"));
    }
    run(row.commit(SECOND)).unwrap();
    let rows = || fake.present().iter().filter(|(place, _)| place.key.field().as_deref() == Some(b"row")).count();
    let swept = || while run(sweep(&fake, home(), 10, SECOND)).unwrap() != Swept::Clean {};
    swept();
    assert_eq!(rows(), 2);
    // Given up: the successor's goes.
    let plain = Table { indexes: table(id, "t").indexes, ..marked.clone() };
    change(&fake, |edit| edit.put_table(plain)).unwrap();
    swept();
    assert_eq!(rows(), 1);
    marked.indexes[0].state = IndexState::Rekeyed(rekeying(9));
    change(&fake, |edit| edit.put_table(marked)).unwrap();
    change(&fake, |edit| {
        edit.drop_table(id);
        Ok(())
    })
    .unwrap();
    swept();
    assert_eq!(rows(), 0);
}

/// An edit of a catalog that was read before, in a transaction of its own.
fn edits(fake: &Fake, catalog: &Catalog, change: impl FnOnce(&mut Edit)) -> Outcome<()> {
    let mut transaction = transaction(fake);
    let mut edit = Edit::new(catalog);
    change(&mut edit);
    edit.finish(&mut transaction)?;
    run(transaction.commit(SECOND))?;
    Ok(())
}

#[test]
fn generations_of_different_tables_are_begun_side_by_side() {
    let fake = Fake::new();
    let (one, other) = (create(&fake, "one"), create(&fake, "other"));
    let before = read(&fake);
    let first = run(take_numbers(&fake, &home(), 2, SECOND)).unwrap();
    edits(&fake, &before, |edit| edit.begin_generation(one, first)).unwrap();
    edits(&fake, &before, |edit| edit.begin_generation(other, first + 1)).unwrap();
    let after = read(&fake);
    assert_eq!([one, other].map(|id| after.table_by_id(id).unwrap().generation), [first, first + 1]);
    assert!(after.stamp() == before.stamp() && !after.is_same(&before));
    assert_eq!(run(take_numbers(&fake, &home(), 1, SECOND)).unwrap(), first + 2);
    // The table is another one now, for whoever uses it, changes it, or begins one more.
    assert!(is_conflict(uses(&fake, &before, one)));
    assert!(is_conflict(edits(&fake, &before, |edit| edit.begin_generation(one, first + 2))));
    assert!(is_conflict(edits(&fake, &before, |edit| edit.put_table(table(one, "one")).unwrap())));
    assert!(is_conflict(edits(&fake, &before, |edit| edit.drop_table(other))));
}

#[test]
fn an_edit_that_changes_nothing_has_found_no_name_and_demands_that() {
    let fake = Fake::new();
    create(&fake, "one");
    let before = read(&fake);
    create(&fake, "other");
    assert!(is_conflict(edits(&fake, &before, |_| {})));
    edits(&fake, &read(&fake), |_| {}).unwrap();
}

#[test]
fn remarks_about_constraints_are_kept_as_long_as_their_constraints() {
    let fake = Fake::new();
    let id = create(&fake, "t");
    let of = |fake: &Fake| read(fake).table_by_id(id).unwrap().clone();
    let remark = |name: &str| Remarks::from([(name.to_owned(), "why".to_owned())]);
    change(&fake, |edit| edit.put_table(Table { remarks: remark("t_pkey"), ..table(id, "t") })).unwrap();
    assert_eq!(of(&fake).remarks, remark("t_pkey"));
    change(&fake, |edit| edit.put_table(Table { remarks: remark("gone"), ..table(id, "t") })).unwrap();
    assert_eq!(of(&fake).remarks, Remarks::new());
}

#[test]
fn a_view_keeps_what_it_knows_of_the_columns_that_it_reads() {
    let fake = Fake::new();
    let table = create(&fake, "t");
    for knows in [vec![3], Vec::new()] {
        let before = read(&fake);
        let view = |id| View {
            id,
            schema: PUBLIC,
            name: "v".to_owned(),
            columns: vec![("c".to_owned(), SqlType::Int4)],
            query: "SELECT c FROM public.t".to_owned(),
            reads: vec![table],
            comment: None,
            knows: knows.clone(),
        };
        let id = before.views().next().map(|view| view.id);
        change(&fake, |edit| {
            let id = id.map_or_else(|| edit.new_id(), Ok)?;
            edit.put_view(view(id))
        })
        .unwrap();
        let kept =
            read(&fake).views().next().map(|view| (view.knows.clone(), view.knows(table), view.knows(table + 1)));
        assert_eq!(kept, Some((knows.clone(), knows.first().copied(), None)));
    }
}
