//! From the parser's tree to DataFusion's logical plan.
//!
//! Names, types, coercions and the order of clauses are PostgreSQL's and decided here; DataFusion gets plans in which
//! every column has a name of its own (`price#7`), so that it has nothing to resolve. Scalar expressions are bound by
//! [`crate::bind`].
//!
//! **Subqueries** are joined here, not by DataFusion, which can do so for some forms only. A subquery that refers to
//! its surroundings is computed for all rows there at once: the columns referred to, without duplicates, are joined to
//! its `FROM` (or, where each is compared with a column of the subquery, are that column), stay with its rows through
//! grouping, limits and set operations, and at last are what its result is joined back by ([`subquery`]). It is
//! translated twice: once to learn which outer columns it uses ([`names::Outer::Wanted`]), then with them at hand.

mod aggregates;
mod compared;
mod cte;
mod definitions;
mod expressions;
mod frames;
mod from;
mod functions;
mod grouping;
mod hypothetical;
mod join;
mod late;
mod names;
mod outer_aggregates;
mod outer_join;
mod query;
mod relations;
mod rows;
mod select;
mod setops;
mod sort;
mod spelling;
mod subquery;
mod titles;
mod values;
mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use grouping::Aggregated;
pub(crate) use titles::title;

use annulus_relation::catalog::{ObjectId, View};
use annulus_relation::{SqlResult, SqlType};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast;

use super::Statement;
use super::error::from_datafusion;
use super::request::Scans;
use super::scalar::Context;
use super::scope::Scope;
use crate::bind::{self, ParamTypes};

/// A column of a relation in a plan.
#[derive(Clone, Debug)]
struct Col {
    /// The name or alias of the table that it is of.
    table: Option<String>,
    /// The table's schema, unless it has an alias.
    schema: Option<String>,
    /// Its name.
    name: String,
    ty: SqlType,
    /// Whether it may be NULL.
    nullable: bool,
    /// What it is called in the plan.
    field: Column,
    seen: Seen,
    /// Which use of a table it is of.
    source: Option<usize>,
    /// Of how many columns the primary key consists that it is part of; 0 if it is not.
    primary: usize,
    /// The names of its fields and what they are called in the plan, if it stands for a whole row.
    fields: Vec<(String, Column)>,
    /// Whether the name of its relation means it: a function's only column.
    alone: bool,
    /// Where the row is there that it is a part of.
    presence: rows::Presence,
}

/// Who sees a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Names and `*`.
    Always,
    /// Names with their table only: one of those merged by `USING`.
    Qualified,
    /// Names, but not `*`: a hidden column of PostgreSQL's.
    Named,
    /// Nobody: it was put there by the translation.
    Never,
}

impl Col {
    fn expr(&self) -> Expr {
        Expr::Column(self.field.clone())
    }

    /// The same, seen by nobody.
    fn hidden(mut self) -> Self {
        self.seen = Seen::Never;
        self
    }
}

/// A relation: a plan, and what its columns mean.
#[derive(Clone, Debug)]
struct Rel {
    plan: LogicalPlan,
    columns: Vec<Col>,
    /// Where it has the columns of the surroundings that it depends on: what they are called there, and their numbers
    /// here.
    outer: Vec<(String, usize)>,
    /// Whether those are columns of its own with which the outer ones were compared: they are never NULL, and values
    /// that no row of the surroundings has may be among them.
    equated: bool,
    /// Whether it has one row at most (for each row of the surroundings).
    single: bool,
    /// What its visible columns are for those rows of the surroundings for which it has no row; else they are NULL.
    empty: Option<Vec<bind::Expr>>,
    /// What it is sorted by.
    order: Vec<sort::SortKey>,
    /// What it was before subqueries were joined to it, while that is done.
    stem: Option<subquery::Stem>,
}

impl Rel {
    fn new(plan: LogicalPlan, columns: Vec<Col>) -> Self {
        Self {
            plan,
            columns,
            outer: Vec::new(),
            equated: false,
            single: false,
            empty: None,
            order: Vec::new(),
            stem: None,
        }
    }

    /// One row without columns.
    fn unit() -> SqlResult<Self> {
        Ok(Self::new(built(LogicalPlanBuilder::empty(true).build())?, Vec::new()))
    }

    fn builder(&self) -> LogicalPlanBuilder {
        LogicalPlanBuilder::from(self.plan.clone())
    }

    /// The columns that `*` gives.
    fn visible(&self) -> impl Iterator<Item = &Col> {
        self.columns.iter().filter(|column| column.seen == Seen::Always)
    }
}

/// A result of DataFusion's as ours.
fn built<T>(result: datafusion::common::Result<T>) -> SqlResult<T> {
    result.map_err(from_datafusion)
}

/// A translated query.
pub(crate) use relations::ROW_ID_COLUMN;

pub(super) struct Translated {
    pub plan: LogicalPlan,
    pub columns: Vec<(String, SqlType)>,
    pub params: ParamTypes,
    /// The system's tables that it reads, through views too.
    pub system: BTreeSet<&'static str>,
    /// The sequences that it selects from.
    pub sequences: BTreeSet<ObjectId>,
}

