//! `ALTER TABLE ... ALTER COLUMN` of columns that make their own values: identities and generated columns.

use annulus_relation::catalog::{Column, Default, Identity, ObjectId, Sequence, Table};
use annulus_relation::{SqlError, SqlResult, SqlState};

use super::Definition;
use crate::parse::{AlterIdentity, IdentityChange, SequenceOption};

impl Definition<'_> {
    pub(super) fn alter_identity(&mut self, id: ObjectId, column: &str, alter: &AlterIdentity) -> SqlResult<()> {
        let mut table = self.current(id)?;
        let Some(position) = table.columns.iter().position(|found| found.name == *column) else {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        match alter {
            AlterIdentity::Drop { if_exists } => match identity_of(&table.columns[position]) {
                Some((_, sequence)) => {
                    table.columns[position].default = None;
                    self.edit.put_table(table)?;
                    self.drop_sequence(sequence, &[id], true, "")?;
                }
                None => self.not_so(&table, column, "an identity column", *if_exists)?,
            },
            AlterIdentity::DropExpression { if_exists } => match table.columns[position].default {
                Some(Default::Generated(_)) => {
                    table.columns[position].default = None;
                    self.edit.put_table(table)?;
                }
                _ => self.not_so(&table, column, "a stored generated column", *if_exists)?,
            },
            AlterIdentity::Set(changes) => match identity_of(&table.columns[position]) {
                Some((_, sequence)) => {
                    let options = self.set_kind(&mut table, position, changes);
                    self.edit.put_table(table)?;
                    self.change_sequence(sequence, &options)?;
                }
                None => self.not_so(&table, column, "an identity column", false)?,
            },
        }
        Ok(())
    }

    /// Sets what `GENERATED` says; gives the other options.
    fn set_kind(&self, table: &mut Table, position: usize, changes: &[IdentityChange]) -> Vec<SequenceOption> {
        let mut options = Vec::new();
        for change in changes {
            match (change, &mut table.columns[position].default) {
                (IdentityChange::Always(always), Some(Default::Identity(kind, _))) => {
                    *kind = if *always { Identity::Always } else { Identity::ByDefault };
                }
                (IdentityChange::Option(option), _) => options.push(option.clone()),
                _ => {}
            }
        }
        options
    }

    fn change_sequence(&mut self, id: ObjectId, options: &[SequenceOption]) -> SqlResult<()> {
        let missing = || SqlError::new(SqlState::UNDEFINED_TABLE, format!("sequence {id} does not exist"));
        let sequence = Sequence::clone(self.catalog().sequence_by_id(id).ok_or_else(missing)?);
        let changed = crate::sequence::alter(&sequence, None, options)?;
        self.edit.put_sequence(changed.clone())?;
        self.restart_as(&changed, options);
        Ok(())
    }

    fn not_so(&mut self, table: &Table, column: &str, what: &str, if_exists: bool) -> SqlResult<()> {
        let message = format!("column \"{column}\" of relation \"{}\" is not {what}", table.name);
        if if_exists {
            self.notice(format!("{message}, skipping"));
            return Ok(());
        }
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
    }
}

const fn identity_of(column: &Column) -> Option<(Identity, ObjectId)> {
    match &column.default {
        Some(Default::Identity(kind, sequence)) => Some((*kind, *sequence)),
        _ => None,
    }
}
