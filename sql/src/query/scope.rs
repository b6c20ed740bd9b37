//! What a query is planned in: names, settings, statistics and what the session knows.

use std::sync::Arc;

use annulus_relation::Value;
use annulus_relation::catalog::{Enumeration, ObjectId, Schema, Sequence, Table, View};
use annulus_relation::value::Env;

use super::statistics::Statistics;
use crate::bind::SystemFunctions;

/// A consistent state of the catalog of one database. It does not change while a query uses it.
pub trait Catalog: Send + Sync {
    /// A table, view or sequence by its schema's name and its own. The system's schemas (`pg_catalog`,
    /// `information_schema`) are not the catalog's business.
    fn relation(&self, schema: &str, name: &str) -> Option<Relation>;

    /// All schemas but the system's.
    fn schemas(&self) -> Vec<Arc<Schema>>;

    /// A schema by its number, if it is none of the system's.
    fn schema(&self, id: ObjectId) -> Option<Arc<Schema>>;

    /// All types that users have made.
    fn types(&self) -> Vec<Arc<Enumeration>> {
        Vec::new()
    }

    /// All tables, views and sequences.
    fn relations(&self) -> Vec<Relation>;

    /// A table, view or sequence by its number.
    fn by_id(&self, id: ObjectId) -> Option<Relation>;

    /// The table of an index, by the index's number.
    fn indexed(&self, index: ObjectId) -> Option<Arc<Table>>;

    /// The table of a constraint, by the number that the system's tables give the constraint.
    fn constrained(&self, constraint: ObjectId) -> Option<Arc<Table>>;

    /// The number of the table, view, sequence or index of a name.
    fn number(&self, schema: &str, name: &str) -> Option<ObjectId>;
}

/// What a name in `FROM` can mean.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A table.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
    /// A sequence.
    Sequence(Arc<Sequence>),
}

impl Relation {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Table(table) => table.id,
            Self::View(view) => view.id,
            Self::Sequence(sequence) => sequence.id,
        }
    }

    /// The number of its schema.
    #[must_use]
    pub fn schema(&self) -> ObjectId {
        match self {
            Self::Table(table) => table.schema,
            Self::View(view) => view.schema,
            Self::Sequence(sequence) => sequence.schema,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Table(table) => &table.name,
            Self::View(view) => &view.name,
            Self::Sequence(sequence) => &sequence.name,
        }
    }
}

/// System tables whose rows the session or the node supplies. Their columns are PostgreSQL 15's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Live {
    /// `pg_stat_activity`
    Activity,
    /// `pg_locks`
    Locks,
    /// `pg_stat_progress_copy`, but for the databases' names
    Copies,
    /// `pg_stat_statements`
    Statements,
    /// `pg_settings`
    Settings,
    /// `pg_database`
    Databases,
    /// `pg_cursors`
    Cursors,
    /// `pg_prepared_statements`
    Prepared,
    /// `pg_authid`, from which `pg_roles`, `pg_user` and `pg_shadow` are made
    Roles,
}

/// What system tables show besides the catalog.
pub trait SystemSource: Send + Sync {
    /// The rows of a table: the values of its columns, by name. Columns left away are NULL; or false, 0 or empty,
    /// where they may not be NULL.
    fn rows(&self, of: Live) -> Vec<Vec<(&'static str, Value)>>;

    /// The last value of a sequence that was handed out, and true, or the next one, and false; `None` if it is not known.
    fn sequence(&self, id: ObjectId) -> Option<(i64, bool)>;
}

/// What a query is planned in. Cheap to clone.
#[derive(Clone)]
pub struct Scope {
    /// The database's objects.
    pub catalog: Arc<dyn Catalog>,
    /// Schemas in which unqualified names are looked up, in order. `pg_catalog` is looked up first unless it is named.
    pub search_path: Vec<String>,
    /// What system tables show besides the catalog.
    pub system: Arc<dyn SystemSource>,
    /// What functions ask.
    pub functions: Arc<dyn SystemFunctions>,
    /// What is known about the data.
    pub statistics: Arc<dyn Statistics>,
    /// Settings that change how values are read and written.
    pub env: Arc<Env>,
    /// The database's name.
    pub database: String,
}
