//! What queries are planned in: the catalog as the query engine sees it, and what system tables show besides.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use annulus_relation::Value;
use annulus_relation::catalog::{self, ObjectId};
use annulus_relation::value::Env;

use super::Activity;
use super::shared::{Shared, lock};
use crate::query::{Catalog, Live, Relation, Scope, SystemSource};
use crate::system::constraint_oids;

/// A catalog for queries.
pub struct View {
    catalog: Arc<catalog::Catalog>,
    /// The tables of constraints by these' numbers, once somebody asks for one.
    constraints: OnceLock<HashMap<ObjectId, ObjectId>>,
}

impl View {
    /// A view of a catalog.
    pub fn new(catalog: &Arc<catalog::Catalog>) -> Self {
        Self { catalog: Arc::clone(catalog), constraints: OnceLock::new() }
    }

    fn constraints(&self) -> &HashMap<ObjectId, ObjectId> {
        self.constraints.get_or_init(|| {
            let of = |table: &Arc<catalog::Table>| {
                let table = Arc::clone(table);
                constraint_oids(&table).map(|oid| (oid, table.id)).collect::<Vec<_>>()
            };
            self.catalog.tables().flat_map(of).collect()
        })
    }
}

impl Catalog for View {
    fn relation(&self, schema: &str, name: &str) -> Option<Relation> {
        let schema = self.catalog.schema(schema)?.id;
        match self.catalog.relation(schema, name)? {
            catalog::Relation::Table(table) => Some(Relation::Table(Arc::clone(table))),
            catalog::Relation::View(view) => Some(Relation::View(Arc::clone(view))),
            catalog::Relation::Sequence(sequence) => Some(Relation::Sequence(Arc::clone(sequence))),
            catalog::Relation::Index(..) => None,
        }
    }

    fn schemas(&self) -> Vec<Arc<catalog::Schema>> {
        self.catalog.schemas().cloned().collect()
    }

    fn schema(&self, id: ObjectId) -> Option<Arc<catalog::Schema>> {
        self.catalog.schema_by_id(id).cloned()
    }

    fn types(&self) -> Vec<Arc<catalog::Enumeration>> {
        self.catalog.types().cloned().collect()
    }

    fn relations(&self) -> Vec<Relation> {
        let tables = self.catalog.tables().cloned().map(Relation::Table);
        let views = self.catalog.views().cloned().map(Relation::View);
        tables.chain(views).chain(self.catalog.sequences().cloned().map(Relation::Sequence)).collect()
    }

    fn by_id(&self, id: ObjectId) -> Option<Relation> {
        let table = || self.catalog.table_by_id(id).cloned().map(Relation::Table);
        let view = || self.catalog.view_by_id(id).cloned().map(Relation::View);
        let sequence = || self.catalog.sequence_by_id(id).cloned().map(Relation::Sequence);
        table().or_else(view).or_else(sequence)
    }

    fn indexed(&self, index: ObjectId) -> Option<Arc<catalog::Table>> {
        self.catalog.index_by_id(index).map(|(table, _)| Arc::clone(table))
    }

    fn constrained(&self, constraint: ObjectId) -> Option<Arc<catalog::Table>> {
        self.catalog.table_by_id(*self.constraints().get(&constraint)?).cloned()
    }

    fn number(&self, schema: &str, name: &str) -> Option<ObjectId> {
        let schema = self.catalog.schema(schema)?.id;
        self.catalog.relation(schema, name).map(|relation| relation.id())
    }
}

/// What catalog functions need to know of the session: who owns everything.
struct Plain {
    database: String,
    user: String,
}

impl SystemSource for Plain {
    fn rows(&self, of: Live) -> Vec<Vec<(&'static str, Value)>> {
        match of {
            Live::Databases => vec![vec![("oid", Value::Oid(5)), ("datname", Value::text(self.database.as_str()))]],
            Live::Roles => role_rows(&self.user),
            _ => Vec::new(),
        }
    }

