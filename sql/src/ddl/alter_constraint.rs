//! `ALTER TABLE` of constraints: they are added, validated, deferred, renamed and dropped.

use annulus_relation::catalog::{ObjectId, Table};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{Ident, TableConstraint};

use super::Definition;
use super::foreign::deferral;

impl Definition<'_> {
    pub(super) fn add_table_constraint(
        &mut self,
        id: ObjectId,
        constraint: &TableConstraint,
        not_valid: bool,
    ) -> SqlResult<()> {
        let mut table = self.current(id)?;
        let before = not_valid.then(|| (self.jobs.clone(), table.clone()));
        self.add_constraint(&mut table, constraint, None, false)?;
        if let Some((jobs, before)) = before {
            leave(&mut table, constraint, &before)?;
            self.jobs = jobs;
        }
        let referred = self.catalog().table_by_id(id).map(|table| table.referenced_by.clone()).unwrap_or_default();
        for other in referred {
            if !table.referenced_by.contains(&other) {
                table.referenced_by.push(other);
            }
        }
        self.edit.put_table(table)
    }

    pub(super) fn drop_constraint(
        &mut self,
        id: ObjectId,
        name: &Ident,
        if_exists: bool,
        cascade: bool,
    ) -> SqlResult<()> {
        let mut table = self.current(id)?;
        if !table.has_constraint(&name.value) {
            let message = format!("constraint \"{}\" of relation \"{}\" does not exist", name.value, table.name);
            if if_exists {
                self.notice(format!("{message}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        if let Some(index) =
            table.indexes.iter().position(|index| index.constraint.is_some() && index.name == name.value)
        {
            if index == 0 {
                return self.drop_primary_key(table, cascade);
            }
            let index = table.indexes[index].id;
            self.leave_index(&mut table, index, cascade)?;
        }
        table.checks.retain(|check| check.name != name.value);
        let parents: Vec<ObjectId> =
            table.foreign_keys.iter().filter(|key| key.name == name.value).map(|key| key.parent).collect();
        table.foreign_keys.retain(|key| key.name != name.value);
        if parents.contains(&id) && !table.refers_to(id) {
            table.referenced_by.retain(|other| *other != id);
        }
        self.edit.put_table(table.clone())?;
        parents.into_iter().try_for_each(|parent| self.edit.unrefer(parent, &table))
    }

    pub(super) fn rename_constraint(&mut self, id: ObjectId, from: &Ident, to: &Ident) -> SqlResult<()> {
        let mut table = self.current(id)?;
        if !table.has_constraint(&from.value) {
            let message = format!("constraint \"{}\" for table \"{}\" does not exist", from.value, table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        if table.has_constraint(&to.value) {
            let message = format!("constraint \"{}\" for relation \"{}\" already exists", to.value, table.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let indexes = table.indexes.iter_mut().map(|index| &mut index.name);
        let checks = table.checks.iter_mut().map(|check| &mut check.name);
        let keys = table.foreign_keys.iter_mut().map(|key| &mut key.name);
        indexes
            .chain(checks)
            .chain(keys)
            .filter(|name| **name == from.value)
            .for_each(|name| name.clone_from(&to.value));
        table.move_remark(&from.value, &to.value);
        self.edit.put_table(table)
    }

    /// The rows that were there before a constraint are to be looked at, unless they have been.
    pub(super) fn validate_constraint(&mut self, id: ObjectId, name: &str) -> SqlResult<()> {
        let mut table = self.current(id)?;
        let about = format!("constraint \"{name}\" of relation \"{}\"", table.name);
        let is_known = table.has_constraint(name);
        match table.standing_mut(name) {
            Some(standing) if standing.is_validated() => Ok(()),
            Some(standing) => {
                *standing = standing.asked();
                self.note_validation(id, None, Some(name));
                self.edit.put_table(table)
            }
            None if is_known => {
                let message = format!("{about} is not a foreign key or check constraint");
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            None => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("{about} does not exist"))),
        }
    }

    /// `ALTER CONSTRAINT`: when a foreign key is checked.
    pub(super) fn alter_constraint(
        &mut self,
        id: ObjectId,
        name: &str,
        deferrable: Option<bool>,
        deferred: Option<bool>,
    ) -> SqlResult<()> {
        let deferral = deferral(deferrable, deferred)?;
        let mut table = self.current(id)?;
        let about = format!("constraint \"{name}\" of relation \"{}\"", table.name);
        let Some(key) = table.foreign_keys.iter_mut().find(|key| key.name == name) else {
            return Err(if table.has_constraint(name) {
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{about} is not a foreign key constraint"))
            } else {
                SqlError::new(SqlState::UNDEFINED_OBJECT, format!("{about} does not exist"))
            });
        };
        key.standing = key.standing.with_deferral(deferral);
        self.edit.put_table(table)
    }
}

/// A constraint that was added is `NOT VALID`: nothing is to be done about the rows that are there.
fn leave(table: &mut Table, constraint: &TableConstraint, before: &Table) -> SqlResult<()> {
    match constraint {
        TableConstraint::Check(_) | TableConstraint::ForeignKey(_) => {
            let added = table.constraint_names().find(|name| !before.has_constraint(name)).map(str::to_owned);
            let standing = added.and_then(|added| table.standing_mut(&added));
            standing.into_iter().for_each(|standing| *standing = standing.left());
        }
        other => {
            let kind = if matches!(other, TableConstraint::PrimaryKey(_)) { "PRIMARY KEY" } else { "UNIQUE" };
            let message = format!("{kind} constraints cannot be marked NOT VALID");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
    }
    Ok(())
}
