//! Subqueries: each is joined to the relation over which its expression stands, and a column takes its place.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit, when};
use sqlparser::ast::{self, BinaryOperator, Visit, Visitor};

use super::expressions::{Parts, Site, Wish, bound, without_parens};
use super::names::{Level, Mode, Outer, Wanted, outer_of};
use super::{Col, Rel, Translator, built};
use crate::bind;
use crate::query::scalar::{key, literal};

/// The columns of its surroundings that a query uses, every combination once.
pub(super) struct Domain {
    pub plan: LogicalPlan,
    /// What each is called in the surroundings, and the column here.
    pub columns: Vec<(String, Col)>,
    /// What a missing row of the query means to its user.
    pub user: User,
}

/// A relation before subqueries are joined to it, one after the other: whatever combinations of values its columns have
/// later, they have had before, unless it gets rows.
#[derive(Clone, Debug)]
pub(super) struct Stem {
    plan: LogicalPlan,
    /// How many subqueries were given their domains since.
    domains: Rc<Cell<usize>>,
}

/// How many subqueries get their domains from the relation as it is by then, which has fewer rows. Each of them doubles the
/// plan, so those that follow get theirs from the relation as it was at first.
const DOUBLING: usize = 2;

/// The most parts of a plan of which a domain is made: a copy of them is planned, and carried out.
const MOST_PARTS: usize = 1000;

impl Stem {
    pub fn of(rel: &Rel) -> Self {
        Self { plan: rel.plan.clone(), domains: Rc::default() }
    }
}

/// Who uses a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Its value: no row is NULL.
    Value,
    /// Its rows.
    Rows,
    /// Its rows, which are joined to those before it in `FROM`.
    From,
}

