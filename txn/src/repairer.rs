//! Anti-entropy: the replicas of a partition are compared stretch by stretch, and given what they lack.
//!
//! The first living replica of a partition drives. Of namespaces made at run time it drives the partitions
//! where it has data or where another replica told it of some: it may have missed all of it. A tombstone that every replica of the ring was found
//! to have is purged everywhere. Damaged keys are fetched anew from enough of the other replicas that
//! no committed version can be missed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use annulus_base::time::{Micros, SECOND};
use annulus_base::{Key, KeyRange, NodeId, PartitionId, Timestamp};
use annulus_replica::effects::Effects;
use annulus_replica::message::{Compare, Message, RequestId};
use annulus_replica::store::{Limit, Placed, Stamp, Store, StoreResult, Version};
use annulus_replica::{Replica, only, retained, stretch_digest};

use crate::common::{Common, NO_TAG};

/// Operation number of the repairer in request ids; clients' operations count from 1.
pub(crate) const OPERATION: u64 = 0;
/// Versions younger than this may still be under way and are not compared.
const SETTLING: Micros = 2 * SECOND;
/// Value bytes pushed in one message.
const MAX_PUSHED_BYTES: usize = 4 << 20;
/// Partitions told of in one message; what it names beyond is not listened to.
const MAX_TOLD: usize = 256;
/// Most partitions remembered that others told of.
const MAX_HEARD: usize = 1 << 16;

/// A stretch of a partition under comparison.
#[derive(Debug)]
struct Stretch {
    partition: PartitionId,
    range: KeyRange,
    mine: Vec<(Key, Version)>,
    /// Tombstones up to here may be purged.
    horizon: Timestamp,
    /// Replicas that have not answered yet.
    waiting: BTreeSet<NodeId>,
    /// Every replica of the ring was asked, and so far all were equal.
    all_equal: bool,
    /// How far the answers reached.
    reached: Key,
    /// Goes on without whoever is silent (steady clock).
    until: Micros,
}

/// The repair of one damaged key.
#[derive(Debug, Default)]
struct Healing {
    listed: BTreeMap<NodeId, Vec<(Key, Stamp)>>,
    /// Known once enough replicas have listed theirs.
    wanted: Option<BTreeSet<Stamp>>,
    /// Versions never change: what comes late is as good.
    fetched: BTreeMap<Stamp, Placed>,
    retry_at: Micros,
}

/// Comparisons and repairs that this node drives.
#[derive(Debug, Default)]
pub(crate) struct Repairer {
    pass: VecDeque<PartitionId>,
    /// Where in the first partition of the pass the next stretch begins.
    cursor: Option<Key>,
    stretch: Option<Stretch>,
    /// Differences were found in this pass: the next one follows soon.
    differed: bool,
    next_pass: Micros,
    healing: BTreeMap<(PartitionId, Key), Healing>,
    /// What the outstanding requests are about, by tag.
    asked: BTreeMap<u32, Option<(PartitionId, Key)>>,
    /// Versions asked for, by tag: how often something had been purged here before.
    pulls: BTreeMap<u32, u64>,
    /// Partitions for the next pass that others have data of, and this node has not.
    heard: BTreeSet<PartitionId>,
    next_tag: u32,
}

impl Repairer {
    /// Asks for a pass soon: a replica came back.
    pub(crate) fn hurry(&mut self, common: &Common) {
        self.next_pass = self.next_pass.min(common.now.steady + common.settings.resend_after);
    }

    /// When [`Repairer::tick`] is wanted (steady clock).
    pub(crate) fn next_timer(&self) -> Micros {
        let healing = self.healing.values().map(|healing| healing.retry_at).min().unwrap_or(Micros::MAX);
        let pass = self.stretch.as_ref().map_or(self.next_pass, |stretch| stretch.until);
        pass.min(healing)
    }

    fn request(&mut self, about: Option<(PartitionId, Key)>, common: &Common) -> RequestId {
        let id = self.fresh_id(common);
        self.asked.insert(self.next_tag, about);
        id
    }

    fn fresh_id(&mut self, common: &Common) -> RequestId {
        self.next_tag = (self.next_tag + 1) % NO_TAG;
        common.request_id(OPERATION, self.next_tag)
    }

    /// Asks a replica for versions that it has.
    fn fetch(
        &mut self,
        from: NodeId,
        partition: PartitionId,
        list: Vec<(Key, Stamp)>,
        replica: &Replica,
        common: &mut Common,
    ) {
        let id = self.fresh_id(common);
        self.pulls.insert(self.next_tag, replica.purges());
        common.send(from, Message::Fetch(id, partition, list));
    }

