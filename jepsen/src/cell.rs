//! One workload under one nemesis, from a fresh cluster to the checkers' verdicts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use annulus_base::rng::Rng;
use annulus_check::Verdict;
use annulus_check::workload::{Kind, Workload};
use annulus_probe::Patience;
use annulus_probe::client::sql::Nodes;
use annulus_probe::course::{self, Course};
use annulus_probe::journal::{Journal, Record};

use crate::availability::{self, Cost};
use crate::cluster::Cluster;
use crate::nemesis::Nemesis;
use crate::nemesis::tormentor::{Window, torment};
use crate::{Failure, Protocol};

/// Keys that a workload uses at a time.
const KEYS: u64 = 8;
/// How long clients go on after the last fault.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How long final reads and questions about lost answers are tried again once everything is healed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What clients do.
    pub workload: Kind,
    /// What clients speak.
    pub protocol: Protocol,
    /// What is done to the cluster.
    pub nemesis: Nemesis,
    /// Decides everything but moments.
    pub seed: u64,
    /// How long faults are done; healing and checking come on top.
    pub length: Duration,
    /// Clients.
    pub clients: u64,
    /// Transactions in a second at most, all clients together.
    pub rate: u64,
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    /// What was run.
    pub plan: Plan,
    /// Everything that was observed.
    pub record: Record,
    /// What each checker says.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What each fault cost.
    pub costs: Vec<Cost>,
    /// The logs of all nodes.
    pub logs: Vec<String>,
}

impl Outcome {
    /// Whether nothing was wrong, nothing was stuck, and every checker came to a verdict.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| verdict.is_valid())
            && self.record.anomalies.is_empty()
            && self.record.stuck.is_empty()
    }

    /// Everything that is wrong, in words.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let invalid = self.verdicts.iter().filter(|(_, verdict)| !verdict.is_valid());
        let mut all: Vec<String> = invalid.map(|(checker, verdict)| format!("{checker}: {verdict}")).collect();
        all.extend(self.record.anomalies.iter().map(|what| format!("ANOMALY: {what}")));
        all.extend(self.record.stuck.iter().map(|what| format!("LOST PROGRESS: {what}")));
        all
    }
}

/// Runs a plan on a cluster that serves.
///
/// # Errors
/// If the cell could not be run as planned: that says nothing about the database.
pub fn run(plan: Plan, cluster: &mut dyn Cluster) -> Result<Outcome, Failure> {
    let mut rng = Rng::new(plan.seed);
    let mut workload = plan.workload.build(KEYS);
    let named = |addresses: Vec<SocketAddr>| addresses.iter().map(ToString::to_string).collect();
    let addresses: Vec<String> = match plan.protocol {
        Protocol::Resp => named(cluster.addresses()),
        Protocol::Sql | Protocol::SqlSchema => Nodes::at(named(cluster.sql_addresses())).strings(),
    };
    let prefix = format!("{}:", plan.workload);
    let patience = Patience::new(PATIENCE);
    let course = Course {
        protocol: plan.protocol.spoken(plan.workload, plan.seed),
        addresses: &addresses,
        prefix: &prefix,
        clients: plan.clients,
        rate: plan.rate,
        afterwards: AFTERWARDS,
        patience: &patience,
    };
    let journal = Journal::new(Instant::now(), plan.clients + 1);
    let until = journal.now() + plan.length.as_micros() as u64;
    let windows = course.run(&mut *workload, &journal, &mut rng, |faults| {
        let windows = torment(cluster, plan.nemesis, &journal, faults, until);
        patience.begin();
        windows
    })??;
    for node in 0..cluster.shape().nodes {
        if !cluster.is_running(node) {
            journal.anomaly(format!("n{} has ended without any fault", node + 1));
        }
    }
    journal.note("checking");
    Ok(judge(plan, &*workload, journal.finish(), &windows, cluster))
}

fn judge(
    plan: Plan,
    workload: &dyn Workload,
    mut record: Record,
    windows: &[Window],
    cluster: &dyn Cluster,
) -> Outcome {
    let verdicts = course::verdicts(workload, &record);
    let costs = availability::costs(&record.samples, windows, cluster.shape().nodes);
    record.stuck.extend(availability::stuck(&costs));
    let logs: Vec<String> = (0..cluster.shape().nodes).map(|node| cluster.log(node)).collect();
    for (node, log) in logs.iter().enumerate() {
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            record.anomalies.push(format!("n{} panicked: {line}", node + 1));
        }
    }
    Outcome { plan, record, verdicts, costs, logs }
}
