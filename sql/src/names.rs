//! Names of schemas and relations in statements, and what they stand for.

pub(crate) use annulus_relation::catalog::OWN;
use annulus_relation::catalog::{Catalog, ObjectId, Relation, Schema, Table, is_temporary};
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

/// The schema that a name means to a session with this path.
pub(crate) fn meant<'a>(path: &'a [String], schema: &'a str) -> &'a str {
    let own = || path.iter().find(|name| is_temporary(name));
    if schema == OWN { own().map_or(schema, String::as_str) } else { schema }
}

/// Whether a table of this schema, if it is known, is one of that name: what a statement reads of a session's is its own.
pub(crate) fn is_of(schema: Option<&str>, name: &str) -> bool {
    schema.is_some_and(|schema| schema == name || (name == OWN && is_temporary(schema)))
}

/// `0A000` if a schema is another session's.
pub(crate) fn check_access(path: &[String], schema: &str) -> SqlResult<()> {
    if is_temporary(schema) && path.iter().all(|own| own != schema) {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot access temporary tables of other sessions"));
    }
    Ok(())
}

/// The schemas in which names are looked up, in order: the system's before those of the path that does not name it, but
/// behind the session's own.
pub(crate) fn searched(path: &[String]) -> impl Iterator<Item = &str> {
    let own = path.iter().take_while(|name| is_temporary(name)).count();
    let (own, named) = path.split_at(own);
    let implied = (!path.iter().any(|schema| schema == "pg_catalog")).then_some("pg_catalog");
    own.iter().map(String::as_str).chain(implied).chain(named.iter().map(String::as_str))
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
            Some(schema) => self.catalog.relation(self.schema(schema, None).ok()?.id, &name.name),
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
    /// `3F000` if there is none, `0A000` if it is another session's.
    pub fn schema(&self, name: &str, position: Option<u32>) -> SqlResult<&'a std::sync::Arc<Schema>> {
        let Some(schema) = self.catalog.schema(meant(self.path, name)) else {
            let message = format!("schema \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(position));
        };
        check_access(self.path, name).map_err(|error| error.at(position))?;
        Ok(schema)
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
