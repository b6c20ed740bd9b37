//! Sessions: what one client of the database has.
//!
//! Promises and invariants:
//! - A method's future may be dropped at any `await`, which cancels the statement, unless the [`Shield`] is up. After
//!   that, and after every error, the caller calls [`Session::fail`]. A session that is dropped rolls back and frees
//!   its locks.
//! - Statements outside of a transaction block are tried again when they lose a conflict, until their time ends, as
//!   long as the client has been given nothing of them.
//! - All isolation levels are strict serializability.

mod active;
pub mod answer;
mod commands;
mod copy;
mod cursor;
mod deferred;
mod execute;
mod executed;
mod extensions;
mod functions;
pub(crate) mod jobs;
mod passes;
mod portal;
mod prepared;
mod settings;
mod temporary;
#[cfg(test)]
mod tests;
mod transaction;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult, SqlType, Value};
use annulus_txn::interface::Database;

pub(crate) use active::Active;
use answer::{Column, News, Shield, Status, Timeouts};
pub(crate) use commands::check_no_block;
pub(crate) use cursor::Cursors;
pub(crate) use deferred::check;
pub use portal::Portal;
pub(crate) use portal::{CopyOut, Produced, Rows};
pub(crate) use prepared::PreparedStatements;
pub(crate) use settings::canonical;
pub use settings::{SERVER_VERSION, Settings};

use crate::bind::{EvalContext, print_value, read_value};
use crate::server::Server;
use crate::server::catalogs::Catalogs;
use crate::server::shared::{Shared, now};

/// What a client says at first.
#[derive(Clone, Debug)]
pub struct Startup {
    /// The session's number, unique in the node.
    pub id: i32,
    /// Who it is.
    pub user: String,
    /// The database.
    pub database: String,
    /// Settings by name, in order.
    pub settings: Vec<(String, String)>,
}

/// A session: settings, prepared statements, cursors, a transaction.
pub struct Session<D: Database> {
    server: Rc<Server<D>>,
    catalogs: Rc<Catalogs>,
    shared: Arc<Shared>,
    active: Option<Active<D>>,
    prepared: PreparedStatements,
    cursors: Cursors,
    news: Vec<News>,
    shield: Shield,
    /// How many rows a `COPY` at work has committed in pieces.
    copied: u64,
}

impl<D: Database> Session<D> {
    pub(crate) fn new(server: Rc<Server<D>>, catalogs: Rc<Catalogs>, shared: Arc<Shared>) -> Self {
        Self {
            server,
            catalogs,
            shared,
            active: None,
            prepared: PreparedStatements::default(),
            cursors: Cursors::default(),
            news: Vec::new(),
            shield: Rc::new(Cell::new(false)),
            copied: 0,
        }
    }

    /// Notices, and settings whose value is reported, since the last call. The first call tells all such settings.
    pub fn news(&mut self) -> Vec<News> {
        let reported = self.shared.settings().take_reported();
        let mut news = std::mem::take(&mut self.news);
        news.extend(reported.into_iter().map(|(name, value)| News::Parameter(name, value)));
        news
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.active {
            Some(active) if active.block && active.failed => Status::Failed,
            Some(active) if active.block => Status::Block,
            _ => Status::Idle,
        }
    }

    /// What the text of values depends on.
    #[must_use]
    pub fn env(&self) -> Env {
        self.shared.env(self.active.as_ref().map_or_else(now, |active| active.now))
    }

    /// A value as text for the client; names of objects are those of the catalog that the session sees.
    #[must_use]
    pub fn print(&self, value: &Value, ty: &SqlType, env: &Env) -> String {
        print_value(value, ty, &EvalContext::new(env, &*self.shared))
    }

    /// A value from the client's text.
    ///
    /// # Errors
    /// It is none of its type.
    pub fn read(&self, text: &str, ty: &SqlType, env: &Env) -> SqlResult<Value> {
        read_value(text, ty, &EvalContext::new(env, &*self.shared))
    }

    /// How long things may take.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        let settings = self.shared.settings();
        Timeouts {
            statement: settings.statement_timeout(),
            idle: settings.idle_session_timeout(),
            idle_in_transaction: settings.idle_in_transaction_timeout(),
        }
    }

    /// What keeps the caller from cancelling; always the same one.
    #[must_use]
    pub fn shield(&self) -> Shield {
        Rc::clone(&self.shield)
    }

    /// The columns of a portal; `None` if it returns no rows.
    #[must_use]
    pub fn columns(&self, portal: &Portal) -> Option<Rc<[Column]>> {
        portal.columns()
    }

    fn notice(&mut self, notice: SqlError) {
        self.news.push(News::Notice(notice));
    }

    fn warn(&mut self, warning: SqlError) {
        self.news.push(News::Warning(warning));
    }

    /// The current state of settings, to return to.
    fn saved(&self) -> settings::Saved {
        self.shared.settings().save()
    }

    /// `42601` if a simple query is wrong; nothing of it is executed.
    ///
    /// # Errors
    /// Its syntax.
    pub fn split(&mut self, script: &str) -> SqlResult<Vec<Script>> {
        if let Some(control) = self.server.controls.find(script) {
            return Ok(vec![Script::Parsed(control, None)]);
        }
        if let Some(found) = self.shaped(script) {
            return Ok(vec![Script::Shaped(found)]);
        }
        let parsed: Vec<_> = crate::parse::parse(script)?.into_iter().map(Rc::new).collect();
        let mut shape = None;
        if let [alone] = &parsed[..] {
            self.server.controls.keep(script, alone);
            shape = crate::parse::shape(script).map(|shape| Rc::from(shape.key()));
        }
        Ok(parsed.into_iter().map(|parsed| Script::Parsed(parsed, shape.clone())).collect())
    }
}

/// A statement of a simple query.
pub enum Script {
    /// One whose shape is known: analyzed already.
    Shaped(Portal),
    /// One that was parsed, and its shape if it has one.
    Parsed(Rc<crate::parse::Parsed>, Option<Rc<str>>),
}
