//! Statements that sqlparser does not know, or not as PostgreSQL has them.

use sqlparser::ast::{self, DataType, Expr, ObjectName};

use super::{Declare, Extending, FetchRows, Maintained, Parsed};

/// A table that is made from the rows of a prepared query.
#[derive(Clone, Debug)]
pub struct TableOfExecuted {
    /// What stands before the query: `CREATE TABLE table AS`.
    pub before: String,
    /// The prepared statement.
    pub name: String,
    /// Its parameters.
    pub arguments: Vec<Expr>,
    /// What stands behind the query: perhaps `WITH NO DATA`.
    pub behind: &'static str,
}

/// A statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// Nothing.
    Empty,
    /// Everything that sqlparser knows.
    Sql(Box<ast::Statement>),
    /// `BEGIN`, `START TRANSACTION`: which of them it is, and the modes
    Begin(&'static str, Modes),
    /// `COMMIT`, `END`; `true`: `AND CHAIN`
    Commit(bool),
    /// `ROLLBACK`, `ABORT`; `true`: `AND CHAIN`
    Rollback(bool),
    /// `SAVEPOINT name`
    Savepoint(String),
    /// `RELEASE [SAVEPOINT] name`
    Release(String),
    /// `ROLLBACK TO [SAVEPOINT] name`
    RollbackTo(String),
    /// `SET TRANSACTION modes`
    SetTransaction(Modes),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION modes`
    SetCharacteristics(Modes),
    /// `SET [SESSION | LOCAL] name = value`
    Set {
        /// Only until the transaction ends.
        local: bool,
        /// Which setting.
        name: String,
        /// What to.
        value: SetValue,
    },
    /// `RESET name`; `None`: `RESET ALL`
    Reset(Option<String>),
    /// `SHOW name`; `None`: `SHOW ALL`
    Show(Option<String>),
    /// `DISCARD what`
    Discard(Discard),
    /// `PREPARE name (types) AS statement`
    Prepare {
        /// Its name.
        name: String,
        /// Its parameters' types, as far as declared.
        types: Vec<DataType>,
        /// The statement.
        body: Box<Parsed>,
    },
    /// `EXECUTE name (arguments)`
    Execute {
        /// Which one.
        name: String,
        /// Its parameters.
        arguments: Vec<Expr>,
    },
    /// `CREATE TABLE ... AS EXECUTE name (arguments)`
    TableOfExecuted(TableOfExecuted),
    /// `DEALLOCATE name`; `None`: all
    Deallocate(Option<String>),
    /// `DECLARE name CURSOR FOR query`
    Declare(Declare),
    /// `FETCH` and `MOVE`
    Fetch {
        /// Whose rows.
        name: String,
        /// Which ones.
        rows: FetchRows,
        /// `MOVE`: they are not given.
        moves: bool,
    },
    /// `CLOSE name`; `None`: all
    Close(Option<String>),
    /// `EXPLAIN`
    Explain {
        /// What it was asked for.
        how: Explain,
        /// The statement.
        body: Box<Parsed>,
    },
    /// `ANALYZE`, `VACUUM`, `CHECKPOINT` ...: nothing to do.
    Maintenance {
        /// Its command tag.
        tag: &'static str,
        /// What is named; it has to be there.
        tables: Vec<Maintained>,
    },
    /// What is refused, as it is called in the error.
    Refused(&'static str),
    /// `SET CONSTRAINTS`
    SetConstraints {
        /// Which; none for `ALL`.
        names: Vec<ObjectName>,
        /// `DEFERRED`, rather than `IMMEDIATE`.
        deferred: bool,
    },
    /// `LOCK [TABLE] ...`: which tables.
    Lock(Vec<ObjectName>),
    /// `CREATE DATABASE`
    CreateDatabase {
        /// Its name.
        name: String,
        /// `IF NOT EXISTS`
        if_not_exists: bool,
        /// Its options.
        options: Vec<DatabaseOption>,
    },
    /// `ALTER DATABASE name RENAME TO name`
    RenameDatabase {
        /// Which one.
        name: String,
        /// Its new name.
        to: String,
    },
    /// `ALTER DATABASE name [WITH] options`
    AlterDatabase {
        /// Which one.
        name: String,
        /// What to change.
        options: Vec<DatabaseOption>,
    },
    /// `DROP DATABASE`
    DropDatabase {
        /// Which one.
        name: String,
        /// `IF EXISTS`
        if_exists: bool,
        /// `FORCE`: end the sessions that use it.
        force: bool,
    },
    /// `COMMENT ON kind name IS text`
    Comment {
        /// The kind of object, in lower case: `table`, `column` ...
        kind: String,
        /// Its name; the last part is the column or constraint where it is one of those.
        name: ObjectName,
        /// The table of a constraint.
        table: Option<ObjectName>,
        /// The text; `None` to drop it.
        text: Option<String>,
    },
    /// `CREATE EXTENSION` and the like.
    Extension {
        /// What is done.
        action: Extending,
        /// About which.
        names: Vec<String>,
        /// `IF [NOT] EXISTS`
        lenient: bool,
    },
    /// `CREATE SCHEMA` with what is in it.
    CreateSchema {
        /// `CREATE SCHEMA` itself.
        schema: Box<Parsed>,
        /// What is created in it, in the order in which that is done.
        elements: Vec<Parsed>,
    },
    /// `CREATE TYPE name AS ENUM (labels)`
    CreateType {
        /// Its name.
        name: ObjectName,
        /// Its labels, in order.
        labels: Vec<String>,
    },
    /// `ALTER TYPE`
    AlterType {
        /// Which one.
        name: ObjectName,
        /// What to change.
        change: AlterType,
    },
    /// `CREATE SEQUENCE`
    CreateSequence {
        /// Its name.
        name: ObjectName,
        /// `TEMPORARY`
        temporary: bool,
        /// `IF NOT EXISTS`
        if_not_exists: bool,
        /// Its options.
        options: Vec<SequenceOption>,
    },
    /// `ALTER SEQUENCE`
    AlterSequence {
        /// Its name.
        name: ObjectName,
        /// `IF EXISTS`
        if_exists: bool,
        /// What to change.
        change: AlterSequence,
    },
    /// `ALTER VIEW name RENAME TO name`
    RenameView {
        /// Which one.
        name: ObjectName,
        /// `IF EXISTS`
        if_exists: bool,
        /// Its new name.
        to: String,
    },
    /// `ALTER TABLE name SET SCHEMA schema`, and of views and sequences.
    SetSchema {
        /// `table`, `view` or `sequence`
        kind: String,
        /// Which one.
        name: ObjectName,
        /// `IF EXISTS`
        if_exists: bool,
        /// Where to.
        schema: String,
    },
    /// `ALTER INDEX`
    AlterIndex {
        /// The index.
        name: ObjectName,
        /// `IF EXISTS`
        if_exists: bool,
        /// `RENAME TO`; `None`: nothing is changed.
        to: Option<String>,
    },
    /// `COPY`
    Copy(Box<CopyStatement>),
}

/// Modes of a transaction; `None`: not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// `ISOLATION LEVEL`
    pub isolation: Option<Isolation>,
    /// `READ ONLY`, `READ WRITE`
    pub read_only: Option<bool>,
    /// `[NOT] DEFERRABLE`
    pub deferrable: Option<bool>,
}

/// Isolation levels. All of them run as the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// `SERIALIZABLE`
    Serializable,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `READ COMMITTED`
    ReadCommitted,
    /// `READ UNCOMMITTED`
    ReadUncommitted,
}

impl Isolation {
    /// Its name, as `SHOW` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serializable => "serializable",
            Self::RepeatableRead => "repeatable read",
            Self::ReadCommitted => "read committed",
            Self::ReadUncommitted => "read uncommitted",
        }
    }
}

/// What a setting is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// A list of values, each as its text.
    Values(Vec<String>),
    /// `DEFAULT`
    Default,
}

/// What to discard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// All state of the session.
    All,
    /// Cached plans.
    Plans,
    /// Cached ranges of sequences.
    Sequences,
    /// Temporary tables.
    Temporary,
}

/// Whether an `INSERT` sets identity columns itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// Given values win.
    System,
    /// The sequence wins.
    User,
}

/// An option of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOption {
    /// Its name, in lower case.
    pub name: String,
    /// Its value's text, `None` for `DEFAULT`.
    pub value: Option<String>,
    /// Where it stands.
    pub position: Option<u32>,
}

/// An option of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceOption {
    /// `AS type`
    As(DataType),
    /// `INCREMENT [BY]`
    Increment(i64),
    /// `MINVALUE`; `None`: `NO MINVALUE`
    Min(Option<i64>),
    /// `MAXVALUE`; `None`: `NO MAXVALUE`
    Max(Option<i64>),
    /// `START [WITH]`
    Start(i64),
    /// `RESTART [WITH]`
    Restart(Option<i64>),
    /// `CACHE`
    Cache(i64),
    /// `[NO] CYCLE`
    Cycle(bool),
    /// `OWNED BY`; `None`: `OWNED BY NONE`
    OwnedBy(Option<ObjectName>),
}

/// What an identity column says of its sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdentityOptions {
    /// `SEQUENCE NAME`
    pub name: Option<ObjectName>,
    /// The options of the sequence.
    pub options: Vec<SequenceOption>,
}

/// An action of `ALTER TABLE` that sqlparser does not know.
#[derive(Clone, Debug, PartialEq)]
pub enum TableAction {
    /// `ALTER COLUMN` of a column that makes its own values.
    Identity {
        /// The column.
        column: String,
        /// What to change.
        alter: AlterIdentity,
    },
    /// `ALTER CONSTRAINT`
    Constraint {
        /// The constraint.
        name: String,
        /// `[NOT] DEFERRABLE`
        deferrable: Option<bool>,
        /// `INITIALLY DEFERRED`, or `IMMEDIATE`.
        deferred: Option<bool>,
    },
    /// How the table is stored and planned, which changes nothing.
    Storage {
        /// The column that it is said of.
        column: Option<String>,
    },
}

/// What changes about a column that makes its own values.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterIdentity {
    /// `DROP IDENTITY`
    Drop {
        /// `IF EXISTS`
        if_exists: bool,
    },
    /// `DROP EXPRESSION`
    DropExpression {
        /// `IF EXISTS`
        if_exists: bool,
    },
    /// `SET GENERATED`, `SET` options of its sequence, `RESTART`
    Set(Vec<IdentityChange>),
}

/// What changes about an identity.
#[derive(Clone, Debug, PartialEq)]
pub enum IdentityChange {
    /// `SET GENERATED ALWAYS`; `false`: `BY DEFAULT`
    Always(bool),
    /// An option of its sequence.
    Option(SequenceOption),
}

/// What changes about an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterType {
    /// `ADD VALUE`
    AddValue {
        /// The label.
        label: String,
        /// `IF NOT EXISTS`
        if_not_exists: bool,
        /// Where it is put; `None`: behind all.
        side: Option<(Side, String)>,
    },
    /// `RENAME VALUE from TO to`
    RenameValue(String, String),
    /// `RENAME TO`
    Rename(String),
    /// `SET SCHEMA`
    SetSchema(String),
    /// `OWNER TO`, which does nothing.
    Owner,
}

/// On which side of another label one is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `BEFORE`
    Before,
    /// `AFTER`
    After,
}

/// What changes about a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterSequence {
    /// Its options.
    Options(Vec<SequenceOption>),
    /// Its name.
    Rename(String),
}

/// `COPY`
#[derive(Clone, Debug)]
pub struct CopyStatement {
    /// What is copied.
    pub target: CopyTarget,
    /// Into the table, from the client.
    pub from: bool,
    /// How.
    pub options: CopyOptions,
    /// `WHERE`, of `COPY FROM`
    pub filter: Option<Expr>,
}

/// What is copied.
#[derive(Clone, Debug)]
pub enum CopyTarget {
    /// A table and its columns, all if none is named.
    Table(ObjectName, Vec<String>),
    /// A query's result.
    Query(Box<Parsed>),
}

/// The form of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PostgreSQL's own, with backslashes.
    Text,
    /// Comma-separated values.
    Csv,
    /// The protocol's binary forms.
    Binary,
}

/// How data is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The form of the data.
    pub format: Format,
    /// Between columns.
    pub delimiter: u8,
    /// What NULL looks like.
    pub null: String,
    /// A first line with names.
    pub header: Header,
    /// The quote of csv.
    pub quote: u8,
    /// What escapes a quote within quotes.
    pub escape: u8,
    /// Columns that are always quoted, `*` for all.
    pub force_quote: Vec<String>,
    /// Columns in which an unquoted NULL text is a value.
    pub force_not_null: Vec<String>,
    /// Columns in which a quoted NULL text is NULL.
    pub force_null: Vec<String>,
}

/// The first line of `COPY` data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It is a row.
    #[default]
    None,
    /// It has the columns' names, which are not looked at.
    Names,
    /// It has to have the columns' names.
    Match,
}

/// What `EXPLAIN` was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    /// Run the query, and say what each part of it did.
    pub analyze: bool,
    /// Show every detail of the plan's parts.
    pub verbose: bool,
    /// How it is told.
    pub format: ExplainFormat,
}

/// In which form a plan is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A document of the type `json`.
    Json,
    /// A document, as text.
    Yaml,
    /// A document, as text.
    Xml,
}
