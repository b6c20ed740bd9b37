//! Statements that change the catalog.
//!
//! Promises and invariants:
//! - A statement changes the catalog in memory ([`Edit`]) and then writes all of it as part of its transaction: it
//!   happens as a whole or not at all, like everything else in the transaction.
//! - Expressions are stored in the normal form that `bind` prints, over plain column names.
//! - What rows there are has to fit what is declared: that is checked, or filled in, by [`Job`]s.

mod alter;
mod alter_constraint;
mod column;
mod comment;
mod constraint;
mod database;
mod drop;
mod expression;
mod extend;
mod foreign;
mod identity;
mod index;
mod leaving;
mod like;
mod naming;
mod retype;
mod schema;
mod sequence;
mod table;
mod temporary;
mod truncate;
mod types;
mod view;
mod view_query;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use database::{administer, database_statement};
pub(crate) use expression::{bind_stored, sequence_in};
pub(crate) use retype::follow_types;
pub(crate) use temporary::{cleared, without};

use annulus_relation::catalog::{Catalog, ColumnId, Edit, ObjectId, Sequence, Table, take_numbers};
use annulus_relation::error::SqlState;
use annulus_relation::failure::Outcome;
use annulus_relation::transaction::Mode;
use annulus_relation::value::Env;
use annulus_relation::{SqlError, SqlResult, SqlType};
use annulus_txn::interface::Database;
use sqlparser::ast;

use crate::bind::{ParamTypes, quote_name};
use crate::names::{Name, Names, name_of};
use crate::parse::{DeleteSet, IdentityOptions, Like, Parsed, Statement, TableAction};
use crate::server::deadline::Deadline;
use crate::server::shared::Shared;
use crate::session::answer::{News, Tag};
use crate::session::jobs::within;
use crate::session::{Active, Produced, check_no_block};
use crate::statement::Work;

/// How many numbers a change of temporary relations has at least: one that needs more waits for other changes of the catalog.
const NUMBERS: u32 = 100;

/// A change of the catalog under way.
pub(crate) struct Definition<'a> {
    pub edit: Edit,
    pub path: Arc<[String]>,
    pub env: &'a Env,
    pub shared: &'a Shared,
    /// The client's whole text.
    pub text: &'a str,
    pub notices: Vec<SqlError>,
    /// Tables that begin a new generation of data.
    pub truncated: Vec<ObjectId>,
    /// Sequences whose state begins anew.
    pub restarted: Vec<Sequence>,
    /// What is to be done with rows.
    pub jobs: Vec<Job>,
    /// What identity columns say of their sequences, in the order in which they are declared.
    pub identities: std::slice::Iter<'a, IdentityOptions>,
    /// The actions of `ALTER TABLE` that sqlparser does not know.
    pub actions: &'a [TableAction],
    /// The columns that foreign keys set when a parent goes, where they are said.
    pub delete_sets: &'a [DeleteSet],
    /// The tables that a new one is like.
    pub likes: &'a [Like],
    /// The columns of the statement's query.
    pub planned: Vec<(String, SqlType)>,
    /// A table to be filled, and the query that gives its rows.
    pub filled: Option<(ObjectId, String)>,
    /// The tables with columns that the rows which are there are to be given values of.
    pub computed: BTreeSet<ObjectId>,
    /// Constraints of columns that were added, each with its column, until it is their turn.
    pub waiting: Vec<(ast::TableConstraint, Option<ast::Ident>)>,
    /// Views whose queries were written anew, since what they read is called otherwise.
    pub followed: Vec<ObjectId>,
    /// Whether the jobs are to be done in the statement's own transaction: if the last of them fails, the first cannot be
    /// taken back.
    pub at_once: bool,
}

/// What has to be done with the rows of a table before a change of it is complete.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// An index is to be filled.
    Fill { table: ObjectId, index: ObjectId },
    /// These columns' `NOT NULL`, and these checks and foreign keys, are to be checked.
    Validate { table: ObjectId, columns: Vec<u16>, constraints: Vec<String> },
    /// The rows are to be copied to the table's successor.
    Rekey { table: ObjectId },
}

impl Job {
    /// Its place among the jobs of one statement. That the rows have another key is not taken back, so it comes last,
    /// unless all is done `at_once`: then constraints may be about what is there by then.
    const fn turn(&self, at_once: bool) -> u8 {
        match self {
            Self::Fill { .. } => 0,
            Self::Validate { .. } if !at_once => 1,
            Self::Rekey { .. } => 2,
            Self::Validate { .. } => 3,
        }
    }

    /// The table that it is about.
    pub const fn table(&self) -> ObjectId {
        match self {
            Self::Fill { table, .. } | Self::Validate { table, .. } | Self::Rekey { table } => *table,
        }
    }
}