    fn sequence(&self, _: ObjectId) -> Option<(i64, bool)> {
        None
    }
}

/// The user that a session is of owns everything.
fn role_rows(user: &str) -> Vec<Vec<(&'static str, Value)>> {
    let yes = ["rolsuper", "rolinherit", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolbypassrls"];
    let mut owner = vec![("oid", Value::Oid(crate::system::OWNER)), ("rolname", Value::text(user))];
    owner.extend(yes.map(|name| (name, Value::Bool(true))));
    owner.push(("rolconnlimit", Value::Int4(-1)));
    vec![owner]
}

impl SystemSource for Shared {
    fn rows(&self, of: Live) -> Vec<Vec<(&'static str, Value)>> {
        match of {
            Live::Settings => self.settings_rows(),
            Live::Databases => self.database_rows(),
            Live::Roles => role_rows(&self.settings().user()),
            Live::Statements => self.statements.rows(),
            Live::Activity => lock(&self.activity).iter().map(Activity::row).collect(),
            Live::Locks => self.locked.rows(),
            Live::Copies => self.copies.rows(),
            Live::Cursors => lock(&self.own).cursors.clone(),
            Live::Prepared => lock(&self.own).prepared.clone(),
        }
    }

    fn sequence(&self, id: ObjectId) -> Option<(i64, bool)> {
        lock(&self.own).sequences.get(&id).copied()
    }
}

impl Shared {
    fn database_rows(&self) -> Vec<Vec<(&'static str, Value)>> {
        let row = |info: &catalog::DatabaseInfo| {
            vec![("oid", Value::Oid(info.number)), ("datname", Value::text(info.name.as_str()))]
        };
        lock(&self.databases).iter().map(row).collect()
    }

    fn settings_rows(&self) -> Vec<Vec<(&'static str, Value)>> {
        let text = |text: &str| Value::text(text);
        let all = self.settings().all();
        let row = |(name, value, about): (String, String, &'static str)| {
            vec![
                ("name", text(&name)),
                ("setting", text(&value)),
                ("category", text("Settings")),
                ("short_desc", text(about)),
                ("context", text("user")),
                ("vartype", text("string")),
                ("source", text("session")),
            ]
        };
        all.into_iter().map(row).collect()
    }

    /// The catalog that names are looked up in. Functions ask it row by row, so it is kept until there is another catalog.
    fn view(&self) -> Arc<View> {
        let catalog = self.catalog();
        let mut kept = lock(&self.view);
        match &*kept {
            Some(view) if Arc::ptr_eq(&view.catalog, &catalog) => Arc::clone(view),
            _ => Arc::clone(kept.insert(Arc::new(View::new(&catalog)))),
        }
    }

    /// The scope of this session itself, for functions that ask the catalog.
    pub fn own_scope(&self) -> Scope {
        let statistics = self.statistics.of(self.catalog().home().catalog());
        // One lock after the other.
        let user = self.settings().user();
        let search_path = self.path().to_vec();
        let env = Arc::new(self.env(self.statement_start()));
        Scope {
            catalog: self.view(),
            search_path,
            system: Arc::new(Plain { database: self.database.clone(), user }),
            functions: Arc::new(crate::bind::NoSession),
            statistics,
            env,
            database: self.database.clone(),
        }
    }

    /// What queries are planned in, by a session that sees this catalog.
    pub fn scope(self: &Arc<Self>, catalog: &Arc<catalog::Catalog>, env: &Arc<Env>) -> Scope {
        let statistics = self.statistics.of(catalog.home().catalog());
        Scope {
            catalog: Arc::new(View::new(catalog)),
            search_path: self.path().to_vec(),
            system: Arc::clone(self) as _,
            functions: Arc::clone(self) as _,
            statistics,
            env: Arc::new(self.with_types(env, catalog)),
            database: self.database.clone(),
        }
    }
}
