//! What evaluation may ask for besides the row: the session, the catalog, clocks and randomness.

use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};

/// What an expression is evaluated in.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// Settings that change how values are read and written, and when the transaction began.
    pub env: &'a Env,
    /// The session and the catalog.
    pub session: &'a dyn SystemFunctions,
}

impl<'a> EvalContext<'a> {
    /// A context of the session's.
    #[must_use]
    pub fn new(env: &'a Env, session: &'a dyn SystemFunctions) -> Self {
        Self { env, session }
    }

    /// A context without a session: only immutable functions work in it.
    #[must_use]
    pub fn constant(env: &'a Env) -> Self {
        Self { env, session: &NoSession }
    }
}

/// Facts that are constant within a session or change with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// `current_user`
    CurrentUser,
    /// `session_user`
    SessionUser,
    /// `current_database()`
    CurrentDatabase,
    /// `version()`
    Version,
}

/// What the session and the catalog answer for functions that are more than computation.
///
/// It is shared with the threads that run queries.
pub trait SystemFunctions: Send + Sync {
    /// A fact about the session.
    fn fact(&self, which: Constant) -> String;

    /// The schemas in which names are looked up, in order, that exist; with those searched implicitly, if asked for.
    fn search_path(&self, implicit: bool) -> Vec<String>;

    /// The session's number (`pg_backend_pid`).
    fn backend_pid(&self) -> i32;

    /// The present time: microseconds since 2000-01-01 UTC.
    fn clock(&self) -> i64;

    /// When the statement began: microseconds since 2000-01-01 UTC.
    fn statement_start(&self) -> i64;

    /// Random bytes, unpredictable ones.
    fn random(&self, bytes: &mut [u8]);

    /// A random number from 0 up to but not including 1, which follows from the seed, if one was set.
    fn random_number(&self) -> f64;

    /// Sets the seed.
    fn set_seed(&self, seed: f64);

    /// The next id that no node of the cluster ever gave out (`snowflake_id`).
    fn snowflake(&self) -> i64;

    /// The next value of a sequence.
    fn nextval(&self, sequence: u32) -> SqlResult<i64>;

    /// The value that `nextval` last gave in this session.
    fn currval(&self, sequence: u32) -> SqlResult<i64>;

    /// The value that `nextval` last gave in this session for any sequence.
    fn lastval(&self) -> SqlResult<i64>;

    /// Sets a sequence: the value is the next one if it was not `called`.
    fn setval(&self, sequence: u32, value: i64, called: bool) -> SqlResult<i64>;

    /// A setting's value as `SHOW` prints it; `None` if there is none of that name.
    fn setting(&self, name: &str) -> Option<String>;

    /// Changes a setting, for the transaction only if `local`; gives its new value.
    fn set_config(&self, name: &str, value: &str, local: bool) -> SqlResult<String>;

    /// The object that a name means: a table, view, index or sequence for `regclass`, a schema for `regnamespace`, a
    /// function for `regproc`. `None` if there is none. (Types are looked up without asking.)
    fn object(&self, kind: &SqlType, name: &str) -> SqlResult<Option<u32>>;

    /// An object's name as PostgreSQL prints it, qualified if the search path does not find it.
    fn object_name(&self, kind: &SqlType, oid: u32) -> Option<String>;

    /// Any other function that asks the session or the catalog, by its name (`pg_get_indexdef`, `obj_description`,
    /// `annulus.outcome` ...). The arguments have the declared types; NULLs are passed on.
    fn call(&self, function: &str, args: &[Value]) -> SqlResult<Value>;
}

/// No session at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSession;

fn none<T>() -> SqlResult<T> {
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "a constant expression cannot ask the session"))
}

impl SystemFunctions for NoSession {
    fn fact(&self, _: Constant) -> String {
        String::new()
    }
    fn search_path(&self, _: bool) -> Vec<String> {
        Vec::new()
    }
    fn backend_pid(&self) -> i32 {
        0
    }
    fn clock(&self) -> i64 {
        0
    }
    fn statement_start(&self) -> i64 {
        0
    }
    fn random(&self, _: &mut [u8]) {}
    fn random_number(&self) -> f64 {
        0.0
    }
    fn set_seed(&self, _: f64) {}
    fn snowflake(&self) -> i64 {
        0
    }
    fn nextval(&self, _: u32) -> SqlResult<i64> {
        none()
    }
    fn currval(&self, _: u32) -> SqlResult<i64> {
        none()
    }
    fn lastval(&self) -> SqlResult<i64> {
        none()
    }
    fn setval(&self, _: u32, _: i64, _: bool) -> SqlResult<i64> {
        none()
    }
    fn setting(&self, _: &str) -> Option<String> {
        None
    }
    fn set_config(&self, _: &str, _: &str, _: bool) -> SqlResult<String> {
        none()
    }
    fn object(&self, _: &SqlType, _: &str) -> SqlResult<Option<u32>> {
        none()
    }
    fn object_name(&self, _: &SqlType, _: u32) -> Option<String> {
        None
    }
    fn call(&self, _: &str, _: &[Value]) -> SqlResult<Value> {
        none()
    }
}
