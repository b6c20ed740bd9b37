//! What remains to be done with the rows of a table after its descriptor has changed: filling indexes, checking
//! constraints. In steps, each a transaction of its own, while others write.
//!
//! How far a job is stands in the catalog: whoever finds one that nobody goes on with can take it over.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::{
    Catalog, Check, Column, ColumnId, Edit, ForeignKey, Load, NotNull, ObjectId, Standing, Table, View,
};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Physical, Position, Surroundings, Validation, validate};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::{Database, TxnError};

use super::passes::Pass;
use crate::ddl::Job;
use crate::dml::Evaluator;
use crate::server::Server;
use crate::server::catalogs::Catalogs;
use crate::server::deadline::Deadline;
use crate::server::failure::{is_retryable, of_catalog, to_sql};
use crate::server::loads::Loading;
use crate::server::shared::Shared;
use crate::statement::Work;

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
        match self.perform(job).await {
            Err(Failure::Sql(error)) => {
                self.take_back(job).await.map_err(to_sql)?;
                Err(error)
            }
            done => done.map_err(to_sql),
        }
    }

    /// Does the jobs of a statement that made one catalog of another. If the rows do not fit, all that it declared of their
    /// tables is taken back.
    pub async fn run_all(&self, jobs: &[Job], before: &Catalog, declared: &Catalog) -> SqlResult<()> {
        for job in jobs {
            match self.perform(job).await {
                Err(Failure::Sql(error)) => {
                    let tables: BTreeSet<ObjectId> = jobs.iter().map(Job::table).collect();
                    for table in tables {
                        self.take_statement_back(table, before, declared).await.map_err(to_sql)?;
                    }
                    return Err(error);
                }
                done => done.map_err(to_sql)?,
            }
        }
        Ok(())
    }

    async fn perform(&self, job: &Job) -> Outcome<()> {
        match job {
            Job::Fill { table, index } => self.pass_over(*table, Pass::Fill(*index)).await,
            Job::Validate { table, columns, constraints } => self.validate(*table, columns, constraints).await,
            Job::Rekey { table } => self.pass_over(*table, Pass::Rekey).await,
        }
    }

    /// Checks `NOT NULL` of columns, and checks and foreign keys, of a table. Only when all of them hold they are said to:
    /// what one statement declares is declared as a whole.
    async fn validate(&self, table: u32, columns: &[ColumnId], constraints: &[String]) -> Outcome<()> {
        for column in columns {
            self.pass(table, &|table| not_null(table, *column)).await?;
        }
        let Some(before) = self.table(table).await? else { return Ok(()) };
        let declared: Vec<Declared> = constraints.iter().filter_map(|name| Declared::of(&before, name)).collect();
        for constraint in &declared {
            self.pass(table, &|table| constraint.pending(table)).await?;
        }
        if columns.is_empty() && declared.is_empty() {
            return Ok(());
        }
        self.edit(table, |_, table| note_validated(table, columns, &declared)).await?;
        // Somebody else may have dropped one meanwhile, or found that it does not hold.
        let Some(after) = self.table(table).await? else { return Ok(()) };
        let is_gone = |constraint: &&Declared| !after.standing(&constraint.name).is_some_and(Standing::is_validated);
        match declared.iter().find(is_gone) {
            Some(Declared { name, .. }) => {
                let table = &after.name;
                let what = format!("constraint \"{name}\" of relation \"{table}\"");
                Err(did_not_last(&what).into())
            }
            None => check_lasted(&after, columns),
        }
    }

    /// A table as it is now.
    async fn table(&self, table: u32) -> Outcome<Option<Arc<Table>>> {
        let catalog = self.catalogs.reload(&self.server.db, Deadline::new(None).left()).await?;
        Ok(catalog.table_by_id(table).cloned())
    }

    /// One pass over all rows, if there is anything to check.
    async fn pass(&self, table: u32, what: &dyn Fn(&Table) -> Option<Validation>) -> Outcome<()> {
        let (mut from, mut generation) = (Position::default(), None);
        loop {
            let deadline = Deadline::new(None);
            let catalog = self.catalogs.current(&self.server.db, deadline.left()).await?;
            let Some(descriptor) = catalog.table_by_id(table) else { return Ok(()) };
            if generation.replace(descriptor.generation).is_some_and(|before| before != descriptor.generation) {
                // The rows stand elsewhere now.
                from = Position::default();
            }
            let Some(validation) = what(descriptor) else { return Ok(()) };
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
                Ok(None) => return Ok(()),
                Err(failure) => self.lost(failure).await?,
            }
        }
    }

    /// Changes a table's descriptor, whatever happens meanwhile. What is noted elsewhere for foreign keys and columns that
    /// are gone then goes, too.
    async fn edit(&self, table: u32, change: impl Fn(&Catalog, &mut Table)) -> Outcome<()> {
        loop {
            let deadline = Deadline::new(None);
            let catalog = self.catalogs.reload(&self.server.db, deadline.left()).await?;
            let Some(descriptor) = catalog.table_by_id(table) else { return Ok(()) };
            let mut changed = Table::clone(descriptor);
            change(&catalog, &mut changed);
            let db = &self.server.db;
            let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
            let mut edit = Edit::new(&catalog);
            replace(&mut edit, descriptor, changed)?;
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
                self.edit(*table, |_, table| table.indexes.retain(|found| found.id != *index)).await
            }
            Job::Validate { table, columns, constraints } => {
                let stays = |name: &String, standing: &mut Standing| !constraints.contains(name) || keeps(standing);
                self.edit(*table, |_, table| {
                    table.checks.retain_mut(|check| stays(&check.name, &mut check.standing));
                    table.foreign_keys.retain_mut(|key| stays(&key.name, &mut key.standing));
                    settle(table, columns, NotNull::No);
                })
                .await
            }
            Job::Rekey { table } => self.edit(*table, |_, table| table.give_succession_up()).await,
        }
    }

    /// As [`Jobs::take_back`], but all that a statement has declared of a table.
    async fn take_statement_back(&self, table: ObjectId, before: &Catalog, declared: &Catalog) -> Outcome<()> {
        let (Some(was), Some(is)) = (before.table_by_id(table), declared.table_by_id(table)) else { return Ok(()) };
        self.edit(table, |now, table| {
            table.take_constraints_back(was, is);
            let is_new = |view: &&Arc<View>| !before.views().any(|known| known.id == view.id);
            if !now.views().filter(is_new).any(|view| view.reads.contains(&table.id)) {
                table.take_columns_back(was, is);
            }
        })
        .await
    }
}

