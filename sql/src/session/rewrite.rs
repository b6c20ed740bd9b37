//! Giving a table with rows a primary key: its rows are written again, at their new places.
//!
//! 1. The statement's transaction marks the table ([`IndexState::Filling`] of its primary index): from then on nobody
//!    writes to it. Reads go on.
//! 2. All rows, as of one instant after that, are written into a new generation of data that nobody sees yet, in
//!    transactions of bounded size.
//! 3. A last transaction makes the new generation the table's own, and takes the mark away.
//!
//! If it fails, or its coordinator dies, taking the mark away is all that has to be undone.

use std::sync::Arc;

use annulus_relation::SqlError;
use annulus_relation::catalog::{Catalog, ConstraintKind, Edit, IndexState, Table};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Bounds, Checks, Cursor, Physical, Surroundings, Tuple, Writer, explain};
use annulus_relation::transaction::{Mode, Transaction};
use annulus_relation::value::Env;
use annulus_txn::interface::{Database, TxnError};

use super::jobs::Jobs;
use crate::ddl::PrimaryKey;
use crate::dml::Evaluator;
use crate::server::deadline::Deadline;

/// How many rows are written at a time.
const STEP: u32 = 2_000;

/// Whether a table is being written again, so that nobody may change its rows.
pub(crate) fn is_rewritten(table: &Table) -> bool {
    table.indexes.first().is_some_and(|index| index.state != IndexState::Ready)
}

/// `55006` if a table is being written again.
pub(crate) fn check_not_rewritten(table: &Table) -> Result<(), SqlError> {
    if !is_rewritten(table) {
        return Ok(());
    }
    let message = format!("table \"{}\" is being given a primary key", table.name);
    Err(SqlError::new(SqlState::OBJECT_IN_USE, message).hint("It can be read; write to it later."))
}

/// The descriptor that a table will have.
fn rewritten(table: &Table, key: &PrimaryKey) -> Table {
    let mut after = table.clone();
    after.generation = key.generation;
    let primary = &mut after.indexes[0];
    (primary.name, primary.keys) = (key.name.clone(), key.keys.clone());
    (primary.constraint, primary.state) = (Some(ConstraintKind::PrimaryKey), IndexState::Ready);
    for column in after.columns.iter_mut().filter(|column| key.columns.contains(&column.id)) {
        column.not_null = true;
    }
    after
}

impl<D: Database> Jobs<'_, D> {
    /// Writes a marked table again, with a primary key.
    pub(super) async fn rewrite(&self, table: u32, key: &PrimaryKey) -> Outcome<()> {
        let mut deadline = Deadline::new(None);
        let catalog = self.catalogs.reload(&self.server.db, deadline.left()).await?;
        let Some(descriptor) = catalog.table_by_id(table).filter(|table| is_rewritten(table)) else { return Ok(()) };
        let mut edit = Edit::new(&catalog);
        edit.put_table(rewritten(descriptor, key))?;
        self.copy_rows(&catalog, edit.catalog(), table, &mut deadline).await?;
        let db = &self.server.db;
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        edit.finish(&mut transaction)?;
        let committed = transaction.commit(deadline.left()).await;
        self.catalogs.outdate();
        committed.map_err(|error| match error {
            TxnError::Conflict(_) => {
                let message = "the catalog was changed while a primary key was being added; nothing has been done";
                Failure::Sql(SqlError::new(SqlState::OBJECT_IN_USE, message).hint("Try it again."))
            }
            other => other.into(),
        })?;
        Ok(())
    }

    /// All rows of a table as one catalog has it, written as another one has it.
    async fn copy_rows(&self, from: &Arc<Catalog>, to: &Catalog, table: u32, deadline: &mut Deadline) -> Outcome<()> {
        let missing = || SqlError::new(SqlState::UNDEFINED_TABLE, "the table was dropped");
        let before = Arc::new(Physical::new(*from.home(), from.table_by_id(table).ok_or_else(missing)?)?);
        let db = &self.server.db;
        let mut reading = Transaction::new(db.clone(), Mode::Statement, db.begin());
        let mut cursor = Cursor::new(&before, 0, &[Bounds::all()], None, false)?;
        reading.pin(&cursor.partitions(), deadline.left()).await?;
        while let Some(rows) = cursor.next(&mut reading, from, STEP, deadline.left()).await? {
            deadline.renew();
            self.write_rows(to, table, rows, deadline).await?;
        }
        Ok(())
    }

    async fn write_rows(&self, to: &Catalog, table: u32, rows: Vec<Tuple>, deadline: &Deadline) -> Outcome<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let env = Env::default();
        let evaluator = Evaluator { stored: &self.catalogs.expressions, env: &env, shared: self.shared };
        let around = Surroundings { catalog: to, expressions: &evaluator };
        let mut writer = Writer::new(around, Checks::AtCommit);
        for row in rows {
            writer.insert(table, row.values, None)?;
        }
        let db = &self.server.db;
        let mut transaction = Transaction::new(db.clone(), Mode::Statement, db.begin());
        let claims = writer.finish(&mut transaction, deadline.left()).await?;
        match transaction.commit(deadline.left()).await {
            Ok(_) => Ok(()),
            Err(error @ TxnError::Conflict(_)) => {
                let found = explain(db, to, &claims, deadline.left()).await?;
                Err(found.map_or_else(|| Failure::Txn(error), Failure::Sql))
            }
            Err(error) => Err(error.into()),
        }
    }
}
