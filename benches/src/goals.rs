//! What Annulus is to reach, compared with the other peers of the same run.

use std::fmt::Write as _;

use crate::floor::Floor;
use crate::peer::Kind::{self, Annulus, AnnulusSql, Etcd, Galera, Postgres};
use crate::report::{Results, short};
use crate::round::Figures;
use crate::suite::Workload::{self, Aggregate, Get, Hot, Put, Transfer};

/// Clients at which processor time is compared.
const MANY: u16 = 64;
/// Clients from which throughput on hot keys may not collapse.
const FEWER: u16 = 16;
/// What is left of that throughput at least.
const COLLAPSE: f64 = 0.8;
/// Most for a put by one client, relative to the floor.
const FLOOR_RATIO: f64 = 1.5;
/// Share of etcd's processor time that a get may cost.
const GET_SHARE: f64 = 0.2;
/// Share of Galera's processor time that a put or a transfer through SQL may cost.
const GALERA_SHARE: f64 = 0.5;
/// Most processor time of a get through SQL, in milliseconds.
const SQL_GET: f64 = 0.06;
/// Slowest p99 of hot transfers, in milliseconds.
const HOT_P99: f64 = 100.0;

/// One goal, measured.
struct Goal {
    what: String,
    value: f64,
    bound: f64,
    /// Whether the value must lie above the bound instead of below.
    above: bool,
}

/// The goals that this run can tell about, as Markdown. Empty if there are none.
pub fn markdown(results: &Results) -> String {
    let goals = measured(results);
    if goals.is_empty() {
        return String::new();
    }
    let doubt = if results.disturbed() { " (some cells were disturbed: repeat on a quiet machine)" } else { "" };
    let mut out = format!("\nGoals{doubt}:\n\n");
    for Goal { what, value, bound, above } in goals {
        let reached = if above { value > bound } else { value <= bound };
        let (verdict, relation) = (if reached { "reached" } else { "MISSED" }, if above { "above" } else { "at most" });
        let _ = writeln!(out, "- {verdict}: {what} {}, {relation} {}", short(value), short(bound));
    }
    out
}

fn measured(results: &Results) -> Vec<Goal> {
    let cell = |kind: Kind, workload: Workload, clients: u16| -> Option<Figures> {
        // Where no operation succeeded there is nothing to compare.
        Some(results.cell(kind, workload, clients)?.figures).filter(|figures| figures.ops_per_s > 0.0)
    };
    let cpu = |kind, workload| Some(cell(kind, workload, MANY)?.server_cpu_ms_per_op);
    let below = |what: &str, value: Option<f64>, bound: Option<f64>| {
        Some(Goal { what: what.to_owned(), value: value?, bound: bound?, above: false })
    };
    let above = |what: String, value: Option<f64>, bound: Option<f64>| {
        Some(Goal { what, value: value?, bound: bound?, above: true })
    };
    let floor = results.floor().map(Floor::total);
    let put_ratio = cell(Annulus, Put, 1).zip(floor).map(|(figures, floor)| figures.p50_ms / floor);
    let hot = |kind, clients| Some(cell(kind, Hot, clients)?.ops_per_s);
    let mut goals = vec![
        below("put, processor ms at 64 clients, PostgreSQL's being the bound:", cpu(Annulus, Put), cpu(Postgres, Put)),
        below(
            "transfer, processor ms at 64 clients, PostgreSQL's being the bound:",
            cpu(Annulus, Transfer),
            cpu(Postgres, Transfer),
        ),
        below(
            "get, processor ms at 64 clients, a fifth of etcd's being the bound:",
            cpu(Annulus, Get),
            cpu(Etcd, Get).map(|cpu| cpu * GET_SHARE),
        ),
        below("put, p50 of one client relative to the floor:", put_ratio, Some(FLOOR_RATIO)),
        above(
            "hot transfers/s, 64 clients relative to 16:".to_owned(),
            hot(Annulus, MANY).zip(hot(Annulus, FEWER)).map(|(many, fewer)| many / fewer),
            Some(COLLAPSE),
        ),
        below("hot transfers, p99 ms at 64 clients:", cell(Annulus, Hot, MANY).map(|f| f.p99_ms), Some(HOT_P99)),
    ];
    for (workload, name) in [(Put, "put"), (Transfer, "transfer")] {
        let ours = || cpu(AnnulusSql, workload);
        let what = |bound: &str| format!("SQL {name}, processor ms at 64 clients, {bound} being the bound:");
        goals.push(below(&what("half of Galera's"), ours(), cpu(Galera, workload).map(|cpu| cpu * GALERA_SHARE)));
        goals.push(below(&what("PostgreSQL's"), ours(), cpu(Postgres, workload)));
    }
    goals.push(below("SQL get, processor ms at 64 clients:", cpu(AnnulusSql, Get), Some(SQL_GET)));
    goals.push(below(
        "SQL aggregate over 100 000 rows, processor ms at 64 clients, PostgreSQL's being the bound:",
        cpu(AnnulusSql, Aggregate),
        cpu(Postgres, Aggregate),
    ));
    // Redis loses acknowledged writes when its primary does: it is no measure here.
    for (kind, clients) in [Etcd, Postgres].into_iter().flat_map(|kind| [FEWER, MANY].map(|clients| (kind, clients))) {
        let what = format!("hot transfers/s at {clients} clients, {}'s being the bound:", kind.name());
        goals.push(above(what, hot(Annulus, clients), hot(kind, clients)));
    }
    goals.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::Round;

    fn round(peer: Kind, workload: Workload, cpu: f64) -> Round {
        let figures = Figures { server_cpu_ms_per_op: cpu, ops_per_s: 1.0, ..Figures::default() };
        Round { peer, workload, clients: MANY, secs: 1.0, figures, disturbed: false, last_error: None }
    }

    #[test]
    fn only_what_was_measured_is_told() {
        assert_eq!(markdown(&Results::default()), "");
        let rounds = vec![round(Annulus, Get, 0.05), round(Etcd, Get, 0.2), round(Annulus, Put, 0.05)];
        let text = markdown(&Results { rounds, floors: Vec::new() });
        assert_eq!(text.lines().filter(|line| line.starts_with("- ")).count(), 1, "{text}");
        assert!(text.contains("MISSED: get") && text.contains("0.050, at most 0.040"), "{text}");
    }
}
