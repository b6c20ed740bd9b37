//! Constraints: primary keys, unique, checks.

use annulus_relation::catalog::{
    Check, ConstraintKind, Index, IndexKey, IndexState, KeyPart, NotNull, Rekeying, Reshaping, Standing, Succession,
    Table, Unique,
};
use annulus_relation::codec::is_keyable;
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{
    CheckConstraint, ConstraintCharacteristics, DeferrableInitial, Expr, Ident, IndexColumn, NullsDistinctOption,
    TableConstraint,
};

use super::Definition;
use super::expression::{Use, columns_of};
use super::naming::{free_constraint_name, free_relation_name};
use super::table::has_primary_key;
use crate::names::position_of;

impl Definition<'_> {
    /// Adds a constraint; `fresh`: the table has no rows.
    pub(super) fn add_constraint(
        &mut self,
        table: &mut Table,
        constraint: &TableConstraint,
        column: Option<&Ident>,
        fresh: bool,
    ) -> SqlResult<()> {
        match constraint {
            TableConstraint::PrimaryKey(key) => {
                self.note_deferrable(key.characteristics.as_ref());
                self.add_primary_key(table, key.name.as_ref(), &key.columns, fresh)
            }
            TableConstraint::Unique(unique) => {
                self.note_deferrable(unique.characteristics.as_ref());
                let kind = Unique::Yes.with_nulls(unique.nulls_distinct == NullsDistinctOption::NotDistinct);
                self.add_unique(table, unique.name.as_ref(), (&unique.columns, kind), fresh)
            }
            TableConstraint::UniqueUsingIndex(unique) => {
                self.note_deferrable(unique.characteristics.as_ref());
                self.add_unique_index(table, unique)
            }
            TableConstraint::Check(check) => self.add_check(table, check, column, fresh),
            TableConstraint::ForeignKey(key) => self.add_foreign_key(table, key, fresh),
            other => Err(SqlError::unsupported(format!("the constraint {other}"))),
        }
    }

    /// Unique keys are checked at the end of each statement, which is stricter than what `INITIALLY DEFERRED` asks for.
    fn note_deferrable(&mut self, characteristics: Option<&ConstraintCharacteristics>) {
        let Some(given) = characteristics else { return };
        if given.deferrable == Some(true) || given.initially == Some(DeferrableInitial::Deferred) {
            self.notice("DEFERRABLE has no effect on unique keys: they are checked at the end of each statement");
        }
    }

    /// A constraint's name, given or made.
    pub(super) fn constraint_name(
        &self,
        table: &Table,
        given: Option<&Ident>,
        columns: &str,
        label: &str,
    ) -> SqlResult<String> {
        match given {
            Some(name) if table.has_constraint(&name.value) => {
                let message = format!("constraint \"{}\" for relation \"{}\" already exists", name.value, table.name);
                Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message).at(position_of(name)))
            }
            Some(name) => Ok(name.value.clone()),
            None => Ok(free_constraint_name(table, columns, label)),
        }
    }

    fn add_primary_key(
        &mut self,
        table: &mut Table,
        name: Option<&Ident>,
        columns: &[IndexColumn],
        fresh: bool,
    ) -> SqlResult<()> {
        if has_primary_key(table) {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let keys = constraint_keys(table, columns)?;
        let name = match name {
            Some(name) => name.value.clone(),
            // It goes, if it is there.
            None if !table.indexes[0].name.is_empty() => table.indexes[0].name.clone(),
            None => free_relation_name(self.catalog(), table, "", "pkey"),
        };
        if !fresh {
            return self.rekey(table, name, keys);
        }
        for key in &keys {
            let KeyPart::Column(id) = key.part else { continue };
            table.columns.iter_mut().filter(|column| column.id == id).for_each(|column| column.not_null = NotNull::Yes);
        }
        let primary = &mut table.indexes[0];
        (primary.name, primary.keys, primary.constraint) = (name, keys, Some(ConstraintKind::PrimaryKey));
        Ok(())
    }

    /// Drops the primary key of a table: its rows are to stand under hidden ids.
    pub(super) fn drop_primary_key(&mut self, mut table: Table, cascade: bool) -> SqlResult<()> {
        let primary = &table.indexes[0];
        let (id, what) = (primary.id, format!("constraint {} on table {}", primary.name, table.name));
        let on = format!("index {}", primary.name);
        self.leave_dependents(&mut table, id, (&what, &on), cascade)?;
        self.rekey(&mut table, String::new(), Vec::new())?;
        self.edit.put_table(table)
    }

    /// The rows of a table are to stand under another primary key, or under none.
    pub(super) fn rekey(&mut self, table: &mut Table, name: String, keys: Vec<IndexKey>) -> SqlResult<()> {
        match &mut table.indexes[0].state {
            IndexState::Rekeyed(rekeying) | IndexState::Reshaped(Reshaping { rekeying, .. }) => {
                (rekeying.name, rekeying.keys) = (name, keys);
            }
            IndexState::Retyped(_) | IndexState::Extended(_) => {
                return Err(SqlError::unsupported("changing a type and the primary key in one statement"));
            }
            state => {
                let succession = Succession::new(self.edit.new_generation()?);
                *state = IndexState::Rekeyed(Rekeying { name, keys, succession });
                self.jobs.push(super::Job::Rekey { table: table.id });
            }
        }
        Ok(())
    }

    fn add_unique(
        &mut self,
        table: &mut Table,
        name: Option<&Ident>,
        (columns, unique): (&[IndexColumn], Unique),
        fresh: bool,
    ) -> SqlResult<()> {
        let keys = constraint_keys(table, columns)?;
        let name = match name {
            Some(name) => self.constraint_name(table, Some(name), "", "key")?,
            None => free_relation_name(self.catalog(), table, &joined(columns), "key"),
        };
        let state = if fresh { IndexState::Ready } else { filling() };
        let index = Index {
            id: self.edit.new_id_in(table.schema)?,
            name,
            unique,
            keys,
            include: Vec::new(),
            predicate: None,
            constraint: Some(ConstraintKind::Unique),
            state,
            comment: None,
        };
        if !fresh {
            self.jobs.push(super::Job::Fill { table: table.id, index: index.id });
        }
        table.indexes.push(index);
        Ok(())
    }

    fn add_check(
        &mut self,
        table: &mut Table,
        check: &CheckConstraint,
        column: Option<&Ident>,
        fresh: bool,
    ) -> SqlResult<()> {
        let purpose = Use::Condition("check constraint");
        let (expression, _) = self.normal(&check.expr, &table.name, &table.columns, &purpose)?;
        let label = match column {
            Some(column) => column.value.clone(),
            // PostgreSQL names a check after its column, if it has only one.
            None => match columns_of(&expression, table)?.as_slice() {
                [only] => column_name(table, *only),
                _ => String::new(),
            },
        };
        let name = self.constraint_name(table, check.name.as_ref(), &label, "check")?;
        if !fresh {
            self.note_validation(table.id, None, Some(&name));
        }
        table.checks.push(Check { name, expression, standing: Standing::new(fresh) });
        Ok(())
    }
}

