//! A plan as text.

use std::time::Duration;

use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::statistics::StatisticsContext;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, StatisticsArgs};

use super::engine::Explain;

struct Shown<'a>(&'a dyn ExecutionPlan, DisplayFormatType);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt_as(self.1, f)
    }
}

/// The lines of a plan; with what it did if it ran.
pub(super) fn lines(plan: &dyn ExecutionPlan, how: Explain, planned: Duration, ran: Option<Duration>) -> Vec<String> {
    let mut lines = Vec::new();
    node(plan, how, 0, &mut lines);
    if let Some(ran) = ran {
        lines.push(format!("Planning Time: {:.3} ms", millis(planned)));
        lines.push(format!("Execution Time: {:.3} ms", millis(ran)));
    }
    lines
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn node(plan: &dyn ExecutionPlan, how: Explain, depth: usize, lines: &mut Vec<String>) {
    let format = if how.verbose { DisplayFormatType::Verbose } else { DisplayFormatType::Default };
    let arrow = if depth == 0 { String::new() } else { format!("{}->  ", " ".repeat(depth * 6 - 4)) };
    let mut line = format!("{arrow}{}", Shown(plan, format));
    if how.analyze {
        line.push_str(&done(plan));
    } else if let Ok(statistics) = StatisticsContext::new().compute(plan, &StatisticsArgs::new())
        && let Some(rows) = statistics.num_rows.get_value()
    {
        line.push_str(&format!("  (rows={rows})"));
    }
    lines.push(line);
    for child in plan.children() {
        node(child.as_ref(), how, depth + 1, lines);
    }
}

/// What a node did.
fn done(plan: &dyn ExecutionPlan) -> String {
    let Some(metrics) = plan.metrics().map(|metrics| metrics.aggregate_by_name()) else { return String::new() };
    let rows = metrics.output_rows().unwrap_or(0);
    let time = metrics.elapsed_compute().unwrap_or(0);
    let mut text = format!("  (actual rows={rows} time={:.3} ms", time as f64 / 1e6);
    for metric in metrics.iter() {
        match metric.value() {
            MetricValue::Count { name, count }
                if matches!(&**name, "rows_read" | "rows_kept" | "bytes_read" | "round_trips") =>
            {
                text.push_str(&format!(" {}={}", name.replace('_', " "), count.value()));
            }
            MetricValue::SpilledBytes(count) if count.value() > 0 => {
                text.push_str(&format!(" spilled bytes={}", count.value()));
            }
            _ => {}
        }
    }
    text.push(')');
    text
}
