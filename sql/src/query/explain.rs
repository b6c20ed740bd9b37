//! A plan of the query engine, as `EXPLAIN` shows it.

use std::time::Duration;

use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::statistics::StatisticsContext;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, StatisticsArgs};

use crate::parse::Explain;

use super::exec::SharedExec;
use super::explained::{Explained, Number, Part};

struct Shown<'a>(&'a dyn ExecutionPlan, DisplayFormatType);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt_as(self.1, f)
    }
}

/// A plan; with what it did if it ran.
pub(super) fn explained(plan: &dyn ExecutionPlan, how: Explain, planned: Duration, ran: Option<Duration>) -> Explained {
    let millis = |duration: Duration| Number::Millis(duration.as_secs_f64() * 1000.0);
    let times = ran.map(|ran| [("Planning Time", millis(planned), " ms"), ("Execution Time", millis(ran), " ms")]);
    Explained { plan: part(plan, how), facts: times.into_iter().flatten().collect() }
}

fn part(plan: &dyn ExecutionPlan, how: Explain) -> Part {
    let format = if how.verbose { DisplayFormatType::Verbose } else { DisplayFormatType::Default };
    let mut part = Part { kind: plan.name().to_owned(), line: Shown(plan, format).to_string(), ..Part::default() };
    if how.analyze {
        add_done(&mut part, plan);
    } else if let Ok(statistics) = StatisticsContext::new().compute(plan, &StatisticsArgs::new())
        && let Some(rows) = statistics.num_rows.get_value()
    {
        part.note = format!("  (rows={rows})");
        part.facts.push(("Plan Rows".to_owned(), Number::Count(*rows as u64)));
    }
    part.parts = plan.children().into_iter().map(|child| self::part(child.as_ref(), how)).collect();
    part.parts.extend(plan.downcast_ref::<SharedExec>().map(|shared| self::part(shared.computed_by(), how)));
    part
}

/// What a part did.
fn add_done(part: &mut Part, plan: &dyn ExecutionPlan) {
    let Some(metrics) = plan.metrics().map(|metrics| metrics.aggregate_by_name()) else { return };
    let rows = metrics.output_rows().unwrap_or(0) as u64;
    let time = Number::Millis(metrics.elapsed_compute().unwrap_or(0) as f64 / 1e6);
    part.note = format!("  (actual rows={rows} time={time} ms");
    part.facts.push(("Actual Rows".to_owned(), Number::Count(rows)));
    part.facts.push(("Actual Total Time".to_owned(), time));
    for metric in metrics.iter() {
        let (name, count) = match metric.value() {
            MetricValue::Count { name, count }
                if matches!(&**name, "rows_read" | "rows_kept" | "bytes_read" | "round_trips") =>
            {
                (name.replace('_', " "), count.value())
            }
            MetricValue::SpilledBytes(count) if count.value() > 0 => ("spilled bytes".to_owned(), count.value()),
            _ => continue,
        };
        part.note.push_str(&format!(" {name}={count}"));
        part.facts.push((titled(&name), Number::Count(count as u64)));
    }
    part.note.push(')');
}

/// `rows read` as documents spell names: `Rows Read`.
fn titled(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
