//! Statements that change rows: how each of them is carried out, alone or as a part of another.

use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::catalog::Catalog;
use annulus_relation::ops::{Checks, Writer};
use annulus_relation::value::Env;
use annulus_relation::{Outcome, Row, SqlResult, Value};
use annulus_txn::interface::Database;

use super::insert_query::Inserted;
use super::projection::Projection;
use super::stored::Evaluator;
use super::{Delete, Insert, InsertQuery, Joined, Merge, Update, around, finish};
use crate::server::catalogs::Catalogs;
use crate::server::shared::Shared;
use crate::session::Produced;
use crate::session::answer::Tag;
use crate::statement::Work;

/// A statement that changes rows.
pub(crate) enum Change {
    Insert(Insert),
    InsertQuery(InsertQuery),
    Update(Update),
    Delete(Delete),
    Joined(Joined),
    Merge(Merge),
}

/// What a statement has changed.
#[derive(Default)]
pub(crate) struct Changed {
    pub count: u64,
    /// The rows that `RETURNING` is about, if there is one.
    pub rows: Vec<Row>,
}

/// What the expressions of a statement that writes are evaluated with.
pub(crate) struct Ground {
    catalogs: Rc<Catalogs>,
    env: Arc<Env>,
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
}

impl Ground {
    pub fn of<D: Database>(work: &Work<'_, D>) -> Self {
        Self {
            catalogs: Rc::clone(work.catalogs),
            env: Arc::clone(&work.active.env),
            shared: Arc::clone(work.shared),
            catalog: Arc::clone(&work.active.catalog),
        }
    }

    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { stored: &self.catalogs.expressions, env: &self.env, shared: &self.shared }
    }
}

/// The writes of a statement while they are collected.
pub(crate) struct Writing<'w> {
    pub writer: Writer<'w, Evaluator<'w>>,
    pub evaluator: &'w Evaluator<'w>,
}

impl<'w> Writing<'w> {
    pub fn new(ground: &'w Ground, evaluator: &'w Evaluator<'w>, checks: Checks) -> Self {
        Self { writer: Writer::new(around(&ground.catalog, evaluator), checks), evaluator }
    }
}

/// A part of a plan, below another one.
pub(crate) fn below(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().enumerate().map(|(number, line)| match number {
        0 => format!("  ->  {line}"),
        _ => format!("      {line}"),
    })
}

impl Change {
    /// What it does, in a word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Insert(_) | Self::InsertQuery(_) => "INSERT",
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
            Self::Joined(joined) => joined.word(),
            Self::Merge(_) => "MERGE",
        }
    }

    /// Its `RETURNING` list.
    pub const fn returning(&self) -> Option<&Projection> {
        match self {
            Self::Insert(insert) => insert.returning.as_ref(),
            Self::InsertQuery(insert) => insert.returning(),
            Self::Update(update) => update.returning.as_ref(),
            Self::Delete(delete) => delete.returning.as_ref(),
            Self::Joined(joined) => joined.returning.as_ref(),
            Self::Merge(_) => None,
        }
    }

    /// Whether statements that differ in literals only may share its plan.
    pub fn has_shape(&self) -> bool {
        match self {
            Self::Insert(insert) => !insert.asks(),
            Self::Update(update) => update.source.is_point(),
            Self::Delete(delete) => delete.source.is_point(),
            Self::InsertQuery(_) | Self::Joined(_) | Self::Merge(_) => false,
        }
    }

    /// What it does, in lines of a plan.
    pub fn describe(&self) -> Vec<String> {
        let on = |table: &str| {
            let word = self.word();
            format!("{}{} on {table}", &word[..1], word[1..].to_ascii_lowercase())
        };
        let (table, source) = match self {
            Self::Insert(insert) => return vec![on(insert.table())],
            Self::InsertQuery(insert) => (insert.table(), vec!["Query".to_owned()]),
            Self::Joined(joined) => (joined.table(), vec!["Query".to_owned()]),
            Self::Merge(merge) => (merge.table(), vec!["Query".to_owned()]),
            Self::Update(update) => (update.source.target.table.name.as_str(), update.source.describe()),
            Self::Delete(delete) => (delete.source.target.table.name.as_str(), delete.source.describe()),
        };
        std::iter::once(on(table)).chain(below(source)).collect()
    }

    /// Whether a query finds what it changes.
    pub const fn is_by_query(&self) -> bool {
        matches!(self, Self::InsertQuery(_) | Self::Joined(_) | Self::Merge(_))
    }

    /// Whether it reads keys anyway, and so need not demand them to be absent blindly.
    const fn reads_keys(&self) -> bool {
        match self {
            Self::Insert(insert) => insert.looks_for_conflicts(),
            Self::InsertQuery(insert) => insert.looks_for_conflicts(),
            Self::Update(_) | Self::Delete(_) | Self::Joined(_) | Self::Merge(_) => false,
        }
    }

    /// Carries it out.
    pub async fn run<D: Database>(&self, work: &mut Work<'_, D>, params: &[Value]) -> Outcome<Produced> {
        work.active.check_writable(self.word())?;
        let found = match self {
            Self::InsertQuery(insert) if insert.can_load() => match insert.load(work, params).await? {
                Inserted::Loaded(count) => {
                    return Ok(Produced::rows(Vec::new(), Tag::count("INSERT 0", count)));
                }
                Inserted::Found(found) => Some((insert, found)),
            },
            _ => None,
        };
        let ground = Ground::of(work);
        let evaluator = ground.evaluator();
        let checks = if self.reads_keys() { Checks::AtStatement } else { work.checks() };
        let mut writing = Writing::new(&ground, &evaluator, checks);
        let changed = match found {
            Some((insert, found)) => insert.write(found, work, params, &mut writing).await?,
            None => self.collect(work, params, &mut writing).await?,
        };
        finish(work, writing.writer).await?;
        self.produced(changed, params, &evaluator).map_err(Into::into)
    }

    /// Finds what is to be changed and gives it to a writer.
    pub async fn collect<D: Database>(
        &self,
        work: &mut Work<'_, D>,
        params: &[Value],
        writing: &mut Writing<'_>,
    ) -> Outcome<Changed> {
        match self {
            Self::Insert(insert) => insert.collect(work, params, writing).await,
            Self::InsertQuery(insert) => insert.collect(work, params, writing).await,
            Self::Update(update) => update.collect(work, params, writing).await,
            Self::Delete(delete) => delete.collect(work, params, writing).await,
            Self::Joined(joined) => joined.collect(work, params, writing).await,
            Self::Merge(merge) => merge.collect(work, params, writing).await,
        }
    }

    /// What `RETURNING` gives of the changed rows.
    pub fn returned(&self, changed: &Changed, params: &[Value], evaluator: &Evaluator<'_>) -> SqlResult<Vec<Row>> {
        let Some(returning) = self.returning() else { return Ok(Vec::new()) };
        let context = evaluator.context();
        changed.rows.iter().map(|row| returning.apply(row, params, &context)).collect()
    }

    /// What the client is given.
    pub fn produced(&self, changed: Changed, params: &[Value], evaluator: &Evaluator<'_>) -> SqlResult<Produced> {
        let tag = self.tag(&changed);
        Ok(Produced::rows(self.returned(&changed, params, evaluator)?, tag))
    }

    /// How many rows it has changed, in words.
    pub fn tag(&self, changed: &Changed) -> Tag {
        match self.word() {
            "INSERT" => Tag::count("INSERT 0", changed.count),
            word => Tag::count(word, changed.count),
        }
    }
}
