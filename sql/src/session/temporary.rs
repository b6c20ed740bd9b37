//! Temporary relations of a session: what happens to them when a transaction commits, and `DISCARD TEMP`.
//!
//! Promises and invariants:
//! - A table with `ON COMMIT DELETE ROWS` is empty whenever a transaction begins: its rows are never written, but for
//!   loads, which the transaction leaves behind as garbage.
//! - `ON COMMIT DROP` is part of the commit.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::{Catalog, Edit, ObjectId};
use annulus_relation::error::SqlState;
use annulus_relation::failure::Outcome;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::Database;
use sqlparser::ast::OnCommit;

use super::{Active, Script, Session};
use crate::bind::quote_name;
use crate::ddl::{begin_generations, without};
use crate::parse::parse;
use crate::server::deadline::Deadline;
use crate::server::failure::to_sql;

impl<D: Database> Session<D> {
    /// Does to the session's tables what they say happens when a transaction commits, as a part of it.
    pub(super) async fn end_temporary(&self, active: &mut Active<D>, deadline: &Deadline) -> Outcome<()> {
        let ending = self.shared.temporary.ending(&active.catalog);
        if active.defines {
            check_children(&active.catalog, &ending)?;
        }
        let (mut dropped, mut emptied) = (Vec::new(), Vec::new());
        for (id, action) in ending {
            let Some(table) = active.catalog.table_by_id(id) else { continue };
            active.transaction.take_back(&table.range());
            match action {
                OnCommit::Drop => dropped.push(id),
                _ if active.loads.iter().any(|loading| loading.load.is_into(id, table.generation)) => emptied.push(id),
                _ => {}
            }
        }
        if dropped.is_empty() && emptied.is_empty() {
            return Ok(());
        }
        let numbers = &self.catalogs.numbers;
        let most = u32::try_from(dropped.len()).unwrap_or(u32::MAX);
        numbers.fill(&self.server.db, &self.catalogs.home, most, deadline.left()).await?;
        let edit = Edit::with_numbers(&active.catalog, numbers.clone());
        let mut edit = without(edit, &self.shared, &dropped)?;
        begin_generations(&self.server.db, &mut edit, &emptied, deadline).await?;
        active.catalog = Arc::new(edit.finish(&mut active.transaction)?);
        active.defines = true;
        self.shared.use_catalog(&active.catalog);
        Ok(())
    }

    /// Drops all that the session has of its own, by a statement in the transaction at hand or in one of its own.
    pub(super) async fn drop_temporary(&mut self) -> SqlResult<()> {
        let Some(name) = self.shared.temporary.name().map(str::to_owned) else { return Ok(()) };
        let catalog = match &self.active {
            Some(active) => Arc::clone(&active.catalog),
            None => self.catalogs.current(&self.server.db, self.deadline().left()).await.map_err(to_sql)?,
        };
        if catalog.schema(&name).is_none() {
            return Ok(());
        }
        for statement in parse(&format!("DROP SCHEMA {} CASCADE", quote_name(&name)))? {
            let mut portal = self.start(Script::Parsed(Rc::new(statement), None)).await?;
            let alone = self.active.is_none();
            Box::pin(self.begin_portal(&mut portal, alone)).await?;
        }
        Ok(())
    }
}

/// `0A000` if a table loses its rows while another one that refers to it keeps its own.
fn check_children(catalog: &Catalog, ending: &[(ObjectId, OnCommit)]) -> SqlResult<()> {
    for (id, _) in ending.iter().filter(|(_, action)| *action == OnCommit::DeleteRows) {
        let Some(table) = catalog.table_by_id(*id) else { continue };
        let keeps = |child: &&ObjectId| !ending.iter().any(|(other, _)| other == *child);
        if let Some(child) = table.referenced_by.iter().find(keeps).and_then(|child| catalog.table_by_id(*child)) {
            let message = "unsupported ON COMMIT and foreign key combination";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(format!(
                "Table \"{}\" references \"{}\", but they do not have the same ON COMMIT setting.",
                child.name, table.name
            )));
        }
    }
    Ok(())
}
