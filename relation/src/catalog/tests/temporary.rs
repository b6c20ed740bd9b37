//! Changes of temporary relations beside all others.

use annulus_base::Key;
use annulus_txn::interface::Place;
use bytes::Bytes;

use super::super::home::Kind;
use super::*;
use crate::value::EnumType;

/// Numbers for edits, as a node has them.
fn numbers(fake: &Fake) -> Numbers {
    let numbers = Numbers::default();
    run(numbers.fill(fake, &home(), 10, SECOND)).unwrap();
    numbers
}

/// An edit of a catalog that was read before, in a transaction of its own.
fn edits(fake: &Fake, catalog: &Catalog, numbers: &Numbers, change: impl FnOnce(&mut Edit)) -> Outcome<()> {
    let mut transaction = transaction(fake);
    let mut edit = Edit::with_numbers(catalog, numbers.clone());
    change(&mut edit);
    edit.finish(&mut transaction)?;
    run(transaction.commit(SECOND))?;
    Ok(())
}

fn own_table(edit: &mut Edit, schema: ObjectId, name: &str) -> ObjectId {
    let id = edit.new_id_in(schema).unwrap();
    let mut table = Table { schema, generation: edit.new_generation_in(schema).unwrap(), ..table(id, name) };
    table.indexes[0].id = edit.new_id_in(schema).unwrap();
    edit.put_table(table).unwrap();
    id
}

fn own_schema(edit: &mut Edit, session: u32) -> ObjectId {
    let id = edit.new_temporary_id().unwrap();
    edit.put_schema(Schema { id, name: format!("{TEMPORARY}1_{session}"), comment: None }).unwrap();
    id
}

/// The schemas of two sessions, with a table in each.
fn sessions(fake: &Fake, numbers: &Numbers) -> [(ObjectId, ObjectId); 2] {
    [1, 2].map(|session| {
        let mut made = (0, 0);
        let make = |edit: &mut Edit| {
            let schema = own_schema(edit, session);
            made = (schema, own_table(edit, schema, "t"));
        };
        edits(fake, &read(fake), numbers, make).unwrap();
        made
    })
}

#[test]
fn sessions_are_in_nobodys_way() {
    let fake = Fake::new();
    let lasting = create(&fake, "t");
    let (one, other) = (numbers(&fake), numbers(&fake));
    let before = read(&fake);
    // All of this goes by one catalog.
    edits(&fake, &before, &one, |edit| {
        let schema = own_schema(edit, 1);
        own_table(edit, schema, "a");
    })
    .unwrap();
    edits(&fake, &before, &other, |edit| {
        let schema = own_schema(edit, 2);
        own_table(edit, schema, "a");
    })
    .unwrap();
    edits(&fake, &before, &one, |edit| edit.put_table(table(60_000, "lasting")).unwrap()).unwrap();
    let after = read(&fake);
    assert_eq!(after.tables().filter(|table| table.name == "a").count(), 2);
    assert!(!after.is_same(&before) && after.root.next_object == before.root.next_object);
    uses(&fake, &before, lasting).unwrap();
    // So does what ends sessions.
    for schema in after.temporary_schemas().map(|(schema, _)| schema.id).collect::<Vec<_>>() {
        let table = after.table(schema, "a").unwrap().id;
        edits(&fake, &after, &one, |edit| {
            edit.drop_table(table);
            edit.drop_schema(schema);
        })
        .unwrap();
    }
    edits(&fake, &after, &one, |edit| edit.put_table(table(61_000, "more")).unwrap()).unwrap();
    assert_eq!(read(&fake).tables().filter(|table| table.name == "a").count(), 0);
}

#[test]
fn whoever_shows_the_catalog_sees_what_sessions_have() {
    let fake = Fake::new();
    create(&fake, "t");
    let before = read(&fake);
    sessions(&fake, &numbers(&fake));
    let shows = |catalog: &Catalog| {
        let mut transaction = transaction(&fake);
        catalog.expect_unchanged(&mut transaction);
        run(transaction.validate(SECOND)).map_err(Failure::from)
    };
    assert!(is_conflict(shows(&before)));
    shows(&read(&fake)).unwrap();
}

