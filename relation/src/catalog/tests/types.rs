//! Types that users make: how they are stored, and that nothing is of a type that is gone.

use super::super::record;
use super::*;
use crate::value::{EnumType, KnownTypes};

fn enumeration(id: ObjectId, name: &str, labels: &[&str]) -> Enumeration {
    let mut ty = Enumeration { id, schema: PUBLIC, name: name.to_owned(), labels: Vec::new(), comment: None };
    for (place, label) in labels.iter().enumerate() {
        ty.insert(place, id + 2 + place as u32, (*label).to_owned()).unwrap();
    }
    ty
}

/// Creates a type; returns its number.
fn create_type(fake: &Fake, name: &str, labels: &[&str]) -> ObjectId {
    let mut id = 0;
    change(fake, |edit| {
        id = edit.new_id()?;
        edit.new_id()?;
        edit.put_type(enumeration(id, name, labels))
    })
    .unwrap();
    id
}

/// A table with a column of a type.
fn table_of(id: ObjectId, name: &str, ty: ObjectId) -> Table {
    let mut table = table(id, name);
    table.columns[0].default = None;
    table.columns[0].ty = SqlType::Enum(EnumType::unknown(ty));
    table
}

fn label_of(catalog: &Catalog, table: ObjectId, value: i64) -> String {
    let SqlType::Enum(ty) = &catalog.table_by_id(table).unwrap().columns[0].ty else { panic!("it is an enumeration") };
    ty.label(value).to_string()
}

#[test]
fn the_bytes_of_types_never_change() {
    let ty = Enumeration { comment: Some("c".to_owned()), ..enumeration(16_384, "mood", &["sad", "ok"]) };
    let hex: String = record::encode(&ty).iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = concat!(
        "01d36d5e23004000009808000004000000000000006d6f6f64",
        "020000000000000002400000000000000000000003000000000000007361640340000000000000000001000200000000000000",
        "6f6b01010000000000000063"
    );
    assert_eq!(hex, golden);
}

#[test]
fn a_type_is_found_and_columns_know_its_labels() {
    let fake = Fake::new();
    let ty = create_type(&fake, "mood", &["sad", "ok"]);
    change(&fake, |edit| edit.put_table(table_of(90_000, "t", ty))).unwrap();
    let catalog = read(&fake);
    assert_eq!(catalog.type_named(PUBLIC, "mood").unwrap().id, ty);
    assert_eq!(label_of(&catalog, 90_000, 1 << 48), "ok");
    let known = KnownTypes::new(catalog.made_types().clone(), ["public".to_owned()].into());
    let array = known.numbered(ty + 1).unwrap();
    assert_eq!((array.name().as_str(), array.oid()), ("mood[]", ty + 1));
    assert_eq!(known.named(None, "_mood"), Some(array));
    assert_eq!(known.named(Some("other"), "mood"), None);
    assert_eq!(known.used(), [ty]);
}

#[test]
fn names_of_types_are_unique_in_their_schema() {
    let fake = Fake::new();
    let ty = create_type(&fake, "mood", &[]);
    create(&fake, "t");
    assert_eq!(state(change(&fake, |edit| edit.put_type(enumeration(90_000, "mood", &[])))), "42710");
    assert_eq!(state(change(&fake, |edit| edit.put_type(enumeration(90_000, "t", &[])))), "42710");
    assert_eq!(state(change(&fake, |edit| edit.put_table(table(90_000, "mood")))), "42710");
    change(&fake, |edit| edit.put_type(enumeration(ty, "feeling", &["x"]))).unwrap();
    assert!(read(&fake).type_named(PUBLIC, "mood").is_none());
}

