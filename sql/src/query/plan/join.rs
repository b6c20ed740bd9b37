//! Joins of two relations.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit, when};
use sqlparser::ast::{self, BinaryOperator, JoinConstraint, JoinOperator};

use super::expressions::{Parts, Site, Wish, bound, conjuncts};
use super::rows::{Presence, may_be_missing};
use super::subquery::has_subquery;
use super::{Col, Rel, Seen, Translator, built, folded};
use crate::bind;

/// How two relations are joined.
pub(super) struct Kind<'e> {
    pub join: JoinType,
    pub constraint: Option<&'e JoinConstraint>,
}

/// The kind of a join.
pub(super) fn kind(operator: &JoinOperator) -> SqlResult<Kind<'_>> {
    let kind = |join, constraint| Ok(Kind { join, constraint: Some(constraint) });
    match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => kind(JoinType::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => kind(JoinType::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => kind(JoinType::Right, constraint),
        JoinOperator::FullOuter(constraint) => kind(JoinType::Full, constraint),
        JoinOperator::CrossJoin(_) => Ok(Kind { join: JoinType::Inner, constraint: None }),
        _ => Err(SqlError::unsupported("this kind of join")),
    }
}

impl Translator<'_> {
    /// Two relations joined.
    pub(super) fn join(&mut self, left: Rel, right: Rel, kind: &Kind<'_>) -> SqlResult<Rel> {
        let left = if matches!(kind.join, JoinType::Right | JoinType::Full) { self.witnessed(left)? } else { left };
        let right = if matches!(kind.join, JoinType::Left | JoinType::Full) { self.witnessed(right)? } else { right };
        let (mut left, mut right) = (left, right);
        let (later, early) = match kind.constraint {
            Some(JoinConstraint::On(condition)) => {
                let mut all = Vec::new();
                conjuncts(condition, &mut all);
                all.into_iter().partition(|part| has_subquery(part))
            }
            _ => (Vec::new(), Vec::new()),
        };
        let parts = match kind.join {
            JoinType::Inner => Parts::new(),
            _ => self.attach_to_sides(&mut left, &mut right, &later)?,
        };
        // Each row is for one combination of what is around: those of a recursive query, which know theirs, have it from there.
        let may_miss = match (left.outer.is_empty(), right.outer.is_empty()) {
            (true, true) => false,
            (false, true) => matches!(kind.join, JoinType::Right | JoinType::Full),
            (true, false) => matches!(kind.join, JoinType::Left | JoinType::Full),
            (false, false) => true,
        };
        if may_miss {
            return Err(SqlError::unsupported("a recursive query that refers to the query around in this place"));
        }
        let offset = left.columns.len();
        let mut outer = left.outer.clone();
        outer.extend(right.outer.iter().map(|(name, number)| (name.clone(), number + offset)));
        let columns: Vec<Col> = left.columns.iter().chain(&right.columns).cloned().collect();
        let combined = Rel { columns, outer, ..Rel::new(left.plan.clone(), Vec::new()) };
        let shared = self.shared(&left, &right, kind)?;
        let mut conditions = Vec::new();
        for (own, other) in &shared {
            bind::common_type([&left.columns[*own].ty, &right.columns[*other].ty], "JOIN/USING")?;
            let equal =
                self.compare(&combined, &BinaryOperator::Eq, bound(&combined, *own), bound(&combined, offset + other))?;
            conditions.push(self.lower(&combined, &equal)?);
        }
        let at_once = if kind.join == JoinType::Inner { &[][..] } else { &later[..] };
        for part in early.iter().chain(at_once) {
            let bound = self.bind(Site::new(&combined, "JOIN/ON").with(&parts), part, Wish::Condition)?;
            conditions.push(self.lower(&combined, &bound)?);
        }
        let mut rel = self.joined(combined, left, right, kind.join, conditions)?;
        self.merge(&mut rel, offset, &shared, kind.join)?;
        for condition in later.iter().filter(|_| kind.join == JoinType::Inner) {
            self.filter(&mut rel, condition, "JOIN/ON")?;
        }
        Ok(rel)
    }

    pub(super) fn joined(
        &mut self,
        combined: Rel,
        left: Rel,
        right: Rel,
        join: JoinType,
        conditions: Vec<Expr>,
    ) -> SqlResult<Rel> {
        let offset = left.columns.len();
        let builder = LogicalPlanBuilder::from(left.plan);
        let joined = match (join, conditions.is_empty()) {
            (JoinType::Inner, true) => builder.cross_join(right.plan),
            (_, true) => builder.join_on(right.plan, join, [lit(true)]),
            _ => builder.join_on(right.plan, join, conditions),
        };
        let plan = built(joined.and_then(LogicalPlanBuilder::build))?;
        let mut rel = Rel { plan, ..combined };
        let (lefts, rights) = rel.columns.split_at_mut(offset);
        if matches!(join, JoinType::Left | JoinType::Full) {
            may_be_missing(rights);
        }
        if matches!(join, JoinType::Right | JoinType::Full) {
            may_be_missing(lefts);
        }
        Ok(rel)
    }

    /// The pairs of columns that `USING` or `NATURAL` compare.
    fn shared(&self, left: &Rel, right: &Rel, kind: &Kind<'_>) -> SqlResult<Vec<(usize, usize)>> {
        let place = |rel: &Rel, name: &str, side: &str| {
            let mut found = rel.columns.iter().enumerate().filter(|(_, c)| c.seen == Seen::Always && c.name == name);
            match (found.next(), found.next()) {
                (Some((number, _)), None) => Ok(number),
                (None, _) => Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
                )),
                _ => Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("common column name \"{name}\" appears more than once in {side} table"),
                )),
            }
        };
        let names: Vec<String> = match kind.constraint {
            Some(JoinConstraint::Using(names)) => {
                names.iter().map(|name| super::parts(name).map(|parts| parts.join("."))).collect::<SqlResult<_>>()?
            }
            Some(JoinConstraint::Natural) => {
                let other = |name: &str| right.visible().any(|column| column.name == name);
                left.visible().map(|column| column.name.clone()).filter(|name| other(name)).collect()
            }
            _ => Vec::new(),
        };
        names.iter().map(|name| Ok((place(left, name, "left")?, place(right, name, "right")?))).collect()
    }

    /// Makes one column of each pair that was compared; those come first.
    fn merge(&mut self, rel: &mut Rel, offset: usize, shared: &[(usize, usize)], join: JoinType) -> SqlResult<()> {
        if shared.is_empty() {
            return Ok(());
        }
        let mut merged = Vec::new();
        for (own, other) in shared {
            let (own, other) = (*own, offset + other);
            let ty = bind::common_type([&rel.columns[own].ty, &rel.columns[other].ty], "JOIN/USING")?;
            let (left, right) = (self.as_type(rel, own, &ty)?, self.as_type(rel, other, &ty)?);
            let (from, expr) = match join {
                JoinType::Right => (other, right),
                JoinType::Full => (own, built(when(left.clone().is_not_null(), left).otherwise(right))?),
                _ => (own, left),
            };
            let from = &rel.columns[from];
            let is_whole = join != JoinType::Full && from.ty == ty;
            // It depends on its table's primary key, or is it, as the column that it is.
            let known = if is_whole { (from.source, from.primary) } else { (None, 0) };
            merged.push((from.name.clone(), ty, from.nullable || join == JoinType::Full, expr, known));
        }
        let mut exprs: Vec<Expr> = rel.columns.iter().map(Col::expr).collect();
        let mut columns = Vec::new();
        for (name, ty, nullable, expr, (source, primary)) in merged {
            let (expr, column) = self.computed(&name, ty, nullable, expr);
            exprs.push(expr);
            columns.push(Col { source, primary, ..column });
        }
        for (own, other) in shared {
            rel.columns[*own].seen = Seen::Qualified;
            rel.columns[offset + other].seen = Seen::Qualified;
        }
        rel.outer.iter_mut().for_each(|(_, number)| *number += columns.len());
        columns.append(&mut rel.columns);
        rel.columns = columns;
        rel.plan = built(rel.builder().project(exprs).and_then(LogicalPlanBuilder::build))?;
        Ok(())
    }

    /// A column as a value of a type.
    fn as_type(&mut self, rel: &Rel, number: usize, ty: &SqlType) -> SqlResult<Expr> {
        let value = self.coerce(bound(rel, number), ty, CastContext::Implicit)?;
        self.lower(rel, &value)
    }

    /// The relation under an alias: its columns are named by the alias only, and may get other names.
    pub(super) fn aliased(&self, mut rel: Rel, alias: Option<&ast::TableAlias>) -> SqlResult<Rel> {
        let Some(alias) = alias else { return Ok(rel) };
        let table = folded(&alias.name);
        if let Some(ty) = alias.columns.iter().find_map(|column| column.data_type.as_ref()) {
            let message = format!("syntax error at or near \"{}\"", ty.to_string().to_lowercase());
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let visible = rel.visible().count();
        if alias.columns.len() > visible {
            let message = format!(
                "table \"{table}\" has {visible} columns available but {} columns specified",
                alias.columns.len()
            );
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        let mut names = alias.columns.iter();
        for column in &mut rel.columns {
            column.presence = Presence::Always;
            column.alone = false;
            match column.seen {
                Seen::Always | Seen::Named => {
                    column.table = Some(table.clone());
                    column.schema = None;
                }
                Seen::Qualified | Seen::Never => column.seen = Seen::Never,
            }
            if column.seen == Seen::Always
                && let Some(name) = names.next()
            {
                column.name = folded(&name.name);
            }
        }
        Ok(rel)
    }
}
