//! What the sessions of one node share.
//!
//! Promises and invariants:
//! - Lives on the node's thread; only what queries' threads and functions ask (`shared::Shared`, sequences) is locked.
//! - A cached catalog is used as if it were current, because whatever uses it validates what it used.

mod background;
pub(crate) mod catalogs;
pub(crate) mod controls;
pub(crate) mod copies;
pub(crate) mod deadline;
pub(crate) mod failure;
pub(crate) mod loads;
pub(crate) mod locks;
mod scope;
pub(crate) mod seeded;
pub(crate) mod sequences;
pub(crate) mod shared;
pub(crate) mod statements;
pub(crate) mod statistics;
pub(crate) mod temporary;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_base::time::Micros;
use annulus_relation::catalog::{DatabaseInfo, Databases};
use annulus_relation::error::SqlState;
use annulus_relation::failure::Outcome;
use annulus_relation::{SqlError, SqlResult, Value};
use annulus_txn::interface::Database;
use annulus_txn::token::Tokens;

use crate::query::{ColumnCache, QueryEngine};
use crate::session::{Session, Settings, Startup};
use catalogs::Catalogs;
use controls::Controls;
use copies::Copies;
use deadline::Deadline;
use failure::to_sql;
use loads::Abandoned;
use locks::Locked;
use sequences::Sequences;
use shared::Shared;
use statements::Statements;
use statistics::Sampled;
use temporary::Living;

/// Which part of the queries' memory is for kept columns.
const KEPT: usize = 4;

/// How the SQL of a node behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's number: ids made here contain it.
    pub node: u32,
    /// Statements that take longer are logged.
    pub slow_statement: Duration,
    /// The outcome records of clients' tokens, if the cluster keeps them.
    pub tokens: Option<Tokens>,
    /// What `version()` says.
    pub version: String,
    /// How many threads run queries.
    pub query_threads: usize,
    /// How much memory all queries together may keep, in bytes. A quarter of it is for columns that were read before.
    pub query_memory: usize,
}

impl Default for Config {
    fn default() -> Self {
        let version = format!("annulus {}", env!("CARGO_PKG_VERSION"));
        Self {
            node: 1,
            slow_statement: Duration::from_secs(1),
            tokens: None,
            version,
            query_threads: 2,
            query_memory: 512 << 20,
        }
    }
}

/// What a session does, as `pg_stat_activity` shows it. Times are microseconds since 2000-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The session's number.
    pub id: i32,
    /// Its database.
    pub database: String,
    /// Its user.
    pub user: String,
    /// What the client calls itself.
    pub application: String,
    /// The client's address.
    pub address: String,
    /// When it connected.
    pub since: i64,
    /// What it does: `active`, `idle`, `idle in transaction` ...
    pub state: &'static str,
    /// Its statement, or the last one.
    pub query: String,
    /// When that began.
    pub query_since: i64,
}

impl Activity {
    fn row(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::text(text);
        vec![
            ("datname", text(&self.database)),
            ("pid", Value::Int4(self.id)),
            ("usename", text(&self.user)),
            ("application_name", text(&self.application)),
            ("backend_start", Value::Timestamptz(self.since)),
            ("query_start", Value::Timestamptz(self.query_since)),
            ("state", text(self.state)),
            ("query", text(&self.query)),
            ("backend_type", text("client backend")),
        ]
    }
}

/// The connections of a node, as statements see them.
pub trait Clients {
    /// What all sessions do.
    fn activity(&self) -> Vec<Activity>;

    /// A statement took longer than the configuration allows without notice.
    fn slow(&self, session: i32, statement: &str, took: Duration);

    /// Cancels the statement of a session; whether there is such a session.
    fn cancel(&self, session: i32) -> bool;

    /// Ends a session; whether there is such a session.
    fn terminate(&self, session: i32) -> bool;
}

/// No connections at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClients;

impl Clients for NoClients {
    fn activity(&self) -> Vec<Activity> {
        Vec::new()
    }

    fn slow(&self, _: i32, _: &str, _: Duration) {}

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
    pub(crate) engine: QueryEngine,
    pub(crate) sequences: Arc<Sequences>,
    pub(crate) statements: Arc<Statements>,
    pub(crate) statistics: Arc<Sampled>,
    pub(crate) locked: Arc<Locked>,
    pub(crate) copies: Arc<Copies>,
    pub(crate) abandoned: Rc<Abandoned>,
    /// The schemas that its sessions have.
    pub(crate) temporary: Arc<Living>,
    pub(crate) controls: Controls,
    /// Columns of tables that queries have read.
    pub(crate) columns: Arc<ColumnCache>,
    catalogs: RefCell<BTreeMap<u32, Rc<Catalogs>>>,
}

impl<D: Database> Server<D> {
    /// The SQL of a node, over its database.
    ///
    /// # Errors
    /// `58000` if the threads of queries cannot be started.
    pub fn new(db: D, config: Config, clients: Rc<dyn Clients>) -> SqlResult<Rc<Self>> {
        let kept = config.query_memory / KEPT;
        let engine = QueryEngine::new(config.query_threads, config.query_memory - kept)?;
        Ok(Rc::new(Self {
            db,
            config,
            clients,
            engine,
            sequences: Arc::default(),
            statements: Arc::default(),
            statistics: Arc::default(),
            locked: Arc::default(),
            copies: Arc::default(),
            abandoned: Rc::default(),
            temporary: Arc::default(),
            controls: Controls::default(),
            columns: Arc::new(ColumnCache::new(kept as u64)),
            catalogs: RefCell::default(),
        }))
    }

    /// The outcome records of clients' tokens.
    pub(crate) fn tokens(&self) -> SqlResult<&Tokens> {
        let message = "this cluster has no system namespace, in which tokens could be recorded";
        self.config.tokens.as_ref().ok_or_else(|| SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
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