/// Whoever uses a table with a cached catalog finds out that a type of it has changed.
#[test]
fn a_changed_type_changes_what_uses_it() {
    let fake = Fake::new();
    let (ty, other) = (create_type(&fake, "mood", &["sad", "ok"]), create_type(&fake, "other", &["a"]));
    change(&fake, |edit| edit.put_table(table_of(90_000, "t", ty))).unwrap();
    let cached = read(&fake);
    let uses = |named: bool| {
        let mut transaction = transaction(&fake);
        match named {
            true => cached.expect_type(&mut transaction, ty),
            false => cached.expect_table(&mut transaction, 90_000, home().partitions().nth(1).unwrap()),
        }
        run(transaction.commit(SECOND)).map(drop).map_err(Failure::from)
    };
    change(&fake, |edit| edit.put_type(enumeration(other, "another", &["a"]))).unwrap();
    uses(true).unwrap();
    uses(false).unwrap();
    change(&fake, |edit| {
        let mut ty = Enumeration::clone(edit.catalog().type_by_id(ty).unwrap());
        ty.insert(1, 95_000, "meh".to_owned())?;
        edit.put_type(ty)
    })
    .unwrap();
    assert!(is_conflict(uses(true)));
    assert!(is_conflict(uses(false)));
    let catalog = read(&fake);
    assert_eq!(label_of(&catalog, 90_000, 1 << 48), "ok");
    let labels: Vec<_> = catalog.type_by_id(ty).unwrap().labels.iter().map(|label| label.name.as_str()).collect();
    assert_eq!(labels, ["sad", "meh", "ok"]);
}

/// One drops a type while the other makes a table of it: only one of them does.
#[test]
fn no_column_is_of_a_type_that_is_gone() {
    for drops_first in [true, false] {
        let fake = Fake::new();
        let ty = create_type(&fake, "mood", &["sad"]);
        let (mut dropping, mut creating) = (transaction(&fake), transaction(&fake));
        let mut edit = Edit::new(&read(&fake));
        assert!(!edit.catalog().tables().any(|table| table.uses_type(ty)));
        edit.drop_type(ty);
        edit.finish(&mut dropping).unwrap();
        let mut edit = Edit::new(&read(&fake));
        edit.put_table(table_of(90_000, "t", ty)).unwrap();
        edit.finish(&mut creating).unwrap();
        let (first, second) = if drops_first { (dropping, creating) } else { (creating, dropping) };
        run(first.commit(SECOND)).unwrap();
        assert!(matches!(run(second.commit(SECOND)), Err(TxnError::Conflict(_))));
        let catalog = read(&fake);
        assert_eq!(catalog.table_by_id(90_000).is_some(), catalog.type_by_id(ty).is_some());
    }
}

#[test]
fn labels_run_out_of_room_with_an_error() {
    let mut ty = enumeration(16_384, "mood", &["first", "last"]);
    let mut added = 0;
    let error = loop {
        match ty.insert(1, 20_000 + added, format!("l{added}")) {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.state().0, "54000");
    assert!(added >= 20, "{added}");
    assert!(ty.labels.windows(2).all(|pair| pair[0].value < pair[1].value));
}

/// What a table is being given uses its types before all rows have it.
#[test]
fn what_is_coming_is_of_types_too() {
    let column = table_of(90_000, "t", 7).columns.remove(0);
    let (plain, named) = (table(90_000, "t"), numbered_name(7));
    let succession = Succession::new(6);
    let with = |state: IndexState| {
        let mut table = plain.clone();
        table.indexes[0].state = state;
        table.uses_type(7) && !table.uses_type(8)
    };
    let extension = |columns: Vec<Column>, expression: &str| {
        let check = Check { name: "c".to_owned(), expression: expression.to_owned(), standing: Standing::new(false) };
        let (indexes, foreign_keys) = (Vec::new(), Vec::new());
        let succession = succession.clone();
        IndexState::Extended(Extension { columns, indexes, checks: vec![check], foreign_keys, then: None, succession })
    };
    assert!(with(extension(vec![column.clone()], "true")));
    assert!(with(extension(Vec::new(), &format!("a = '0'::{named}"))));
    assert!(!with(extension(Vec::new(), "true")));
    let retyped = Retyped { column: 1, ty: column.ty, using: None, default: None };
    let retyping = Retyping { columns: vec![retyped], keys: Vec::new(), succession: succession.clone() };
    assert!(with(IndexState::Retyped(retyping.clone())));
    let IndexState::Extended(mut with_columns) = extension(Vec::new(), "true") else { panic!("it is an extension") };
    with_columns.then = Some(Then::Retyped(retyping));
    assert!(with(IndexState::Extended(with_columns.clone())));
    // Labels are known there, too.
    let mut table = plain.clone();
    table.indexes[0].state = IndexState::Extended(with_columns);
    assert_eq!(table.types().count(), table.types_mut().count());
    let using = Some(format!("'0'::{named}"));
    let retyped = Retyped { column: 1, ty: SqlType::Text, using, default: None };
    assert!(with(IndexState::Retyped(Retyping { columns: vec![retyped], keys: Vec::new(), succession })));
}