/// A part of an expression that is a subquery.
enum Form<'e> {
    Value(&'e ast::Query),
    Array(&'e ast::Query),
    Exists(&'e ast::Query, bool),
    /// `left op ANY (query)`, negated.
    Any(&'e ast::Expr, BinaryOperator, &'e ast::Query, bool),
    /// `(a, b) op (query)`
    Row(&'e ast::Expr, BinaryOperator, &'e ast::Query),
}

fn form(expr: &ast::Expr) -> Option<Form<'_>> {
    match expr {
        ast::Expr::Subquery(query) => Some(Form::Value(query)),
        ast::Expr::Exists { subquery, negated } => Some(Form::Exists(subquery, *negated)),
        ast::Expr::InSubquery { expr, subquery, negated } => {
            Some(Form::Any(expr, BinaryOperator::Eq, subquery, *negated))
        }
        ast::Expr::AnyOp { left, compare_op, right, .. } => match without_parens(right) {
            ast::Expr::Subquery(query) => Some(Form::Any(left, compare_op.clone(), query, false)),
            _ => None,
        },
        ast::Expr::AllOp { left, compare_op, right } => match (without_parens(right), negation(compare_op)) {
            (ast::Expr::Subquery(query), Some(op)) => Some(Form::Any(left, op, query, true)),
            _ => None,
        },
        ast::Expr::Function(function) => match (&function.args, function.name.to_string().to_lowercase().as_str()) {
            (ast::FunctionArguments::Subquery(query), "array") => Some(Form::Array(query)),
            _ => None,
        },
        ast::Expr::BinaryOp { left, op, right } if negation(op).is_some() => {
            match (without_parens(left), without_parens(right)) {
                (row @ ast::Expr::Tuple(_), ast::Expr::Subquery(query)) => Some(Form::Row(row, op.clone(), query)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn negation(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::NotEq,
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    })
}

/// Finds the outermost parts of an expression that something holds for.
pub(super) fn find_parts(expr: &ast::Expr, wanted: &dyn Fn(&ast::Expr) -> bool) -> Vec<ast::Expr> {
    struct Finder<'f> {
        wanted: &'f dyn Fn(&ast::Expr) -> bool,
        found: Vec<ast::Expr>,
        inside: usize,
    }
    impl Visitor for Finder<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
            self.inside += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
            self.inside -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
            if self.inside == 0 && (self.wanted)(expr) {
                if !self.found.contains(expr) {
                    self.found.push(expr.clone());
                }
                self.inside += 1;
            } else if self.inside > 0 && (self.wanted)(expr) {
                self.inside += 1;
            }
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
            if (self.wanted)(expr) {
                self.inside -= 1;
            }
            ControlFlow::Continue(())
        }
    }
    let mut finder = Finder { wanted, found: Vec::new(), inside: 0 };
    let _ = expr.visit(&mut finder);
    finder.found
}

/// Whether an expression has a subquery in it.
pub(super) fn has_subquery(expr: &ast::Expr) -> bool {
    !find_parts(expr, &is_subquery).is_empty()
}

/// Whether an expression is a subquery, with what it is compared with.
pub(super) fn is_subquery(expr: &ast::Expr) -> bool {
    form(expr).is_some()
}

/// The query of an expression that is a subquery.
pub(super) fn query_of(expr: &ast::Expr) -> Option<&ast::Query> {
    form(expr).map(|form| match form {
        Form::Value(query)
        | Form::Array(query)
        | Form::Exists(query, _)
        | Form::Any(_, _, query, _)
        | Form::Row(_, _, query) => query,
    })
}

/// What the rows of a subquery are compared with.
pub(super) fn compared_with(expr: &ast::Expr) -> Option<&ast::Expr> {
    match form(expr)? {
        Form::Any(left, ..) | Form::Row(left, ..) => Some(left),
        Form::Value(_) | Form::Array(_) | Form::Exists(..) => None,
    }
}

impl Translator<'_> {
    /// Joins the subqueries in an expression to the relation; gives what stands for them.
    pub(super) fn attach_subqueries(
        &mut self,
        rel: &mut Rel,
        expr: &ast::Expr,
        parts: &mut Parts,
        before: Option<&Rel>,
        clause: &'static str,
    ) -> SqlResult<()> {
        // What something stands for already (an aggregate) has had its subqueries, over what it was computed from.
        let known: Vec<ast::Expr> = parts.iter().map(|(known, _)| known.clone()).collect();
        for part in find_parts(expr, &|part| form(part).is_some() || known.contains(part)) {
            if parts.iter().any(|(known, _)| *known == part) {
                continue;
            }
            let stands = match form(&part) {
                Some(Form::Value(query)) => self.attach_value(rel, query)?,
                Some(Form::Array(query)) => self.attach_array(rel, query)?,
                Some(Form::Exists(query, negated)) => self.attach_exists(rel, query, negated)?,
                Some(Form::Any(left, op, query, negated)) => {
                    self.attach_subqueries(rel, left, parts, before, clause)?;
                    let lefts = self.bind_lefts(Site { rel, parts, before, clause }, left)?;
                    self.attach_any(rel, lefts, &op, query, negated)?
                }
                Some(Form::Row(left, op, query)) => {
                    self.attach_subqueries(rel, left, parts, before, clause)?;
                    let lefts = self.bind_lefts(Site { rel, parts, before, clause }, left)?;
                    self.attach_compared(rel, lefts, &op, query)?
                }
                None => continue,
            };
            parts.push((part, stands));
        }
        Ok(())
    }

    /// A condition of `WHERE`: filters the relation. Subqueries that are conditions themselves become joins that keep
    /// or drop rows.
    pub(super) fn filter(&mut self, rel: &mut Rel, condition: &ast::Expr, clause: &'static str) -> SqlResult<()> {
        let (inner, negated) = match without_parens(condition) {
            ast::Expr::UnaryOp { op: ast::UnaryOperator::Not, expr } => (without_parens(expr), true),
            other => (other, false),
        };
        match form(inner) {
            Some(Form::Exists(query, not)) => return self.filter_exists(rel, query, not != negated),
            Some(Form::Any(left, op, query, not)) if !has_subquery(left) => {
                let lefts = self.bind_lefts(Site::new(rel, clause), left)?;
                if not == negated {
                    return self.filter_any(rel, lefts, &op, query, JoinType::LeftSemi);
                }
                let sub = self.subquery(rel, query, User::Rows)?;
                let known = lefts.iter().all(|left| self.is_never_null(rel, left))
                    && sub.visible().all(|column| !column.nullable);
                if known {
                    return self.join_any(rel, lefts, &op, sub, JoinType::LeftAnti);
                }
            }
            _ => {}
        }
        let mut parts = Parts::new();
        self.attach_subqueries(rel, condition, &mut parts, None, clause)?;
        let bound = self.bind(Site::new(rel, clause).with(&parts), condition, Wish::Condition)?;
        let lowered = self.lower(rel, &bound)?;
        rel.plan = built(rel.builder().filter(lowered).and_then(LogicalPlanBuilder::build))?;
        Ok(())
    }

    /// Translates a subquery over a relation. Where it refers to the relation, the result has those columns.
    pub(super) fn subquery(&mut self, rel: &Rel, query: &ast::Query, user: User) -> SqlResult<Rel> {
        self.over(rel, user, &mut |translator| translator.query(query))
    }

    /// The same for anything that is translated over a relation.
    pub(super) fn over(
        &mut self,
        rel: &Rel,
        user: User,
        translate: &mut dyn FnMut(&mut Self) -> SqlResult<Rel>,
    ) -> SqlResult<Rel> {
        let wanted = Wanted::default();
        let params = self.params.clone();
        let learned = self.below(rel, Mode::Learn(Rc::clone(&wanted)), user, translate)?;
        let wanted = wanted.take();
        if wanted.is_empty() {
            return Ok(learned);
        }
        // Types that NULLs stood for could have misled the inference.
        self.params = params;
        let domain = self.domain(rel, wanted, user)?;
        self.below(rel, Mode::Given(Some(Rc::new(domain))), user, translate)
    }

    /// What a subquery over a relation uses of it and of what is around it: what these columns are called there.
    pub(super) fn wants(&mut self, rel: &Rel, query: &ast::Query) -> SqlResult<Vec<String>> {
        let wanted = Wanted::default();
        let params = self.params.clone();
        let mode = Mode::Learn(Rc::clone(&wanted));
        self.below(rel, mode, User::Value, &mut |translator| translator.query(query))?;
        self.params = params;
        Ok(wanted.take().into_iter().map(|(name, _)| name).collect())
    }

    fn below(
        &mut self,
        rel: &Rel,
        mode: Mode,
        user: User,
        translate: &mut dyn FnMut(&mut Self) -> SqlResult<Rel>,
    ) -> SqlResult<Rel> {
        let missed = Cell::new(self.missed.replace(false));
        self.levels.push(Level {
            columns: rel.columns.clone(),
            outer: outer_of(rel, &self.mode),
            lateral: user == User::From,
            missed,
        });
        let around = std::mem::replace(&mut self.mode, mode);
        let mut result = self.deeper(|translator| translate(translator));
        // What is around may have to be translated again itself: then nobody uses this.
        let again = |level: &Level| matches!(level.outer, Outer::Wanted(_)) || level.missed.get();
        if matches!(self.mode, Mode::Given(_)) && self.missed.get() && !self.levels.iter().any(again) {
            // Somewhere NULL stands for a column that should be there.
            result = result.and(Err(SqlError::unsupported("a reference to the query around in this place")));
        }
        self.mode = around;
        let level = self.levels.pop();
        self.missed.set(level.is_some_and(|level| level.missed.get()));
        result
    }

    fn domain(&mut self, rel: &Rel, wanted: Vec<(String, SqlType)>, user: User) -> SqlResult<Domain> {
        let mut columns = Vec::new();
        let mut exprs = Vec::new();
        for (name, ty) in wanted {
            // One that the relation has not itself is one of those that its own surroundings will have.
            let Some(column) = rel.columns.iter().find(|column| column.field.flat_name() == name) else { continue };
            let (expr, copy) = self.computed(&column.name, ty, column.nullable, column.expr());
            exprs.push(expr);
            columns.push((name, copy.hidden()));
        }
        let source = source_of(rel, &exprs);
        if parts(source, MOST_PARTS) == MOST_PARTS {
            let message = "the query has too many subqueries that refer to the query around";
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message)
                .hint("Compare columns of a subquery with those around by =, or join its tables instead."));
        }
        let builder = LogicalPlanBuilder::from(source.clone());
        let plan = built(builder.project(exprs).and_then(LogicalPlanBuilder::build))?;
        let copies = Rel::new(plan, columns.iter().map(|(_, column)| column.clone()).collect());
        let numbers: Vec<usize> = (0..copies.columns.len()).collect();
        let distinct = if numbers.is_empty() { Rel::unit()? } else { self.distinct(copies, &numbers)? };
        let columns = columns.into_iter().map(|(name, _)| name).zip(distinct.columns).collect();
        Ok(Domain { plan: distinct.plan, columns, user })
    }

    /// Joins the columns of the surroundings to a relation that is translated with them.
    pub(super) fn attach_domain(&mut self, mut rel: Rel) -> SqlResult<Rel> {
        let Mode::Given(Some(domain)) = self.mode.clone() else { return Ok(rel) };
        if !rel.outer.is_empty() {
            return Ok(rel);
        }
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for (name, column) in &domain.columns {
            let (expr, copy) = self.computed(&column.name, column.ty.clone(), column.nullable, column.expr());
            exprs.push(expr);
            columns.push((name.clone(), copy.hidden()));
        }
        if columns.is_empty() {
            return Ok(rel);
        }
        let copies = built(LogicalPlanBuilder::from(domain.plan.clone()).project(exprs).and_then(|p| p.build()))?;
        rel.plan = built(LogicalPlanBuilder::from(copies).cross_join(rel.plan).and_then(|p| p.build()))?;
        for (name, column) in columns {
            rel.outer.push((name, rel.columns.len()));
            rel.columns.push(column);
        }
        Ok(rel)
    }

    /// The conditions by which a subquery's rows belong to a row of the relation; both stand in `combined`, the
    /// subquery's columns behind `offset` others.
    pub(super) fn belongs(&mut self, combined: &Rel, sub: &Rel, offset: usize) -> SqlResult<Vec<Expr>> {
        let mut conditions = Vec::new();
        for (name, number) in &sub.outer {
            let Some(own) = combined.columns[..offset].iter().position(|c| c.field.flat_name() == *name) else {
                continue;
            };
            let (left, right) = (&combined.columns[own], &combined.columns[offset + number]);
            conditions.push(if sub.equated || !left.nullable || !right.nullable {
                let equal = self.compare(
                    combined,
                    &BinaryOperator::Eq,
                    bound(combined, own),
                    bound(combined, offset + number),
                )?;
                self.lower(combined, &equal)?
            } else {
                let (left_key, right_key) = (key(left.expr(), &left.ty)?, key(right.expr(), &right.ty)?);
                binary_expr(left_key, Operator::IsNotDistinctFrom, right_key)
            });
        }
        Ok(conditions)
    }

    /// The comparison of two bound expressions over a relation.
    pub(super) fn compare(
        &mut self,
        rel: &Rel,
        op: &BinaryOperator,
        left: bind::Expr,
        right: bind::Expr,
    ) -> SqlResult<bind::Expr> {
        let side = |name: &str| ast::Expr::Identifier(ast::Ident::with_quote('"', name));
        let parts = vec![(side("?left"), left), (side("?right"), right)];
        let tree =
            ast::Expr::BinaryOp { left: Box::new(side("?left")), op: op.clone(), right: Box::new(side("?right")) };
        self.bind(Site::new(rel, "a comparison").with(&parts), &tree, Wish::Condition)
    }

    /// The relation with a subquery's columns behind its own, not joined yet.
    pub(super) fn beside(rel: &Rel, sub: &Rel) -> Rel {
        let columns = rel.columns.iter().cloned().chain(sub.columns.iter().cloned().map(Col::hidden));
        Rel { columns: columns.collect(), ..rel.clone() }
    }

    /// Joins a subquery to the rows that it belongs to; every row stays.
    pub(super) fn join_left(&mut self, rel: &mut Rel, sub: &Rel) -> SqlResult<()> {
        let mut combined = Self::beside(rel, sub);
        let mut conditions = self.belongs(&combined, sub, rel.columns.len())?;
        if conditions.is_empty() {
            conditions.push(lit(true));
        }
        combined.plan =
            built(rel.builder().join_on(sub.plan.clone(), JoinType::Left, conditions).and_then(|p| p.build()))?;
        *rel = combined;
        Ok(())
    }

    /// Marks the rows for which a subquery has a row that meets conditions, in a new column; gives its number.
    pub(super) fn mark(&mut self, rel: &mut Rel, sub: &Rel, conditions: Vec<Expr>) -> SqlResult<usize> {
        let joined = rel.builder().join_on(sub.plan.clone(), JoinType::LeftMark, conditions);
        let plan = built(joined.and_then(LogicalPlanBuilder::build))?;
        let mark = Expr::Column(Column::new_unqualified("mark"));
        let (expr, column) = self.computed("mark", SqlType::Bool, false, mark);
        let exprs = rel.columns.iter().map(Col::expr).chain([expr]).collect::<Vec<_>>();
        rel.plan = built(LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build))?;
        rel.columns.push(column.hidden());
        Ok(rel.columns.len() - 1)
    }

    fn attach_value(&mut self, rel: &mut Rel, query: &ast::Query) -> SqlResult<bind::Expr> {
        let sub = self.subquery(rel, query, User::Value)?;
        if sub.visible().count() != 1 {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column"));
        }
        Ok(self.attach_row(rel, sub)?.remove(0))
    }

    /// Joins the only row of a subquery; gives its values.
    pub(super) fn attach_row(&mut self, rel: &mut Rel, sub: Rel) -> SqlResult<Vec<bind::Expr>> {
        let empty = sub.empty.clone().unwrap_or_default();
        let sub = if sub.single { sub } else { self.only_one(sub)? };
        let offset = rel.columns.len();
        let is_visible = |(_, column): &(usize, &Col)| column.seen == super::Seen::Always;
        let values: Vec<usize> = sub.columns.iter().enumerate().filter(is_visible).map(|(place, _)| place).collect();
        self.join_left(rel, &sub)?;
        let mut row = Vec::with_capacity(values.len());
        for (place, value) in values.into_iter().enumerate() {
            rel.columns[offset + value].nullable = true;
            let empty = empty.get(place).filter(|empty| empty.as_const().is_none_or(|value| !value.is_null()));
            let Some(empty) = empty else {
                row.push(bound(rel, offset + value));
                continue;
            };
            // For rows that it has no group for, it is what it is for no rows.
            let outer = sub.outer.first().map_or(value, |(_, number)| *number);
            let missing = Expr::IsNull(Box::new(rel.columns[offset + outer].expr()));
            let otherwise = self.lower(rel, empty)?;
            let column = &rel.columns[offset + value];
            let (ty, expr) = (column.ty.clone(), column.expr());
            let whole = built(when(missing, otherwise).otherwise(expr))?;
            let numbers = self.extend(rel, vec![(whole, ty, true)])?;
            row.push(bound(rel, numbers[0]));
        }
        Ok(row)
    }

    /// The subquery with its value as an array for each row of the surroundings.
    fn attach_array(&mut self, rel: &mut Rel, query: &ast::Query) -> SqlResult<bind::Expr> {
        let sub = self.subquery(rel, query, User::Rows)?;
        let sub = self.as_array(sub)?;
        let element = match &sub.columns.last().map(|column| column.ty.clone()) {
            Some(ty) => ty.clone(),
            None => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column")),
        };
        let value = rel.columns.len() + sub.columns.len() - 1;
        self.join_left(rel, &sub)?;
        let array = rel.columns[value].expr();
        let empty = literal(&element, &annulus_relation::Value::Array([].into()));
        let whole = built(when(array.clone().is_null(), empty).otherwise(array))?;
        let numbers = self.extend(rel, vec![(whole, element, false)])?;
        Ok(bound(rel, numbers[0]))
    }

    fn attach_exists(&mut self, rel: &mut Rel, query: &ast::Query, negated: bool) -> SqlResult<bind::Expr> {
        let sub = self.subquery(rel, query, User::Rows)?;
        let mark = if sub.outer.is_empty() {
            let sub = self.has_rows(sub)?;
            self.join_left(rel, &sub)?;
            rel.columns.len() - 1
        } else {
            let conditions = self.belongs(&Self::beside(rel, &sub), &sub, rel.columns.len())?;
            self.mark(rel, &sub, conditions)?
        };
        Ok(if negated { bind::Expr::Not(Box::new(bound(rel, mark))) } else { bound(rel, mark) })
    }

    fn filter_exists(&mut self, rel: &mut Rel, query: &ast::Query, negated: bool) -> SqlResult<()> {
        let sub = self.subquery(rel, query, User::Rows)?;
        if sub.outer.is_empty() {
            let sub = self.has_rows(sub)?;
            self.join_left(rel, &sub)?;
            let mark = rel.columns[rel.columns.len() - 1].expr();
            let condition = if negated { !mark } else { mark };
            rel.plan = built(rel.builder().filter(condition).and_then(LogicalPlanBuilder::build))?;
            return Ok(());
        }
        let conditions = self.belongs(&Self::beside(rel, &sub), &sub, rel.columns.len())?;
        let join = if negated { JoinType::LeftAnti } else { JoinType::LeftSemi };
        rel.plan = built(rel.builder().join_on(sub.plan, join, conditions).and_then(LogicalPlanBuilder::build))?;
        Ok(())
    }

    /// The left side of `IN`: one expression, or those of a row.
    fn bind_lefts(&mut self, site: Site<'_>, left: &ast::Expr) -> SqlResult<Vec<bind::Expr>> {
        match without_parens(left) {
            ast::Expr::Tuple(parts) => parts.iter().map(|part| self.bind(site, part, Wish::Open)).collect(),
            other => Ok(vec![self.bind(site, other, Wish::Open)?]),
        }
    }

    pub(super) fn is_never_null(&self, rel: &Rel, expr: &bind::Expr) -> bool {
        match expr.as_column() {
            Some(number) => !rel.columns[number].nullable,
            None => expr.as_const().is_some_and(|value| !value.is_null()),
        }
    }
}

/// What the domain of a subquery over a relation is made of: the relation, or its stem.
fn source_of<'r>(rel: &'r Rel, exprs: &[Expr]) -> &'r LogicalPlan {
    let Some(stem) = &rel.stem else { return &rel.plan };
    let before = stem.domains.replace(stem.domains.get() + 1);
    let has_all = || {
        let used = exprs.iter().flat_map(Expr::column_refs);
        used.into_iter().all(|column| stem.plan.schema().has_column(column))
    };
    if before >= DOUBLING && has_all() { &stem.plan } else { &rel.plan }
}

/// How many parts a plan has, counted up to so many.
fn parts(plan: &LogicalPlan, most: usize) -> usize {
    let mut left = vec![plan];
    let mut count = 0;
    while let Some(plan) = left.pop()
        && count < most
    {
        count += 1;
        left.extend(plan.inputs());
    }
    count
}
