//! Statements analyzed, and what running them is given.

mod analyze;
mod evaluate;
mod explain;
mod maintain;
mod produce;
mod shapes;
mod with;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use annulus_base::Timestamp;
use annulus_relation::catalog::{Catalog, ObjectId};
use annulus_relation::value::Env;
use annulus_relation::{SqlResult, SqlType};
use annulus_txn::interface::Database;
use sqlparser::ast;

pub(crate) use analyze::analyze;
pub(crate) use evaluate::literal_values;
pub(crate) use produce::{nested, produce};
pub(crate) use shapes::Shapes;

use crate::copy::CopyFrom;
use crate::dml::query::Query;
use crate::dml::{Change, LockedQuery, Select};
use crate::parse::Explain;
use crate::parse::{CopyOptions, Parsed, parse_query};
use crate::query::{Given, QueryEngine};
use crate::server::Server;
use crate::server::catalogs::Catalogs;
use crate::server::deadline::Deadline;
use crate::server::shared::Shared;
use crate::session::answer::{Column, CopyLayout, News};
use crate::session::{Active, Cursors, PreparedStatements};
use with::With;

/// What a statement is analyzed in.
pub(crate) struct Setting<'a> {
    pub shared: &'a Arc<Shared>,
    pub catalog: &'a Arc<Catalog>,
    pub path: Arc<[String]>,
    pub env: Env,
    pub engine: &'a QueryEngine,
    /// The common table expressions that a statement which changes rows stands behind.
    pub around: Option<&'a ast::With>,
    /// What parts of the statement before this one will give.
    pub given: &'a [Given],
}

impl<'a> Setting<'a> {
    /// The same, for a part of a statement.
    fn with(&self, around: Option<&'a ast::With>, given: &'a [Given]) -> Self
    where
        Self: 'a,
    {
        Self { shared: self.shared, path: Arc::clone(&self.path), env: self.env.clone(), around, given, ..*self }
    }

    /// The same, with other relations given.
    pub fn given<'b>(&self, given: &'b [Given]) -> Setting<'b>
    where
        'a: 'b,
    {
        Setting { shared: self.shared, path: Arc::clone(&self.path), env: self.env.clone(), given, ..*self }
    }

    /// The common table expressions around its statement, as they stand before a query's text.
    pub fn with_text(&self) -> String {
        self.around.map(|with| format!("{with} ")).unwrap_or_default()
    }

    /// A query that sees the common table expressions around its statement.
    pub fn seeing<'q>(&self, query: &'q ast::Query) -> SqlResult<Cow<'q, ast::Query>> {
        let Some(with) = self.around else { return Ok(Cow::Borrowed(query)) };
        let mut whole = *parse_query("VALUES (1)")?;
        whole.with = Some(with.clone());
        whole.body = Box::new(ast::SetExpr::Query(Box::new(query.clone())));
        Ok(Cow::Owned(whole))
    }
}

/// A statement analyzed: what it takes, gives and does.
pub(crate) struct Analyzed {
    pub parsed: Rc<Parsed>,
    pub parameters: Vec<SqlType>,
    pub columns: Option<Rc<[Column]>>,
    pub plan: Plan,
    /// The catalog that it was analyzed with; `None` if it depends on none.
    pub catalog: Option<Arc<Catalog>>,
    /// The types that users have made and it names.
    pub types: Vec<ObjectId>,
    /// The search path that it was analyzed with.
    pub path: Arc<[String]>,
}

/// What a statement does.
pub(crate) enum Plan {
    /// It is about transactions or the session.
    Command,
    /// It changes the catalog.
    Define,
    /// It is about databases.
    Administer(&'static str),
    /// It looks after tables, for which there is nothing to do.
    Maintain,
    /// There is nothing to do.
    Empty,
    Select(Rc<Select>),
    Query(Query),
    CopyFrom(Rc<CopyFrom>),
    Explain(Rc<Analyzed>, Explain),
    /// `DECLARE ... CURSOR` for a query.
    Declare(Rc<Analyzed>),
    /// `COPY ... TO STDOUT` of a query.
    CopyTo(Rc<Analyzed>, ObjectId, CopyOptions),
    Change(Box<Change>),
    /// A query of several tables whose rows are locked.
    Locked(Box<LockedQuery>),
    With(Box<With>),
}

impl Plan {
    /// Whether it leaves all rows as they are.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Select(_) | Self::Query(_) | Self::CopyTo(..) | Self::Declare(_) => true,
            Self::Explain(statement, how) => !how.analyze || statement.plan.only_reads(),
            _ => false,
        }
    }

    /// Whether it is to begin with the newest catalog: what cannot be tried again must not fail for what others have
    /// changed before.
    pub fn needs_newest(&self) -> bool {
        match self {
            Self::Define => true,
            Self::CopyFrom(copy) => copy.reads_labels(),
            _ => false,
        }
    }

    /// Whether statements that differ in literals only may share it.
    pub fn has_shape(&self) -> bool {
        match self {
            Self::Select(select) => select.is_point(),
            Self::Change(change) => change.has_shape(),
            _ => false,
        }
    }
}

impl Analyzed {
    /// Whether it still means the same.
    pub fn fits(&self, catalog: Option<&Arc<Catalog>>, path: &Arc<[String]>) -> bool {
        match (&self.catalog, catalog) {
            (None, _) => true,
            (Some(mine), Some(catalog)) => {
                Arc::ptr_eq(mine, catalog) && (Arc::ptr_eq(&self.path, path) || self.path == *path)
            }
            (Some(_), None) => false,
        }
    }

    /// What the data of a `COPY ... FROM` looks like.
    pub fn copied(&self) -> Option<CopyLayout> {
        match &self.plan {
            Plan::CopyFrom(copy) => Some(copy.layout()),
            _ => None,
        }
    }

    /// `AS OF SYSTEM TIME`
    pub fn as_of(&self, shared: &Shared, env: &Env) -> SqlResult<Option<Timestamp>> {
        self.parsed.as_of.as_ref().map(|time| evaluate::past(time, &self.parsed.whole, shared, env)).transpose()
    }
}

/// A statement at work.
pub(crate) struct Work<'a, D: Database> {
    pub server: &'a Rc<Server<D>>,
    pub catalogs: &'a Rc<Catalogs>,
    pub shared: &'a Arc<Shared>,
    pub active: &'a mut Active<D>,
    pub cursors: &'a Cursors,
    pub prepared: &'a PreparedStatements,
    pub deadline: Deadline,
    pub news: &'a mut Vec<News>,
}

impl<D: Database> Work<'_, D> {
    /// What further statements are analyzed in, while this one is at work.
    pub fn setting(&self) -> Setting<'_> {
        Setting {
            shared: self.shared,
            catalog: &self.active.catalog,
            path: self.shared.path(),
            env: self.shared.with_types(&self.active.env, &self.active.catalog),
            engine: &self.server.engine,
            around: None,
            given: &[],
        }
    }
}