/// Puts a table in the place of what it was, with fewer foreign keys and columns perhaps.
pub(super) fn replace(edit: &mut Edit, before: &Table, mut after: Table) -> SqlResult<()> {
    let parents = before.all_foreign_keys().map(|key| key.parent);
    let left: BTreeSet<ObjectId> = parents.filter(|parent| !after.refers_to(*parent)).collect();
    if left.contains(&after.id) {
        after.referenced_by.retain(|child| *child != after.id);
    }
    let gone = |column: ColumnId| !after.all_columns().any(|stays| stays.id == column);
    let owned = edit
        .catalog()
        .sequences()
        .filter(|sequence| sequence.owner.is_some_and(|(table, column)| table == after.id && gone(column)));
    let owned: Vec<ObjectId> = owned.map(|sequence| sequence.id).collect();
    edit.put_table(after.clone())?;
    owned.into_iter().for_each(|sequence| edit.drop_sequence(sequence));
    left.into_iter().try_for_each(|parent| edit.unrefer(parent, &after))
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
pub(crate) async fn within<D: Database>(work: &mut Work<'_, D>, job: &Job) -> Outcome<()> {
    let catalogs = Rc::clone(work.catalogs);
    let (env, shared) = (Arc::clone(&work.active.env), Arc::clone(work.shared));
    let evaluator = Evaluator { stored: &catalogs.expressions, env: &env, shared: &shared };
    let Some(table) = work.active.catalog.table_by_id(job.table()).cloned() else { return Ok(()) };
    let load = match (work.active.load_of(&table), job) {
        (Some(_), Job::Rekey { .. }) => Some(load_successor(work, &table).await?),
        (Some(load), Job::Fill { .. }) => Some(load),
        _ => None,
    };
    let catalog = Arc::clone(&work.active.catalog);
    let Some(table) = catalog.table_by_id(job.table()) else { return Ok(()) };
    let around = Surroundings { catalog: &catalog, expressions: &evaluator };
    let after = match job {
        Job::Rekey { .. } => Pass::Rekey.within(work, around, table, load.as_ref()).await?,
        Job::Fill { index, .. } => Pass::Fill(*index).within(work, around, table, load.as_ref()).await?,
        Job::Validate { columns, constraints, .. } => {
            let (transaction, deadline) = (&mut work.active.transaction, &work.deadline);
            let physical = Physical::new(*catalog.home(), table)?;
            let declared: Vec<Declared> = constraints.iter().filter_map(|name| Declared::of(table, name)).collect();
            let nulls = columns.iter().filter_map(|column| not_null(table, *column));
            for validation in nulls.chain(declared.iter().filter_map(|constraint| constraint.pending(table))) {
                let mut next = Some(Position::default());
                while let Some(from) = &next {
                    let left = deadline.left();
                    next = validate(transaction, around, &physical, validation, from, STEP, left).await?;
                }
            }
            let mut changed = Table::clone(table);
            note_validated(&mut changed, columns, &declared);
            let mut edit = Edit::new(&catalog);
            edit.put_table(changed)?;
            edit.finish(transaction)?
        }
    };
    work.active.catalog = Arc::new(after);
    work.shared.use_catalog(&work.active.catalog);
    // What was made of loaded rows is seen by whatever follows.
    work.active.is_behind |= load.is_some();
    work.active.see_loads(&work.deadline).await
}

/// A load into the generation of the successor of a table that was loaded: into a new one, whose number nobody is given
/// again if this does not commit.
async fn load_successor<D: Database>(work: &mut Work<'_, D>, table: &Table) -> Outcome<Load> {
    let (db, home) = (&work.server.db, *work.active.catalog.home());
    let load = Load::begin(db, &home, table.id, work.deadline.left()).await?;
    let mut moved = table.clone();
    moved.succession_mut().into_iter().for_each(|succession| succession.generation = load.generation());
    let mut edit = Edit::new(&work.active.catalog);
    edit.put_table(moved)?;
    crate::ddl::use_edit(work, edit)?;
    work.active.loads.push(Loading::new(load.clone(), &work.server.abandoned));
    work.active.transaction.own(load.range());
    Ok(load)
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

/// How `NOT NULL` of a column is checked, if it is to be.
fn not_null(table: &Table, column: ColumnId) -> Option<Validation> {
    table.columns.iter().position(|found| found.id == column && found.not_null.is_pending()).map(Validation::NotNull)
}

/// What was to be checked of columns is known now.
fn settle(table: &mut Table, columns: &[ColumnId], known: NotNull) {
    let pending = |column: &&mut Column| columns.contains(&column.id) && column.not_null.is_pending();
    table.columns.iter_mut().filter(pending).for_each(|column| column.not_null = known);
}

/// The rows keep what was declared.
fn note_validated(table: &mut Table, columns: &[ColumnId], constraints: &[Declared]) {
    settle(table, columns, NotNull::Yes);
    constraints.iter().for_each(|constraint| constraint.note_validated(table));
}

/// Whether columns still refuse NULL once that was checked: somebody else may have found that the rows do not.
fn check_lasted(table: &Table, columns: &[ColumnId]) -> Outcome<()> {
    let lasted = |id: &ColumnId| table.columns.iter().any(|column| column.id == *id && column.not_null.is_certain());
    match columns.iter().all(lasted) {
        true => Ok(()),
        false => Err(did_not_last(&format!("NOT NULL of a column of relation \"{}\"", table.name)).into()),
    }
}

fn did_not_last(what: &str) -> SqlError {
    let message = format!("{what} did not last until it was validated");
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

/// A check or a foreign key as it was declared: another one may have its name later.
struct Declared {
    name: String,
    constraint: Constraint,
}

#[derive(PartialEq, Eq)]
enum Constraint {
    Check(String),
    ForeignKey(Vec<ColumnId>, ObjectId, Vec<ColumnId>),
}

impl Declared {
    fn of(table: &Table, name: &str) -> Option<Self> {
        let (constraint, _) = constraint(table, name)?;
        Some(Self { name: name.to_owned(), constraint })
    }

    /// How it is checked, if it is to be.
    fn pending(&self, table: &Table) -> Option<Validation> {
        table.standing(&self.name).filter(|standing| standing.is_pending())?;
        constraint(table, &self.name).filter(|(found, _)| *found == self.constraint).map(|(_, how)| how)
    }

    /// The rows keep it.
    fn note_validated(&self, table: &mut Table) {
        if self.pending(table).is_some()
            && let Some(standing) = table.standing_mut(&self.name)
        {
            *standing = standing.validated();
        }
    }
}

/// What a constraint says, and how it is checked.
fn constraint(table: &Table, name: &str) -> Option<(Constraint, Validation)> {
    let checks = table.checks.iter().zip(0..).filter(|(check, _)| check.name == name);
    let check = |(check, at): (&Check, usize)| (Constraint::Check(check.expression.clone()), Validation::Check(at));
    let keys = table.foreign_keys.iter().zip(0..).filter(|(key, _)| key.name == name);
    let key = |(key, at): (&ForeignKey, usize)| {
        let (columns, parents) = (key.columns.clone(), key.parent_columns.clone());
        (Constraint::ForeignKey(columns, key.parent, parents), Validation::ForeignKey(at))
    };
    checks.map(check).chain(keys.map(key)).next()
}
