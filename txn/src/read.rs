//! A read: of keys or ranges, latest or at a timestamp, over one or several partitions; or instead of their content of
//! marks, which tell whether ranges have changed, or of what in them is not settled.
//!
//! Latest, one partition: a majority with equal versions is the answer, linearized at the earliest of
//! them. Where they differ, the newest version of a single key is right; several keys are repaired
//! first and read again. Where one replica shows an old version and another nothing, the key may have been deleted and
//! purged in between: all are asked again. Several partitions are asked a second time: unchanged means that all held at
//! one instant.

use std::collections::{BTreeMap, BTreeSet};

use annulus_base::limits::MAX_READ_BYTES;
use annulus_base::time::Micros;
use annulus_base::{Mutation, NodeId, PartitionId, Timestamp};
use annulus_replica::message::{Answer, Detail, Holder, Mark, Message, Read, ReadAt, ReadSet, Refusal, Unsettled};
use annulus_replica::store::Placed;

use crate::answers;
use crate::common::{Common, NO_TAG};
use crate::interface::{Place, TxnError, When};
use crate::standing::Standing;

/// How often a read over several partitions starts over before it takes locks.
const MAX_ATTEMPTS: u32 = 3;

/// One partition's part of a read.
#[derive(Debug)]
struct Part {
    partition: PartitionId,
    set: ReadSet,
    /// Replicas in the order to ask; the first `asked` of them have been asked.
    order: Vec<NodeId>,
    asked: usize,
    answers: BTreeMap<NodeId, Answer>,
    /// Answers that differed as if something had been purged meanwhile: those that count were asked for after them.
    earlier: Option<Vec<Answer>>,
    /// What was told instead of content.
    told: BTreeMap<NodeId, Told>,
    /// Those whose answer carries values.
    with_data: BTreeSet<NodeId>,
    refused: BTreeMap<NodeId, Refusal>,
    /// Whose lock some replica waited for in vain.
    holder: Option<Holder>,
    phase: Phase,
    /// What was found in the first round.
    result: Option<Answer>,
}

impl Part {
    /// Whether a replica has answered in this round.
    fn answered(&self, node: &NodeId) -> bool {
        self.answers.contains_key(node) || self.told.contains_key(node)
    }
}

/// What a replica tells of ranges instead of their content.
#[derive(Debug)]
pub(crate) enum Told {
    Marks(Vec<Option<Mark>>),
    Unsettled(Unsettled),
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a majority.
    Asking,
    /// Replicas differ: waiting for the values of all that answered.
    Gathering,
    /// Waiting for laggards to take missing versions; then everything is asked again.
    Repairing(BTreeSet<NodeId>),
    /// Done with this round.
    Done,
}

/// Which round of a read over several partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    First,
    /// Asked again for digests, raising read timestamps to the maximum of the first round.
    Second(Timestamp),
}

/// What a step of a read comes to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Still waiting.
    Waiting,
    /// One answer per part, in the order of the parts.
    Done(Vec<Answer>),
    /// How the ranges of each part stand.
    Stands(Vec<Vec<Standing>>),
    /// What in the ranges is not settled; `None` if it cannot be told.
    Unsettled(Option<Vec<Place>>),
    /// It kept changing: validate these answers under shared locks.
    Validate(Vec<Answer>),
    /// It cannot succeed.
    Failed(TxnError),
}

/// Too many bytes are read of one partition.
pub(crate) fn too_large(partition: PartitionId) -> TxnError {
    TxnError::Limit(format!(
        "the keys read at once in partition {partition} hold more than {MAX_READ_BYTES} bytes; read fewer at a time"
    ))
}

