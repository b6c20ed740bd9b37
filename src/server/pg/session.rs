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

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use annulus_relation::value::Env;
use annulus_relation::{Row, SqlError, SqlResult, SqlType, Value};
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

/// Up while what is at work must not be dropped.
pub type Shield = Rc<Cell<bool>>;

/// Where a session stands; what clients see with every ReadyForQuery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not in a transaction block.
    #[default]
    Idle,
    /// In a transaction block.
    Block,
    /// In a transaction block that has failed: it can only be rolled back.
    Failed,
}

/// How long things may take, as set in the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `statement_timeout`
    pub statement: Option<Duration>,
    /// `idle_session_timeout`
    pub idle: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub idle_in_transaction: Option<Duration>,
}

/// What a client is told beside its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A notice or a warning.
    Notice(Severity, SqlError),
    /// A reported setting has a new value.
    Parameter(Cow<'static, str>, String),
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
    /// What was asked for.
    Info,
    /// What helps to find errors.
    Debug,
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// The object number of the table it comes from; 0: from none.
    pub table: u32,
    /// Its number in that table; 0: from none.
    pub attribute: i16,
}

/// What is known about a prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its text.
    pub sql: Rc<str>,
    /// The types of its parameters, in order.
    pub parameters: Vec<SqlType>,
    /// Its columns; `None` if it returns no rows.
    pub columns: Option<Rc<[Column]>>,
}

/// How far a portal is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// At most so many rows, at least one.
    pub most: usize,
    /// No further statement of the implicit transaction follows.
    pub last: bool,
}

/// What running a portal has come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Rows, and there may be more. Their memory is bounded by the session.
    Rows(Vec<Row>),
    /// `COPY ... FROM STDIN`: the client sends data. Running it again says that all of it has come.
    CopyIn(CopyShape),
    /// `COPY ... TO STDOUT`: data follows, as [`Step::CopyData`].
    CopyOut(CopyShape),
    /// One piece of data for the client: a line, or a tuple in the binary format.
    CopyData(Bytes),
    /// It is done.
    End(Tag),
}

/// What the data of a `COPY` looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyShape {
    /// Binary, not text.
    pub binary: bool,
    /// How many columns there are.
    pub columns: u16,
}

/// What a statement that is done is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// The word, and the number of rows that the client was given.
    Rows(&'static str),
    /// As it is.
    Text(Cow<'static, str>),
    /// There was no statement.
    Empty,
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

    /// Forgets a prepared statement, if there is one.
    fn forget(&mut self, name: &str);

    /// A portal of a prepared statement with values for its parameters, as many and of the types that it has.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn bind(&mut self, statement: &str, parameters: Vec<Value>) -> SqlResult<Self::Portal>;

    /// The columns of a portal; `None` if it returns no rows.
    fn columns(&self, portal: &Self::Portal) -> Option<Rc<[Column]>>;

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
