//! `EXPLAIN`.

use std::rc::Rc;
use std::time::Instant;

use annulus_relation::Outcome;
use annulus_relation::{Row, Value};
use annulus_txn::interface::Database;

use super::produce::run;
use super::{Analyzed, Plan, Work};
use crate::query::Explain;
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
    let mut lines = describe(&analyzed.plan);
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
        lines.push(format!("Rows: {count}"));
        lines.push(format!("Round trips: {rounds} before the commit"));
        lines.push(format!("Execution Time: {:.3} ms", began.elapsed().as_secs_f64() * 1e3));
    }
    let rows: Vec<Row> = lines.into_iter().map(|line| vec![Value::text(line)]).collect();
    Ok(Produced::rows(rows, Tag::word("EXPLAIN")))
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