/// Notes what a replica has voted for, so that a snapshot begun after a read of the newest versions includes all
/// that was acknowledged before. A correct replica is never further ahead than the
/// two clocks may be together.
fn catch_up(highest: Timestamp, common: &mut Common) -> Result<(), Refusal> {
    let here = Timestamp::from_micros(common.now.wall);
    let reach = common.now.wall.saturating_add(common.settings.max_clock_drift.saturating_mul(2));
    if highest.micros() > reach {
        return Err(Refusal::ClockDrift { asked: highest, here });
    }
    common.voted = common.voted.max(highest);
    Ok(())
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct ReadOp {
    op: u64,
    when: When,
    /// What is asked for, if not content.
    instead: Option<Detail>,
    parts: Vec<Part>,
    round: Round,
    attempts: u32,
    /// Attempts before it takes locks.
    patience: u32,
    resend_at: Micros,
}

impl ReadOp {
    /// Starts reading `sets`.
    pub(crate) fn start(op: u64, when: When, sets: Vec<(PartitionId, ReadSet)>, common: &mut Common) -> Self {
        let mut read = Self::new(op, when, sets, common);
        read.ask_all(common);
        read
    }

    /// Starts asking for something else than the content of the ranges in `sets`.
    pub(crate) fn instead(
        op: u64,
        at: Timestamp,
        detail: Detail,
        sets: Vec<(PartitionId, ReadSet)>,
        common: &mut Common,
    ) -> Self {
        let mut read = Self { instead: Some(detail), ..Self::new(op, When::At(at), sets, common) };
        read.ask_all(common);
        read
    }

    fn new(op: u64, when: When, sets: Vec<(PartitionId, ReadSet)>, common: &Common) -> Self {
        let parts = sets.into_iter().map(|(partition, set)| Part {
            partition,
            set,
            order: common.by_preference(partition),
            asked: 0,
            answers: BTreeMap::new(),
            earlier: None,
            told: BTreeMap::new(),
            with_data: BTreeSet::new(),
            refused: BTreeMap::new(),
            holder: None,
            phase: Phase::Asking,
            result: None,
        });
        Self {
            op,
            when,
            instead: None,
            parts: parts.collect(),
            round: Round::First,
            attempts: 1,
            patience: MAX_ATTEMPTS,
            resend_at: 0,
        }
    }

    /// Reads everything anew, after validation under locks failed.
    pub(crate) fn restart(&mut self, common: &mut Common) {
        self.round = Round::First;
        self.attempts += 1;
        self.patience = self.attempts + MAX_ATTEMPTS;
        self.ask_all(common);
    }

    /// The partitions and what is read of each, in the order of the answers.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (PartitionId, &ReadSet)> {
        self.parts.iter().map(|part| (part.partition, &part.set))
    }

    /// The timestamp of a snapshot read.
    pub(crate) const fn snapshot(&self) -> Option<Timestamp> {
        match self.when {
            When::At(at) => Some(at),
            When::Latest => None,
        }
    }

    pub(crate) const fn timer(&self) -> Micros {
        self.resend_at
    }

    /// What is missing, for the error when time has run out.
    pub(crate) fn shortfall(&self, common: &Common) -> TxnError {
        let Some(part) = self.parts.iter().find(|part| part.phase != Phase::Done) else { return TxnError::Overloaded };
        part.holder.clone().map_or_else(
            || TxnError::Unavailable {
                partition: part.partition,
                answered: part.answers.len() + part.told.len(),
                needed: common.quorum(part.partition),
            },
            TxnError::Locked,
        )
    }

    fn ask_all(&mut self, common: &mut Common) {
        for index in 0..self.parts.len() {
            self.parts[index].earlier = None;
            self.begin(index, common);
        }
        self.resend_at = common.now.steady + common.settings.resend_after;
    }

    /// Asks a majority of one part's replicas, from scratch.
    fn begin(&mut self, index: usize, common: &mut Common) {
        let part = &mut self.parts[index];
        part.answers.clear();
        part.told.clear();
        part.with_data.clear();
        part.refused.clear();
        part.asked = 0;
        part.phase = Phase::Asking;
        for _ in 0..common.quorum(part.partition) {
            self.ask_next(index, common);
        }
    }

    /// Asks the next replica that was not asked yet; returns whether there was one.
    fn ask_next(&mut self, index: usize, common: &mut Common) -> bool {
        let is_snapshot = self.snapshot().is_some();
        let part = &mut self.parts[index];
        let Some(node) = part.order.get(part.asked).copied() else { return false };
        part.asked += 1;
        let first = part.asked == 1;
        // At a snapshot, replicas that differ are merged: of a few keys their values are asked for at once.
        let merges = is_snapshot && part.set.ranges.is_empty();
        let wants_data = self.round == Round::First && (first || merges);
        self.ask(index, node, if wants_data { Detail::Data } else { Detail::Digest }, common);
        true
    }

    fn ask(&mut self, index: usize, node: NodeId, detail: Detail, common: &mut Common) {
        let part = &self.parts[index];
        let detail = self.instead.unwrap_or(detail);
        let raise = match self.round {
            Round::Second(maximum) if !common.settings.mutations.has(Mutation::MaximumNotCarried) => maximum,
            _ => Timestamp::ZERO,
        };
        let at = self.snapshot().map_or(ReadAt::Latest { raise }, ReadAt::Snapshot);
        let epoch = common.topology.epoch();
        let id = common.request_id(self.op, self.tag(index, detail));
        let read = Read { id, epoch, partition: part.partition, set: part.set.clone(), at, detail };
        common.asked([node]);
        common.send(node, Message::Read(read));
    }

    /// Tells apart what an answer is about: the part, whether it is asked again, the round and attempt, and whether it
    /// carries values.
    fn tag(&self, index: usize, detail: Detail) -> u32 {
        let round = (self.attempts * 2 + u32::from(self.round != Round::First)) & 0x3ff;
        let again = self.parts.get(index).is_some_and(|part| part.earlier.is_some());
        (index as u32) << 12 | u32::from(again) << 11 | round << 1 | u32::from(detail == Detail::Data)
    }

    fn untag(&self, tag: u32) -> Option<(usize, Detail)> {
        let detail = if tag & 1 == 1 { Detail::Data } else { Detail::Digest };
        let index = (tag >> 12) as usize;
        (index < self.parts.len() && self.tag(index, detail) == tag).then_some((index, detail))
    }

    /// A replica's answer.
    pub(crate) fn answered(
        &mut self,
        from: NodeId,
        tag: u32,
        answer: Result<Answer, Refusal>,
        common: &mut Common,
    ) -> Progress {
        let Some((index, detail)) = self.untag(tag) else { return Progress::Waiting };
        let part = &mut self.parts[index];
        if !answer.as_ref().is_ok_and(|answer| answers::fits(answer, &part.set)) && answer.is_ok() {
            return Progress::Waiting;
        }
        let answer = answer.and_then(|answer| catch_up(answer.highest, common).map(|()| answer));
        match answer {
            Ok(answer) if matches!(part.phase, Phase::Asking | Phase::Gathering) => {
                part.refused.remove(&from);
                if detail == Detail::Data {
                    part.with_data.insert(from);
                } else if part.with_data.contains(&from) {
                    // A digest that was overtaken by the values says nothing new.
                    return Progress::Waiting;
                }
                part.answers.insert(from, answer);
                self.evaluate(index, common)
            }
            Ok(_) => Progress::Waiting,
            Err(refusal) => self.refused(index, from, refusal, common),
        }
    }

    /// What a replica tells instead of content.
    pub(crate) fn told(&mut self, from: NodeId, tag: u32, told: Told, common: &mut Common) -> Progress {
        let Some((index, _)) = self.untag(tag) else { return Progress::Waiting };
        let part = &mut self.parts[index];
        let fits = match (&told, self.instead) {
            (Told::Marks(marks), Some(Detail::Marks)) => marks.len() == part.set.ranges.len(),
            (Told::Unsettled(_), Some(Detail::Unsettled { .. })) => true,
            _ => false,
        };
        if !fits || part.phase != Phase::Asking {
            return Progress::Waiting;
        }
        if let Told::Unsettled(told) = &told
            && let Err(refusal) = catch_up(told.highest, common)
        {
            return self.refused(index, from, refusal, common);
        }
        part.refused.remove(&from);
        part.told.insert(from, told);
        if part.told.len() < common.quorum(part.partition) {
            return Progress::Waiting;
        }
        part.phase = Phase::Done;
        if self.parts.iter().any(|part| part.phase != Phase::Done) {
            return Progress::Waiting;
        }
        if self.instead == Some(Detail::Marks) { self.standings(common) } else { self.unsettled() }
    }

    fn standings(&self, common: &Common) -> Progress {
        let epoch = common.topology.epoch();
        let mark = |told: &Told, range: usize| match told {
            Told::Marks(marks) => marks.get(range).copied().flatten(),
            Told::Unsettled(_) => None,
        };
        let of_range = |part: &Part, range: usize| {
            Standing::new(epoch, part.told.iter().map(|(node, told)| (*node, mark(told, range))))
        };
        let of_part = |part: &Part| (0..part.set.ranges.len()).map(|range| of_range(part, range)).collect();
        Progress::Stands(self.parts.iter().map(of_part).collect())
    }

    /// All that some replica of the majorities calls unsettled.
    fn unsettled(&mut self) -> Progress {
        let mut all = Vec::new();
        for part in &mut self.parts {
            for told in std::mem::take(&mut part.told).into_values() {
                let Told::Unsettled(Unsettled { keys: Some(keys), .. }) = told else {
                    return Progress::Unsettled(None);
                };
                all.extend(keys.into_iter().map(|key| Place { partition: part.partition, key }));
            }
        }
        Progress::Unsettled(Some(all))
    }

    fn refused(&mut self, index: usize, from: NodeId, refusal: Refusal, common: &mut Common) -> Progress {
        let part = &mut self.parts[index];
        if let Refusal::TooOld { oldest } = refusal {
            return Progress::Failed(TxnError::TooOld { oldest });
        }
        if refusal == Refusal::TooLarge {
            return Progress::Failed(too_large(part.partition));
        }
        if let Refusal::Locked(holder) = &refusal {
            part.holder = Some(holder.clone());
        }
        part.refused.insert(from, refusal);
        let hopeless = part.order.len() - common.quorum(part.partition);
        let drifts = part.refused.values().filter_map(|refusal| match refusal {
            Refusal::ClockDrift { asked, here } => Some((*asked, *here)),
            _ => None,
        });
        let drifts: Vec<_> = drifts.collect();
        if let Some((asked, here)) = drifts.first().filter(|_| drifts.len() > hopeless) {
            return Progress::Failed(TxnError::ClockDrift { asked: *asked, here: *here });
        }
        self.ask_next(index, common);
        Progress::Waiting
    }

    /// A laggard has taken the versions it lacked.
    pub(crate) fn repaired(&mut self, from: NodeId, tag: u32, common: &mut Common) -> Progress {
        let Some((index, _)) = self.untag(tag) else { return Progress::Waiting };
        if let Phase::Repairing(waiting) = &mut self.parts[index].phase {
            waiting.remove(&from);
            if waiting.is_empty() {
                self.begin(index, common);
            }
        }
        Progress::Waiting
    }

    fn evaluate(&mut self, index: usize, common: &mut Common) -> Progress {
        let part = &self.parts[index];
        if part.answers.len() < common.quorum(part.partition) {
            return Progress::Waiting;
        }
        if let Round::Second(_) = self.round {
            return self.evaluate_second(index, common);
        }
        if answers::all_equal(part.answers.values()) {
            let part = &mut self.parts[index];
            let data = part.with_data.iter().next().and_then(|node| part.answers.get_mut(node));
            let Some(data) = data.map(std::mem::take) else { return self.gather(index, common) };
            let answer = answers::clip(data, self.parts[index].answers.values());
            return self.settle(index, answer, common);
        }
        if self.snapshot().is_some() {
            if part.with_data.len() < part.answers.len() {
                return self.gather(index, common);
            }
            return match self.merge(index, common) {
                Some(merged) => self.settle(index, merged, common),
                None => Progress::Waiting,
            };
        }
        let single = part.set.keys.len() == 1 && part.set.ranges.is_empty();
        if single || common.settings.mutations.has(Mutation::MergeWithoutReread) {
            return self.take_newest(index, common);
        }
        if part.with_data.len() < part.answers.len() {
            return self.gather(index, common);
        }
        self.repair(index, common)
    }

    /// Asks everybody who sent a digest for the values.
    fn gather(&mut self, index: usize, common: &mut Common) -> Progress {
        let part = &mut self.parts[index];
        if part.phase != Phase::Gathering {
            part.phase = Phase::Gathering;
            let missing: Vec<NodeId> =
                part.answers.keys().filter(|node| !part.with_data.contains(node)).copied().collect();
            for node in missing {
                self.ask(index, node, Detail::Data, common);
            }
        }
        Progress::Waiting
    }

    /// Versions at or below may have been purged by some replica, had they been deleted.
    fn old(common: &Common) -> Timestamp {
        let latest = Timestamp::from_micros(common.now.wall).plus(2 * common.settings.max_clock_drift);
        latest.minus(common.settings.history)
    }

    /// The newest of every key, of values from all that have answered; `None` if all have to be asked again.
    fn merge(&mut self, index: usize, common: &mut Common) -> Option<Answer> {
        let part = &mut self.parts[index];
        if let Some(earlier) = &part.earlier {
            return Some(answers::merge_later(earlier, part.answers.values()));
        }
        if answers::may_be_purged(part.answers.values(), Self::old(common)) {
            part.earlier = Some(std::mem::take(&mut part.answers).into_values().collect());
            self.begin(index, common);
            return None;
        }
        Some(answers::merge(part.answers.values()))
    }

    /// Of one key the newest committed version is right; laggards are told in the background.
    fn take_newest(&mut self, index: usize, common: &mut Common) -> Progress {
        let part = &self.parts[index];
        let is_suspect = part.earlier.is_some() || answers::may_be_purged(part.answers.values(), Self::old(common));
        if part.with_data.is_empty() || (is_suspect && part.with_data.len() < part.answers.len()) {
            return self.gather(index, common);
        }
        let merged = match is_suspect {
            true => match self.merge(index, common) {
                Some(merged) => merged,
                None => return Progress::Waiting,
            },
            false => answers::merge(part.with_data.iter().filter_map(|node| part.answers.get(node))),
        };
        let part = &self.parts[index];
        if !answers::covers(&merged, part.answers.values()) {
            return self.gather(index, common);
        }
        for (node, answer) in &part.answers {
            let missing = answers::missing(part.partition, answer, &merged);
            if !missing.is_empty() {
                let id = common.request_id(self.op, NO_TAG);
                common.send(*node, Message::Repair(id, missing));
            }
        }
        self.settle(index, merged, common)
    }

    /// Sends the laggards what they lack, to read again once they have it.
    fn repair(&mut self, index: usize, common: &mut Common) -> Progress {
        common.counters.mismatches += 1;
        let part = &mut self.parts[index];
        let merged = answers::merge(part.answers.values());
        let lacking: Vec<(NodeId, Vec<Placed>)> = part
            .answers
            .iter()
            .map(|(node, answer)| (*node, answers::missing(part.partition, answer, &merged)))
            .filter(|(_, missing)| !missing.is_empty())
            .collect();
        part.phase = Phase::Repairing(lacking.iter().map(|(node, _)| *node).collect());
        if lacking.is_empty() {
            self.begin(index, common);
            return Progress::Waiting;
        }
        for (node, missing) in lacking {
            let id = common.request_id(self.op, self.tag(index, Detail::Data));
            common.send(node, Message::Repair(id, missing));
        }
        Progress::Waiting
    }

    fn evaluate_second(&mut self, index: usize, common: &mut Common) -> Progress {
        let part = &mut self.parts[index];
        let Some(result) = &part.result else { return Progress::Waiting };
        let single = part.set.keys.len() == 1 && part.set.ranges.is_empty();
        let unchanged = if single {
            // What has been purged since the first round has changed.
            let newest = answers::merge(part.answers.values());
            answers::same(&newest, result) && !answers::may_be_purged(part.answers.values(), Self::old(common))
        } else {
            part.answers.values().all(|answer| answers::same(answer, result))
        };
        if unchanged {
            part.phase = Phase::Done;
            return if self.parts.iter().all(|part| part.phase == Phase::Done) {
                self.results()
            } else {
                Progress::Waiting
            };
        }
        if self.attempts >= self.patience {
            return match self.results() {
                Progress::Done(answers) => Progress::Validate(answers),
                other => other,
            };
        }
        self.attempts += 1;
        self.round = Round::First;
        self.ask_all(common);
        Progress::Waiting
    }

    fn settle(&mut self, index: usize, answer: Answer, common: &mut Common) -> Progress {
        self.parts[index].result = Some(answer);
        self.parts[index].phase = Phase::Done;
        if self.parts.iter().any(|part| part.phase != Phase::Done) {
            return Progress::Waiting;
        }
        let one_round = self.parts.len() == 1
            || self.snapshot().is_some()
            || common.settings.mutations.has(Mutation::SecondRoundSkipped);
        if one_round {
            return self.results();
        }
        let results = self.parts.iter().filter_map(|part| part.result.as_ref());
        let maximum = results.map(answers::newest).max().unwrap_or_default();
        self.round = Round::Second(maximum);
        // Those who answered before are asked again: a laggard elsewhere must not look like a change.
        for part in &mut self.parts {
            let answered = &part.answers;
            part.order.sort_by_key(|node| !answered.contains_key(node));
        }
        self.ask_all(common);
        Progress::Waiting
    }

    fn results(&mut self) -> Progress {
        Progress::Done(self.parts.iter_mut().filter_map(|part| part.result.take()).collect())
    }

    /// Time has passed: whoever was silent is asked again, and further replicas too.
    pub(crate) fn tick(&mut self, common: &mut Common) {
        if common.now.steady < self.resend_at {
            return;
        }
        self.resend_at = common.now.steady + common.settings.resend_after;
        for index in 0..self.parts.len() {
            match self.parts[index].phase {
                Phase::Done => {}
                Phase::Asking => {
                    self.parts[index].refused.clear();
                    if !self.ask_next(index, common) {
                        self.ask_silent(index, common);
                    }
                }
                // A replica that answered has gone silent: begin again with whoever is there.
                Phase::Gathering | Phase::Repairing(_) => {
                    self.parts[index].order = common.by_preference(self.parts[index].partition);
                    self.begin(index, common);
                    while self.ask_next(index, common) {}
                }
            }
        }
    }

    fn ask_silent(&mut self, index: usize, common: &mut Common) {
        let part = &self.parts[index];
        let silent: Vec<NodeId> = part.order.iter().filter(|node| !part.answered(node)).copied().collect();
        let detail = if self.round == Round::First { Detail::Data } else { Detail::Digest };
        for node in silent {
            self.ask(index, node, detail, common);
        }
    }
}
