//! The order of inner joins: the smallest relations first, and never a product where a condition joins.
//!
//! DataFusion joins in the order in which the query names its tables. This rule takes the relations that inner joins
//! (and products) combine, estimates the rows of each one, and joins them anew: it begins with the smallest one and goes
//! on with whichever makes the smallest result. Estimates come from statistics and may be wrong; results do not depend
//! on the order.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator};
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

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        reorder(plan)
    }
}

/// The plan with its inner joins in a good order, those below others included.
fn reorder(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !is_inner(&plan) {
        return plan.map_children(reorder);
    }
    let mut parts = Parts::default();
    parts.collect(&plan);
    if parts.relations.len() < 3 || parts.is_ordered() {
        return plan.map_children(reorder);
    }
    for relation in &mut parts.relations {
        *relation = reorder(std::mem::take(relation))?.data;
    }
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let joined = parts.join()?;
    // The order of the columns stays as it was.
    LogicalPlanBuilder::from(joined).project(columns)?.build().map(Transformed::yes)
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

    /// Whether the relations stand in a good order already.
    fn is_ordered(&self) -> bool {
        self.order().windows(2).all(|pair| pair[0] < pair[1])
    }

    /// The relations' places in a good order.
    fn order(&self) -> Vec<usize> {
        let sized: Vec<Sized<'_>> = self.relations.iter().map(Sized::of).collect();
        let mut left: Vec<usize> = (0..sized.len()).collect();
        let first = left.remove(start(&sized, &self.conditions));
        let (mut joined, mut size) = (sized[first].columns.clone(), sized[first].rows);
        let mut order = vec![first];
        while !left.is_empty() {
            let (place, rows) = best(&joined, size, &sized, &left, &self.conditions);
            let next = left.remove(place);
            joined.extend(sized[next].columns.iter().cloned());
            size = rows;
            order.push(next);
        }
        order
    }

    /// Joins the relations in a good order.
    fn join(self) -> Result<LogicalPlan> {
        let order = self.order();
        let mut relations: Vec<Option<LogicalPlan>> = self.relations.into_iter().map(Some).collect();
        let mut ordered = order.into_iter().filter_map(|place| relations[place].take());
        let mut joined = ordered.next().unwrap_or_default();
        let mut conditions = self.conditions;
        for plan in ordered {
            let names: HashSet<Column> = joined.schema().columns().into_iter().chain(plan.schema().columns()).collect();
            let (usable, later): (Vec<Expr>, Vec<Expr>) =
                conditions.into_iter().partition(|condition| within(condition, &names));
            conditions = later;
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

/// A relation, its size and its columns.
struct Sized<'p> {
    plan: &'p LogicalPlan,
    rows: f64,
    columns: HashSet<Column>,
}

impl<'p> Sized<'p> {
    fn of(plan: &'p LogicalPlan) -> Self {
        Self { plan, rows: rows(plan), columns: plan.schema().columns().into_iter().collect() }
    }
}

/// Whether a condition is over some columns only.
fn within(condition: &Expr, columns: &HashSet<Column>) -> bool {
    condition.column_refs().iter().all(|column| columns.contains(*column))
}

/// Which relation to begin with: the smallest one that a condition joins with another.
fn start(relations: &[Sized<'_>], conditions: &[Expr]) -> usize {
    let is_joined = |relation: &Sized<'_>| {
        conditions.iter().any(|condition| {
            let used = condition.column_refs();
            let own = used.iter().filter(|column| relation.columns.contains(**column)).count();
            own > 0 && own < used.len()
        })
    };
    let ranks: Vec<(bool, f64)> = relations.iter().map(|relation| (!is_joined(relation), relation.rows)).collect();
    (0..relations.len())
        .min_by(|a, b| ranks[*a].0.cmp(&ranks[*b].0).then(ranks[*a].1.total_cmp(&ranks[*b].1)))
        .unwrap_or(0)
}

/// Which of the relations left to join next, and about how many rows there are then.
fn best(
    joined: &HashSet<Column>,
    size: f64,
    relations: &[Sized<'_>],
    left: &[usize],
    conditions: &[Expr],
) -> (usize, f64) {
    let mut best: Option<(usize, (bool, f64, f64))> = None;
    for (place, number) in left.iter().enumerate() {
        let relation = &relations[*number];
        let usable = conditions.iter().filter(|condition| {
            let used = condition.column_refs();
            let covered = |column: &&Column| joined.contains(*column) || relation.columns.contains(*column);
            used.iter().all(covered) && used.iter().any(|column| relation.columns.contains(*column))
        });
        let (mut all, mut equal, mut different) = (0, 0, None::<f64>);
        for condition in usable {
            all += 1;
            if let Some((left, right)) = equality(condition) {
                equal += 1;
                let known = [left, right].into_iter().filter_map(|side| distinct(relations, side));
                different = known.fold(different, |most, known| Some(most.map_or(known, |most| most.max(known))));
            }
        }
        // Each value of one side meets those of its value on the other; where nothing is known, keys join with one row each.
        let product = size * relation.rows;
        let rows = match (all, equal) {
            (0, _) => product,
            (_, 0) => product * 0.3,
            (_, equal) => {
                let values = different.unwrap_or_else(|| size.max(base(relation.plan)));
                product / values.max(1.0) * 0.5_f64.powi(equal - 1)
            }
        };
        let rank = (all == 0, rows.max(1.0), relation.rows);
        let better = |old: &(bool, f64, f64)| {
            rank.0.cmp(&old.0).then(rank.1.total_cmp(&old.1)).then(rank.2.total_cmp(&old.2)).is_lt()
        };
        if best.as_ref().is_none_or(|(_, old)| better(old)) {
            best = Some((place, rank));
        }
    }
    best.map_or((0, size), |(place, (_, rows, _))| (place, rows))
}

/// The sides of an equality.
fn equality(condition: &Expr) -> Option<(&Expr, &Expr)> {
    match condition {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => Some((&binary.left, &binary.right)),
        _ => None,
    }
}

/// About how many different values a column of some relation has.
fn distinct(relations: &[Sized<'_>], expr: &Expr) -> Option<f64> {
    let Expr::Column(column) = expr else { return None };
    let relation = relations.iter().find(|relation| relation.columns.contains(column))?;
    distinct_in(relation.plan, &column.name)
}

/// Names are unique in a query, so that a column that is passed on keeps its own.
fn distinct_in(plan: &LogicalPlan, name: &str) -> Option<f64> {
    match plan {
        LogicalPlan::TableScan(_) => table(plan)?.distinct(name),
        LogicalPlan::Filter(filter) => distinct_in(&filter.input, name),
        LogicalPlan::Projection(projection) => distinct_in(&projection.input, name),
        _ => None,
    }
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
