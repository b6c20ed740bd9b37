//! Sorts of several partitions that keep few rows each share a filter: what one of them needs no longer, the others drop
//! too. DataFusion does so also where a sort leaves out a column that is constant within each partition but not the same
//! in all, as in `SELECT 2, b FROM t UNION ALL SELECT 1, c FROM t ORDER BY 1, 2 LIMIT 3`. Such sorts keep all rows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

/// The rule.
#[derive(Debug)]
pub(super) struct SortsApart;

impl PhysicalOptimizerRule for SortsApart {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() else { return Ok(Transformed::no(node)) };
            match with_all_rows(merge.input(), merge.expr().len())? {
                Some(input) => Ok(Transformed::yes(with_child(&node, input)?)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &'static str {
        "sorts_apart"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same plan whose sort keeps all rows, if it keeps few and has fewer columns than those merged by.
fn with_all_rows(plan: &Arc<dyn ExecutionPlan>, columns: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let leaves_out = sort.fetch().is_some() && sort.preserve_partitioning() && sort.expr().len() < columns;
        return Ok(leaves_out.then(|| Arc::new(sort.with_fetch(None)) as Arc<dyn ExecutionPlan>));
    }
    let children = plan.children();
    let [child] = children.as_slice() else { return Ok(None) };
    with_all_rows(child, columns)?.map(|child| with_child(plan, child)).transpose()
}

fn with_child(plan: &Arc<dyn ExecutionPlan>, child: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan).replace_children(vec![child], options)
}
