//! Changes of the schema while rows are written.

use annulus_base::rng::Rng;
use annulus_relation::catalog::{
    Catalog, Default, Edit, Extension, Index, IndexKey, IndexState, KeyPart, PUBLIC, Rekeying, Retyped, Retyping,
    Succession, Table,
};
use annulus_relation::codec::encode_value;
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Copies, Position, fill, rekey};
use annulus_relation::transaction::Mode;
use annulus_relation::{SqlResult, SqlType, Value};
use annulus_txn::interface::TxnError;

use super::tables::{self, CHILDREN, KIND, NOTES, NUMBER, SETTINGS, Session, around, create_notes, physical};

/// How the names of the indexes that come and go end, one for each of [`CHANGING`].
const EXTRA_INDEX: &str = "_kind";
/// The tables whose columns and indexes change.
const CHANGING: [&str; 2] = [CHILDREN, SETTINGS];
/// Most columns: that many and no more are added.
const MOST_COLUMNS: usize = 8;
/// Rows entered into a new index in one transaction.
const STEP: u32 = 3;

/// A change of the schema.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// One more column of a table, which rows that are there already have a value in.
    AddColumn(&'static str),
    /// One more column of a table, which rows are given a value in one by one; or going on with that.
    OwnColumn(&'static str),
    /// `CREATE INDEX` on a table, or going on with one that was begun; or dropping it if it is there.
    Index(&'static str),
    /// Another type for a column of a table, or going on with that.
    Type(&'static str, usize),
    /// A primary key for a table with rows, or taking it away again; or going on with what was begun.
    Key,
    /// Dropping a table with rows.
    Drop,
}

impl Change {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let table = rng.pick(&CHANGING).copied().unwrap_or(CHILDREN);
        match rng.below(9) {
            0 | 1 => Self::AddColumn(table),
            7 => Self::OwnColumn(table),
            2 | 3 => Self::Index(table),
            4 => Self::Type(table, rng.below(3) as usize),
            5 | 6 => Self::Key,
            _ => Self::Drop,
        }
    }

    pub(super) async fn perform(self, session: &Session) -> Outcome<()> {
        let catalog = session.fresh_catalog().await?;
        match self {
            // What becomes of a table's rows does not change while it gets a successor.
            Self::AddColumn(name) | Self::OwnColumn(name) | Self::Index(name) | Self::Type(name, _)
                if catalog.table(PUBLIC, name).is_some_and(|table| table.succession().is_some()) =>
            {
                make_copies(session, name).await
            }
            Self::Type(name, column) => {
                let Some(table) = catalog.table(PUBLIC, name) else { return Ok(()) };
                retype(session, &catalog, table, column).await
            }
            Self::AddColumn(name) => {
                let Some(table) = catalog.table(PUBLIC, name) else { return Ok(()) };
                if table.columns.len() >= MOST_COLUMNS { Ok(()) } else { add_column(session, &catalog, table).await }
            }
            Self::OwnColumn(name) => {
                let Some(table) = catalog.table(PUBLIC, name) else { return Ok(()) };
                if table.columns.len() >= MOST_COLUMNS { Ok(()) } else { extend(session, &catalog, table).await }
            }
            Self::Index(name) => {
                let Some(table) = catalog.table(PUBLIC, name) else { return Ok(()) };
                index(session, &catalog, table).await
            }
            Self::Key => key(session, &catalog).await,
            Self::Drop => {
                let Some(notes) = catalog.table(PUBLIC, NOTES) else { return Ok(()) };
                let mut edit = Edit::new(&catalog);
                edit.drop_table(notes.id);
                create_notes(&mut edit)?;
                finish(session, edit).await
            }
        }
    }
}

async fn add_column(session: &Session, catalog: &Catalog, table: &Table) -> Outcome<()> {
    alter(session, catalog, table, |_, table| {
        let id = table.next_column;
        table.next_column += 1;
        let missing = Some(encode_value(&Value::Int4(i32::from(id))));
        table.columns.push(tables::column(id, &format!("extra{id}"), missing));
        Ok(())
    })
    .await
}

/// As [`add_column`], but the rows are copied with what they have in the column.
async fn extend(session: &Session, catalog: &Catalog, table: &Table) -> Outcome<()> {
    if table.indexes.iter().any(|index| !index.state.is_complete()) {
        return Ok(());
    }
    let begin = |edit: &mut Edit, table: &mut Table| {
        let id = table.next_column;
        table.next_column += 1;
        let mut column = tables::column(id, &format!("extra{id}"), None);
        column.default = Some(Default::Expression(String::new()));
        table.indexes[0].state = IndexState::Extended(Extension {
            columns: vec![column],
            indexes: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            then: None,
            succession: Succession::new(edit.new_generation()?),
        });
        Ok(())
    };
    alter(session, catalog, table, begin).await?;
    make_copies(session, &table.name).await
}

async fn index(session: &Session, catalog: &Catalog, table: &Table) -> Outcome<()> {
    match table.indexes.iter().find(|index| is_extra(index)).map(|index| &index.state) {
        Some(IndexState::Ready) => {
            let drop = |_: &mut Edit, table: &mut Table| {
                table.indexes.retain(|index| !is_extra(index));
                Ok(())
            };
            alter(session, catalog, table, drop).await
        }
        None => {
            let add = |edit: &mut Edit, table: &mut Table| {
                let name = format!("{}{EXTRA_INDEX}", table.name);
                tables::add_index(edit, table, &name, KIND, None)?;
                set_state(table, &IndexState::Filling { done: Vec::new(), rows: 0 });
                Ok(())
            };
            alter(session, catalog, table, add).await?;
            fill_index(session, &table.name).await
        }
        Some(IndexState::Filling { .. }) => fill_index(session, &table.name).await,
        // Only primary indexes are that.
        Some(IndexState::Rekeyed(_) | IndexState::Reshaped(_) | IndexState::Retyped(_) | IndexState::Extended(_)) => {
            Ok(())
        }
    }
}

fn is_extra(index: &Index) -> bool {
    index.name.ends_with(EXTRA_INDEX)
}

fn set_state(table: &mut Table, state: &IndexState) {
    let index = table.indexes.iter_mut().find(|index| is_extra(index));
    index.into_iter().for_each(|index| index.state = state.clone());
}

/// Changes the descriptor of a table.
async fn alter(
    session: &Session,
    catalog: &Catalog,
    table: &Table,
    change: impl FnOnce(&mut Edit, &mut Table) -> SqlResult<()>,
) -> Outcome<()> {
    let mut edit = Edit::new(catalog);
    let mut table = table.clone();
    change(&mut edit, &mut table)?;
    edit.put_table(table)?;
    finish(session, edit).await
}

/// Enters all rows step by step, each step a transaction, and declares the index complete.
async fn fill_index(session: &Session, name: &str) -> Outcome<()> {
    let catalog = session.fresh_catalog().await?;
    let Some(table) = physical(&catalog, name)? else { return Ok(()) };
    let Some(index) = table.table().indexes.iter().position(is_extra) else { return Ok(()) };
    let mut next = Some(Position::default());
    while let Some(from) = next {
        let mut txn = session.transaction(Mode::Statement);
        let step = fill(&mut txn, around(&catalog), &table, index, &from, STEP, session.patience).await?;
        txn.commit(session.patience).await?;
        next = step.0;
    }
    alter(session, &catalog, table.table(), |_, table| {
        set_state(table, &IndexState::Ready);
        Ok(())
    })
    .await
}

/// Gives the notes a primary key over their numbers, if these are unique; takes it away if they have it.
async fn key(session: &Session, catalog: &Catalog) -> Outcome<()> {
    let Some(notes) = catalog.table(PUBLIC, NOTES) else { return Ok(()) };
    if notes.rekeying().is_none() {
        let begin = |edit: &mut Edit, table: &mut Table| {
            let part = KeyPart::Column(table.columns[NUMBER].id);
            let key = IndexKey { part, descending: false, nulls_first: false };
            let (name, keys) = match table.indexes[0].keys.is_empty() {
                true => ("notes_key".to_owned(), vec![key]),
                false => (String::new(), Vec::new()),
            };
            let succession = Succession::new(edit.new_generation()?);
            let leaves = keys.is_empty();
            table.indexes[0].state = IndexState::Rekeyed(Rekeying { name, keys, succession });
            // Without the key the number may be NULL.
            let (number, reshaping) = (table.columns[NUMBER].id, leaves.then(|| table.reshaping_mut()).flatten());
            reshaping.into_iter().for_each(|reshaping| reshaping.nullable.push(number));
            Ok(())
        };
        alter(session, catalog, notes, begin).await?;
    }
    make_copies(session, NOTES).await
}

/// Makes a column one of wider numbers, or of narrower ones again: all numbers here fit into both.
async fn retype(session: &Session, catalog: &Catalog, table: &Table, column: usize) -> Outcome<()> {
    if table.indexes.iter().any(|index| !index.state.is_complete()) {
        return Ok(());
    }
    let begin = |edit: &mut Edit, table: &mut Table| {
        let column = &table.columns[column];
        let ty = if column.ty == SqlType::Int4 { SqlType::Int8 } else { SqlType::Int4 };
        // What an expression makes of different values might be equal, for all that is known.
        let using = (ty == SqlType::Int4).then(|| column.name.clone());
        let retyped = Retyped { column: column.id, ty, using, default: None };
        let succession = Succession::new(edit.new_generation()?);
        let retyping = Retyping { columns: vec![retyped], keys: Vec::new(), succession };
        table.indexes[0].state = IndexState::Retyped(retyping);
        Ok(())
    };
    alter(session, catalog, table, begin).await?;
    make_copies(session, &table.name).await
}

async fn finish(session: &Session, edit: Edit) -> Outcome<()> {
    let mut txn = session.transaction(Mode::Statement);
    edit.finish(&mut txn)?;
    session.forget();
    txn.commit(session.patience).await?;
    Ok(())
}

/// Makes the copies of all rows, step by step, and lets the successor take the table's place.
async fn make_copies(session: &Session, name: &str) -> Outcome<()> {
    let catalog = session.fresh_catalog().await?;
    let Some(table) = physical(&catalog, name)?.filter(|table| table.table().succession().is_some()) else {
        return Ok(());
    };
    let mut edit = Edit::new(&catalog);
    let (mut next, mut known) = (Some(Position::default()), Copies::Missing);
    while let Some(from) = &next {
        let mut txn = session.transaction(Mode::Statement);
        let step = rekey(&mut txn, around(&catalog), &table, (from, known), STEP, session.patience).await;
        let after = match step {
            Ok((after, _)) => after,
            Err(Failure::Sql(error)) if error.state() == SqlState::UNIQUE_VIOLATION => {
                // What is told must be true; then it is as if nothing had been declared.
                txn.validate(session.patience).await?;
                let mut given_up = Table::clone(table.table());
                given_up.give_succession_up();
                edit.put_table(given_up)?;
                return finish(session, edit).await;
            }
            Err(failure) => return Err(failure),
        };
        match txn.commit(session.patience).await {
            Err(TxnError::Conflict(_)) if known == Copies::Missing => known = Copies::Perhaps,
            committed => {
                committed?;
                next = after;
            }
        }
    }
    let after = table.table().succeeded().unwrap_or_else(|| Table::clone(table.table()));
    edit.put_table(after)?;
    finish(session, edit).await
}
