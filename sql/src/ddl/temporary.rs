//! Where things are created, and what is special about temporary ones: they are in a schema of their session's own.

use annulus_relation::catalog::{Edit, ObjectId, Schema, Table};
use annulus_relation::error::SqlState;
use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast;

use super::Definition;
use crate::names::{Name, OWN};
use crate::parse::Statement;
use crate::server::shared::Shared;
use crate::server::temporary::schema_name;

impl Definition<'_> {
    /// The schema in which something of that name is created, which is temporary if it says so or its schema is.
    ///
    /// # Errors
    /// `3F000` if there is no such schema, `42501` if it is the system's, `42P16` if it is not one for temporary things.
    pub(super) fn target(&mut self, name: &Name, temporary: bool) -> SqlResult<ObjectId> {
        let Some(schema) = &name.schema else {
            return if temporary { self.own_schema() } else { self.first_schema(name) };
        };
        if schema == OWN || self.shared.temporary.name() == Some(schema) {
            return self.own_schema();
        }
        if temporary {
            let message = "cannot create temporary relation in non-temporary schema";
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message).at(name.position));
        }
        if matches!(schema.as_str(), "pg_catalog" | "information_schema") {
            let message = format!("permission denied to create \"{name}\"");
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("System catalog modifications are currently disallowed.")
                .at(name.position));
        }
        Ok(self.names().schema(schema, name.position)?.id)
    }

    /// The first schema of the search path as it was set.
    fn first_schema(&mut self, name: &Name) -> SqlResult<ObjectId> {
        let path = self.shared.named_path();
        let first = path.iter().find(|schema| *schema == OWN || self.catalog().schema(schema).is_some());
        match first.map(|schema| self.catalog().schema(schema)) {
            Some(Some(schema)) => Ok(schema.id),
            Some(None) => self.own_schema(),
            None => {
                let message = "no schema has been selected to create in";
                Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(name.position))
            }
        }
    }

    /// The session's own schema, made now if there is none.
    fn own_schema(&mut self) -> SqlResult<ObjectId> {
        let shared = self.shared;
        let unique = || schema_name(shared.node, shared.sequences.snowflake(shared.node));
        let name = shared.temporary.name_or(unique);
        if let Some(schema) = self.catalog().schema(name) {
            return Ok(schema.id);
        }
        let id = self.edit.new_temporary_id()?;
        self.edit.put_schema(Schema { id, name: name.to_owned(), comment: None })?;
        self.path = shared.path();
        Ok(id)
    }

    /// Whether a table, view or sequence is temporary.
    pub(super) fn is_temporary(&self, id: ObjectId) -> bool {
        let catalog = self.catalog();
        let table = catalog.table_by_id(id).map(|table| table.schema);
        let view = || catalog.view_by_id(id).map(|view| view.schema);
        let sequence = || catalog.sequence_by_id(id).map(|sequence| sequence.schema);
        table.or_else(view).or_else(sequence).is_some_and(|schema| catalog.is_temporary(schema))
    }

    /// `0A000` if something would be moved into a temporary schema, or out of one.
    pub(super) fn check_stays(&self, id: ObjectId, schema: ObjectId) -> SqlResult<()> {
        if self.is_temporary(id) || self.catalog().is_temporary(schema) {
            let message = "cannot move objects into or out of temporary schemas";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(())
    }

    /// `42P16` if a foreign key would refer from temporary to permanent rows, or the other way round.
    pub(super) fn check_same_persistence(&self, child: &Table, parent: &Table) -> SqlResult<()> {
        let is_temporary = |table: &Table| self.catalog().is_temporary(table.schema);
        let kind = match (is_temporary(child), is_temporary(parent)) {
            (true, false) => "temporary",
            (false, true) => "permanent",
            _ => return Ok(()),
        };
        let message = format!("constraints on {kind} tables may reference only {kind} tables");
        Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message))
    }
}

/// Whether a statement says that what it makes is temporary.
pub(super) fn is_declared(statement: &Statement) -> bool {
    match statement {
        Statement::CreateSequence { temporary, .. } => *temporary,
        Statement::Sql(statement) => match &**statement {
            ast::Statement::CreateTable(create) => create.temporary,
            ast::Statement::CreateView(create) => create.temporary,
            _ => false,
        },
        _ => false,
    }
}

/// Drops some temporary tables, and what depends on them, from a catalog.
pub(crate) fn without(edit: Edit, shared: &Shared, tables: &[ObjectId]) -> SqlResult<Edit> {
    let env = Env::default();
    let mut definition = Definition::new(edit, shared, &env, "");
    tables.iter().try_for_each(|id| definition.drop_table(*id, tables, true, ""))?;
    Ok(definition.edit)
}

/// Drops `most` of the relations of some schemas, and those schemas that are empty then, from a catalog.
pub(crate) fn cleared(edit: Edit, shared: &Shared, schemas: &[ObjectId], most: usize) -> SqlResult<Edit> {
    let env = Env::default();
    let mut definition = Definition::new(edit, shared, &env, "");
    let mut left = most;
    for schema in schemas {
        let inside = definition.inside(*schema);
        let part = &inside[..inside.len().min(left)];
        left -= part.len();
        definition.drop_inside(part)?;
        if part.len() == inside.len() {
            definition.edit.drop_schema(*schema);
        }
    }
    Ok(definition.edit)
}
