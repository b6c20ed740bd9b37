//! `EXPLAIN`.

use std::rc::Rc;
use std::time::Instant;

use annulus_relation::Outcome;
use annulus_relation::Value;
use annulus_txn::interface::Database;

use super::produce::run;
use super::{Analyzed, Plan, Work};
use crate::parse::Explain;
use crate::query::{Explained, Number, Part};
use crate::session::answer::Tag;
use crate::session::{Produced, Rows};

/// The lines of a plan; with `ANALYZE`, what happened when it ran.
pub(super) async fn explain<D: Database>(
    work: &mut Work<'_, D>,
    analyzed: &Rc<Analyzed>,
    params: &[Value],
    how: Explain,
) -> Outcome<Produced> {
    if let Plan::Query(query) = &analyzed.plan {
        let rows = query.explain(work, params, how).await?;
        return Ok(Produced::rows(rows, Tag::word("EXPLAIN")));
    }
    let mut explained = Explained { plan: described(&analyzed.plan), facts: Vec::new() };
    if how.analyze {
        let (began, rounds) = (Instant::now(), work.active.transaction.rounds());
        let mut produced = Box::pin(run(work, analyzed, params)).await?;
        let mut count = 0;
        match &mut produced.rows {
            Rows::Ready(rows) => count = rows.len(),
            Rows::Scan(first, scan) => {
                count += first.len();
                while let Some(rows) = scan.next(work, 4_000).await? {
                    count += rows.len();
                }
            }
            Rows::Query(..) | Rows::Fetch { .. } | Rows::CopyIn(..) | Rows::CopyOut(_) => {}
        }
        let rounds = work.active.transaction.rounds() - rounds;
        explained.facts = vec![
            ("Rows", Number::Count(count as u64), ""),
            ("Round trips", Number::Count(rounds), " before the commit"),
            ("Execution Time", Number::Millis(began.elapsed().as_secs_f64() * 1e3), " ms"),
        ];
    }
    Ok(Produced::rows(explained.rows(how.format, &work.active.env.types), Tag::word("EXPLAIN")))
}

/// A plan without the query engine, which is a line, and more of them with what is below.
fn described(plan: &Plan) -> Part {
    let lines = describe(plan);
    let kind = lines.first().map_or("", |line| line.split(" on ").next().unwrap_or(line));
    let kind = kind.split(" using ").next().unwrap_or(kind).to_owned();
    Part { kind, line: lines.join("\n"), ..Part::default() }
}

/// What a plan without the query engine does.
fn describe(plan: &Plan) -> Vec<String> {
    match plan {
        Plan::Select(select) => select.describe(),
        Plan::Change(change) => change.describe(),
        Plan::With(with) => with.describe(),
        _ => vec!["Utility statement".to_owned()],
    }
}
