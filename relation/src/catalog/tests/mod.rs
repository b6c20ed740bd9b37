//! The catalog over a database in memory.

mod databases;
mod edits;
mod reverting;
mod temporary;
mod types;

use annulus_base::Key;
use annulus_base::time::SECOND;
use annulus_ring::DynamicNamespace;
use annulus_txn::interface::{Database, Place, TxnError, When};
use bytes::Bytes;

use super::*;
use crate::failure::{Failure, Outcome};
use crate::transaction::{Mode, Transaction};
use crate::value::SqlType;
use annulus_txn::testing::{Fake, run};

/// A database of four partitions.
fn home() -> Home {
    Home::new(DynamicNamespace::new(7, 4, 1).unwrap())
}

fn read(fake: &Fake) -> Catalog {
    run(load(fake, home(), When::Latest, SECOND)).unwrap()
}

fn transaction(fake: &Fake) -> Transaction<Fake> {
    Transaction::new(fake.clone(), Mode::Statement, fake.begin())
}

/// Changes the catalog in a transaction of its own.
fn change(fake: &Fake, change: impl FnOnce(&mut Edit) -> SqlResult<()>) -> Outcome<()> {
    let mut transaction = transaction(fake);
    let mut edit = Edit::new(&read(fake));
    change(&mut edit)?;
    edit.finish(&mut transaction)?;
    run(transaction.commit(SECOND))?;
    Ok(())
}

use crate::error::SqlResult;

fn table(id: ObjectId, name: &str) -> Table {
    let column = Column {
        id: 1,
        name: "a".to_owned(),
        ty: SqlType::Int4,
        not_null: NotNull::Yes,
        default: Some(Default::Expression("7".to_owned())),
        missing: None,
        comment: None,
    };
    let key = IndexKey { part: KeyPart::Column(1), descending: false, nulls_first: false };
    let primary = Index {
        id: id + 1,
        name: format!("{name}_pkey"),
        unique: Unique::Yes,
        keys: vec![key],
        include: Vec::new(),
        predicate: None,
        constraint: Some(ConstraintKind::PrimaryKey),
        state: IndexState::Ready,
        comment: None,
    };
    Table {
        id,
        schema: PUBLIC,
        name: name.to_owned(),
        generation: 0,
        columns: vec![column],
        next_column: 2,
        indexes: vec![primary],
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        referenced_by: Vec::new(),
        comment: None,
        remarks: Remarks::new(),
    }
}

/// Creates a table; returns its number.
fn create(fake: &Fake, name: &str) -> ObjectId {
    let mut id = 0;
    change(fake, |edit| {
        id = edit.new_id()?;
        edit.new_id()?;
        edit.put_table(table(id, name))
    })
    .unwrap();
    id
}

/// A statement that uses the table in the third partition, with a catalog that it has cached.
fn uses(fake: &Fake, catalog: &Catalog, table: ObjectId) -> Outcome<()> {
    let partition = home().partitions().nth(2).unwrap();
    let mut transaction = transaction(fake);
    catalog.expect_table(&mut transaction, table, partition);
    transaction.put(Place { partition, key: Key::new(0, table, 1, b"row") }, Bytes::from_static(b"row"));
    run(transaction.commit(SECOND))?;
    Ok(())
}

fn state(result: Outcome<()>) -> &'static str {
    match result.unwrap_err() {
        Failure::Sql(error) => error.state().0,
        Failure::Txn(error) => panic!("{error}"),
    }
}

fn is_conflict(result: Outcome<()>) -> bool {
    matches!(result, Err(Failure::Txn(TxnError::Conflict(_))))
}
