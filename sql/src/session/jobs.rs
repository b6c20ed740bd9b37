//! What remains to be done with the rows of a table after its descriptor has changed: filling indexes, checking
//! constraints. In steps, each a transaction of its own, while others write.
//!
//! How far a job is stands in the catalog: whoever finds one that nobody goes on with can take it over.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::SqlResult;
use annulus_relation::catalog::{Edit, Standing, Table};
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Physical, Position, Surroundings, Validation, validate};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::value::Env;
use annulus_txn::interface::{Database, TxnError};

use super::passes::Pass;
use crate::ddl::Job;
use crate::dml::Evaluator;
use crate::server::Server;
use crate::server::catalogs::Catalogs;
use crate::server::deadline::Deadline;
use crate::server::failure::{is_retryable, of_catalog, to_sql};
use crate::server::shared::Shared;

/// How many rows a step looks at.
pub(super) const STEP: u32 = 2_000;

/// Does jobs outside of a statement's transaction.
pub(crate) struct Jobs<'a, D: Database> {
    pub server: &'a Rc<Server<D>>,
    pub catalogs: &'a Rc<Catalogs>,
    pub shared: &'a Arc<Shared>,
}

impl<D: Database> Jobs<'_, D> {
    /// Does a job to its end. If the rows do not fit, what was declared is taken back.
    pub async fn run(&self, job: &Job) -> SqlResult<()> {
        let done = match job {
            Job::Fill { table, index } => self.pass_over(*table, Pass::Fill(*index)).await,
            Job::Validate { table, columns } => self.validate(*table, columns).await,
            Job::Rekey { table } => self.pass_over(*table, Pass::Rekey).await,
        };
        match done {
            Err(Failure::Sql(error)) => {
                self.take_back(job).await.map_err(to_sql)?;
                Err(error)
            }
            done => done.map_err(to_sql),
        }
    }

    /// Checks the constraints of a table that are not validated yet, and `NOT NULL` of columns.
    async fn validate(&self, table: u32, columns: &[u16]) -> Outcome<()> {
        for column in columns {
            let what = |table: &Table| {
                table.columns.iter().position(|found| found.id == *column && found.not_null).map(Validation::NotNull)
            };
            self.pass(table, &what).await?;
        }
        let check =
            |table: &Table| table.checks.iter().position(|check| check.standing.is_pending()).map(Validation::Check);
        while self.pass(table, &check).await? {
            self.edit(table, |table| {
                table
                    .checks
                    .iter_mut()
                    .find(|check| check.standing.is_pending())
                    .into_iter()
                    .for_each(|check| check.standing = check.standing.validated());
            })
            .await?;
        }
        let key = |table: &Table| {
            table.foreign_keys.iter().position(|key| key.standing.is_pending()).map(Validation::ForeignKey)
        };
        while self.pass(table, &key).await? {
            self.edit(table, |table| {
                table
                    .foreign_keys
                    .iter_mut()
                    .find(|key| key.standing.is_pending())
                    .into_iter()
                    .for_each(|key| key.standing = key.standing.validated());
            })
            .await?;
        }
        Ok(())
    }

    /// One pass over all rows; whether there was anything to check.
    async fn pass(&self, table: u32, what: &dyn Fn(&Table) -> Option<Validation>) -> Outcome<bool> {
        let (mut from, mut generation) = (Position::default(), None);
        loop {
            let deadline = Deadline::new(None);
            let catalog = self.catalogs.current(&self.server.db, deadline.left()).await?;
            let Some(descriptor) = catalog.table_by_id(table) else { return Ok(false) };
            if generation.replace(descriptor.generation).is_some_and(|before| before != descriptor.generation) {
                // The rows stand elsewhere now.
                from = Position::default();
            }
            let Some(validation) = what(descriptor) else { return Ok(false) };
            let env = Env::default();
            let evaluator = Evaluator { stored: &self.catalogs.expressions, env: &env, shared: self.shared };
            let around = Surroundings { catalog: &catalog, expressions: &evaluator };
            let physical = Physical::new(*catalog.home(), descriptor)?;
            let db = &self.server.db;
            let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
            let step = async {
                let left = deadline.left();
                let step = validate(&mut transaction, around, &physical, validation, &from, STEP, left).await;
                let next = confirmed(step, &mut transaction, &deadline).await?;
                transaction.commit(deadline.left()).await?;
                Ok::<_, Failure>(next)
            };
            match step.await {
                Ok(Some(next)) => from = next,
                Ok(None) => return Ok(true),
                Err(failure) => self.lost(failure).await?,
            }
        }
    }

    /// Changes a table's descriptor, whatever happens meanwhile.
    async fn edit(&self, table: u32, change: impl Fn(&mut Table)) -> Outcome<()> {
        loop {
            let deadline = Deadline::new(None);
            let catalog = self.catalogs.reload(&self.server.db, deadline.left()).await?;
            let Some(descriptor) = catalog.table_by_id(table) else { return Ok(()) };
            let mut changed = Table::clone(descriptor);
            change(&mut changed);
            let db = &self.server.db;
            let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
            let mut edit = Edit::new(&catalog);
            edit.put_table(changed)?;
            edit.finish(&mut transaction)?;
            let committed = transaction.commit(deadline.left()).await;
            self.catalogs.outdate();
            match committed.map_err(Failure::from) {
                Ok(_) => return Ok(()),
                Err(failure) => self.lost(failure).await?,
            }
        }
    }

    /// A step that failed is tried again, if that can help: a step that has committed already does no harm twice.
    pub(super) async fn lost(&self, failure: Failure) -> Outcome<()> {
        let unknown = matches!(failure, Failure::Txn(TxnError::Unknown(_)));
        if !is_retryable(&failure) && !unknown {
            return Err(failure);
        }
        if unknown || of_catalog(&failure) {
            self.catalogs.outdate();
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    /// The rows do not keep what was declared: it is as if it had not been.
    async fn take_back(&self, job: &Job) -> Outcome<()> {
        match job {
            Job::Fill { table, index } => {
                self.edit(*table, |table| table.indexes.retain(|found| found.id != *index)).await
            }
            Job::Validate { table, columns } => {
                self.edit(*table, |table| {
                    table.checks.retain_mut(|check| keeps(&mut check.standing));
                    table.foreign_keys.retain_mut(|key| keeps(&mut key.standing));
                    let declared = table.columns.iter_mut().filter(|column| columns.contains(&column.id));
                    declared.for_each(|column| column.not_null = false);
                })
                .await
            }
            Job::Rekey { table } => self.edit(*table, Table::give_succession_up).await,
        }
    }
}

/// The outcome of a step. An error is told only if all that was read has held at one instant; else the step is to be
/// tried again.
pub(super) async fn confirmed<D: Database, T>(
    step: Outcome<T>,
    transaction: &mut Transaction<D>,
    deadline: &Deadline,
) -> Outcome<T> {
    if let Err(Failure::Sql(_)) = &step {
        transaction.validate(deadline.left()).await?;
    }
    step
}

/// Does jobs within a transaction: for a block, which is to be undone as a whole.
pub(crate) async fn within<D: Database>(work: &mut crate::statement::Work<'_, D>, job: &Job) -> Outcome<()> {
    let catalogs = Rc::clone(work.catalogs);
    let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
    let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
    let catalog = Arc::clone(&work.active.catalog);
    let Some(table) = catalog.table_by_id(job.table()) else { return Ok(()) };
    let around = Surroundings { catalog: &catalog, expressions: &evaluator };
    let (transaction, deadline) = (&mut work.active.transaction, &work.deadline);
    let after = match job {
        Job::Fill { index, .. } => Pass::Fill(*index).within(transaction, around, table, deadline).await?,
        Job::Rekey { .. } => Pass::Rekey.within(transaction, around, table, deadline).await?,
        Job::Validate { .. } => {
            let physical = Physical::new(*catalog.home(), table)?;
            for validation in validations(job, table) {
                let mut next = Some(Position::default());
                while let Some(from) = &next {
                    let left = deadline.left();
                    next = validate(transaction, around, &physical, validation, from, STEP, left).await?;
                }
            }
            let mut changed = Table::clone(table);
            let pending = changed.checks.iter_mut().filter(|check| check.standing.is_pending());
            pending.for_each(|check| check.standing = check.standing.validated());
            let pending = changed.foreign_keys.iter_mut().filter(|key| key.standing.is_pending());
            pending.for_each(|key| key.standing = key.standing.validated());
            let mut edit = Edit::new(&catalog);
            edit.put_table(changed)?;
            edit.finish(transaction)?
        }
    };
    work.active.catalog = Arc::new(after);
    work.shared.use_catalog(&work.active.catalog);
    Ok(())
}

/// What becomes of a constraint that the rows do not keep, and whether it stays.
fn keeps(standing: &mut Standing) -> bool {
    match standing.refuted() {
        Some(left) => {
            *standing = left;
            true
        }
        None => false,
    }
}

/// What a job checks.
fn validations(job: &Job, table: &Table) -> Vec<Validation> {
    let Job::Validate { columns, .. } = job else { return Vec::new() };
    let nulls = table.columns.iter().enumerate().filter(|(_, column)| columns.contains(&column.id));
    let checks = table.checks.iter().enumerate().filter(|(_, check)| check.standing.is_pending());
    let keys = table.foreign_keys.iter().enumerate().filter(|(_, key)| key.standing.is_pending());
    let nulls = nulls.map(|(position, _)| Validation::NotNull(position));
    let checks = checks.map(|(position, _)| Validation::Check(position));
    nulls.chain(checks).chain(keys.map(|(position, _)| Validation::ForeignKey(position))).collect()
}