/// Translates one statement.
struct Translator<'q> {
    scope: &'q Scope,
    context: Arc<Context>,
    scans: Scans,
    text: Option<&'q str>,
    params: ParamTypes,
    /// Gives every column of the plan a name of its own.
    names: usize,
    /// Common table expressions that can be named, the innermost last.
    ctes: Vec<cte::Cte>,
    /// The surroundings of the subquery being translated, the innermost last.
    levels: Vec<names::Level>,
    /// What the query being translated has of them.
    mode: names::Mode,
    /// Whether an outer column was named that was not at hand.
    missed: std::cell::Cell<bool>,
    /// Whether parameters that nothing decides stay so for now: the other side of a set operation may decide them.
    open: bool,
    /// How deep subqueries and views are nested.
    depth: usize,
    /// How many recursive queries the translation is in the steps of.
    steps: usize,
    /// How many parts were translated.
    work: usize,
    /// The view whose query is being translated.
    view: Option<Arc<View>>,
    /// The system's tables that were met.
    system: BTreeSet<&'static str>,
    sequences: BTreeSet<ObjectId>,
}

/// How deep subqueries and views may nest: translation recurses.
const MAX_DEPTH: usize = 48;
/// How many parts a query may consist of once views and common table expressions are put in: each level of
/// correlation doubles the work, and so does each use of a common table expression that is used twice.
const MAX_WORK: usize = 5000;

/// Translates a query.
pub(super) fn translate(
    statement: &Statement<'_>,
    scope: &Scope,
    context: &Arc<Context>,
    params: ParamTypes,
    scans: Scans,
) -> SqlResult<Translated> {
    let mut translator = Translator {
        scope,
        context: Arc::clone(context),
        scans,
        text: statement.text,
        params,
        names: 0,
        ctes: statement.given.iter().map(cte::Cte::given).collect(),
        levels: Vec::new(),
        mode: names::Mode::Given(None),
        missed: std::cell::Cell::new(false),
        steps: 0,
        open: false,
        depth: 0,
        work: 0,
        view: None,
        system: BTreeSet::new(),
        sequences: BTreeSet::new(),
    };
    let rel = translator.whole_query(statement.query, statement.targets)?;
    if rel.visible().any(|column| !column.fields.is_empty() || column.ty.has_rows()) {
        return Err(annulus_relation::SqlError::unsupported("a row as a value"));
    }
    let plan = translator.only_visible(&rel)?;
    let columns = rel.visible().map(|column| (column.name.clone(), column.ty.clone())).collect();
    let Translator { params, system, sequences, .. } = translator;
    Ok(Translated { plan, columns, params, system, sequences })
}

impl Translator<'_> {
    /// A name for a column of the plan that no other one has.
    fn fresh(&mut self, name: &str) -> String {
        self.names += 1;
        format!("{name}#{}", self.names)
    }

    /// A new column computed in a projection: the expression with its name, and the column.
    fn computed(&mut self, name: &str, ty: SqlType, nullable: bool, expr: Expr) -> (Expr, Col) {
        let field = self.fresh(name);
        let column = Col {
            table: None,
            schema: None,
            name: name.to_owned(),
            ty,
            nullable,
            field: Column::new_unqualified(&field),
            seen: Seen::Always,
            source: None,
            primary: 0,
            fields: Vec::new(),
            presence: Default::default(),
            alone: false,
        };
        (expr.alias(field), column)
    }

    /// The relation with more columns, seen by nobody; gives their numbers.
    fn extend(&mut self, rel: &mut Rel, exprs: Vec<(Expr, SqlType, bool)>) -> SqlResult<Vec<usize>> {
        if exprs.is_empty() {
            return Ok(Vec::new());
        }
        let mut projected: Vec<Expr> = rel.columns.iter().map(Col::expr).collect();
        let mut numbers = Vec::new();
        for (expr, ty, nullable) in exprs {
            if let Expr::Column(field) = &expr
                && let Some(number) = rel.columns.iter().position(|column| column.field == *field && column.ty == ty)
            {
                numbers.push(number);
                continue;
            }
            let (aliased, column) = self.computed("", ty, nullable, expr);
            projected.push(aliased);
            numbers.push(rel.columns.len());
            rel.columns.push(column.hidden());
        }
        rel.plan = built(rel.builder().project(projected).and_then(LogicalPlanBuilder::build))?;
        Ok(numbers)
    }

    /// The plan of a relation's visible columns only.
    fn only_visible(&self, rel: &Rel) -> SqlResult<LogicalPlan> {
        built(rel.builder().project(rel.visible().map(Col::expr)).and_then(LogicalPlanBuilder::build))
    }

    /// Runs a part of the translation one level deeper.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        use annulus_relation::{SqlError, SqlState};
        if self.depth == MAX_DEPTH {
            let error = SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "subqueries and views are nested too deep");
            return Err(error.hint(format!("They may nest {MAX_DEPTH} deep.")));
        }
        self.depth += 1;
        self.work += 1;
        if self.work > MAX_WORK {
            let error = SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "the query is too complex");
            return Err(error.hint("Use fewer nested subqueries, views and common table expressions."));
        }
        let result = work(self);
        self.depth -= 1;
        result
    }
}

/// An identifier's name: in lower case unless quoted.
fn folded(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The parts of a name.
fn parts(name: &ast::ObjectName) -> SqlResult<Vec<String>> {
    let part = |part: &ast::ObjectNamePart| {
        part.as_ident().map(folded).ok_or_else(|| annulus_relation::SqlError::unsupported(format!("the name {name}")))
    };
    name.0.iter().map(part).collect()
}
