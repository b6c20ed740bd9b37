//! What a node does now and then: tells and learns facts, looks at the disk, trims the vote log.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use annulus_base::{NodeId, Timestamp};
use annulus_gossip::facts::Mark;
use annulus_ring::Topology;
use annulus_txn::member::Input;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::NodeError;
use super::driver::Driver;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::net::gossip::Gossip;
use crate::storage::checkpoint::Checkpoints;
use crate::storage::disk;

/// How often reachability is looked at: a broken connection is noticed that soon.
const GLANCE: Duration = Duration::from_millis(50);
/// How often facts are told and learned.
const FACTS_EVERY: Duration = Duration::from_millis(500);
/// How often the disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(1);
/// Above this share of the disk, writes are refused.
const FULL: f64 = 0.95;
/// Below this share, they are accepted again.
const ROOM: f64 = 0.94;
/// How often a checkpoint looks whether the log is synced.
const SYNC_PAUSE: Duration = Duration::from_millis(2);

/// Does the regular work of a node. Clones are the same one.
#[derive(Clone)]
pub struct Keeper(Rc<Inner>);

struct Inner {
    driver: Driver,
    gossip: Gossip,
    topology: Arc<Topology>,
    checkpoints: Arc<Checkpoints>,
    data_dir: std::path::PathBuf,
    checkpoint_interval: Duration,
    checkpoint_bytes: u64,
    metrics: Rc<Metrics>,
}

impl Keeper {
    /// A keeper of the node that `driver` drives.
    #[must_use]
    pub fn new(
        config: &Config,
        driver: Driver,
        gossip: Gossip,
        topology: Arc<Topology>,
        checkpoints: Checkpoints,
        metrics: Rc<Metrics>,
    ) -> Self {
        Self(Rc::new(Inner {
            driver,
            gossip,
            topology,
            checkpoints: Arc::new(checkpoints),
            data_dir: config.data_dir.clone(),
            checkpoint_interval: config.checkpoint_interval,
            checkpoint_bytes: config.checkpoint_bytes.0,
            metrics,
        }))
    }

    /// Works until the node ends.
    pub async fn watch(self) {
        let mut glance = interval(GLANCE);
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reachable = BTreeMap::new();
        let (mut facts, mut disk, mut checkpoint) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            glance.tick().await;
            self.look_at_members(&mut reachable);
            if facts.elapsed() >= FACTS_EVERY {
                facts = Instant::now();
                self.exchange_facts();
            }
            if disk.elapsed() >= DISK_EVERY {
                disk = Instant::now();
                self.look_at_disk();
            }
            let due = checkpoint.elapsed() >= self.0.checkpoint_interval
                || self.0.driver.bytes_since_checkpoint() >= self.0.checkpoint_bytes;
            if due {
                checkpoint = Instant::now();
                if let Err(error) = self.checkpoint().await {
                    self.0.driver.fail(error);
                    return;
                }
            }
        }
    }

    /// Tells the protocol who can be reached.
    fn look_at_members(&self, known: &mut BTreeMap<NodeId, bool>) {
        for member in self.0.topology.members() {
            let now = self.0.gossip.reachable(member.id);
            if known.insert(member.id, now) != Some(now) {
                self.0.driver.set_reachable(member.id, now);
            }
        }
    }

    fn exchange_facts(&self) {
        let (low_water, snapshot, load) =
            self.0.driver.with_member(|member, _| (member.low_water(), member.oldest_snapshot(), member.requests()));
        let epoch = self.0.topology.epoch();
        self.0.gossip.tell(|facts| {
            facts.mark = Some(Mark { epoch, low_water });
            facts.snapshot = Some(snapshot.unwrap_or(Timestamp::MAX));
            facts.load = Some(u32::try_from(load).unwrap_or(u32::MAX));
        });
        for member in self.0.topology.members() {
            let Some(facts) = self.0.gossip.facts_of(member.id) else { continue };
            if let Some(mark) = facts.mark {
                self.0.driver.step(Input::LowWater(member.id, mark.low_water));
            }
            self.0.driver.step(Input::Snapshot(member.id, facts.snapshot.filter(|at| *at < Timestamp::MAX)));
        }
    }

    fn look_at_disk(&self) {
        let Ok(usage) = disk::usage(&self.0.data_dir) else { return };
        let full = self.0.driver.disk_full();
        if !full && usage.used_ratio >= FULL {
            tracing::error!(used = usage.used_ratio, "the disk is nearly full: writes are refused, deletes accepted");
            self.0.driver.set_disk_full(true);
        } else if full && usage.used_ratio < ROOM {
            tracing::info!(used = usage.used_ratio, "the disk has room again: writes are accepted");
            self.0.driver.set_disk_full(false);
        }
    }

    /// Makes the engine durable and trims the vote log.
    ///
    /// # Errors
    /// [`NodeError`]: the node must stop.
    pub async fn checkpoint(&self) -> Result<(), NodeError> {
        let started = Instant::now();
        let begun = self.0.driver.begin_checkpoint()?;
        let checkpoints = Arc::clone(&self.0.checkpoints);
        let synced = tokio::task::spawn_blocking(move || checkpoints.run()).await;
        synced.map_err(|error| NodeError::System { what: "the engine's sync ended early", source: error.into() })??;
        while self.0.driver.with_log(|log| log.synced() < begun.position()) {
            sleep(SYNC_PAUSE).await;
        }
        self.0.driver.finish_checkpoint(begun)?;
        self.0.metrics.log.checkpoint.record(started.elapsed());
        Ok(())
    }
}
