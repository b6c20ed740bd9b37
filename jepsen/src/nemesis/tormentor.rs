//! Carries faults out, and writes down when.

use std::thread::sleep;
use std::time::Duration;

use annulus_base::rng::Rng;
use annulus_probe::journal::Journal;

use super::{Action, Fault, Nemesis};
use crate::Failure;
use crate::cluster::{self, Cluster, Node, is_ready};

/// Rest between two faults, milliseconds.
const REST: (u64, u64) = (2_000, 4_000);
/// How long nodes may take to serve again after a fault.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// A sleep that is longer than wanted by more than this is a machine that is too busy to measure anything.
const STALL: Duration = Duration::from_secs(1);
/// Pause between two looks at whether time is over, or a node ready.
const LOOK: Duration = Duration::from_millis(50);

/// When a fault was there. Microseconds since the start of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What was done.
    pub name: String,
    /// Before the first action.
    pub begun: u64,
    /// When healing began.
    pub ended: u64,
    /// When all nodes said that they serve.
    pub healed: u64,
    /// Whether every key had a majority of its replicas all the time.
    pub has_majority: bool,
}

/// Does one fault after the other until `until` (microseconds), and leaves the cluster whole.
///
/// # Errors
/// If a fault cannot be done here.
pub fn torment(
    cluster: &mut dyn Cluster,
    nemesis: Nemesis,
    journal: &Journal,
    rng: &mut Rng,
    until: u64,
) -> Result<Vec<Window>, Failure> {
    let mut windows = Vec::new();
    while rest(journal, Duration::from_millis(rng.between(REST.0, REST.1)), until) {
        let fault = nemesis.fault(cluster.shape(), rng);
        windows.push(one(cluster, &fault, journal)?);
    }
    Ok(windows)
}

/// False if the time is over.
fn rest(journal: &Journal, pause: Duration, until: u64) -> bool {
    let end = journal.now() + pause.as_micros() as u64;
    while journal.now() < end.min(until) {
        sleep(LOOK);
    }
    journal.now() < until
}

fn one(cluster: &mut dyn Cluster, fault: &Fault, journal: &Journal) -> Result<Window, Failure> {
    let begun = journal.now();
    journal.note(&format!("fault: {}", fault.name));
    for action in &fault.actions {
        carry_out(cluster, action, journal)?;
    }
    let done = journal.now();
    sleep(fault.lasts);
    let ended = journal.now();
    let late = Duration::from_micros(ended - done).saturating_sub(fault.lasts);
    if late > STALL {
        journal.note(&format!("this machine stood still for {late:?}: what was measured meanwhile is not the nodes'"));
    }
    for action in &fault.actions {
        look_before_healing(cluster, action, journal);
    }
    journal.note("healing");
    cluster::heal(cluster)?;
    if let Err(node) = until_all_ready(cluster, fault, journal) {
        let log = cluster::tail(&cluster.log(node), 10);
        journal.lost_progress(format!(
            "n{} does not serve {RECOVERY:?} after the fault '{}' was healed; the end of its log:\n{log}",
            node + 1,
            fault.name
        ));
    }
    journal.note("all nodes are ready");
    let has_majority = cluster.shape().survives(fault.away);
    Ok(Window { name: fault.name.clone(), begun, ended, healed: journal.now(), has_majority })
}

fn carry_out(cluster: &mut dyn Cluster, action: &Action, journal: &Journal) -> Result<(), Failure> {
    match action {
        Action::Kill(node) => cluster.kill(*node),
        Action::Stop(node) => cluster.stop(*node),
        Action::Start(node) => cluster.start(*node),
        Action::Pause(node) => cluster.pause(*node),
        Action::Links(links) => links.iter().try_for_each(|(from, to, link)| cluster.link(*from, *to, *link)),
        Action::FillDisk(node) => cluster.disk(*node).fill(),
        Action::LoseDisk(node) => {
            cluster.kill(*node)?;
            cluster.disk(*node).take()?;
            cluster.start(*node)
        }
        Action::SetClock(node, error) => cluster.disk(*node).set_clock(*error),
        Action::FailSyncs(node) => cluster.disk(*node).fail_syncs(true),
        Action::Damage(node, part, seed) => {
            cluster.stop(*node)?;
            let what = cluster.disk(*node).damage(*part, *seed)?;
            journal.note(&format!("n{}: {what}", node + 1));
            cluster.start(*node)
        }
        Action::Upgrade(node) => {
            cluster.stop(*node)?;
            cluster.upgrade(*node)?;
            cluster.start(*node)
        }
        Action::Wait(pause) => {
            sleep(*pause);
            Ok(())
        }
        Action::UntilReady(node) => {
            until_ready(cluster, *node, journal);
            Ok(())
        }
    }
}

/// A node may stop for want of space, even after there is some again, or find damage late: then somebody mends and
/// starts it.
fn until_all_ready(cluster: &mut dyn Cluster, fault: &Fault, journal: &Journal) -> Result<(), Node> {
    let end = journal.now() + RECOVERY.as_micros() as u64;
    let may_stop = |node: Node| fault.actions.iter().any(|action| action.may_end() == Some(node));
    for (node, page) in cluster.pages().into_iter().enumerate() {
        while !is_ready(page) {
            if journal.now() > end {
                return Err(node);
            }
            if may_stop(node) && !cluster.is_running(node) {
                journal.note(&format!("n{} has stopped; starting it", node + 1));
                cluster::mend(cluster, node).and_then(|()| cluster.start(node)).map_err(|_| node)?;
            }
            sleep(LOOK);
        }
    }
    Ok(())
}

fn until_ready(cluster: &dyn Cluster, node: Node, journal: &Journal) {
    let end = journal.now() + RECOVERY.as_micros() as u64;
    let page = cluster.pages()[node];
    while !is_ready(page) {
        if journal.now() > end {
            return journal.lost_progress(format!("n{} does not serve {RECOVERY:?} after its restart", node + 1));
        }
        sleep(LOOK);
    }
}

/// A node that has lost its disk knows nothing of what it promised, and one whose syncs fail cannot keep what it would
/// promise: neither may take part. What a flipped bit does is its own affair, as long as it does not lie.
fn look_before_healing(cluster: &mut dyn Cluster, action: &Action, journal: &Journal) {
    let (node, what, may_serve) = match action {
        Action::LoseDisk(node) => (*node, "without its disk", false),
        Action::FailSyncs(node) => (*node, "with failing syncs", false),
        Action::Damage(node, ..) => (*node, "with a flipped bit", true),
        _ => return,
    };
    let serves = is_ready(cluster.pages()[node]);
    if serves && !may_serve {
        journal.anomaly(format!("n{} serves {what}", node + 1));
    }
    let how = match (serves, cluster.is_running(node)) {
        (true, _) => "serves",
        (false, true) => "runs, but does not serve",
        (false, false) => "has stopped, or refused to start",
    };
    journal.note(&format!("n{} {what} {how}", node + 1));
}
