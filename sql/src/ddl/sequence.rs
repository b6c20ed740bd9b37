//! `CREATE SEQUENCE`, `ALTER SEQUENCE`.

use annulus_relation::catalog::{Column, Default, Relation, Sequence, Table};
use annulus_relation::error::SqlState;
use annulus_relation::value::KnownTypes;
use annulus_relation::{SqlError, SqlResult, SqlType};
use sqlparser::ast::{ObjectName, ObjectNamePart};

use super::Definition;
use super::constraint::find_column;
use super::expression::{nextval, sequence_argument};
use crate::bind::sql_type;
use crate::names::{Name, is_not, split_name, undefined};
use crate::parse::{AlterSequence, SequenceOption, parse_expression};

impl Definition<'_> {
    pub(super) fn create_sequence(
        &mut self,
        name: &ObjectName,
        temporary: bool,
        if_not_exists: bool,
        options: &[SequenceOption],
    ) -> SqlResult<&'static str> {
        let name = self.name(name)?;
        let schema = self.target(&name, temporary)?;
        if if_not_exists && self.catalog().relation(schema, &name.name).is_some() {
            self.skipped(SqlState::DUPLICATE_TABLE, &format!("relation \"{}\" already exists", name.name));
            return Ok("CREATE SEQUENCE");
        }
        self.check_free(schema, &name)?;
        let id = self.edit.new_id_in(schema)?;
        let ty = declared_type(options)?.unwrap_or(SqlType::Int8);
        let mut sequence = crate::sequence::new(id, schema, name.name, ty, options)?;
        self.own(&mut sequence, options)?;
        self.edit.put_sequence(sequence.clone())?;
        self.restarted.push(sequence);
        Ok("CREATE SEQUENCE")
    }

    pub(super) fn alter_sequence(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        change: &AlterSequence,
    ) -> SqlResult<&'static str> {
        let name = self.name(name)?;
        let Some(sequence) = self.found_sequence(&name, if_exists)? else { return Ok("ALTER SEQUENCE") };
        match change {
            AlterSequence::Rename(to) => {
                let mut renamed = sequence.clone();
                renamed.name.clone_from(to);
                self.edit.put_sequence(renamed.clone())?;
                self.sequence_renamed(&sequence, &renamed)?;
            }
            AlterSequence::Options(options) => {
                let mut changed = crate::sequence::alter(&sequence, declared_type(options)?, options)?;
                self.own(&mut changed, options)?;
                self.edit.put_sequence(changed.clone())?;
                self.restart_as(&changed, options);
            }
        }
        Ok("ALTER SEQUENCE")
    }

    /// Lets a sequence begin anew, if `RESTART` is among the options.
    pub(super) fn restart_as(&mut self, changed: &Sequence, options: &[SequenceOption]) {
        let restart = options.iter().find_map(|option| match option {
            SequenceOption::Restart(with) => Some(*with),
            _ => None,
        });
        if let Some(with) = restart {
            // Where it begins anew is not where it began first.
            self.restarted.push(Sequence { start: with.unwrap_or(changed.start), ..changed.clone() });
        }
    }

    /// A sequence by name; `None` with a notice if it need not exist.
    pub(super) fn found_sequence(&mut self, name: &Name, if_exists: bool) -> SqlResult<Option<Sequence>> {
        match self.names().find(name) {
            Some(Relation::Sequence(sequence)) => Ok(Some(Sequence::clone(sequence))),
            Some(other) => Err(is_not(name, other, "a sequence")),
            None if if_exists => {
                self.notice(format!("relation \"{}\" does not exist, skipping", name.name));
                Ok(None)
            }
            None => Err(undefined(name, "relation")),
        }
    }

    /// `OWNED BY`
    fn own(&mut self, sequence: &mut Sequence, options: &[SequenceOption]) -> SqlResult<()> {
        for option in options {
            let SequenceOption::OwnedBy(owner) = option else { continue };
            self.check_no_identity(sequence)?;
            sequence.owner = owner.as_ref().map(|owner| self.owner(owner)).transpose()?;
        }
        Ok(())
    }

    /// `0A000` for the sequence of an identity column, which it belongs to for ever.
    fn check_no_identity(&self, sequence: &Sequence) -> SqlResult<()> {
        let owner = sequence.owner.and_then(|(table, _)| self.catalog().table_by_id(table));
        let is_own = |column: &Column| matches!(column.default, Some(Default::Identity(_, id)) if id == sequence.id);
        let Some(table) = owner.filter(|table| table.columns.iter().any(is_own)) else { return Ok(()) };
        let detail = format!("Sequence \"{}\" is linked to table \"{}\".", sequence.name, table.name);
        let message = "cannot change ownership of identity sequence";
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail))
    }

    fn owner(&self, owner: &ObjectName) -> SqlResult<(u32, u16)> {
        let Some((ObjectNamePart::Identifier(column), table)) =
            owner.0.split_last().filter(|(_, table)| !table.is_empty())
        else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
                .hint("Specify OWNED BY table.column or OWNED BY NONE."));
        };
        let name = self.name(&ObjectName(table.to_vec()))?;
        let table = self.names().table(&name)?;
        Ok((table.id, find_column(table, column)?.id))
    }

    /// Defaults and views name sequences: after one was renamed, they name it by its new name.
    pub(super) fn sequence_renamed(&mut self, before: &Sequence, after: &Sequence) -> SqlResult<()> {
        self.follow_relation(before.id, (before.schema, &before.name), (after.schema, &after.name))?;
        let (from, to) = (self.schema_name(before.schema), self.schema_name(after.schema));
        self.rename_in_defaults(&from, Some(&before.name), &to, Some(&after.name))
    }

    /// Replaces the names of sequences in defaults: of one sequence, or of all of a schema.
    pub(super) fn rename_in_defaults(
        &mut self,
        schema: &str,
        name: Option<&str>,
        to_schema: &str,
        to_name: Option<&str>,
    ) -> SqlResult<()> {
        let tables: Vec<Table> = self.catalog().tables().map(|table| Table::clone(table)).collect();
        for mut table in tables {
            let mut changed = false;
            for column in &mut table.columns {
                let Some(Default::Expression(text)) = &mut column.default else { continue };
                let Some(argument) = sequence_argument(&parse_expression(text)?) else { continue };
                let found = split_name(&argument)?;
                if found.schema.as_deref() == Some(schema) && name.is_none_or(|name| name == found.name) {
                    *text = nextval(to_schema, to_name.unwrap_or(&found.name));
                    changed = true;
                }
            }
            if changed {
                self.edit.put_table(table)?;
            }
        }
        Ok(())
    }
}

fn declared_type(options: &[SequenceOption]) -> SqlResult<Option<SqlType>> {
    for option in options {
        if let SequenceOption::As(ty) = option {
            let ty = sql_type(ty, &KnownTypes::default())?;
            return match ty {
                SqlType::Int2 | SqlType::Int4 | SqlType::Int8 => Ok(Some(ty)),
                _ => Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "sequence type must be smallint, integer, or bigint",
                )),
            };
        }
    }
    Ok(None)
}