/// An index that is to be filled from its beginning.
pub(super) const fn filling() -> IndexState {
    IndexState::Filling { done: Vec::new(), rows: 0 }
}

/// `55006` if the primary key of a table, or its columns, are being changed: what becomes of its rows cannot change
/// meanwhile.
pub(super) fn check_not_rekeyed(table: &Table) -> SqlResult<()> {
    if table.succession().is_none() {
        return Ok(());
    }
    let what = match table.rekeying() {
        None if table.extension().is_some() => "being given columns",
        None => "being given its columns' new types",
        Some(rekeying) if rekeying.keys.is_empty() => "losing its primary key",
        Some(_) => "being given a primary key",
    };
    let message = format!("table \"{}\" is {what}", table.name);
    Err(SqlError::new(SqlState::OBJECT_IN_USE, message).hint("Try it again when that is done."))
}

/// `55006` if the types of a table's columns are to be changed while an index of it is being filled.
pub(super) fn check_retyped_alone(table: &Table) -> SqlResult<()> {
    match table.retyping() {
        Some(_) => check_not_filled(table, "Try it again when that is done."),
        None => Ok(()),
    }
}

/// `55006` if an index of a table is being filled.
pub(super) fn check_not_filled(table: &Table, hint: &str) -> SqlResult<()> {
    let Some(index) = table.indexes.iter().find(|index| !index.state.is_complete()) else { return Ok(()) };
    let message = format!("index \"{}\" of table \"{}\" is being built", index.name, table.name);
    Err(SqlError::new(SqlState::OBJECT_IN_USE, message).hint(hint))
}

fn joined(columns: &[IndexColumn]) -> String {
    let names: Vec<String> =
        columns.iter().filter_map(|column| plain_column(column)).map(|ident| ident.value.clone()).collect();
    names.join("_")
}

/// The column of an index column that is nothing else.
pub(super) fn plain_column(column: &IndexColumn) -> Option<&Ident> {
    match &column.column.expr {
        Expr::Identifier(ident) => Some(ident),
        _ => None,
    }
}

pub(super) fn column_name(table: &Table, id: u16) -> String {
    table.columns.iter().find(|column| column.id == id).map(|column| column.name.clone()).unwrap_or_default()
}

/// A column of a table by name.
pub(super) fn find_column<'t>(table: &'t Table, name: &Ident) -> SqlResult<&'t annulus_relation::catalog::Column> {
    table.columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", name.value, table.name);
        SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(name))
    })
}

/// The keys of a primary key or unique constraint: columns, each once.
fn constraint_keys(table: &Table, columns: &[IndexColumn]) -> SqlResult<Vec<IndexKey>> {
    let mut keys: Vec<IndexKey> = Vec::new();
    for column in columns {
        let Some(name) = plain_column(column) else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "a constraint is over columns only"));
        };
        let found = table.columns.iter().find(|column| column.name == name.value).ok_or_else(|| {
            let message = format!("column \"{}\" named in key does not exist", name.value);
            SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position_of(name))
        })?;
        let part = KeyPart::Column(found.id);
        if keys.iter().any(|key| key.part == part) {
            let message = format!("column \"{}\" appears twice in key constraint", name.value);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position_of(name)));
        }
        check_keyable(&found.ty, name)?;
        keys.push(IndexKey { part, descending: false, nulls_first: false });
    }
    Ok(keys)
}

/// `42704` for a type whose values have no order.
pub(super) fn check_keyable(ty: &annulus_relation::SqlType, at: &Ident) -> SqlResult<()> {
    if is_keyable(ty) {
        return Ok(());
    }
    let message = format!("data type {} has no default operator class for access method \"btree\"", ty.name());
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position_of(at)))
}
