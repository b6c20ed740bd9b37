//! A transaction under way, as a session sees it.

use std::sync::Arc;

use annulus_base::Timestamp;
use annulus_relation::catalog::{Catalog, Load, ObjectId, Table};
use annulus_relation::error::SqlState;
use annulus_relation::ops::{Deferrals, Pending};
use annulus_relation::transaction::{Mode, Savepoint, Transaction};
use annulus_relation::value::Env;
use annulus_relation::{Outcome, SqlError, SqlResult};
use annulus_txn::interface::Database;

use super::settings::Saved;
use crate::ddl::Job;
use crate::parse::Modes;
use crate::query::Given;
use crate::server::deadline::Deadline;
use crate::server::loads::Loading;
use crate::server::locks::Held;

/// How many keys a transaction reads before it takes an instant, by which it need not remember more of them.
const MUCH: usize = 4_096;

/// A transaction, and what belongs to it.
pub(crate) struct Active<D: Database> {
    pub transaction: Transaction<D>,
    /// The catalog as it sees it.
    pub catalog: Arc<Catalog>,
    /// Whether it has changed the catalog.
    pub defines: bool,
    /// Begun with `BEGIN`.
    pub block: bool,
    /// It can only be rolled back.
    pub failed: bool,
    pub read_only: bool,
    /// Whether it has run a statement that reads or writes.
    pub used: bool,
    /// Whether an earlier try of it failed.
    pub is_retry: bool,
    /// When it began: what `now()` says.
    pub now: i64,
    /// How values are read and printed in it.
    pub env: Arc<Env>,
    /// What its statements have left to be found out at its end.
    pub pending: Pending,
    /// Which constraints it defers.
    pub deferrals: Deferrals,
    /// Sequences that it has begun anew.
    pub restarted: Vec<ObjectId>,
    /// How many rows without a primary key it has inserted, and when that was counted from.
    pub rows: u32,
    pub row_base: Timestamp,
    /// What is to be done with rows once it has committed.
    pub jobs: Vec<Job>,
    /// The catalog when it began.
    pub opened: Arc<Catalog>,
    /// What is loaded for it by transactions of their own.
    pub loads: Vec<Loading>,
    /// Rows were loaded that it does not see yet.
    pub is_behind: bool,
    /// The settings before it.
    pub before: Saved,
    /// What `pg_locks` shows of it, once it has asked for locks.
    pub held: Option<Arc<Held>>,
    /// What the parts of the statement at work have given to those behind them.
    pub given: Vec<Given>,
    savepoints: Vec<Point>,
}

/// A savepoint.
struct Point {
    name: String,
    writes: Savepoint,
    catalog: Arc<Catalog>,
    defines: bool,
    settings: Saved,
    deferrals: Deferrals,
    /// Of the cursors, those declared since.
    cursors: u64,
}

/// What a new transaction is like.
pub(crate) struct Opening {
    pub mode: Mode,
    pub block: bool,
    pub read_only: bool,
    pub now: i64,
    pub env: Arc<Env>,
    pub before: Saved,
}

impl<D: Database> Active<D> {
    pub fn new(db: &D, start: Timestamp, catalog: Arc<Catalog>, opening: Opening) -> Self {
        let Opening { mode, block, read_only, now, env, before } = opening;
        let opened = Arc::clone(&catalog);
        let mut transaction = Transaction::new(db.clone(), mode, start);
        transaction.pins_after(MUCH, catalog.home().partitions().collect());
        Self {
            transaction,
            catalog,
            defines: false,
            block,
            failed: false,
            read_only,
            used: false,
            is_retry: false,
            now,
            env,
            pending: Pending::default(),
            deferrals: Deferrals::default(),
            restarted: Vec::new(),
            rows: 0,
            row_base: start,
            jobs: Vec::new(),
            opened,
            loads: Vec::new(),
            is_behind: false,
            before,
            held: None,
            given: Vec::new(),
            savepoints: Vec::new(),
        }
    }

    /// Whether it has done nothing that beginning it again would undo.
    pub const fn is_fresh(&self) -> bool {
        !self.used && self.savepoints.is_empty() && !self.defines && self.loads.is_empty()
    }

