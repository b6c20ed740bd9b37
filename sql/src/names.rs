//! Names of schemas and relations in statements, and what they stand for.

use annulus_relation::catalog::{Catalog, ObjectId, Relation, Schema, Table};
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

/// Whether a collation is there: all of them are the order of characters' codes.
pub(crate) fn is_collation(name: &str) -> bool {
    matches!(name, "C" | "POSIX" | "default" | "ucs_basic")
}

/// Refuses a column's collation that is not there.
pub(crate) fn known_collation(name: &str, position: Option<u32>) -> SqlResult<()> {
    if is_collation(name) {
        return Ok(());
    }
    let refused = SqlError::unsupported(format!("the collation \"{name}\""));
    Err(refused.hint("Text is in the order of \"C\".").at(position))
}

/// The name of something, perhaps with its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub schema: Option<String>,
    pub name: String,
    /// Where it stands in the statement.
    pub position: Option<u32>,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// An identifier's position in the statement.
pub(crate) fn position_of(ident: &Ident) -> Option<u32> {
    u32::try_from(ident.span.start.column).ok().filter(|position| *position > 0)
}

/// A name as it stands in a statement.
pub(crate) fn name_of(name: &ObjectName, database: &str) -> SqlResult<Name> {
    let idents: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
    let position = idents.first().and_then(|ident| position_of(ident));
    match idents.as_slice() {
        [name] => Ok(Name { schema: None, name: name.value.clone(), position }),
        [schema, name] => Ok(Name { schema: Some(schema.value.clone()), name: name.value.clone(), position }),
        [db, schema, name] if db.value == database => {
            Ok(Name { schema: Some(schema.value.clone()), name: name.value.clone(), position })
        }
        [_, _, _] => {
            let message = format!("cross-database references are not implemented: \"{name}\"");
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
        }
        _ => {
            let message = format!("improper qualified name (too many dotted names): {name}");
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position))
        }
    }
}

/// A name in a string, as `regclass` takes it: folded unless quoted.
pub(crate) fn split_name(text: &str) -> SqlResult<Name> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').ok_or_else(invalid)?;
                (quoted[..end].to_owned(), &quoted[end + 1..])
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        match after.trim_start().strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if after.trim().is_empty() => break,
            None => return Err(invalid()),
        }
    }
    let name = parts.pop().ok_or_else(invalid)?;
    Ok(Name { schema: parts.pop(), name, position: None })
}

/// The schemas of a search path that exist.
pub(crate) fn path_ids(catalog: &Catalog, path: &[String]) -> Vec<ObjectId> {
    path.iter().filter_map(|name| catalog.schema(name).map(|schema| schema.id)).collect()
}

/// A catalog, and where unqualified names are looked up in it.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub catalog: &'a Catalog,
    pub path: &'a [String],
    pub database: &'a str,
}

impl<'a> Names<'a> {
    /// What a name stands for, if anything.
    pub fn find(&self, name: &Name) -> Option<Relation<'a>> {
        match &name.schema {
            Some(schema) => self.catalog.relation(self.catalog.schema(schema)?.id, &name.name),
            None => self.catalog.resolve(&path_ids(self.catalog, self.path), &name.name),
        }
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// `3F000` if there is no such schema, `42P01` if there is nothing of that name in it.
    pub fn get(&self, name: &Name) -> SqlResult<Relation<'a>> {
        if let Some(schema) = &name.schema {
            self.schema(schema, name.position)?;
        }
        self.find(name).ok_or_else(|| undefined(name, "relation"))
    }

    /// A table by name.
    ///
    /// # Errors
    /// As [`Names::get`], and `42809` if it is something else.
    pub fn table(&self, name: &Name) -> SqlResult<&'a std::sync::Arc<Table>> {
        match self.get(name)? {
            Relation::Table(table) => Ok(table),
            other => Err(is_not(name, other, "a table")),
        }
    }

    /// A schema by name.
    ///
    /// # Errors
    /// `3F000` if there is none.
    pub fn schema(&self, name: &str, position: Option<u32>) -> SqlResult<&'a std::sync::Arc<Schema>> {
        self.catalog.schema(name).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist")).at(position)
        })
    }

    /// The schema in which something of that name is created.
    ///
    /// # Errors
    /// `3F000` if there is no such schema, `42501` if it is the system's.
    pub fn target(&self, name: &Name) -> SqlResult<ObjectId> {
        if let Some(schema) = &name.schema {
            if matches!(schema.as_str(), "pg_catalog" | "information_schema") {
                let message = format!("permission denied to create \"{name}\"");
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .detail("System catalog modifications are currently disallowed.")
                    .at(name.position));
            }
            return Ok(self.schema(schema, name.position)?.id);
        }
        path_ids(self.catalog, self.path).first().copied().ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in").at(name.position)
        })
    }
}

/// `42P01`
pub(crate) fn undefined(name: &Name, kind: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("{kind} \"{name}\" does not exist")).at(name.position)
}

/// `42809`
pub(crate) fn is_not(name: &Name, found: Relation<'_>, wanted: &str) -> SqlError {
    let hint = match found.kind() {
        "table" => "Use DROP TABLE or ALTER TABLE for a table.",
        "view" => "Use DROP VIEW or ALTER VIEW for a view.",
        "sequence" => "Use DROP SEQUENCE or ALTER SEQUENCE for a sequence.",
        _ => "Use DROP INDEX or ALTER INDEX for an index.",
    };
    let message = format!("\"{}\" is not {wanted}", name.name);
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint(hint).at(name.position)
}
