//! Children loaded in the place of all that there are, by transactions beside the one that they belong to.

use annulus_base::rng::Rng;
use annulus_relation::SqlResult;
use annulus_relation::catalog::{Catalog, Edit, Load};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Checks, Deferrals, Physical, Writer, write_batch};
use annulus_relation::transaction::Mode;

use super::statements::{MOST_CHILDREN, MOST_PARENTS};
use super::tables::{CHILDREN, NoExpressions, Session, around, physical, row};
use super::work::is_allowed;

/// Rows in a batch.
const BATCH: usize = 3;

/// A load of children.
#[derive(Clone, Debug)]
pub struct LoadChildren {
    rows: Vec<[i32; 3]>,
    end: End,
}

/// What becomes of a load once its rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Commit,
    /// It is stopped.
    Stop,
    /// Its client is gone.
    Leave,
}

impl LoadChildren {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let first = rng.below(MOST_CHILDREN) as i32;
        let of = |rng: &mut Rng, id| [id, rng.below(MOST_PARENTS) as i32, 2 + rng.below(3) as i32];
        let rows = (first..first + 7).map(|id| of(rng, id)).collect();
        Self { rows, end: *rng.pick(&[End::Commit, End::Commit, End::Stop, End::Leave]).unwrap_or(&End::Commit) }
    }

    /// Does it, unless the table is being changed.
    pub(super) async fn perform(self, session: &Session) -> Outcome<()> {
        let (catalog, patience) = (session.fresh_catalog().await?, session.patience);
        let Some(children) = physical(&catalog, CHILDREN)?.filter(|found| found.table().succession().is_none()) else {
            return Ok(());
        };
        let mut txn = session.transaction(Mode::Statement);
        let load = Load::begin(&session.db, &session.home, children.table().id, patience).await?;
        txn.own(load.range());
        let mut edit = Edit::new(&catalog);
        edit.begin_generation(children.table().id, load.generation());
        let after = edit.finish(&mut txn)?;
        session.forget();
        let Some(children) = physical(&after, CHILDREN)? else { return Ok(()) };
        for batch in self.rows.chunks(BATCH) {
            match write_batch(&load, writer(&after, &children, batch)?, &mut txn, &Deferrals::NONE, patience).await {
                Ok(_) => {}
                Err(Failure::Sql(error)) => {
                    if error.state() != SqlState::SERIALIZATION_FAILURE {
                        is_allowed(error)?;
                    }
                    return Ok(load.stop(&session.db, patience).await?);
                }
                Err(failure) => return Err(failure),
            }
        }
        match self.end {
            End::Leave => Ok(()),
            End::Stop => Ok(load.stop(&session.db, patience).await?),
            End::Commit => {
                load.end(&mut txn, &after);
                txn.commit(patience).await.map(drop).map_err(Failure::Txn)
            }
        }
    }
}

fn writer<'a>(catalog: &'a Catalog, children: &Physical, rows: &[[i32; 3]]) -> SqlResult<Writer<'a, NoExpressions>> {
    let mut writer = Writer::new(around(catalog), Checks::AtCommit);
    for values in rows {
        writer.insert(children.table().id, row(*values, children), None)?;
    }
    Ok(writer)
}