impl<'a> Definition<'a> {
    /// What goes on with a change of a catalog.
    fn new(edit: Edit, shared: &'a Shared, env: &'a Env, text: &'a str) -> Self {
        Self {
            edit,
            path: shared.path(),
            env,
            shared,
            text,
            notices: Vec::new(),
            truncated: Vec::new(),
            restarted: Vec::new(),
            jobs: Vec::new(),
            identities: [].iter(),
            actions: &[],
            delete_sets: &[],
            likes: &[],
            planned: Vec::new(),
            filled: None,
            computed: BTreeSet::new(),
            waiting: Vec::new(),
            followed: Vec::new(),
            at_once: false,
        }
    }

    pub fn names(&self) -> Names<'_> {
        Names { catalog: self.edit.catalog(), path: &self.path, database: &self.shared.database }
    }

    pub fn catalog(&self) -> &Catalog {
        self.edit.catalog()
    }

    pub fn name(&self, name: &ast::ObjectName) -> SqlResult<Name> {
        name_of(name, &self.shared.database)
    }

    /// Tells the client something.
    pub fn notice(&mut self, message: impl Into<String>) {
        self.notices.push(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
    }

    /// Tells the client that something is left as it is, where it would be an error without `IF NOT EXISTS`.
    pub fn skipped(&mut self, state: SqlState, message: &str) {
        self.notices.push(SqlError::new(state, format!("{message}, skipping")));
    }
}

/// Whether a statement changes the catalog, and what it is called in errors.
pub(crate) fn definition_name(statement: &Statement) -> Option<&'static str> {
    use ast::Statement as S;
    Some(match statement {
        Statement::Comment { .. } => "COMMENT",
        Statement::CreateSchema { .. } => "CREATE SCHEMA",
        Statement::CreateSequence { .. } => "CREATE SEQUENCE",
        Statement::CreateType { .. } => "CREATE TYPE",
        Statement::AlterType { .. } => "ALTER TYPE",
        Statement::AlterSequence { .. } => "ALTER SEQUENCE",
        Statement::RenameView { .. } => "ALTER VIEW",
        Statement::AlterIndex { .. } => "ALTER INDEX",
        Statement::SetSchema { .. } => "ALTER TABLE",
        Statement::Sql(statement) => match &**statement {
            S::CreateTable(create) if create.query.is_none() => "CREATE TABLE",
            S::CreateTable(_) => "CREATE TABLE AS",
            S::CreateView(_) => "CREATE VIEW",
            S::CreateSchema { .. } => "CREATE SCHEMA",
            S::CreateIndex(_) => "CREATE INDEX",
            S::AlterTable(_) => "ALTER TABLE",
            S::AlterSchema(_) => "ALTER SCHEMA",
            S::Drop { .. } => "DROP",
            S::Truncate(_) => "TRUNCATE TABLE",
            _ => return None,
        },
        _ => return None,
    })
}

/// What a statement that may not stand in a block is called.
fn outside_of_blocks(parsed: &Parsed) -> Option<&'static str> {
    let creates =
        |statement: &ast::Statement| matches!(statement, ast::Statement::CreateIndex(create) if create.concurrently);
    match &parsed.statement {
        Statement::Sql(statement) if creates(statement) => Some("CREATE INDEX CONCURRENTLY"),
        _ => parsed.drops_concurrently.then_some("DROP INDEX CONCURRENTLY"),
    }
}

/// Runs a statement that changes the catalog.
pub(crate) async fn define<D: Database>(work: &mut Work<'_, D>, parsed: &Parsed, what: &str) -> Outcome<Produced> {
    work.active.check_writable(what)?;
    if let Statement::CreateSchema { schema, elements } = &parsed.statement {
        return Box::pin(schema::create_with(work, schema, elements)).await;
    }
    if let Some(what) = outside_of_blocks(parsed) {
        check_no_block(work.active.block, what)?;
    }
    let env = work.shared.with_types(&work.active.env, &work.active.catalog);
    let edit = edit_of(work, &parsed.statement).await?;
    let mut definition = Definition {
        identities: parsed.identities.iter(),
        actions: &parsed.actions,
        delete_sets: &parsed.delete_sets,
        likes: &parsed.likes,
        planned: planned(work, parsed)?,
        ..Definition::new(edit, work.shared, &env, &parsed.whole)
    };
    let tag = definition.apply(&parsed.statement)?;
    definition.extend_tables()?;
    let Definition { mut edit, notices, truncated, restarted, jobs, filled, followed, at_once, .. } = definition;
    begin_generations(&work.server.db, &mut edit, &truncated, &work.deadline).await?;
    check_not_pending(work.active, &edit, what)?;
    work.news.extend(notices.into_iter().map(News::Notice));
    let home = *edit.catalog().home();
    use_edit(work, edit)?;
    view_query::check_followed(work, &followed)?;
    for sequence in &restarted {
        work.active.catalog.expect_sequence(&mut work.active.transaction, sequence.id);
        crate::sequence::restart(&mut work.active.transaction, &home, sequence, None);
        work.shared.sequences.forget(&home, sequence.id);
        work.active.restarted.push(sequence.id);
    }
    // A statement of its own commits first, and does the rest while others write, if it can be taken back.
    let in_block = work.active.block || work.active.transaction.mode() == Mode::Block;
    if in_block || at_once || !only_add(work.active, &jobs) {
        for job in &jobs {
            within(work, job).await?;
        }
    } else {
        work.active.jobs.extend(jobs);
    }
    match filled {
        Some(_) if parsed.table_as.empty => Ok(Produced::tag(Tag::word("CREATE TABLE AS"))),
        Some((table, query)) => fill(work, table, &query).await,
        None => Ok(Produced::tag(Tag::word(tag))),
    }
}

