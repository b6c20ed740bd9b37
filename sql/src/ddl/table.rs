//! `CREATE TABLE`.

use std::collections::HashMap;

use annulus_relation::catalog::{
    Column, ConstraintKind, Deferral, Index, IndexState, NotNull, ObjectId, Remarks, Table, Unique,
};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{ColumnDef, CreateTable, Ident, NullsDistinctOption, TableConstraint};

use super::Definition;
use super::column::Declared;
use super::constraint::plain_column;
use super::foreign::said;
use crate::names::{Name, position_of};

/// Most columns of a table, as in PostgreSQL.
const MOST_COLUMNS: usize = 1_600;

/// A constraint, to be added when all columns are known.
pub(super) struct Pending<'a> {
    pub constraint: TableConstraint,
    /// The column that it was declared with.
    pub column: Option<&'a Ident>,
}

impl Definition<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> SqlResult<&'static str> {
        refuse(create)?;
        let name = self.name(&create.name)?;
        let schema = self.table_schema(create, &name)?;
        if create.if_not_exists && self.catalog().relation(schema, &name.name).is_some() {
            self.skipped(SqlState::DUPLICATE_TABLE, &format!("relation \"{}\" already exists", name.name));
            return Ok("CREATE TABLE");
        }
        if create.columns.len() > MOST_COLUMNS {
            let message = format!("tables can have at most {MOST_COLUMNS} columns");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        self.check_free(schema, &name)?;
        let mut table = self.bare_table(schema, &name.name)?;
        let mut pending: Vec<Pending<'_>> = Vec::new();
        let likes = self.likes;
        for place in 0..=create.columns.len() {
            for like in likes.iter().filter(|like| like.before == place) {
                self.copy_columns(&mut table, like)?;
            }
            if let Some(definition) = create.columns.get(place) {
                self.add_declared(&mut table, definition, &mut pending)?;
            }
        }
        for like in likes {
            self.copy_rest(&mut table, like)?;
        }
        let constraints = create.constraints.iter().cloned();
        pending.extend(constraints.map(|constraint| Pending { constraint, column: None }));
        self.add_pending(&mut table, pending)?;
        self.add_defaults(&mut table, &create.columns)?;
        self.shared.temporary.declare(table.id, create.on_commit);
        self.edit.put_table(table)?;
        Ok("CREATE TABLE")
    }

    /// The schema in which a table is created.
    pub(super) fn table_schema(&mut self, create: &CreateTable, name: &Name) -> SqlResult<ObjectId> {
        let schema = self.target(name, create.temporary)?;
        if create.on_commit.is_some() && !self.catalog().is_temporary(schema) {
            let message = "ON COMMIT can only be used on temporary tables";
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        Ok(schema)
    }

    /// `42P07` if a relation has the name.
    pub(super) fn check_free(&self, schema: ObjectId, name: &Name) -> SqlResult<()> {
        match self.catalog().relation(schema, &name.name) {
            Some(_) => {
                let message = format!("relation \"{}\" already exists", name.name);
                Err(SqlError::new(SqlState::DUPLICATE_TABLE, message))
            }
            None => Ok(()),
        }
    }

    /// A table without columns, whose rows are identified by hidden ids.
    pub(super) fn bare_table(&mut self, schema: ObjectId, name: &str) -> SqlResult<Table> {
        let id = self.edit.new_id_in(schema)?;
        let primary = Index {
            id: self.edit.new_id_in(schema)?,
            name: String::new(),
            unique: Unique::Yes,
            keys: Vec::new(),
            include: Vec::new(),
            predicate: None,
            constraint: None,
            state: IndexState::Ready,
            comment: None,
        };
        Ok(Table {
            id,
            schema,
            name: name.to_owned(),
            generation: self.edit.new_generation_in(schema)?,
            columns: Vec::new(),
            next_column: 1,
            indexes: vec![primary],
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            referenced_by: Vec::new(),
            comment: None,
            remarks: Remarks::new(),
        })
    }

    /// A declared column at the end of the table, without its default; its constraints are left for later.
    pub(super) fn add_declared<'d>(
        &self,
        table: &mut Table,
        definition: &'d ColumnDef,
        pending: &mut Vec<Pending<'d>>,
    ) -> SqlResult<()> {
        let Declared { ty, not_null, constraints } = Declared::of(definition, &self.env.types)?;
        let name = &definition.name;
        add_column(table, &name.value, ty, not_null).map_err(|error| error.at(position_of(name)))?;
        pending.extend(constraints.into_iter().map(|constraint| Pending { constraint, column: Some(name) }));
        Ok(())
    }

    /// Adds constraints: the primary key first, since others rely on it; foreign keys last.
    pub(super) fn add_pending(&mut self, table: &mut Table, pending: Vec<Pending<'_>>) -> SqlResult<()> {
        let rank = |pending: &Pending<'_>| match pending.constraint {
            TableConstraint::PrimaryKey(_) => 0,
            TableConstraint::Unique(_) => 1,
            TableConstraint::ForeignKey(_) => 3,
            _ => 2,
        };
        let mut pending = pending;
        pending.sort_by_key(rank);
        merge_keys(&mut pending);
        for Pending { constraint, column } in pending {
            self.add_constraint(table, &constraint, column, true)?;
        }
        Ok(())
    }
}