    /// Of versions that somebody sends unasked, those so old that they may have been purged here are not
    /// taken; but its sender, if it is a replica, may be asked whether it still has them.
    pub(crate) fn pull(&mut self, from: NodeId, versions: &[Placed], replica: &Replica, common: &mut Common) {
        let mut old: BTreeMap<PartitionId, Vec<(Key, Stamp)>> = BTreeMap::new();
        for placed in versions.iter().filter(|placed| placed.version.stamp.ts <= replica.purged()) {
            old.entry(placed.partition).or_default().push((placed.key.clone(), placed.version.stamp));
        }
        for (partition, list) in old {
            if common.ring(partition).contains(&from) {
                self.fetch(from, partition, list, replica, common);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn tick(
        &mut self,
        replica: &mut Replica,
        store: &mut dyn Store,
        out: &mut Effects,
        common: &mut Common,
    ) -> StoreResult<()> {
        self.heal_damaged(replica, common);
        if self.stretch.as_ref().is_some_and(|stretch| stretch.until <= common.now.steady) {
            if let Some(stretch) = &mut self.stretch {
                stretch.waiting.clear();
                stretch.all_equal = false;
            }
            self.finish_stretch(replica, store, out, common)?;
            self.next_stretch(replica, store, common)?;
        }
        if self.stretch.is_none() && self.pass.is_empty() && self.next_pass <= common.now.steady {
            self.begin_pass(replica, common);
            self.next_stretch(replica, store, common)?;
        }
        Ok(())
    }

    /// Another replica has data in these.
    pub(crate) fn hear(&mut self, from: NodeId, partitions: &[PartitionId], replica: &Replica, common: &Common) {
        for partition in partitions.iter().take(MAX_TOLD).filter(|partition| !replica.holds(**partition)) {
            let ring = common.ring(*partition);
            if ring.contains(&from) && ring.contains(&common.id) && self.heard.len() < MAX_HEARD {
                self.heard.insert(*partition);
            }
        }
    }

    fn begin_pass(&mut self, replica: &Replica, common: &mut Common) {
        self.pass = common.topology.partitions_of(common.id).filter(|partition| drives(*partition, common)).collect();
        self.heard.extend(replica.held());
        let mut others: BTreeMap<NodeId, Vec<PartitionId>> = BTreeMap::new();
        for partition in std::mem::take(&mut self.heard) {
            match common.by_ring(partition).first() {
                Some(driver) if *driver == common.id => self.pass.push_back(partition),
                Some(driver) => others.entry(*driver).or_default().push(partition),
                None => {}
            }
        }
        for (driver, partitions) in others {
            partitions.chunks(MAX_TOLD).for_each(|told| common.send(driver, Message::Held(told.to_vec())));
        }
        self.cursor = None;
        self.differed = false;
        self.pulls.clear();
        self.next_pass = common.now.steady + common.settings.repair_interval;
    }

    /// Begins the next comparison of the pass, passing over empty stretches without peers.
    fn next_stretch(&mut self, replica: &mut Replica, store: &mut dyn Store, common: &mut Common) -> StoreResult<()> {
        while let Some(partition) = self.pass.front().copied() {
            let start = self.cursor.clone().unwrap_or_else(|| KeyRange::all().start);
            let mut range = KeyRange { start, end: KeyRange::all().end };
            let limit = Limit::versions(common.settings.sweep_versions);
            let history = replica.stretch(partition, &range, limit, store)?;
            let peers: Vec<NodeId> =
                common.ring(partition).iter().filter(|node| **node != common.id).copied().collect();
            let living: Vec<NodeId> = peers.iter().filter(|node| !common.dead.contains(node)).copied().collect();
            let Some(history) = history.filter(|_| !living.is_empty()) else {
                self.end_partition();
                continue;
            };
            if limit.is_used_up_by(&history)
                && let Some((last, _)) = history.last()
            {
                range.end = last.successor();
            }
            self.compare(partition, range, history, &living, living.len() == peers.len(), replica, common);
            return Ok(());
        }
        if self.differed {
            self.hurry(common);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a comparison is just that much")]
    fn compare(
        &mut self,
        partition: PartitionId,
        range: KeyRange,
        history: Vec<(Key, Version)>,
        living: &[NodeId],
        whole_ring: bool,
        replica: &Replica,
        common: &mut Common,
    ) {
        let until = Timestamp::from_micros(common.now.wall).minus(SETTLING.min(common.settings.lock_timeout * 2));
        // Replicas whose clocks lag collect later: leave out what some may already have collected.
        let horizon = replica.horizon(common.now).plus(2 * common.settings.max_clock_drift).min(until);
        let mine: Vec<(Key, Version)> = retained(&history, until, horizon).cloned().collect();
        let digest = stretch_digest(mine.iter().map(|(key, version)| (key, version.stamp)));
        let id = self.request(None, common);
        let compare = Compare { id, partition, range: range.clone(), until, horizon, digest };
        common.broadcast(living.to_vec(), Message::Compare(compare));
        self.stretch = Some(Stretch {
            partition,
            reached: range.end.clone(),
            range,
            mine,
            horizon: replica.horizon(common.now),
            waiting: living.iter().copied().collect(),
            all_equal: whole_ring,
            until: common.now.steady + 2 * common.settings.resend_after,
        });
    }

    /// A replica's view of a stretch, or of a damaged key.
    #[expect(clippy::too_many_arguments, reason = "the answer and the four things it touches")]
    pub(crate) fn compared(
        &mut self,
        from: NodeId,
        tag: u32,
        range: &KeyRange,
        here: Option<Vec<(Key, Stamp)>>,
        replica: &mut Replica,
        store: &mut dyn Store,
        out: &mut Effects,
        common: &mut Common,
    ) -> StoreResult<()> {
        match self.asked.get(&tag).cloned() {
            Some(Some(damaged)) => self.listed(from, &damaged, here.unwrap_or_default(), replica, out, common),
            Some(None) => {
                self.peer_compared(from, range, here, replica, common);
                if self.stretch.as_ref().is_some_and(|stretch| stretch.waiting.is_empty()) {
                    self.finish_stretch(replica, store, out, common)?;
                    self.next_stretch(replica, store, common)?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn peer_compared(
        &mut self,
        from: NodeId,
        range: &KeyRange,
        here: Option<Vec<(Key, Stamp)>>,
        replica: &Replica,
        common: &mut Common,
    ) {
        let Some(mut stretch) = self.stretch.take() else { return };
        if range.start == stretch.range.start
            && stretch.waiting.remove(&from)
            && let Some(here) = here
        {
            let theirs: BTreeSet<(Key, Stamp)> = here.into_iter().collect();
            let covered = |key: &Key| *key < range.end;
            let mine: BTreeSet<(Key, Stamp)> = stretch
                .mine
                .iter()
                .filter(|(key, _)| covered(key))
                .map(|(key, version)| (key.clone(), version.stamp))
                .collect();
            let lacking: Vec<(Key, Stamp)> = theirs.difference(&mine).cloned().collect();
            let pushed = pushed(&stretch, &theirs, range);
            if range.end < stretch.reached {
                stretch.reached = range.end.clone();
            }
            stretch.all_equal = false;
            self.differed |= !lacking.is_empty() || !pushed.is_empty();
            if !lacking.is_empty() {
                self.fetch(from, stretch.partition, lacking, replica, common);
            }
            if !pushed.is_empty() {
                let id = common.request_id(OPERATION, NO_TAG);
                common.send(from, Message::Repair(id, pushed));
            }
        }
        self.stretch = Some(stretch);
    }

    /// Purges what all have, and moves on.
    fn finish_stretch(
        &mut self,
        replica: &mut Replica,
        store: &mut dyn Store,
        out: &mut Effects,
        common: &mut Common,
    ) -> StoreResult<()> {
        let Some(stretch) = self.stretch.take() else { return Ok(()) };
        self.asked.retain(|_, about| about.is_some());
        if stretch.all_equal {
            let mut tombstones = old_tombstones(&stretch);
            tombstones.retain(|(key, _)| !replica.is_write_locked(stretch.partition, &only(key)));
            if !tombstones.is_empty() {
                let partition = stretch.partition;
                let others = common.ring(partition).iter().filter(|node| **node != common.id).copied().collect();
                common.broadcast(others, Message::Purge(partition, tombstones.clone()));
                replica.purge(partition, &tombstones, store, out)?;
            }
        }
        if stretch.reached < KeyRange::all().end && stretch.reached > stretch.range.start {
            self.cursor = Some(stretch.reached);
        } else {
            self.end_partition();
        }
        Ok(())
    }

    fn end_partition(&mut self) {
        self.pass.pop_front();
        self.cursor = None;
    }

    /// Versions that were asked for.
    pub(crate) fn fetched(
        &mut self,
        tag: u32,
        versions: Vec<Placed>,
        replica: &mut Replica,
        store: &mut dyn Store,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let Some((partition, key)) = self.asked.get(&tag).cloned().flatten() else {
            return match self.pulls.remove(&tag) {
                Some(purges) if purges == replica.purges() => replica.add_versions(versions, store, out),
                _ => replica.add_recent(versions, store, out),
            };
        };
        let Some(healing) = self.healing.get_mut(&(partition, key.clone())) else { return Ok(()) };
        for placed in versions.into_iter().filter(|placed| placed.partition == partition && placed.key == key) {
            healing.fetched.insert(placed.version.stamp, placed);
        }
        self.healed(partition, &key, replica, out)
    }

    fn heal_damaged(&mut self, replica: &Replica, common: &mut Common) {
        self.healing.retain(|place, _| replica.is_damaged(place));
        for (partition, key) in replica.damaged() {
            let healing = self.healing.entry((*partition, key.clone())).or_default();
            if healing.retry_at > common.now.steady {
                continue;
            }
            healing.retry_at = common.now.steady + 2 * common.settings.resend_after;
            if healing.wanted.take().is_some() {
                // Something listed did not come: it may have been collected meanwhile.
                healing.listed.clear();
            }
            let silent = |node: &&NodeId| **node != common.id && !healing.listed.contains_key(*node);
            let silent = common.ring(*partition).iter().filter(silent).copied().collect();
            let id = self.request(Some((*partition, key.clone())), common);
            common.broadcast(silent, Message::Compare(Compare::of_damage(id, *partition, only(key))));
        }
    }

    /// A replica's list of a damaged key's versions. Of `n` replicas, `n - q + 1` others must have
    /// answered: so many meet every majority.
    fn listed(
        &mut self,
        from: NodeId,
        damaged: &(PartitionId, Key),
        list: Vec<(Key, Stamp)>,
        replica: &mut Replica,
        out: &mut Effects,
        common: &mut Common,
    ) -> StoreResult<()> {
        let (partition, key) = damaged;
        let needed = common.ring(*partition).len() - common.quorum(*partition) + 1;
        let Some(healing) = self.healing.get_mut(damaged) else { return Ok(()) };
        if healing.wanted.is_some() {
            return Ok(());
        }
        healing.listed.insert(from, list);
        if healing.listed.len() < needed {
            return Ok(());
        }
        let mut wanted = BTreeSet::new();
        let mut fetches: Vec<(NodeId, Vec<(Key, Stamp)>)> = Vec::new();
        for (node, list) in &healing.listed {
            let new: Vec<(Key, Stamp)> = list.iter().filter(|(_, stamp)| wanted.insert(*stamp)).cloned().collect();
            if !new.is_empty() {
                fetches.push((*node, new));
            }
        }
        healing.wanted = Some(wanted);
        for (node, list) in fetches {
            let id = self.request(Some(damaged.clone()), common);
            common.send(node, Message::Fetch(id, *partition, list));
        }
        self.healed(*partition, key, replica, out)
    }

    /// Puts a damaged key in order once everything wanted has come.
    fn healed(
        &mut self,
        partition: PartitionId,
        key: &Key,
        replica: &mut Replica,
        out: &mut Effects,
    ) -> StoreResult<()> {
        let place = (partition, key.clone());
        let Some(healing) = self.healing.get_mut(&place) else { return Ok(()) };
        let Some(wanted) = &healing.wanted else { return Ok(()) };
        if !wanted.iter().all(|stamp| healing.fetched.contains_key(stamp)) {
            return Ok(());
        }
        let versions = wanted.iter().filter_map(|stamp| healing.fetched.get(stamp)).cloned().collect();
        // Kept until the replica has carried it out, so that it is not asked for at once again.
        *healing = Healing { retry_at: healing.retry_at, ..Healing::default() };
        self.asked.retain(|_, about| about.as_ref() != Some(&place));
        replica.heal(partition, key, versions, out)
    }
}

/// Whether it is this node that compares a partition.
fn drives(partition: PartitionId, common: &Common) -> bool {
    common.by_ring(partition).first() == Some(&common.id)
}

/// What of `mine` a peer lacks, as far as it fits into a message.
fn pushed(stretch: &Stretch, theirs: &BTreeSet<(Key, Stamp)>, covered: &KeyRange) -> Vec<Placed> {
    let mut bytes = 0;
    let mine = stretch.mine.iter().filter(|(key, _)| *key < covered.end);
    let lacking = mine.filter(|(key, version)| !theirs.contains(&(key.clone(), version.stamp)));
    let fitting = lacking.take_while(|(key, version)| {
        bytes += key.as_bytes().len() + version.value.as_ref().map_or(0, bytes::Bytes::len);
        bytes <= MAX_PUSHED_BYTES
    });
    fitting
        .map(|(key, version)| Placed { partition: stretch.partition, key: key.clone(), version: version.clone() })
        .collect()
}

/// Tombstones at or below the horizon that are the newest version of their key.
fn old_tombstones(stretch: &Stretch) -> Vec<(Key, Stamp)> {
    let mut newest: BTreeMap<&Key, &Version> = BTreeMap::new();
    for (key, version) in &stretch.mine {
        newest.entry(key).or_insert(version);
    }
    let old = newest.into_iter().filter(|(_, version)| version.value.is_none() && version.stamp.ts <= stretch.horizon);
    old.map(|(key, version)| (key.clone(), version.stamp)).collect()
}
