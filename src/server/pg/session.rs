//! What stands behind the protocol: sessions that parse, bind and run statements.
//!
//! The server calls one method of a session at a time and may drop its future at any `await`: that cancels the
//! statement. While the session's [`Shield`] is up it does not, since the outcome of a commit would not be known.
//! After every error, and after every dropped future, it calls [`Session::fail`], so a session need not clean up
//! on its own ways out.
//!
//! *Implicit transaction*: statements outside of `BEGIN` ... `COMMIT` that belong together, which are those of one
//! simple query, or those between two Syncs. It ends with [`Session::sync`], or before that with a statement that was
//! run as the last one ([`Run::last`]); a session may retry a transaction that consists of one such statement.

use std::rc::Rc;

use annulus_relation::value::{self, Env};
use annulus_relation::{SqlResult, SqlType, Value};
pub use annulus_sql::session::answer::{
    Column, CopyLayout, Description, News, Run, Shield, Status, Step, Tag, Timeouts,
};
use bytes::Bytes;

use super::clients::Client;

/// Opens sessions.
#[expect(async_fn_in_trait, reason = "sessions live on the node's thread")]
pub trait Sessions: 'static {
    /// What it opens.
    type Session: Session;

    /// A session for a client that has introduced itself.
    ///
    /// # Errors
    /// What the client is told before it is disconnected: no such database, no right to use it.
    async fn open(&self, startup: Startup) -> SqlResult<Self::Session>;
}

/// What a client says at first.
#[derive(Clone, Debug)]
pub struct Startup {
    /// Who it is.
    pub user: String,
    /// The database; its user's name if it has not said one.
    pub database: String,
    /// Settings by name, in order: parameters of the startup message and `-c` options.
    pub settings: Vec<(String, String)>,
    /// Its connection: number, address, what it does.
    pub client: Rc<Client>,
}

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The connection ends.
    Fatal,
    /// The statement has failed.
    Error,
    /// Something is likely not meant.
    Warning,
    /// Something good to know.
    Notice,
}

/// A session: settings, prepared statements, a transaction. Dropping it rolls its transaction back and frees its locks.
#[expect(async_fn_in_trait, reason = "sessions live on the node's thread")]
pub trait Session: 'static {
    /// A statement of a simple query.
    type Statement;
    /// A statement with its parameters, at work or not begun.
    type Portal;

    /// Notices, and settings whose value is reported, since the last call. The first call tells all such settings.
    fn news(&mut self) -> Vec<News>;

    /// Where it stands.
    fn status(&self) -> Status;

    /// What the text of values depends on.
    fn env(&self) -> Env;

    /// A value as text for the client.
    fn print(&self, value: &Value, ty: &SqlType, env: &Env) -> String {
        value::print(value, ty, env)
    }

    /// A value from the client's text.
    ///
    /// # Errors
    /// It is none of its type.
    fn read(&self, text: &str, ty: &SqlType, env: &Env) -> SqlResult<Value> {
        value::parse(text, ty, env)
    }

    /// How long things may take.
    fn timeouts(&self) -> Timeouts;

    /// About how many bytes it holds in prepared statements.
    fn holds(&self) -> usize;

    /// What keeps the server from cancelling; always the same one.
    fn shield(&self) -> Shield;

    /// The statements of a simple query; none if it has only spaces and comments.
    ///
    /// # Errors
    /// Its syntax is wrong; nothing of it is executed.
    fn split(&mut self, script: &str) -> SqlResult<Vec<Self::Statement>>;

    /// Analyzes a statement of a simple query.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn start(&mut self, statement: Self::Statement) -> SqlResult<Self::Portal>;

    /// Prepares a statement. The empty name's is replaced, another one must be new. `types` are parameter types by
    /// object number as far as the client knows them; 0: it does not.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn parse(&mut self, name: &str, sql: &str, types: &[u32]) -> SqlResult<()>;

    /// What is known about a prepared statement.
    ///
    /// # Errors
    /// There is none of that name, or it does not fit what it names any more.
    async fn describe(&mut self, name: &str) -> SqlResult<Rc<Description>>;

    /// The same, as the whole cluster knows it now: for a value that is none of its type as far as this node knows.
    ///
    /// # Errors
    /// As [`Session::describe`].
    async fn describe_newest(&mut self, name: &str) -> SqlResult<Rc<Description>> {
        self.describe(name).await
    }

    /// Forgets a prepared statement, if there is one.
    fn forget(&mut self, name: &str);

    /// A portal of a prepared statement with values for its parameters, as many and of the types that it has.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn bind(&mut self, statement: &str, parameters: Vec<Value>) -> SqlResult<Self::Portal>;

    /// The columns of a portal; `None` if it returns no rows.
    fn columns(&self, portal: &Self::Portal) -> Option<Rc<[Column]>>;

    /// The columns of a cursor that a statement has declared: to those who describe or close a portal, it is one. `None` if
    /// there is no such cursor.
    fn cursor(&self, name: &str) -> Option<Rc<[Column]>>;

    /// Closes a cursor, if there is one.
    fn close_cursor(&mut self, name: &str);

    /// Runs a portal, or goes on with it. Not called again after [`Step::End`].
    ///
    /// # Errors
    /// Why it failed.
    async fn run(&mut self, portal: &mut Self::Portal, run: Run) -> SqlResult<Step>;

    /// Takes data in after [`Step::CopyIn`]; where it is cut has no meaning.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn copy_in(&mut self, portal: &mut Self::Portal, data: Bytes) -> SqlResult<()>;

    /// Ends the implicit transaction: commits it, if there is one.
    ///
    /// # Errors
    /// It could not be committed.
    async fn sync(&mut self) -> SqlResult<()>;

    /// What was at work has failed: rolls the implicit transaction back, or lets the block fail.
    fn fail(&mut self);
}
