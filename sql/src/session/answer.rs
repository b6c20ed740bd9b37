//! What a session answers, in the words of PostgreSQL's protocol.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_relation::{Row, SqlError, SqlType};
use bytes::Bytes;

/// Up while what is at work must not be dropped: a commit whose outcome would not be known.
pub type Shield = Rc<Cell<bool>>;

/// Where a session stands.
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
    /// Something good to know.
    Notice(SqlError),
    /// Something that is likely not meant.
    Warning(SqlError),
    /// A reported setting has a new value.
    Parameter(&'static str, String),
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

/// Whether who knows the columns of one result can be given another: they have the same names and types.
pub(crate) fn are_alike(one: Option<&Rc<[Column]>>, other: Option<&Rc<[Column]>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.iter().map(Column::known).eq(other.iter().map(Column::known)),
        (one, other) => one.is_none() && other.is_none(),
    }
}

impl Column {
    /// What a client that reads its values relies on.
    fn known(&self) -> (&str, &SqlType) {
        (&self.name, &self.ty)
    }

    /// A column that comes from no table.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: SqlType) -> Self {
        Self { name: name.into(), ty, table: 0, attribute: 0 }
    }
}

/// What is known about a prepared statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its text.
    pub text: Arc<str>,
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

/// What the data of a `COPY` looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyLayout {
    /// How many columns it has.
    pub columns: u16,
    /// Whether it is in the binary format.
    pub is_binary: bool,
}

/// What running a portal has come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Rows, and there may be more.
    Rows(Vec<Row>),
    /// `COPY ... FROM STDIN`: the client sends data that looks so. Running it again says that all of it has come.
    CopyIn(CopyLayout),
    /// `COPY ... TO STDOUT`: data that looks so follows, as [`Step::CopyData`].
    CopyOut(CopyLayout),
    /// A piece of data for the client: one line, or row.
    CopyData(Bytes),
    /// It is done.
    End(Tag),
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

impl Tag {
    /// A fixed text.
    #[must_use]
    pub const fn word(word: &'static str) -> Self {
        Self::Text(Cow::Borrowed(word))
    }

    /// A word and a number of rows.
    #[must_use]
    pub fn count(word: &str, rows: u64) -> Self {
        Self::Text(format!("{word} {rows}").into())
    }
}
