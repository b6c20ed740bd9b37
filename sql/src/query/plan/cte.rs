//! `WITH`: common table expressions, also recursive ones.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};

use super::names::{Level, Mode};
use super::subquery::Domain;
use super::{Col, ROW_ID_COLUMN, Rel, Seen, Translator, built, folded};
use crate::query::arrow::data_type;
use crate::query::exec::{RowSource, Shared, SharedTable};
use crate::query::given::Given;

/// A common table expression. It is translated wherever it is used.
#[derive(Clone)]
pub(super) struct Cte {
    name: String,
    columns: Vec<String>,
    body: Body,
    /// How many others it sees.
    sees: usize,
    /// How many queries are around the one that it is of, if it refers to them.
    correlated: Option<usize>,
}

#[derive(Clone)]
enum Body {
    /// A query.
    Query(Arc<ast::Query>),
    /// A query that refers to itself.
    Recursive(Arc<ast::Query>),
    /// The rows of the last round, within the query that refers to itself.
    Work(Work),
    /// Rows that the statement is given.
    Given(Given),
    /// A query that is carried out once for all that use it, and its relation.
    Shared(Arc<Shared>, Box<Rel>),
}

/// The rows of the last round of a query that refers to itself.
#[derive(Clone)]
struct Work {
    /// What the table is called in the plan.
    table: String,
    columns: Vec<Col>,
    /// Which of them are those of the surroundings, and whose.
    outer: Vec<(String, usize)>,
    domain: Option<Rc<Domain>>,
}

impl Cte {
    /// Rows that the statement is given, as if they were a common table expression.
    pub fn given(given: &Given) -> Self {
        Self {
            name: given.name.clone(),
            columns: Vec::new(),
            body: Body::Given(given.clone()),
            sees: 0,
            correlated: None,
        }
    }
}

