//! Changes of the schema while rows are written.

use annulus_base::rng::Rng;
use annulus_relation::catalog::{Catalog, Edit, IndexState, PUBLIC, Table};
use annulus_relation::codec::encode_value;
use annulus_relation::failure::Outcome;
use annulus_relation::ops::{Position, fill};
use annulus_relation::transaction::Mode;
use annulus_relation::{SqlResult, Value};

use super::tables::{self, CHILDREN, KIND, Session, around, physical};

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
}

impl Change {
    pub(super) fn random(rng: &mut Rng) -> Self {
        if rng.one_in(3) { Self::AddColumn } else { Self::Index }
    }

    pub(super) async fn perform(self, session: &Session) -> Outcome<()> {
        let catalog = session.fresh_catalog().await?;
        let Some(children) = catalog.table(PUBLIC, CHILDREN) else { return Ok(()) };
        let index = children.indexes.iter().find(|index| index.name == EXTRA_INDEX).map(|index| &index.state);
        match (self, index) {
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
