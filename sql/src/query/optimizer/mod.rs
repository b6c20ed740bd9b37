//! Which rules plans go through: DataFusion's, without those for what the translation does itself, and our own.

mod apart;
mod few;
mod in_order;
mod join_order;

use std::sync::Arc;

use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::optimizer::{AnalyzerRule, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

/// Subqueries are joined by the translation, and names are resolved there.
const NEEDLESS: &[&str] = &[
    "rewrite_set_comparison",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
];

pub(super) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![Arc::new(TypeCoercion::new())]
}

pub(super) fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let rules = datafusion::optimizer::Optimizer::new().rules;
    let mut rules: Vec<_> = rules.into_iter().filter(|rule| !NEEDLESS.contains(&rule.name())).collect();
    // Filters stand at the scans by then, so that it is known how many rows each one gives.
    let after = rules.iter().position(|rule| rule.name() == "push_down_filter").map_or(rules.len(), |place| place + 1);
    rules.insert(after, Arc::new(join_order::JoinOrder));
    rules
}

pub(super) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let before = rules.iter().position(|rule| rule.name() == "PushdownSort").unwrap_or(rules.len());
    rules.insert(before, Arc::new(few::FewRows));
    rules.push(Arc::new(apart::SortsApart));
    rules.push(Arc::new(in_order::VolatileInOrder));
    rules
}