    /// Whether a part of it can be undone.
    pub const fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }

    /// Goes by a newer catalog from now on; it must not have changed the one before.
    pub fn go_by(&mut self, newest: Arc<Catalog>) {
        self.opened = Arc::clone(&newest);
        self.catalog = newest;
    }

    /// The same block, begun again with another transaction.
    pub fn again(self, db: &D, catalog: Arc<Catalog>) -> Self {
        let Self { transaction, block, read_only, now, env, before, deferrals, .. } = self;
        let start = transaction.start();
        transaction.rollback();
        let opening = Opening { mode: Mode::Block, block, read_only, now, env, before };
        Self { deferrals, is_retry: true, ..Self::new(db, start, catalog, opening) }
    }

    /// The load that all rows of a table were put there by, if nothing can undo what is made of them but undoing all.
    pub fn load_of(&self, table: &Table) -> Option<Load> {
        let is_into = |loading: &&Loading| loading.load.is_into(table.id, table.generation);
        let loading = self.loads.iter().find(is_into).filter(|_| self.savepoints.is_empty())?;
        (!self.transaction.has_written_in(&table.range())).then(|| loading.load.clone())
    }

    /// Sees what was loaded for it.
    pub async fn see_loads(&mut self, deadline: &Deadline) -> Outcome<()> {
        if std::mem::take(&mut self.is_behind) {
            self.transaction.catch_up(deadline.left()).await?;
        }
        Ok(())
    }

    /// `SET TRANSACTION`
    pub fn set_modes(&mut self, modes: Modes) -> SqlResult<()> {
        if modes.read_only == Some(false) && self.read_only && self.used {
            let message = "transaction read-write mode must be set before any query";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        self.read_only = modes.read_only.unwrap_or(self.read_only);
        Ok(())
    }

    /// Whether rows can be loaded into a table: nobody but this transaction can see its data, because it has created or
    /// truncated it, and cannot undo that without undoing all; and it has written nothing there itself that a load would
    /// not see.
    pub fn is_own(&self, table: ObjectId) -> bool {
        let now = self.catalog.table_by_id(table);
        let is_new = match (self.opened.table_by_id(table), now) {
            // One that was given a primary key has its rows elsewhere, too, but it has them.
            (Some(then), Some(now)) => then.generation != now.generation && then.indexes[0].keys == now.indexes[0].keys,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let has_rows = || now.is_some_and(|table| self.transaction.has_written_in(&table.range()));
        self.defines && self.savepoints.is_empty() && is_new && !has_rows()
    }

    /// `25006` if it only reads.
    pub fn check_writable(&self, what: &str) -> SqlResult<()> {
        if self.read_only || matches!(self.transaction.mode(), Mode::AsOf(_)) {
            let message = format!("cannot execute {what} in a read-only transaction");
            return Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        Ok(())
    }

    pub fn save(&mut self, name: String, settings: Saved, cursors: u64) {
        let (catalog, defines) = (Arc::clone(&self.catalog), self.defines);
        let (writes, deferrals) = (self.transaction.savepoint(), self.deferrals.clone());
        self.savepoints.push(Point { name, writes, catalog, defines, settings, deferrals, cursors });
    }

    /// Forgets a savepoint and those after it.
    pub fn release(&mut self, name: &str) -> SqlResult<()> {
        let index = self.find(name)?;
        self.savepoints.truncate(index);
        Ok(())
    }

    /// Undoes what was done since a savepoint, which stays; returns the settings, and the cursors' mark, of then.
    pub fn rollback_to(&mut self, name: &str) -> SqlResult<(Saved, u64)> {
        let index = self.find(name)?;
        self.savepoints.truncate(index + 1);
        let point = self.savepoints.last().ok_or_else(|| missing(name))?;
        self.transaction.rollback_to(point.writes);
        (self.catalog, self.defines) = (Arc::clone(&point.catalog), point.defines);
        self.deferrals = point.deferrals.clone();
        self.failed = false;
        Ok((point.settings.clone(), point.cursors))
    }

    fn find(&self, name: &str) -> SqlResult<usize> {
        self.savepoints.iter().rposition(|point| point.name == name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_SAVEPOINT_SPECIFICATION, format!("savepoint \"{name}\" does not exist"))
}
