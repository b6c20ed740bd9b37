//! The order of inner joins: the smallest relations first, and never a product where a condition joins.
//!
//! DataFusion joins in the order in which the query names its tables. This rule takes the relations that inner joins
//! (and products) combine, estimates the rows of each one, and joins them anew: it begins with the smallest one and goes
//! on with whichever makes the smallest result. Estimates come from statistics and may be wrong; results do not depend
//! on the order.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::query::exec::{TableScan, UNKNOWN_ROWS};

/// The rule.
#[derive(Debug, Default)]
pub(super) struct JoinOrder;

/// What inner joins combine.
#[derive(Default)]
struct Parts {
    relations: Vec<LogicalPlan>,
    /// What they are joined by.
    conditions: Vec<Expr>,
}

impl OptimizerRule for JoinOrder {
    fn name(&self) -> &'static str {
        "join_order"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !is_inner(&plan) {
            return Ok(Transformed::no(plan));
        }
        let mut parts = Parts::default();
        parts.collect(&plan);
        if parts.relations.len() < 3 {
            return Ok(Transformed::no(plan));
        }
        let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let joined = parts.join()?;
        // The order of the columns stays as it was.
        let ordered = LogicalPlanBuilder::from(joined).project(columns)?.build()?;
        // What is below has been joined now: going on there would only do it again.
        Ok(Transformed::new(ordered, true, datafusion::common::tree_node::TreeNodeRecursion::Jump))
    }
}

fn is_inner(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if join.join_type == JoinType::Inner
        && join.null_equality == NullEquality::NullEqualsNothing)
}

impl Parts {
    fn collect(&mut self, plan: &LogicalPlan) {
        match plan {
            LogicalPlan::Join(join) if is_inner(plan) => {
                self.collect(&join.left);
                self.collect(&join.right);
                self.conditions.extend(join.on.iter().map(|(left, right)| left.clone().eq(right.clone())));
                self.conditions.extend(join.filter.iter().cloned().flat_map(split_conjunction_owned));
            }
            // Only a choice of columns: all of them are at hand anyway.
            LogicalPlan::Projection(projection)
                if is_inner(&projection.input)
                    && projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) =>
            {
                self.collect(&projection.input);
            }
            other => self.relations.push(other.clone()),
        }
    }

    /// Joins the relations in a good order.
    fn join(self) -> Result<LogicalPlan> {
        let mut left: Vec<(LogicalPlan, f64)> = self
            .relations
            .into_iter()
            .map(|plan| {
                let rows = rows(&plan);
                (plan, rows)
            })
            .collect();
        let mut conditions = self.conditions;
        let first = start(&left, &conditions);
        let (mut joined, mut size) = left.swap_remove(first);
        while !left.is_empty() {
            let (next, rows) = best(&joined, size, &left, &conditions);
            let (plan, _) = left.swap_remove(next);
            let (usable, later) = usable(&joined, &plan, conditions);
            conditions = later;
            size = rows;
            joined = match usable.is_empty() {
                true => LogicalPlanBuilder::from(joined).cross_join(plan)?.build()?,
                false => LogicalPlanBuilder::from(joined).join_on(plan, JoinType::Inner, usable)?.build()?,
            };
        }
        match conjunction(conditions) {
            Some(rest) => LogicalPlanBuilder::from(joined).filter(rest)?.build(),
            None => Ok(joined),
        }
    }
}

/// Which relation to begin with: the smallest one that a condition joins with another.
fn start(relations: &[(LogicalPlan, f64)], conditions: &[Expr]) -> usize {
    let is_joined = |plan: &LogicalPlan| {
        let own = names(plan);
        conditions.iter().any(|condition| {
            let used = condition.column_refs();
            used.iter().any(|column| own.contains(*column)) && used.iter().any(|column| !own.contains(*column))
        })
    };
    let rank = |(plan, rows): &(LogicalPlan, f64)| (!is_joined(plan), *rows);
    let ranks: Vec<(bool, f64)> = relations.iter().map(rank).collect();
    (0..relations.len())
        .min_by(|a, b| ranks[*a].0.cmp(&ranks[*b].0).then(ranks[*a].1.total_cmp(&ranks[*b].1)))
        .unwrap_or(0)
}