/// A change of the catalog that has numbers for what is temporary, if it may need them.
async fn edit_of<D: Database>(work: &Work<'_, D>, statement: &Statement) -> Outcome<Edit> {
    let catalog = &work.active.catalog;
    if work.shared.temporary.name().is_none() && !temporary::is_declared(statement) {
        return Ok(Edit::new(catalog));
    }
    let numbers = &work.catalogs.numbers;
    numbers.fill(&work.server.db, catalog.home(), NUMBERS, work.deadline.left()).await?;
    Ok(Edit::with_numbers(catalog, numbers.clone()))
}

/// Whether all that was done to the tables of jobs can be taken back.
fn only_add<D: Database>(active: &Active<D>, jobs: &[Job]) -> bool {
    let is_extended = |job: &Job| {
        let of = |catalog: &Catalog| catalog.table_by_id(job.table()).cloned();
        match (of(&active.opened), of(&active.catalog)) {
            (Some(before), Some(after)) => before.is_extended_by(&after),
            // It is new, and has no rows.
            (None, _) => true,
            (Some(_), None) => false,
        }
    };
    jobs.iter().all(is_extended)
}

/// Gives tables new generations of data.
pub(crate) async fn begin_generations<D: Database>(
    db: &D,
    edit: &mut Edit,
    tables: &[ObjectId],
    deadline: &Deadline,
) -> Outcome<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let home = *edit.catalog().home();
    let first = take_numbers(db, &home, tables.len(), deadline.left()).await?;
    tables.iter().zip(first..).for_each(|(table, generation)| edit.begin_generation(*table, generation));
    Ok(())
}

/// Makes a change of the catalog part of the transaction at work.
pub(crate) fn use_edit<D: Database>(work: &mut Work<'_, D>, edit: Edit) -> SqlResult<()> {
    work.active.catalog = Arc::new(edit.finish(&mut work.active.transaction)?);
    work.active.defines = true;
    work.shared.use_catalog(&work.active.catalog);
    Ok(())
}

/// A table whose deferred constraints are violated cannot be changed: they might not be found again.
fn check_not_pending<D: Database>(active: &Active<D>, edit: &Edit, what: &str) -> SqlResult<()> {
    let violations = &active.pending.violations;
    let keeps = |id| match violations.has_child(id) {
        true => as_child(&active.catalog, id) == as_child(edit.catalog(), id),
        false => as_parent(&active.catalog, id) == as_parent(edit.catalog(), id),
    };
    match violations.tables().find(|id| edit.touches_table(*id) && !keeps(*id)) {
        Some(id) => {
            let name = active.catalog.table_by_id(id).map_or_else(String::new, |table| table.name.clone());
            let what = what.strip_suffix(" TABLE").filter(|what| *what == "TRUNCATE").unwrap_or(what);
            let message = format!("cannot {what} \"{name}\" because it has pending trigger events");
            let error = SqlError::new(SqlState::OBJECT_IN_USE, message);
            Err(error.hint("Commit, or SET CONSTRAINTS ALL IMMEDIATE, before."))
        }
        None => Ok(()),
    }
}

/// What of a table matters to violations by its rows: not which tables refer to it.
fn as_child(catalog: &Catalog, id: ObjectId) -> Option<Table> {
    Some(Table { referenced_by: Vec::new(), ..Table::clone(catalog.table_by_id(id)?) })
}

/// What of a table matters to violations by rows of others: not its own constraints.
fn as_parent(catalog: &Catalog, id: ObjectId) -> Option<Table> {
    Some(Table { checks: Vec::new(), foreign_keys: Vec::new(), ..as_child(catalog, id)? })
}

