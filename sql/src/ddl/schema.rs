//! `CREATE SCHEMA`, `ALTER SCHEMA`.

use annulus_relation::catalog::{ObjectId, Schema, is_temporary};
use annulus_relation::error::SqlState;
use annulus_relation::failure::Outcome;
use annulus_relation::{SqlError, SqlResult};
use annulus_txn::interface::Database;
use sqlparser::ast::{self, AlterSchema, AlterSchemaOperation, Ident, ObjectName, ObjectNamePart, SchemaName};

use super::view_query::{Renamed, RenamedType};
use super::{Definition, define, definition_name};
use crate::names::{name_of, position_of};
use crate::parse::{Parsed, Statement};
use crate::session::Produced;
use crate::session::answer::Tag;
use crate::statement::Work;

/// The last part of a name that has only one.
pub(super) fn plain_name(name: &ObjectName) -> SqlResult<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(ident),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("improper qualified name: {name}"))),
    }
}

/// `42939` for names that only the system may give.
pub(super) fn check_reserved(name: &Ident) -> SqlResult<()> {
    if name.value.starts_with("pg_") || name.value == "information_schema" {
        let message = format!("unacceptable schema name \"{}\"", name.value);
        return Err(SqlError::new(SqlState::RESERVED_NAME, message)
            .detail("The prefix \"pg_\" is reserved for system schemas.")
            .at(position_of(name)));
    }
    Ok(())
}

/// The name of a schema that is to be made; without one it has that of its owner.
fn schema_name(name: &SchemaName) -> SqlResult<&Ident> {
    match name {
        SchemaName::Simple(name) | SchemaName::NamedAuthorization(name, _) => plain_name(name),
        SchemaName::UnnamedAuthorization(user) => Ok(user),
    }
}

/// Makes a schema, and then what is in it.
pub(super) async fn create_with<D: Database>(
    work: &mut Work<'_, D>,
    schema: &Parsed,
    elements: &[Parsed],
) -> Outcome<Produced> {
    let Statement::Sql(statement) = &schema.statement else { return Err(SqlError::unsupported("this schema").into()) };
    let ast::Statement::CreateSchema { schema_name: name, .. } = &**statement else {
        return Err(SqlError::unsupported("this schema").into());
    };
    let name = schema_name(name)?;
    for element in elements {
        check_element(&element.statement, &name.value, &work.shared.database)?;
    }
    define(work, schema, "CREATE SCHEMA").await?;
    let _within = work.shared.within_schema(&name.value);
    for element in elements {
        define(work, element, definition_name(&element.statement).unwrap_or_default()).await?;
    }
    Ok(Produced::tag(Tag::word("CREATE SCHEMA")))
}

/// What is created together with a schema is in no other one.
fn check_element(element: &Statement, schema: &str, database: &str) -> SqlResult<()> {
    let (name, temporary) = match element {
        Statement::CreateSequence { name, temporary, .. } => (name, *temporary),
        Statement::Sql(statement) => match &**statement {
            ast::Statement::CreateTable(create) => (&create.name, create.temporary),
            ast::Statement::CreateView(create) => (&create.name, create.temporary),
            ast::Statement::CreateIndex(create) => (&create.table_name, false),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let name = name_of(name, database)?;
    if temporary {
        let message = "cannot create temporary relation in non-temporary schema";
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message).at(name.position));
    }
    match name.schema {
        Some(other) if other != schema => {
            let message =
                format!("CREATE specifies a schema ({other}) different from the one being created ({schema})");
            Err(SqlError::new(SqlState::INVALID_SCHEMA_DEFINITION, message))
        }
        _ => Ok(()),
    }
}

impl Definition<'_> {
    pub(super) fn create_schema(&mut self, name: &SchemaName, if_not_exists: bool) -> SqlResult<&'static str> {
        let ident = schema_name(name)?;
        check_reserved(ident)?;
        if if_not_exists && self.catalog().schema(&ident.value).is_some() {
            self.skipped(SqlState::DUPLICATE_SCHEMA, &format!("schema \"{}\" already exists", ident.value));
            return Ok("CREATE SCHEMA");
        }
        let id = self.edit.new_id()?;
        self.edit.put_schema(Schema { id, name: ident.value.clone(), comment: None })?;
        Ok("CREATE SCHEMA")
    }

    pub(super) fn alter_schema(&mut self, alter: &AlterSchema) -> SqlResult<&'static str> {
        let name = plain_name(&alter.name)?;
        let mut schema = Schema::clone(self.names().schema(&name.value, position_of(name))?);
        if is_temporary(&schema.name) {
            let message = format!("permission denied for schema {}", schema.name);
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
        }
        for operation in &alter.operations {
            match operation {
                AlterSchemaOperation::Rename { name } => {
                    let name = plain_name(name)?;
                    check_reserved(name)?;
                    self.schema_renamed(&schema, &name.value)?;
                    schema.name.clone_from(&name.value);
                }
                AlterSchemaOperation::OwnerTo { .. } => {}
                _ => return Err(SqlError::unsupported("this form of ALTER SCHEMA")),
            }
        }
        self.edit.put_schema(schema)?;
        Ok("ALTER SCHEMA")
    }

    /// Defaults and views name what they read with its schema.
    fn schema_renamed(&mut self, schema: &Schema, to: &str) -> SqlResult<()> {
        self.rename_in_defaults(&schema.name, None, to, None)?;
        let catalog = self.catalog();
        let tables = catalog.tables().map(|table| (table.schema, table.id));
        let views = catalog.views().map(|view| (view.schema, view.id));
        let sequences = catalog.sequences().map(|sequence| (sequence.schema, sequence.id));
        let all = tables.chain(views).chain(sequences);
        let all: Vec<ObjectId> = all.filter(|(own, _)| *own == schema.id).map(|(_, id)| id).collect();
        let renamed = Renamed { schema: &schema.name, name: None, to_schema: to, to_name: None, columns: None };
        self.follow_views(&renamed, |read| all.contains(&read))?;
        let own = self.catalog().types().filter(|ty| ty.schema == schema.id);
        let own: Vec<ObjectId> = own.map(|ty| ty.id).collect();
        let renamed = RenamedType { schema: &schema.name, name: None, to_schema: to, to_name: "" };
        self.follow_type_names(&renamed, |id| own.contains(&id))
    }
}