impl Translator<'_> {
    /// Makes the tables of `WITH` known, which some query begins with.
    pub(super) fn define(&mut self, with: &ast::With, user: &ast::Query) -> SqlResult<()> {
        let first = self.ctes.len();
        for cte in &with.cte_tables {
            let name = folded(&cte.alias.name);
            if self.ctes[first..].iter().any(|known| known.name == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
            }
            if !matches!(
                *cte.query.body,
                SetExpr::Select(_)
                    | SetExpr::Query(_)
                    | SetExpr::Values(_)
                    | SetExpr::SetOperation { .. }
                    | SetExpr::Table(_)
            ) {
                let message = "WITH clause containing a data-modifying statement must be at the top level";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            let query = Arc::new((*cte.query).clone());
            let recursive = with.recursive && refers_to(&cte.query, &name);
            let body = if recursive { Body::Recursive(query) } else { Body::Query(query) };
            let columns = cte.alias.columns.iter().map(|column| folded(&column.name)).collect();
            self.ctes.push(Cte { name, columns, body, sees: self.ctes.len(), correlated: None });
            // Also those that nobody uses must be right.
            self.settle(cte.materialized, user)?;
        }
        Ok(())
    }

    /// Finds out about the last common table expression what it refers to, and whether it has to be carried out once for
    /// all: a use of it could give other rows than another one does.
    fn settle(&mut self, materialized: Option<ast::CteAsMaterialized>, user: &ast::Query) -> SqlResult<()> {
        let Some(place) = self.ctes.len().checked_sub(1) else { return Ok(()) };
        let cte = self.ctes[place].clone();
        let params = self.params.clone();
        let rel = match self.cte_rel(&cte) {
            Ok(rel) => rel,
            // Where it is used the query around will be at hand, whose names these may be; if not, it fails again.
            Err(error) if is_of_names(&error) && may_see_outside(&cte.body) && !self.levels.is_empty() => {
                self.params = params;
                self.ctes.truncate(place + 1);
                self.ctes[place].correlated = Some(self.levels.len());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let wanted = materialized == Some(ast::CteAsMaterialized::Materialized) || is_volatile(&rel.plan);
        if wanted && matches!(cte.body, Body::Query(_)) && uses(user, &cte.name) > 1 {
            self.ctes[place].body = Body::Shared(shared(&cte.name, &rel)?, Box::new(rel));
        }
        Ok(())
    }

    /// The relation; if it has a recursive query in it, and stands in the step of another one, carried out once for all
    /// rounds: DataFusion does not nest them.
    pub(super) fn once(&mut self, rel: Rel) -> SqlResult<Rel> {
        match self.steps > 0 && rel.outer.is_empty() && is_whole_recursion(&rel.plan) {
            true => self.shared_rel(&shared("a recursive query", &rel)?, &rel),
            false => Ok(rel),
        }
    }

    /// The common table expression of a name, if it refers to the query around the one that it is of.
    pub(super) fn correlated_cte(&self, name: &ast::ObjectName) -> Option<Cte> {
        let [part] = name.0.as_slice() else { return None };
        let name = folded(part.as_ident()?);
        self.ctes.iter().rev().find(|cte| cte.name == name).filter(|cte| cte.correlated.is_some()).cloned()
    }

    /// Its relation, where it is used: of the queries around it sees those that are around the query that it is of.
    pub(super) fn correlated_rel(&mut self, cte: &Cte) -> SqlResult<Rel> {
        let (Body::Query(query) | Body::Recursive(query), Some(level)) = (&cte.body, cte.correlated) else {
            return self.cte_rel(cte);
        };
        let seen: Vec<Vec<Seen>> = self.levels.iter_mut().skip(level).map(hide).collect();
        let hidden = self.ctes.split_off(cte.sees);
        let result = self.deeper(|translator| match &cte.body {
            Body::Recursive(query) => translator.recursive(cte, query),
            _ => translator.query(query),
        });
        self.ctes.truncate(cte.sees);
        self.ctes.extend(hidden);
        for (level, seen) in self.levels.iter_mut().skip(level).zip(seen) {
            level.columns.iter_mut().zip(seen).for_each(|(column, seen)| column.seen = seen);
        }
        named(result?, cte)
    }

    /// The common table expression of a name.
    pub(super) fn cte(&mut self, name: &str) -> SqlResult<Option<Rel>> {
        let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == name).cloned() else { return Ok(None) };
        self.cte_rel(&cte).map(Some)
    }

    fn cte_rel(&mut self, cte: &Cte) -> SqlResult<Rel> {
        let rel = match &cte.body {
            Body::Query(query) => self.seeing(cte.sees, |translator| translator.query(query))?,
            Body::Recursive(query) => self.seeing(cte.sees, |translator| translator.recursive(cte, query))?,
            Body::Work(work) => self.work(work)?,
            Body::Given(given) => self.given(given)?,
            Body::Shared(shared, rel) => self.shared_rel(shared, rel)?,
        };
        let mut rel = named(rel, cte)?;
        if matches!(cte.body, Body::Given(_)) {
            // Numbers of rows that were found are there for those who know their name.
            let numbers = rel.columns.iter_mut().filter(|column| column.name == ROW_ID_COLUMN);
            numbers.for_each(|column| column.seen = Seen::Named);
        }
        Ok(rel)
    }

    /// Translates something that sees some of the common table expressions only, and nothing of the query around.
    fn seeing(&mut self, ctes: usize, work: impl FnOnce(&mut Self) -> SqlResult<Rel>) -> SqlResult<Rel> {
        let hidden = self.ctes.split_off(ctes);
        let levels = std::mem::take(&mut self.levels);
        let mode = std::mem::replace(&mut self.mode, Mode::Given(None));
        let result = self.deeper(work);
        (self.levels, self.mode) = (levels, mode);
        self.ctes.truncate(ctes);
        self.ctes.extend(hidden);
        result
    }

    /// One use of a shared relation.
    fn shared_rel(&mut self, shared: &Arc<Shared>, rel: &Rel) -> SqlResult<Rel> {
        let fields: Vec<String> = rel.columns.iter().map(|column| self.fresh(&column.name)).collect();
        let reference = TableReference::bare(self.fresh("shared"));
        let source = provider_as_source(Arc::new(SharedTable::new(shared, &fields)));
        let plan =
            built(LogicalPlanBuilder::scan(reference.clone(), source, None).and_then(LogicalPlanBuilder::build))?;
        let moved = |field: &Column| {
            let place = rel.columns.iter().position(|column| column.field == *field);
            place.map_or_else(|| field.clone(), |place| Column::new(Some(reference.clone()), &fields[place]))
        };
        let columns = rel.columns.iter().map(|column| Col {
            field: moved(&column.field),
            fields: column.fields.iter().map(|(name, field)| (name.clone(), moved(field))).collect(),
            source: None,
            primary: 0,
            ..column.clone()
        });
        Ok(Rel { order: rel.order.clone(), single: rel.single, ..Rel::new(plan, columns.collect()) })
    }

    fn given(&mut self, given: &Given) -> SqlResult<Rel> {
        let Some(columns) = &given.columns else {
            let message = format!("WITH query \"{}\" does not have a RETURNING clause", given.name);
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        };
        let columns = columns.iter().map(|(name, ty)| (name.clone(), ty.clone(), true)).collect();
        let all = Arc::clone(&given.rows);
        let rows: RowSource = Arc::new(move || {
            let all = Arc::clone(&all);
            Ok(Box::new((0..all.len()).filter_map(move |number| all.get(number).cloned().map(Ok))))
        });
        self.rows("", &given.name, columns, rows)
    }

    fn recursive(&mut self, cte: &Cte, query: &ast::Query) -> SqlResult<Rel> {
        let plain = query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
        let (SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right }, true) =
            (&*query.body, plain)
        else {
            let message = format!(
                "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                cte.name
            );
            return Err(SqlError::new(SqlState::INVALID_RECURSION, message));
        };
        if let Some(with) = &query.with {
            self.define(with, query)?;
        }
        let start = self.body(left, &[])?;
        let types: Vec<SqlType> = start.visible().map(|column| text_if_open(&column.ty)).collect();
        let start = self.aligned(start, &types)?;
        let table = self.fresh(&cte.name);
        let start = named(start, cte)?;
        let domain = self.domain_at_hand();
        let work = Work { table: table.clone(), columns: start.columns.clone(), outer: start.outer.clone(), domain };
        let body = Body::Work(work);
        self.ctes.push(Cte {
            name: cte.name.clone(),
            columns: cte.columns.clone(),
            body,
            sees: self.ctes.len(),
            correlated: None,
        });
        self.steps += 1;
        let step = self.body(right, &types);
        self.steps -= 1;
        self.ctes.pop();
        let step = step?;
        self.check_step(cte, &step, &types)?;
        let step = self.aligned(step, &types)?;
        let distinct = *set_quantifier != SetQuantifier::All;
        let plan = start.builder().to_recursive_query(table.clone(), step.plan, distinct);
        let plan = built(plan.and_then(LogicalPlanBuilder::build))?;
        let mut rel = Rel { plan, ..start };
        rel.columns.iter_mut().for_each(|column| column.nullable = true);
        Ok(rel)
    }

    fn check_step(&self, cte: &Cte, step: &Rel, types: &[SqlType]) -> SqlResult<()> {
        if step.visible().count() != types.len() {
            let message = "each UNION query must have the same number of columns";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        for (place, (column, ty)) in step.visible().zip(types).enumerate() {
            let same = column.ty == *ty || column.ty == SqlType::Unknown;
            let alike = std::mem::discriminant(&column.ty) == std::mem::discriminant(ty);
            if !same && !alike {
                let message = format!(
                    "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                    cte.name,
                    place + 1,
                    ty.name(),
                    column.ty.name()
                );
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                    .hint("Cast the output of the non-recursive term to the correct type."));
            }
        }
        Ok(())
    }

    fn domain_at_hand(&self) -> Option<Rc<Domain>> {
        match &self.mode {
            Mode::Given(domain) => domain.clone(),
            Mode::Learn(_) => None,
        }
    }

    /// The rows of the last round, each with the columns of the surroundings that it is for.
    fn work(&mut self, work: &Work) -> SqlResult<Rel> {
        let Work { table, columns, outer, domain } = work;
        let is_at_hand = match (domain, &self.domain_at_hand()) {
            (Some(own), Some(now)) => Rc::ptr_eq(own, now),
            _ => false,
        };
        if !outer.is_empty() && !is_at_hand {
            return Err(SqlError::unsupported("a recursive query that refers to the query around in this place"));
        }
        // The columns are called in the table as in the query's first part.
        let fields = columns.iter().map(|column| Field::new(&column.field.name, data_type(&column.ty), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let source = provider_as_source(Arc::new(CteWorkTable::new(table, schema)));
        let reference = TableReference::bare(self.fresh("work"));
        let plan =
            built(LogicalPlanBuilder::scan(reference.clone(), source, None).and_then(LogicalPlanBuilder::build))?;
        let columns: Vec<Col> = columns
            .iter()
            .map(|column| Col {
                field: Column::new(Some(reference.clone()), column.field.name.clone()),
                nullable: true,
                ..column.clone()
            })
            .collect();
        // Two uses of the table must not have the same columns.
        let mut rel = Rel { outer: outer.clone(), ..Rel::new(plan, columns) };
        let mut exprs = Vec::new();
        for number in 0..rel.columns.len() {
            let old = rel.columns[number].clone();
            let (expr, column) = self.computed(&old.name, old.ty.clone(), true, old.expr());
            exprs.push(expr);
            rel.columns[number].field = column.field;
        }
        rel.plan = built(rel.builder().project(exprs).and_then(LogicalPlanBuilder::build))?;
        Ok(rel)
    }
}

/// What carries a relation out once for all that use it.
fn shared(name: &str, rel: &Rel) -> SqlResult<Arc<Shared>> {
    let all = rel.builder().project(rel.columns.iter().map(Col::expr)).and_then(LogicalPlanBuilder::build);
    Ok(Arc::new(Shared::new(name, built(all)?)))
}

/// Whether a plan has recursive queries in it, and reads no rounds but theirs.
fn is_whole_recursion(plan: &LogicalPlan) -> bool {
    let (mut own, mut read) = (BTreeSet::new(), BTreeSet::new());
    let visited = plan.apply(|node| {
        match node {
            LogicalPlan::RecursiveQuery(query) => _ = own.insert(query.name.clone()),
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                if let Some(table) = provider.downcast_ref::<CteWorkTable>() {
                    read.insert(table.name().to_owned());
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok() && !own.is_empty() && read.is_subset(&own)
}

/// Whether it may be about the query around.
const fn may_see_outside(body: &Body) -> bool {
    matches!(body, Body::Query(_) | Body::Recursive(_))
}

/// Whether a name was not found.
fn is_of_names(error: &SqlError) -> bool {
    matches!(error.state(), SqlState::UNDEFINED_COLUMN | SqlState::UNDEFINED_TABLE)
}

/// Makes the columns of a query around invisible; gives how they were seen.
fn hide(level: &mut Level) -> Vec<Seen> {
    level.columns.iter_mut().map(|column| std::mem::replace(&mut column.seen, Seen::Never)).collect()
}

fn text_if_open(ty: &SqlType) -> SqlType {
    if *ty == SqlType::Unknown { SqlType::Text } else { ty.clone() }
}

/// The relation under the expression's name, with its column names.
fn named(mut rel: Rel, cte: &Cte) -> SqlResult<Rel> {
    let visible = rel.visible().count();
    if cte.columns.len() > visible {
        let message = format!(
            "WITH query \"{}\" has {visible} columns available but {} columns specified",
            cte.name,
            cte.columns.len()
        );
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    let mut names = cte.columns.iter();
    for column in &mut rel.columns {
        if column.seen == Seen::Always {
            column.table = Some(cte.name.clone());
            column.schema = None;
            if let Some(name) = names.next() {
                column.name.clone_from(name);
            }
        } else {
            column.seen = Seen::Never;
        }
    }
    Ok(rel)
}

/// Whether a query names a table without a schema.
fn refers_to(query: &ast::Query, name: &str) -> bool {
    uses(query, name) > 0
}

/// How often a query names a table without a schema.
fn uses(query: &ast::Query, name: &str) -> usize {
    let mut count = 0;
    let _ = ast::visit_relations(query, |relation| {
        if matches!(relation.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| folded(ident) == name)) {
            count += 1;
        }
        ControlFlow::<()>::Continue(())
    });
    count
}

/// Whether a plan may give other rows when it is carried out again.
fn is_volatile(plan: &LogicalPlan) -> bool {
    let in_expressions = |node: &LogicalPlan| {
        let mut found = false;
        let visited = node.apply_expressions(|expr| {
            found |= expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        });
        found || visited.is_err()
    };
    plan.exists(|node| Ok(in_expressions(node))).unwrap_or(true)
}
