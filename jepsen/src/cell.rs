//! One workload under one nemesis, from a fresh cluster to the checkers' verdicts.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, sleep};
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_check::history::{Datum, History, Key};
use annulus_check::workload::Workload;
use annulus_check::{Verdict, agreement, durability};

use crate::Failure;
use crate::availability::{self, Cost};
use crate::client::outcomes::Clerk;
use crate::client::{Client, Job};
use crate::cluster::Cluster;
use crate::journal::{Journal, Record};
use crate::nemesis::Nemesis;
use crate::nemesis::tormentor::{Window, torment};
use crate::workload::Kind;

/// Keys that a workload uses at a time.
const KEYS: u64 = 8;
/// How long clients go on after the last fault.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// What is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What clients do.
    pub workload: Kind,
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
    let addresses = cluster.addresses();
    let journal = Journal::new(plan.clients + 1);
    let prefix = format!("{}:", plan.workload);
    let client = |number, rng| Client::new(number, &addresses, &prefix, &journal, rng);
    setup(&*workload, client(plan.clients, rng.fork()))?;

    let mut clients: Vec<Client<'_>> = (0..plan.clients).map(|number| client(number, rng.fork())).collect();
    let mut clerk = Clerk::new(&addresses, &journal, rng.fork());
    let (mut faults, mut work) = (rng.fork(), rng.fork());
    let until = journal.now() + plan.length.as_micros() as u64;
    let healed = AtomicBool::new(false);
    let windows = thread::scope(|scope| {
        let asking = scope.spawn(|| clerk.work(&healed));
        let nemesis = scope.spawn(|| torment(cluster, plan.nemesis, &journal, &mut faults, until));
        drive(&mut clients, |jobs| {
            let mut calm = u64::MAX;
            while journal.now() < calm {
                if calm == u64::MAX && nemesis.is_finished() {
                    calm = journal.now() + AFTERWARDS.as_micros() as u64;
                }
                // There are clients as long as there can be jobs.
                let _ = jobs.send(Job::Once(workload.next(&mut work)));
                sleep(Duration::from_micros(work.below(2_000_000 / plan.rate.max(1))));
            }
        });
        healed.store(true, Ordering::Release);
        asking.join().expect("who asks for outcomes does not panic");
        nemesis.join().expect("the nemesis does not panic")
    })?;
    journal.note("final reads");
    drive(&mut clients, |jobs| {
        for program in workload.closing() {
            let _ = jobs.send(Job::Insist(program));
        }
    });
    journal.note("outcomes are asked for once more");
    clerk.audit();
    for node in 0..cluster.shape().nodes {
        if !cluster.is_running(node) {
            journal.anomaly(format!("n{} has ended without any fault", node + 1));
        }
    }
    journal.note("checking");
    drop((clients, clerk));
    Ok(judge(plan, &*workload, journal.finish(), &windows, cluster))
}

/// What the workload needs at its start.
fn setup(workload: &dyn Workload, mut client: Client<'_>) -> Result<(), Failure> {
    for program in workload.setup() {
        if !client.once(&program) {
            return Err(Failure::Setup(format!("{program:?}")));
        }
    }
    Ok(())
}

/// Lets all clients work on what `feed` gives them, until they have done it all.
fn drive(clients: &mut [Client<'_>], feed: impl FnOnce(&SyncSender<Job>)) {
    let (jobs, queue) = sync_channel(1);
    let queue = &Mutex::new(queue);
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || client.work(queue));
        }
        feed(&jobs);
        drop(jobs);
    });
}

fn judge(
    plan: Plan,
    workload: &dyn Workload,
    mut record: Record,
    windows: &[Window],
    cluster: &dyn Cluster,
) -> Outcome {
    let mut verdicts = workload.check(&record.history);
    verdicts.push(("outcomes", agreement::check(&record.observations)));
    if record.stuck.is_empty() {
        verdicts.push(("durable", durability::check(&record.history, &last_seen(&record.history))));
    }
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

/// What the last executed reads found: those made when everything else had ended.
fn last_seen(history: &History) -> BTreeMap<Key, Datum> {
    history.executed().flat_map(|(_, op)| op.found()).map(|(key, found)| (key, found.clone())).collect()
}
