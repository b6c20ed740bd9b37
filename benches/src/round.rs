//! One round of one cell, and the median of several.

use serde::Serialize;

use crate::load::Measured;
use crate::peer::Kind;
use crate::suite::Workload;

/// Above this many cores used by others a round is disturbed.
const DISTURBED: f64 = 0.25;

/// Figures of one round, or medians of several.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Operations per second.
    pub ops_per_s: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 99 of 100 operations were faster.
    pub p99_ms: f64,
    /// The slowest operation.
    pub max_ms: f64,
    /// Processor time of all server processes per operation.
    pub server_cpu_ms_per_op: f64,
    /// Switches of the servers' threads per operation.
    pub switches_per_op: f64,
    /// Tries that lost a conflict, per operation.
    pub aborts_per_op: f64,
    /// Operations that failed.
    pub errors: f64,
    /// Cores that the load generator used.
    pub client_cores: f64,
    /// Cores that everything but the servers and the load generator used.
    pub other_cores: f64,
}

/// What was measured, with which peer, and how it went.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The peer.
    #[serde(serialize_with = "kind_name")]
    pub peer: Kind,
    /// The workload.
    #[serde(serialize_with = "workload_name")]
    pub workload: Workload,
    /// Clients at once.
    pub clients: u16,
    /// Length in seconds.
    pub secs: f64,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// Whether other processes used more than a quarter of a core.
    pub disturbed: bool,
    /// One of the errors.
    pub last_error: Option<String>,
}

fn kind_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

fn workload_name<S: serde::Serializer>(workload: &Workload, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(workload.name())
}

impl Round {
    /// Turns counts into figures.
    pub fn new(peer: Kind, workload: Workload, clients: u16, measured: Measured) -> Self {
        let secs = measured.elapsed.as_secs_f64();
        let count = measured.latencies.len() as f64;
        let per_op = |total: f64| if count > 0.0 { total / count } else { 0.0 };
        let latency_ms = |share| f64::from(quantile(&measured.latencies, share)) / 1e3;
        let figures = Figures {
            ops_per_s: count / secs,
            p50_ms: latency_ms(0.5),
            p99_ms: latency_ms(0.99),
            max_ms: latency_ms(1.0),
            server_cpu_ms_per_op: per_op(1e3 * measured.servers.cpu),
            switches_per_op: per_op(measured.servers.switches as f64),
            aborts_per_op: per_op(measured.aborts as f64),
            errors: measured.errors as f64,
            client_cores: measured.client_cpu / secs,
            other_cores: measured.other_cpu / secs,
        };
        let disturbed = figures.other_cores > DISTURBED;
        Self { peer, workload, clients, secs, figures, disturbed, last_error: measured.last_error }
    }
}

/// The value below which that share of them lies; they are ascending.
fn quantile(ascending: &[u32], share: f64) -> u32 {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.max(1) - 1).copied().unwrap_or(0)
}

/// The median of several rounds of one cell.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Medians of the rounds that were not disturbed, or of all if all were. Errors are summed over all.
    pub figures: Figures,
    /// Whether every round was disturbed.
    pub disturbed: bool,
}

impl Summary {
    /// Sums up rounds of one cell, `None` if there are none.
    pub fn of(rounds: &[&Round]) -> Option<Self> {
        let quiet: Vec<&Round> = rounds.iter().copied().filter(|round| !round.disturbed).collect();
        let disturbed = quiet.is_empty();
        let counted = if disturbed { rounds } else { &quiet };
        if counted.is_empty() {
            return None;
        }
        let of = |figure: fn(&Figures) -> f64| median(counted.iter().map(|round| figure(&round.figures)).collect());
        let figures = Figures {
            ops_per_s: of(|f| f.ops_per_s),
            p50_ms: of(|f| f.p50_ms),
            p99_ms: of(|f| f.p99_ms),
            max_ms: of(|f| f.max_ms),
            server_cpu_ms_per_op: of(|f| f.server_cpu_ms_per_op),
            switches_per_op: of(|f| f.switches_per_op),
            aborts_per_op: of(|f| f.aborts_per_op),
            errors: rounds.iter().map(|round| round.figures.errors).sum(),
            client_cores: of(|f| f.client_cores),
            other_cores: of(|f| f.other_cores),
        };
        Some(Self { figures, disturbed })
    }
}

/// The middle one, or the mean of the two in the middle. 0 if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;
    use std::time::Duration;

    fn round(latencies: Vec<u32>, other_cpu: f64) -> Round {
        let measured = Measured {
            latencies,
            aborts: 10,
            errors: 1,
            last_error: Some("broken".into()),
            elapsed: Duration::from_secs(2),
            servers: Cost { cpu: 1.5, switches: 40 },
            client_cpu: 0.5,
            other_cpu,
        };
        Round::new(Kind::Redis, Workload::Hot, 16, measured)
    }

    #[test]
    fn figures_are_per_second_and_per_operation() {
        let round = round((1..=100).map(|n| n * 1_000).collect(), 0.6);
        let figures = &round.figures;
        assert_eq!((figures.ops_per_s, figures.server_cpu_ms_per_op), (50.0, 15.0));
        assert_eq!((figures.p50_ms, figures.p99_ms, figures.max_ms), (50.0, 99.0, 100.0));
        assert_eq!((figures.switches_per_op, figures.aborts_per_op), (0.4, 0.1));
        assert!(round.disturbed && (figures.client_cores - 0.25).abs() < 1e-9);
        let json = serde_json::to_string(&round).unwrap();
        assert!(json.contains(r#""peer":"redis","workload":"hot","clients":16,"#) && json.contains(r#""p50_ms":50.0"#));
    }

    #[test]
    fn a_round_without_operations_has_figures_all_the_same() {
        let figures = round(Vec::new(), 0.0).figures;
        assert_eq!((figures.ops_per_s, figures.p99_ms, figures.server_cpu_ms_per_op), (0.0, 0.0, 0.0));
    }

    #[test]
    fn disturbed_rounds_count_only_if_there_are_no_others() {
        let (quick, slow, loud) = (round(vec![1; 100], 0.1), round(vec![9; 10], 0.2), round(vec![5; 60], 2.0));
        let summary = Summary::of(&[&quick, &loud, &slow]).unwrap();
        assert_eq!((summary.figures.ops_per_s, summary.figures.errors, summary.disturbed), (27.5, 3.0, false));
        let summary = Summary::of(&[&loud]).unwrap();
        assert_eq!((summary.figures.ops_per_s, summary.disturbed), (30.0, true));
        assert!(Summary::of(&[]).is_none());
    }

    #[test]
    fn medians_and_quantiles() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0]), median(Vec::new())), (2.0, 2.5, 0.0));
        assert_eq!((quantile(&[1, 2, 3, 4], 0.5), quantile(&[7], 0.99), quantile(&[], 0.5)), (2, 7, 0));
    }
}
