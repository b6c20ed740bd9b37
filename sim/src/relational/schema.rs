//! Changes of the schema while rows are written.

use annulus_base::rng::Rng;
use annulus_relation::catalog::{Catalog, Edit, IndexKey, IndexState, KeyPart, PUBLIC, Rekeying, Table};
use annulus_relation::codec::encode_value;
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Copies, Position, fill, rekey};
use annulus_relation::transaction::Mode;
use annulus_relation::{SqlResult, Value};
use annulus_txn::interface::TxnError;

use super::tables::{self, CHILDREN, KIND, NOTES, NUMBER, Session, around, create_notes, physical};

/// The name of the index that comes and goes.
const EXTRA_INDEX: &str = "children_kind";
/// Most columns: that many and no more are added.
const MOST_COLUMNS: usize = 8;
/// Rows entered into a new index in one transaction.
const STEP: u32 = 3;

/// A change of the schema.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// One more column, which rows that are there already have a value in.
    AddColumn,
    /// `CREATE INDEX`, or going on with one that was begun; or dropping it if it is there.
    Index,
    /// A primary key for a table with rows, or going on with one that was begun; or dropping the table if it has it.
    Key,
}

impl Change {
    pub(super) fn random(rng: &mut Rng) -> Self {
        match rng.below(6) {
            0 | 1 => Self::AddColumn,
            2 | 3 => Self::Index,
            _ => Self::Key,
        }
    }

    pub(super) async fn perform(self, session: &Session) -> Outcome<()> {
        let catalog = session.fresh_catalog().await?;
        let Some(children) = catalog.table(PUBLIC, CHILDREN) else { return Ok(()) };
        let index = children.indexes.iter().find(|index| index.name == EXTRA_INDEX).map(|index| &index.state);
        match (self, index) {
            (Self::Key, _) => key(session, &catalog).await,
            (Self::AddColumn, _) if children.columns.len() >= MOST_COLUMNS => Ok(()),
            (Self::AddColumn, _) => {
                alter(session, &catalog, |_, table| {
                    let id = table.next_column;
                    table.next_column += 1;
                    let missing = Some(encode_value(&Value::Int4(i32::from(id))));
                    table.columns.push(tables::column(id, &format!("extra{id}"), missing));
                    Ok(())
                })
                .await
            }
            (Self::Index, Some(IndexState::Ready)) => {
                let is_other = |index: &annulus_relation::catalog::Index| index.name != EXTRA_INDEX;
                let drop = |_: &mut Edit, table: &mut Table| {
                    table.indexes.retain(is_other);
                    Ok(())
                };
                alter(session, &catalog, drop).await
            }
            (Self::Index, None) => {
                let add = |edit: &mut Edit, table: &mut Table| {
                    tables::add_index(edit, table, EXTRA_INDEX, KIND, None)?;
                    set_state(table, &IndexState::Filling { done: Vec::new(), rows: 0 });
                    Ok(())
                };
                alter(session, &catalog, add).await?;
                fill_index(session).await
            }
            (Self::Index, Some(IndexState::Filling { .. })) => fill_index(session).await,
            // Only primary indexes are that.
            (Self::Index, Some(IndexState::Rekeyed(_))) => Ok(()),
        }
    }
}

fn set_state(table: &mut Table, state: &IndexState) {
    let index = table.indexes.iter_mut().find(|index| index.name == EXTRA_INDEX);
    index.into_iter().for_each(|index| index.state = state.clone());
}

/// Changes the descriptor of the children's table.
async fn alter(
    session: &Session,
    catalog: &Catalog,
    change: impl FnOnce(&mut Edit, &mut Table) -> SqlResult<()>,
) -> Outcome<()> {
    let Some(children) = catalog.table(PUBLIC, CHILDREN) else { return Ok(()) };
    let mut edit = Edit::new(catalog);
    let mut table = Table::clone(children);
    change(&mut edit, &mut table)?;
    edit.put_table(table)?;
    let mut txn = session.transaction(Mode::Statement);
    edit.finish(&mut txn)?;
    session.forget();
    txn.commit(session.patience).await?;
    Ok(())
}

/// Enters all rows step by step, each step a transaction, and declares the index complete.
async fn fill_index(session: &Session) -> Outcome<()> {
    let catalog = session.fresh_catalog().await?;
    let Some(children) = physical(&catalog, CHILDREN)? else { return Ok(()) };
    let Some(index) = children.table().indexes.iter().position(|index| index.name == EXTRA_INDEX) else {
        return Ok(());
    };
    let mut next = Some(Position::default());
    while let Some(from) = next {
        let mut txn = session.transaction(Mode::Statement);
        let step = fill(&mut txn, around(&catalog), &children, index, &from, STEP, session.patience).await?;
        txn.commit(session.patience).await?;
        next = step.0;
    }
    alter(session, &catalog, |_, table| {
        set_state(table, &IndexState::Ready);
        Ok(())
    })
    .await
}

/// Gives the notes a primary key over their numbers, if these are unique; drops them if they have one.
async fn key(session: &Session, catalog: &Catalog) -> Outcome<()> {
    let Some(notes) = catalog.table(PUBLIC, NOTES) else { return Ok(()) };
    let mut edit = Edit::new(catalog);
    match notes.rekeying() {
        Some(_) => return make_copies(session).await,
        None if notes.indexes[0].keys.is_empty() => {
            let mut marked = Table::clone(notes);
            let part = KeyPart::Column(notes.columns[NUMBER].id);
            marked.indexes[0].state = IndexState::Rekeyed(Rekeying {
                name: "notes_key".to_owned(),
                keys: vec![IndexKey { part, descending: false, nulls_first: false }],
                generation: edit.new_id()?,
                done: Vec::new(),
                rows: 0,
            });
            edit.put_table(marked)?;
            finish(session, edit).await?;
            make_copies(session).await
        }
        None => {
            edit.drop_table(notes.id);
            create_notes(&mut edit)?;
            finish(session, edit).await
        }
    }
}

async fn finish(session: &Session, edit: Edit) -> Outcome<()> {
    let mut txn = session.transaction(Mode::Statement);
    edit.finish(&mut txn)?;
    session.forget();
    txn.commit(session.patience).await?;
    Ok(())
}

/// Makes the copies of all rows, step by step, and lets the successor take the table's place.
async fn make_copies(session: &Session) -> Outcome<()> {
    let catalog = session.fresh_catalog().await?;
    let Some(notes) = physical(&catalog, NOTES)?.filter(|notes| notes.table().rekeying().is_some()) else {
        return Ok(());
    };
    let mut edit = Edit::new(&catalog);
    let (mut next, mut known) = (Some(Position::default()), Copies::Missing);
    while let Some(from) = &next {
        let mut txn = session.transaction(Mode::Statement);
        let step = rekey(&mut txn, around(&catalog), &notes, (from, known), STEP, session.patience).await;
        let after = match step {
            Ok((after, _)) => after,
            Err(Failure::Sql(error)) if error.state() == SqlState::UNIQUE_VIOLATION => {
                // What is told must be true; then it is as if nothing had been declared.
                txn.validate(session.patience).await?;
                let mut given_up = Table::clone(notes.table());
                given_up.indexes[0].state = IndexState::Ready;
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
    let after = notes.table().successor().unwrap_or_else(|| Table::clone(notes.table()));
    edit.put_table(after)?;
    finish(session, edit).await
}