/// The columns of a definition's query.
fn planned<D: Database>(work: &Work<'_, D>, parsed: &Parsed) -> SqlResult<Vec<(String, SqlType)>> {
    let Some(query) = view::query_of(&parsed.statement) else { return Ok(Vec::new()) };
    let scope = work.shared.scope(&work.active.catalog, &work.active.env);
    let statement = crate::query::Statement { query, text: Some(&parsed.whole), targets: &[], given: &[] };
    let planned = work.server.engine.plan(statement, &scope, &ParamTypes::new())?;
    if !planned.params.is_empty() {
        return Err(SqlError::unsupported("a parameter in a definition"));
    }
    let mut columns = planned.columns;
    let names = &parsed.table_as.columns;
    if names.len() > columns.len() {
        let state = annulus_relation::error::SqlState::SYNTAX_ERROR;
        return Err(SqlError::new(state, "too many column names were specified"));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.0.clone_from(&name.value);
    }
    Ok(columns)
}

/// Inserts the rows of a definition's query into the table that was made for them.
async fn fill<D: Database>(work: &mut Work<'_, D>, table: ObjectId, query: &str) -> Outcome<Produced> {
    let names = work.active.catalog.table_by_id(table).and_then(|table| {
        let schema = work.active.catalog.schema_by_id(table.schema)?;
        Some(format!("{}.{}", quote_name(&schema.name), quote_name(&table.name)))
    });
    let Some(name) = names else { return Ok(Produced::tag(Tag::word("SELECT 0"))) };
    let mut statements = crate::parse::parse(&format!("INSERT INTO {name} {query}"))?;
    let insert = statements.pop().ok_or_else(|| SqlError::unsupported("this query"))?;
    let produced = crate::statement::nested(work, Rc::new(insert)).await?;
    let tag = match produced.tag {
        Tag::Text(text) => Tag::Text(text.replace("INSERT 0", "SELECT").into()),
        other => other,
    };
    Ok(Produced::tag(tag))
}

impl Definition<'_> {
    /// `NOT NULL` of a column, or a constraint, is to be checked: what one statement declares of a table is one job.
    fn note_validation(&mut self, table: ObjectId, column: Option<ColumnId>, constraint: Option<&str>) {
        let known = self.jobs.iter_mut().find_map(|job| match job {
            Job::Validate { table: own, columns, constraints } if *own == table => Some((columns, constraints)),
            _ => None,
        });
        let constraint = constraint.map(str::to_owned);
        match known {
            Some((columns, constraints)) => {
                columns.extend(column);
                constraints.extend(constraint);
            }
            None => {
                let (columns, constraints) = (column.into_iter().collect(), constraint.into_iter().collect());
                self.jobs.push(Job::Validate { table, columns, constraints });
            }
        }
    }

    /// Applies a statement to the catalog in memory; returns its command tag.
    fn apply(&mut self, statement: &Statement) -> SqlResult<&'static str> {
        match statement {
            Statement::Comment { kind, name, table, text } => self.comment(kind, name, table.as_ref(), text.as_deref()),
            Statement::CreateSequence { name, temporary, if_not_exists, options } => {
                self.create_sequence(name, *temporary, *if_not_exists, options)
            }
            Statement::CreateType { name, labels } => self.create_type(name, labels),
            Statement::AlterType { name, change } => self.alter_type(name, change),
            Statement::AlterSequence { name, if_exists, change } => self.alter_sequence(name, *if_exists, change),
            Statement::RenameView { name, if_exists, to } => self.rename_view(name, *if_exists, to),
            Statement::AlterIndex { name, if_exists, to } => self.alter_index(name, *if_exists, to.as_deref()),
            Statement::SetSchema { kind, name, if_exists, schema } => self.set_schema(kind, name, *if_exists, schema),
            Statement::Sql(statement) => self.apply_sql(statement),
            _ => Err(SqlError::unsupported("this statement")),
        }
    }

    fn apply_sql(&mut self, statement: &ast::Statement) -> SqlResult<&'static str> {
        use ast::Statement as S;
        match statement {
            S::CreateTable(create) if create.query.is_some() => self.create_table_as(create),
            S::CreateTable(create) => self.create_table(create),
            S::CreateView(create) => self.create_view(create),
            S::CreateSchema { schema_name, if_not_exists, .. } => self.create_schema(schema_name, *if_not_exists),
            S::CreateIndex(create) => self.create_index(create),
            S::AlterTable(alter) => self.alter_table(alter),
            S::AlterSchema(alter) => self.alter_schema(alter),
            S::Drop { object_type, if_exists, names, cascade, .. } => {
                self.drop(*object_type, *if_exists, names, *cascade)
            }
            S::Truncate(truncate) => self.truncate(truncate),
            _ => Err(SqlError::unsupported("this statement")),
        }
    }
}