/// Keys over the same columns are one, which has the first name that one of them was given.
///
/// Source: PostgreSQL 15, `transformIndexConstraints`.
fn merge_keys(pending: &mut Vec<Pending<'_>>) {
    let mut first: HashMap<KeySaid, usize> = HashMap::new();
    let mut kept: Vec<Pending<'_>> = Vec::with_capacity(pending.len());
    for mut one in pending.drain(..) {
        // Primary keys come first, and a second one is refused.
        let is_second = matches!(one.constraint, TableConstraint::PrimaryKey(_)) && !kept.is_empty();
        let at = match key_of(&mut one.constraint) {
            Some((key, _)) if !is_second => *first.entry(key).or_insert(kept.len()),
            _ => kept.len(),
        };
        match kept.get_mut(at) {
            None => kept.push(one),
            Some(before) => {
                if let (Some((_, name)), Some((_, given))) =
                    (key_of(&mut before.constraint), key_of(&mut one.constraint))
                    && name.is_none()
                {
                    *name = given.take();
                }
            }
        }
    }
    *pending = kept;
}

/// The columns of a key, whether NULLs are equal in it, and when it is checked.
type KeySaid = (Vec<String>, bool, Deferral);

/// What a primary key or unique constraint says, and its name.
fn key_of(constraint: &mut TableConstraint) -> Option<(KeySaid, &mut Option<Ident>)> {
    let (columns, with_nulls, characteristics, name) = match constraint {
        TableConstraint::PrimaryKey(key) => (&key.columns, false, &key.characteristics, &mut key.name),
        TableConstraint::Unique(key) => {
            let with_nulls = key.nulls_distinct == NullsDistinctOption::NotDistinct;
            (&key.columns, with_nulls, &key.characteristics, &mut key.name)
        }
        _ => return None,
    };
    let names = columns.iter().map(|column| Some(plain_column(column)?.value.clone())).collect::<Option<_>>()?;
    Some(((names, with_nulls, said(characteristics.as_ref()).ok()?), name))
}

/// `42701` for the names of columns that every table has in PostgreSQL.
pub(super) fn check_not_system(name: &str) -> SqlResult<()> {
    if matches!(name, "tableoid" | "xmin" | "cmin" | "xmax" | "cmax" | "ctid") {
        let message = format!("column name \"{name}\" conflicts with a system column name");
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    Ok(())
}

/// A column at the end of a table.
pub(crate) fn add_column(
    table: &mut Table,
    name: &str,
    ty: annulus_relation::SqlType,
    not_null: bool,
) -> SqlResult<()> {
    check_not_system(name)?;
    if table.columns.iter().any(|column| column.name == name) {
        let message = format!("column \"{name}\" specified more than once");
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    let id = table.next_column;
    let next = id.checked_add(1);
    table.next_column =
        next.ok_or_else(|| SqlError::new(SqlState::TOO_MANY_COLUMNS, "the table has had too many columns"))?;
    let not_null = NotNull::new(not_null);
    table.columns.push(Column { id, name: name.to_owned(), ty, not_null, default: None, missing: None, comment: None });
    Ok(())
}

/// Whether a table has a primary key.
pub(super) fn has_primary_key(table: &Table) -> bool {
    match table.rekeying() {
        Some(rekeying) => !rekeying.keys.is_empty(),
        None => table.indexes.iter().any(|index| index.constraint == Some(ConstraintKind::PrimaryKey)),
    }
}

/// What other databases have.
fn refuse(create: &CreateTable) -> SqlResult<()> {
    use sqlparser::ast::CreateTableOptions;
    let refused = [
        (create.external, "an external table"),
        (create.inherits.is_some(), "INHERITS"),
        (create.partition_by.is_some() || create.partition_of.is_some(), "a partitioned table"),
        (create.or_replace, "CREATE OR REPLACE TABLE"),
        (create.clone.is_some(), "CLONE"),
    ];
    if let Some((_, what)) = refused.into_iter().find(|(is_refused, _)| *is_refused) {
        return Err(SqlError::unsupported(what));
    }
    match &create.table_options {
        // WITH (fillfactor = 100): storage parameters of PostgreSQL's own, which pgbench sends.
        CreateTableOptions::None | CreateTableOptions::With(_) => Ok(()),
        _ => Err(SqlError::unsupported("table options")),
    }
}
