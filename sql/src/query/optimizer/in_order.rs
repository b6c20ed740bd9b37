//! Computes what is volatile one row after the other, in the order in which the rows come: on several threads at once
//! `nextval` would count in the order in which they get to it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, Partitioning, ReplaceChildrenOptions,
};

/// The rule.
#[derive(Debug)]
pub(super) struct VolatileInOrder;

impl PhysicalOptimizerRule for VolatileInOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let recomputed = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let ordered = plan.transform_up(|node| {
            let volatile = node
                .downcast_ref::<ProjectionExec>()
                .is_some_and(|projection| projection.expr().iter().any(|computed| is_volatile(&computed.expr)));
            match node.children().first().and_then(|child| one_after_the_other(child)).filter(|_| volatile) {
                Some(input) => node.replace_children(vec![input], recomputed).map(Transformed::yes),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(ordered.data)
    }

    fn name(&self) -> &'static str {
        "volatile_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What a plan distributes over threads for their sake only, if it comes in one stream.
fn one_after_the_other(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let repartition = plan.downcast_ref::<RepartitionExec>()?;
    let only_shared = matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_));
    let input = repartition.input();
    (only_shared && input.output_partitioning().partition_count() == 1).then(|| Arc::clone(input))
}
