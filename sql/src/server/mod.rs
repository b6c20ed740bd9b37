//! What the sessions of one node share.
//!
//! Promises and invariants:
//! - Lives on the node's thread; only what queries' threads and functions ask ([`shared::Shared`], sequences) is locked.
//! - A cached catalog is used as if it were current, because whatever uses it validates what it used.

pub(crate) mod catalogs;
pub(crate) mod deadline;
pub(crate) mod failure;
pub(crate) mod sequences;
pub(crate) mod shared;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_base::time::Micros;
use annulus_relation::SqlResult;
use annulus_relation::catalog::{DatabaseInfo, Databases};
use annulus_relation::failure::Outcome;
use annulus_txn::interface::Database;

use crate::session::{Session, Settings, Startup};
use catalogs::Catalogs;
use deadline::Deadline;
use failure::to_sql;
use sequences::Sequences;
use shared::Shared;

/// How the SQL of a node behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's number: ids made here contain it.
    pub node: u32,
    /// Statements that take longer are logged, if something is set.
    pub slow_statement: Option<Duration>,
    /// What `version()` says.
    pub version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { node: 1, slow_statement: None, version: format!("annulus {}", env!("CARGO_PKG_VERSION")) }
    }
}

/// The connections of a node, as statements see them.
pub trait Clients {
    /// Cancels the statement of a session; whether there is such a session.
    fn cancel(&self, session: i32) -> bool;

    /// Ends a session; whether there is such a session.
    fn terminate(&self, session: i32) -> bool;
}

/// No connections at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClients;

impl Clients for NoClients {
    fn cancel(&self, _: i32) -> bool {
        false
    }

    fn terminate(&self, _: i32) -> bool {
        false
    }
}

/// The SQL of one node.
pub struct Server<D: Database> {
    pub(crate) db: D,
    pub(crate) config: Config,
    pub(crate) clients: Rc<dyn Clients>,
    pub(crate) sequences: Arc<Sequences>,
    catalogs: RefCell<BTreeMap<u32, Rc<Catalogs>>>,
}

impl<D: Database> Server<D> {
    /// The SQL of a node, over its database.
    pub fn new(db: D, config: Config, clients: Rc<dyn Clients>) -> Rc<Self> {
        let sequences = Arc::new(Sequences::default());
        Rc::new(Self { db, config, clients, sequences, catalogs: RefCell::new(BTreeMap::new()) })
    }

    /// A session for a client.
    ///
    /// # Errors
    /// `3D000` if there is no such database, and whatever is wrong with the settings it asks for.
    pub async fn connect(self: &Rc<Self>, startup: Startup) -> SqlResult<Session<D>> {
        let settings = Settings::new(&startup.user, &startup.settings)?;
        let deadline = Deadline::new(settings.statement_timeout());
        let databases = self.databases(deadline.left()).await.map_err(to_sql)?;
        let info = databases.get(&startup.database)?;
        let catalogs = self.catalogs(info)?;
        let catalog = catalogs.current(&self.db, deadline.left()).await.map_err(to_sql)?;
        let shared = Arc::new(Shared::new(startup.id, info.name.clone(), settings, catalog, self));
        Ok(Session::new(Rc::clone(self), catalogs, shared))
    }

    /// The list of databases, as it is now.
    pub(crate) async fn databases(&self, patience: Micros) -> Outcome<Databases> {
        Databases::load(&self.db, patience).await
    }

    /// The cached catalogs of a database.
    pub(crate) fn catalogs(&self, database: &DatabaseInfo) -> SqlResult<Rc<Catalogs>> {
        let home = database.home()?;
        let mut all = self.catalogs.borrow_mut();
        let entry = all.entry(database.number).or_insert_with(|| Rc::new(Catalogs::new(home)));
        Ok(Rc::clone(entry))
    }
}
