//! Which statements ran, how often and how long: always on.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use annulus_relation::Value;

use super::shared::lock;

/// How many different statements are kept; when there are more, the one that ran least goes.
const MOST: usize = 2_000;
/// Longest text that is kept, in bytes.
const SHOWN: usize = 1_024;

/// What is known about a statement.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    calls: u64,
    rows: u64,
    total: Duration,
    least: Duration,
    most: Duration,
}

/// The statements of a node.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    by_text: Mutex<HashMap<Box<str>, Figures>>,
}

impl Statements {
    /// A statement has run.
    pub fn note(&self, text: &str, took: Duration, rows: u64) {
        let text = &text[..text.floor_char_boundary(SHOWN)];
        let mut all = lock(&self.by_text);
        if all.len() >= MOST && !all.contains_key(text) {
            let least = all.iter().min_by_key(|(_, figures)| figures.calls).map(|(text, _)| text.clone());
            least.map(|text| all.remove(&text));
        }
        let figures = match all.get_mut(text) {
            Some(figures) => figures,
            None => all.entry(text.into()).or_default(),
        };
        figures.least = if figures.calls == 0 { took } else { figures.least.min(took) };
        figures.most = figures.most.max(took);
        (figures.calls, figures.rows) = (figures.calls + 1, figures.rows + rows);
        figures.total += took;
    }

    /// The rows of `pg_stat_statements`.
    pub fn rows(&self) -> Vec<Vec<(&'static str, Value)>> {
        let all = lock(&self.by_text);
        let millis = |duration: Duration| Value::Float8(duration.as_secs_f64() * 1e3);
        let count = |count: u64| Value::Int8(i64::try_from(count).unwrap_or(i64::MAX));
        let row = |text: &str, figures: &Figures| {
            let mean = figures.total.div_f64(figures.calls.max(1) as f64);
            vec![
                ("query", Value::text(text)),
                ("calls", count(figures.calls)),
                ("rows", count(figures.rows)),
                ("total_exec_time", millis(figures.total)),
                ("min_exec_time", millis(figures.least)),
                ("max_exec_time", millis(figures.most)),
                ("mean_exec_time", millis(mean)),
            ]
        };
        all.iter().map(|(text, figures)| row(text, figures)).collect()
    }
}
