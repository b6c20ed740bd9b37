//! What functions may ask a session, also from the threads of queries.
//!
//! Functions answer at once. What needs the cluster (a new range of a sequence, a transaction's outcome) a function
//! notes as a [`Need`] and fails; whoever evaluated it does what is needed and evaluates again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annulus_base::id::TxnRef;
use annulus_relation::catalog::{Catalog, DatabaseInfo, ObjectId};
use annulus_relation::error::SqlState;
use annulus_relation::value::{Env, KnownTypes};
use annulus_relation::{SqlError, SqlResult, Value};
use annulus_txn::interface::Database;

use super::copies::Copies;
use super::locks::Locked;
use super::scope::View;
use super::seeded::Seeded;
use super::sequences::Sequences;
use super::statements::Statements;
use super::statistics::Sampled;
use super::temporary::Temporary;
use super::{Activity, Server};
use crate::session::Settings;

/// Seconds between the epochs of Unix and PostgreSQL.
const EPOCH: u64 = 946_684_800;

/// What a function needs before it can answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Need {
    /// Values of a sequence, so many.
    Values(ObjectId, u64),
    /// A sequence is to be set: its next value, or its last one if it is `called`.
    Set { sequence: ObjectId, value: i64, called: bool },
    /// What became of a transaction.
    Fate(TxnRef),
    /// What became of the transaction of a token.
    Token(String),
    /// A pause.
    Sleep(Duration),
    /// A session's statement, or the session itself, is to be ended.
    Signal { session: i32, terminate: bool },
}

/// The part of a session that functions see.
pub(crate) struct Shared {
    pub id: i32,
    pub database: String,
    pub version: String,
    pub settings: Mutex<Settings>,
    /// The catalog that names are looked up in: that of the statement at work.
    pub catalog: Mutex<Arc<Catalog>>,
    /// The same for functions, if one has asked it.
    pub view: Mutex<Option<Arc<View>>>,
    pub sequences: Arc<Sequences>,
    pub statements: Arc<Statements>,
    pub statistics: Arc<Sampled>,
    pub locked: Arc<Locked>,
    pub copies: Arc<Copies>,
    /// The databases of the cluster, as told when the statement began.
    pub databases: Mutex<Vec<DatabaseInfo>>,
    /// The sessions of the node, as told when the statement began.
    pub activity: Mutex<Vec<Activity>>,
    /// The session's cursors and prepared statements, and sequences, as told when the statement began.
    pub own: Mutex<Own>,
    pub node: u32,
    /// What it has of its own.
    pub temporary: Temporary,
    /// The schema that is being made together with what is in it.
    schema_under_way: Mutex<Option<String>>,
    /// Where `random` gets its numbers from, once a seed was set.
    pub seeded: Mutex<Option<Seeded>>,
    statement_start: AtomicI64,
    need: Mutex<Option<Need>>,
    /// What was needed and is done: the answers, until the statement ends.
    met: Mutex<Vec<(Need, Value)>>,
    given: Mutex<Given>,
    /// The last transaction of the session that wrote something.
    pub last_transaction: Mutex<Option<TxnRef>>,
}

/// A schema is being made together with what is in it.
pub(crate) struct WithinSchema<'a>(&'a Shared);

impl Drop for WithinSchema<'_> {
    fn drop(&mut self) {
        *lock(&self.0.schema_under_way) = None;
    }
}

