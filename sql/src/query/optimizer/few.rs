//! Tells scans below a sort that keeps a few rows only: reading in the order of an index is worth it then.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;

use crate::query::exec::ScanExec;

/// Up to how many rows are a few.
const FEW: usize = 1000;

/// The rule.
#[derive(Debug)]
pub(super) struct FewRows;

impl PhysicalOptimizerRule for FewRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let marked = plan.transform_up(|node| {
            let few = node.downcast_ref::<SortExec>().and_then(SortExec::fetch).is_some_and(|fetch| fetch <= FEW);
            if !few {
                return Ok(Transformed::no(node));
            }
            node.transform_down(|below| {
                Ok(match below.downcast_ref::<ScanExec>() {
                    Some(scan) => Transformed::yes(Arc::new(scan.with_few()) as Arc<dyn ExecutionPlan>),
                    None => Transformed::no(below),
                })
            })
        })?;
        Ok(marked.data)
    }

    fn name(&self) -> &'static str {
        "few_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
