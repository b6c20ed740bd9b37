//! `--history`: judges what somebody has recorded.

use std::error::Error;
use std::path::Path;

use annulus_check::history::{History, Key, Outcome, Step, from_edn, from_json};
use annulus_check::{Verdict, bank, whole};

use super::conclusion::{Ending, Finding, conclude};
use crate::cli::print;

/// Reads a history and says what the checkers think of it.
pub fn run(file: &Path, total: Option<i64>) -> Result<Ending, Box<dyn Error>> {
    let at = |error: &dyn Error| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(&error))?;
    let history = if is_edn(&text) { from_edn(&text) } else { from_json(&text) }.map_err(|error| at(&error))?;
    let count = |outcome| history.ops.iter().filter(|op| op.outcome == outcome).count();
    print(&format!(
        "{} transactions: {} executed, {} failed, {} unknown.\n",
        history.ops.len(),
        count(Outcome::Ok),
        count(Outcome::Fail),
        count(Outcome::Unknown)
    ))?;
    let mut verdicts = whole::check(&history);
    verdicts.extend(total.map(|total| ("bank", conserved(&history, total))));
    let finding = |(checker, verdict)| Finding { what: "this history".to_owned(), checker, verdict };
    let (ending, text) = conclude(&verdicts.into_iter().map(finding).collect::<Vec<_>>());
    print(&text)?;
    Ok(ending)
}

/// EDN events are maps with keywords, or records with a tag; JSON objects have quoted names.
fn is_edn(text: &str) -> bool {
    let inner = text.trim_start().trim_start_matches('[').trim_start();
    inner.starts_with(['#', ';']) || inner.strip_prefix('{').is_some_and(|event| event.trim_start().starts_with(':'))
}

/// Whether everybody found that total, whenever they looked.
fn conserved(history: &History, total: i64) -> Verdict {
    let accounts = accounts(history);
    Verdict::worst([
        bank::check(&history.latest(), &accounts, total),
        bank::check_past(&history.past(), &accounts, total),
    ])
}

/// All keys that are added to.
fn accounts(history: &History) -> Vec<Key> {
    let added = history.ops.iter().flat_map(|op| &op.steps).filter(|step| matches!(step, Step::Add { .. }));
    let keys: std::collections::BTreeSet<Key> = added.map(Step::key).collect();
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edn_and_json_are_told_apart() {
        for edn in
            ["{:type :ok}", " [{:type :ok}]", "#jepsen.history.Op{:type :ok}", "; a comment\n{:index 0}", "{ :a 1}"]
        {
            assert!(is_edn(edn), "{edn}");
        }
        for json in ["{\"type\":\"ok\"}", "[{\"type\":\"ok\"}]", "", "[]"] {
            assert!(!is_edn(json), "{json}");
        }
    }
}