/// The relation to join next, and about how many rows there are then.
fn best(joined: &LogicalPlan, size: f64, relations: &[(LogicalPlan, f64)], conditions: &[Expr]) -> (usize, f64) {
    let mut best: Option<(usize, f64, (bool, f64, f64))> = None;
    for (place, (plan, rows)) in relations.iter().enumerate() {
        let (usable, _) = usable(joined, plan, conditions.to_vec());
        let equal = usable.iter().filter(|condition| is_equality(condition)).count();
        // Keys join with one row each as a rule.
        let result = match (usable.len(), equal) {
            (0, _) => size * rows,
            (_, 0) => size * rows * 0.3,
            (_, equal) => {
                (size * rows / size.max(base(plan)).max(1.0)) * 0.5_f64.powi(i32::try_from(equal).unwrap_or(1) - 1)
            }
        };
        let rank = (usable.is_empty(), result, *rows);
        if best.as_ref().is_none_or(|(_, _, old)| {
            rank.0.cmp(&old.0).then(rank.1.total_cmp(&old.1)).then(rank.2.total_cmp(&old.2)).is_lt()
        }) {
            best = Some((place, result.max(1.0), rank));
        }
    }
    best.map_or((0, size), |(place, result, _)| (place, result))
}

fn is_equality(condition: &Expr) -> bool {
    matches!(condition, Expr::BinaryExpr(binary) if binary.op == datafusion::logical_expr::Operator::Eq)
}

fn names(plan: &LogicalPlan) -> HashSet<Column> {
    plan.schema().columns().into_iter().collect()
}

/// The conditions that can be checked once two relations are joined, and the others.
fn usable(one: &LogicalPlan, two: &LogicalPlan, conditions: Vec<Expr>) -> (Vec<Expr>, Vec<Expr>) {
    let (one, two) = (names(one), names(two));
    conditions.into_iter().partition(|condition| {
        let used = condition.column_refs();
        used.iter().all(|column| one.contains(*column) || two.contains(*column))
    })
}

/// About how many rows a relation has.
fn rows(plan: &LogicalPlan) -> f64 {
    match plan {
        LogicalPlan::TableScan(scan) => match table(plan) {
            Some(table) => table.estimate(&scan.filters),
            None => UNKNOWN_ROWS,
        },
        LogicalPlan::Filter(filter) => (rows(&filter.input) * 0.3).max(1.0),
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => 1.0,
        LogicalPlan::Aggregate(aggregate) => (rows(&aggregate.input) * 0.2).max(1.0),
        LogicalPlan::Limit(limit) => {
            let fetch = limit.get_fetch_type().ok();
            match fetch {
                Some(datafusion::logical_expr::FetchType::Literal(Some(fetch))) => rows(&limit.input).min(fetch as f64),
                _ => rows(&limit.input),
            }
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => (rows(&join.left) * 0.5).max(1.0),
            JoinType::LeftMark => rows(&join.left),
            _ => rows(&join.left).max(rows(&join.right)),
        },
        LogicalPlan::EmptyRelation(_) => 1.0,
        LogicalPlan::Values(values) => values.values.len() as f64,
        other => other.inputs().iter().map(|input| rows(input)).fold(0.0_f64, f64::max).max(1.0),
    }
}

/// About how many rows a relation has before it is filtered.
fn base(plan: &LogicalPlan) -> f64 {
    match plan {
        LogicalPlan::TableScan(_) => table(plan).map_or(UNKNOWN_ROWS, |table| table.estimate(&[])),
        LogicalPlan::Filter(filter) => base(&filter.input),
        LogicalPlan::Projection(projection) => base(&projection.input),
        other => rows(other),
    }
}

/// The table that a scan reads.
fn table(plan: &LogicalPlan) -> Option<Arc<TableScan>> {
    let LogicalPlan::TableScan(scan) = plan else { return None };
    let provider = source_as_provider(&scan.source).ok()?;
    let any: Arc<dyn std::any::Any + Send + Sync> = provider;
    any.downcast::<TableScan>().ok()
}