/// What queries are shown that the session found out for them.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// The rows of `pg_cursors`, by columns' names.
    pub cursors: Vec<Vec<(&'static str, Value)>>,
    /// Of `pg_prepared_statements`.
    pub prepared: Vec<Vec<(&'static str, Value)>>,
    /// How far sequences are: their last value and true, or the next one and false.
    pub sequences: HashMap<ObjectId, (i64, bool)>,
}

/// Which values of sequences the session was given.
#[derive(Debug, Default)]
struct Given {
    values: HashMap<ObjectId, i64>,
    last: Option<ObjectId>,
}

/// A lock's content; whoever panicked while holding it left nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The present time: microseconds since 2000-01-01 UTC.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(EPOCH)).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Shared {
    pub fn new<D: Database>(
        id: i32,
        database: String,
        settings: Settings,
        catalog: Arc<Catalog>,
        server: &Server<D>,
    ) -> Self {
        Self {
            id,
            database,
            version: server.config.version.clone(),
            settings: Mutex::new(settings),
            catalog: Mutex::new(catalog),
            view: Mutex::new(None),
            sequences: Arc::clone(&server.sequences),
            statements: Arc::clone(&server.statements),
            statistics: Arc::clone(&server.statistics),
            locked: Arc::clone(&server.locked),
            copies: Arc::clone(&server.copies),
            activity: Mutex::new(Vec::new()),
            databases: Mutex::new(Vec::new()),
            own: Mutex::default(),
            node: server.config.node,
            temporary: Temporary::new(&server.temporary),
            schema_under_way: Mutex::new(None),
            seeded: Mutex::new(None),
            statement_start: AtomicI64::new(now()),
            need: Mutex::new(None),
            met: Mutex::new(Vec::new()),
            given: Mutex::new(Given::default()),
            last_transaction: Mutex::new(None),
        }
    }

    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    /// The names of the schemas in which names are looked up, also unasked. Nothing stays locked.
    pub fn path(&self) -> Arc<[String]> {
        let named = self.named_path();
        self.temporary.path(named)
    }

    /// Names are looked up in a schema first, as long as what this gives is kept.
    pub fn within_schema(&self, schema: &str) -> WithinSchema<'_> {
        *lock(&self.schema_under_way) = Some(schema.to_owned());
        WithinSchema(self)
    }

    /// The names in the search path as it was set, behind the schema that is being made.
    pub fn named_path(&self) -> Arc<[String]> {
        let named = self.settings().search_path();
        match &*lock(&self.schema_under_way) {
            Some(schema) => std::iter::once(schema).chain(named.iter()).cloned().collect(),
            None => named,
        }
    }

    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&lock(&self.catalog))
    }

    pub fn use_catalog(&self, catalog: &Arc<Catalog>) {
        *lock(&self.catalog) = Arc::clone(catalog);
    }

    /// The same settings, with the types of a catalog.
    pub fn with_types(&self, env: &Env, catalog: &Catalog) -> Env {
        Env { types: env.types.of(catalog.made_types(), &self.path()), ..env.clone() }
    }

    /// What values are read and printed in.
    pub fn env(&self, now: i64) -> Env {
        let types = KnownTypes::new(Arc::clone(self.catalog().made_types()), self.path());
        Env { types, ..self.settings().env(now) }
    }

    /// A statement begins: what earlier ones needed is of no concern to it.
    pub fn begin_statement(&self) {
        self.statement_start.store(now(), Ordering::Relaxed);
        lock(&self.met).clear();
        lock(&self.need).take();
    }

    pub fn statement_start(&self) -> i64 {
        self.statement_start.load(Ordering::Relaxed)
    }

    /// Fails, and says what for.
    pub fn require<T>(&self, need: Need) -> SqlResult<T> {
        *lock(&self.need) = Some(need);
        Err(SqlError::new(SqlState::INTERNAL_ERROR, "a function waits for the cluster"))
    }

    /// What the last evaluation failed for, if it needs something.
    pub fn take_need(&self) -> Option<Need> {
        lock(&self.need).take()
    }

    /// The answer to a need that was met; each is used once.
    pub fn answer(&self, need: &Need) -> Option<Value> {
        let mut met = lock(&self.met);
        let index = met.iter().position(|(known, _)| known == need)?;
        Some(met.remove(index).1)
    }

    /// A need is met.
    pub fn meet(&self, need: Need, answer: Value) {
        lock(&self.met).push((need, answer));
    }

    /// Notes a value that a sequence gave to this session.
    pub fn note_value(&self, sequence: ObjectId, value: i64) {
        let mut given = lock(&self.given);
        given.values.insert(sequence, value);
        given.last = Some(sequence);
    }

    /// The value that a sequence last gave to this session.
    pub fn given_value(&self, sequence: ObjectId) -> Option<i64> {
        lock(&self.given).values.get(&sequence).copied()
    }

    /// The value that any sequence last gave to this session, and which one.
    pub fn last_value(&self) -> Option<i64> {
        let given = lock(&self.given);
        given.values.get(&given.last?).copied()
    }

    /// Forgets which values were given: `DISCARD`.
    pub fn forget_values(&self) {
        *lock(&self.given) = Given::default();
    }
}
