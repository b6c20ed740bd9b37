//! Deferred constraints: `SET CONSTRAINTS`, and looking at them before the commit.

use annulus_relation::catalog::{Catalog, Deferral, ObjectId, Schema};
use annulus_relation::error::SqlState;
use annulus_relation::failure::{Failure, Outcome};
use annulus_relation::ops::{Deferrals, check_deferred, confirm};
use annulus_relation::transaction::Mode;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::{Database, TxnError};
use sqlparser::ast::ObjectName;

use super::Session;
use super::active::Active;
use super::answer::Tag;
use crate::names::{Name, meant, name_of};
use crate::server::deadline::Deadline;
use crate::server::failure::to_sql;

impl<D: Database> Session<D> {
    /// `SET CONSTRAINTS`; `names` is empty for `ALL`.
    pub(super) async fn set_constraints(&mut self, names: &[ObjectName], deferred: bool) -> SqlResult<Tag> {
        let (path, database, deadline) = (self.shared.path(), &self.shared.database, self.deadline());
        let Some(active) = &mut self.active else {
            let message = "SET CONSTRAINTS can only be used in transaction blocks";
            self.warn(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
            return Ok(Tag::word("SET CONSTRAINTS"));
        };
        let mut named = Vec::new();
        for name in names {
            let name = name_of(name, database)?;
            named
                .extend(deferrable(&active.catalog, &path, &name)?.into_iter().map(|table| (table, name.name.clone())));
        }
        if names.is_empty() {
            active.deferrals.set_all(deferred);
        }
        for (table, name) in named {
            active.deferrals.set(table, &name, deferred);
        }
        check(active, &deadline).await.map_err(to_sql)?;
        if !active.has_savepoints() {
            let Active { pending, catalog, deferrals, .. } = active;
            pending.violations.settle(catalog, deferrals);
        }
        Ok(Tag::word("SET CONSTRAINTS"))
    }

    /// Before the commit, when nothing is deferred any more. The error of a statement of its own is told only if what was
    /// read has held at one instant, as that of its own end.
    pub(super) async fn check_all_deferred(&self, active: &mut Active<D>, deadline: &Deadline) -> Outcome<()> {
        active.deferrals = Deferrals::NONE;
        match check(active, deadline).await {
            Err(Failure::Sql(error)) if active.transaction.mode() == Mode::Statement => {
                Err(self.confirm(active, error, deadline).await)
            }
            checked => checked,
        }
    }

    /// What to tell of a statement of its own that failed; a conflict if it is to be tried again, by a newer catalog.
    pub(super) async fn confirm(&self, active: &mut Active<D>, error: SqlError, deadline: &Deadline) -> Failure {
        let Active { transaction, catalog, pending, .. } = active;
        let confirmed = confirm(transaction, catalog, &pending.claims, error, deadline.left()).await;
        if matches!(confirmed, Err(Failure::Txn(TxnError::Conflict(_)))) {
            self.catalogs.outdate();
        }
        confirmed.map_or_else(|failure| failure, Failure::Sql)
    }
}

/// Looks at what is not deferred any more.
pub(crate) async fn check<D: Database>(active: &mut Active<D>, deadline: &Deadline) -> Outcome<()> {
    if active.pending.violations.is_empty() {
        return Ok(());
    }
    active.see_loads(deadline).await?;
    let Active { transaction, catalog, pending, deferrals, .. } = active;
    check_deferred(catalog, &pending.violations, deferrals, transaction, deadline.left()).await
}

/// The tables that have a deferrable foreign key of a name: those of the first schema that has constraints of it.
fn deferrable(catalog: &Catalog, path: &[String], name: &Name) -> SqlResult<Vec<ObjectId>> {
    let schemas: Vec<&Schema> = match &name.schema {
        Some(schema) => catalog.schema(meant(path, schema)).map(AsRef::as_ref).into_iter().collect(),
        None => path.iter().filter_map(|schema| catalog.schema(schema)).map(AsRef::as_ref).collect(),
    };
    for schema in schemas {
        let (mut found, mut fixed) = (Vec::new(), false);
        for table in catalog.tables().filter(|table| table.schema == schema.id) {
            for key in table.foreign_keys.iter().filter(|key| key.name == name.name) {
                found.push(table.id);
                fixed |= key.standing.deferral() == Deferral::Never;
            }
            fixed |= table.checks.iter().any(|check| check.name == name.name);
            fixed |= table.indexes.iter().any(|index| index.constraint.is_some() && index.name == name.name);
        }
        if fixed {
            let message = format!("constraint \"{}\" is not deferrable", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("constraint \"{name}\" does not exist")))
}