#[test]
fn what_is_dropped_at_the_same_time_gets_nothing_new() {
    let fake = Fake::new();
    let lasting = create(&fake, "lasting");
    let numbers = numbers(&fake);
    let [(schema, own), (other, others)] = sessions(&fake, &numbers);
    let before = read(&fake);
    // The schema.
    edits(&fake, &before, &numbers, |edit| {
        edit.drop_table(others);
        edit.drop_schema(other);
    })
    .unwrap();
    let makes = |edit: &mut Edit| _ = own_table(edit, other, "late");
    assert!(is_conflict(edits(&fake, &before, &numbers, makes)));
    // The relation that it changes, or goes by.
    let before = read(&fake);
    edits(&fake, &before, &numbers, |edit| edit.drop_table(own)).unwrap();
    let changed = Table { comment: Some("late".to_owned()), ..Table::clone(before.table_by_id(own).unwrap()) };
    assert!(is_conflict(edits(&fake, &before, &numbers, |edit| edit.put_table(changed).unwrap())));
    edits(&fake, &before, &numbers, |edit| edit.drop_table(lasting)).unwrap();
    let relies = |edit: &mut Edit| {
        own_table(edit, schema, "like");
        edit.rely_on(lasting);
    };
    assert!(is_conflict(edits(&fake, &before, &numbers, relies)));
}

#[test]
fn a_type_that_is_dropped_gets_no_columns() {
    let fake = Fake::new();
    create(&fake, "t");
    let numbers = numbers(&fake);
    let [(schema, _), _] = sessions(&fake, &numbers);
    let ty = Enumeration { id: 50_000, schema: PUBLIC, name: "mood".to_owned(), labels: Vec::new(), comment: None };
    change(&fake, |edit| edit.put_type(ty)).unwrap();
    let before = read(&fake);
    let of_type = |edit: &mut Edit| {
        let id = own_table(edit, schema, "of_type");
        let mut table = Table::clone(edit.catalog().table_by_id(id).unwrap());
        table.columns[0].ty = SqlType::Enum(EnumType::unknown(50_000));
        edit.put_table(table).unwrap();
    };
    change(&fake, |edit| {
        edit.drop_type(50_000);
        Ok(())
    })
    .unwrap();
    assert!(is_conflict(edits(&fake, &before, &numbers, of_type)));
}

#[test]
fn a_database_that_is_dropped_gets_no_session() {
    let fake = Fake::new();
    create(&fake, "t");
    let numbers = numbers(&fake);
    let before = read(&fake);
    change(&fake, |edit| {
        edit.drop_all();
        Ok(())
    })
    .unwrap();
    assert!(is_conflict(edits(&fake, &before, &numbers, |edit| _ = own_schema(edit, 3))));
}

#[test]
fn without_numbers_of_its_own_an_edit_waits_for_others() {
    let fake = Fake::new();
    create(&fake, "t");
    let before = read(&fake);
    let none = Numbers::default();
    edits(&fake, &before, &none, |edit| edit.put_table(table(60_000, "first")).unwrap()).unwrap();
    assert!(is_conflict(edits(&fake, &before, &none, |edit| _ = own_schema(edit, 1))));
    edits(&fake, &read(&fake), &none, |edit| _ = own_schema(edit, 1)).unwrap();
    // Nor does the very first one, since nothing is stored yet that it could go by.
    let fake = Fake::new();
    let (numbers, empty) = (numbers(&fake), read(&fake));
    create(&fake, "t");
    assert!(is_conflict(edits(&fake, &empty, &numbers, |edit| _ = own_schema(edit, 1))));
}

#[test]
fn numbers_that_come_round_again_are_not_those_of_what_is_there() {
    let fake = Fake::new();
    create(&fake, "t");
    let numbers = numbers(&fake);
    let [(schema, own), _] = sessions(&fake, &numbers);
    fake.write(home().record(Kind::Numbers, 0), Some(record::encode(&0u32)));
    let again = self::numbers(&fake);
    let mut made = 0;
    edits(&fake, &read(&fake), &again, |edit| made = own_table(edit, schema, "again")).unwrap();
    assert!(made != own && made != schema);
    assert_eq!(read(&fake).tables().count(), 4);
}

#[test]
fn garbage_of_sessions_is_deleted() {
    let fake = Fake::new();
    create(&fake, "t");
    let numbers = numbers(&fake);
    let [(schema, own), _] = sessions(&fake, &numbers);
    let generation = read(&fake).table_by_id(own).unwrap().generation;
    let row = Place { partition: home().catalog(), key: Key::new(generation, own, own + 1, b"row") };
    fake.write(row.clone(), Some(Bytes::from_static(b"x")));
    edits(&fake, &read(&fake), &numbers, |edit| {
        edit.drop_table(own);
        edit.drop_schema(schema);
    })
    .unwrap();
    while run(sweep(&fake, home(), 10, SECOND)).unwrap() == Swept::Part {}
    assert!(!fake.present().iter().any(|(place, _)| *place == row));
}
