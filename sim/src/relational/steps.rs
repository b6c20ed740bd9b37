//! Transactions below the level of rows: reads, locks, writes and savepoints in any order.

use annulus_base::rng::Rng;
use annulus_base::time::Micros;
use annulus_base::{Key, KeyRange, PartitionId, Timestamp};
use annulus_relation::transaction::{Done, Grip, Mode, Savepoint, Span, Transaction};
use annulus_txn::interface::{Database, Place, TxnError};
use bytes::Bytes;

use super::End;
use super::tables::Session;
use crate::workload::Layout;

/// The object number of the keys of [`Steps`]: none that a table or the catalog has.
const OBJECT: u32 = 100;
/// Most steps of a transaction.
const MOST_STEPS: u64 = 6;

/// One step of a transaction.
#[derive(Clone, Debug)]
enum Step {
    Get(Vec<Place>),
    Scan(Span, u32),
    Put(Place, u64),
    Delete(Place),
    Lock(Vec<Place>, bool),
    ExpectAbsent(Place),
    Save,
    /// Back to the last savepoint.
    Undo,
    Pin(Vec<PartitionId>, Grip),
    Validate,
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct Steps {
    mode: Mode,
    /// After how many keys a block takes an instant, and where it reads.
    pins_after: Option<(usize, Vec<PartitionId>)>,
    all: Vec<Step>,
}

impl Steps {
    /// Any transaction; `past` is a time to read at.
    pub(super) fn random(layout: &Layout, past: Timestamp, rng: &mut Rng) -> Self {
        let mode = match rng.below(8) {
            0..=2 => Mode::Statement,
            3..=6 => Mode::Block,
            _ => Mode::AsOf(past),
        };
        let writes = !matches!(mode, Mode::AsOf(_)) && !rng.one_in(3);
        let mut all: Vec<Step> = (0..rng.between(1, MOST_STEPS)).map(|_| step(layout, mode, writes, rng)).collect();
        if mode == Mode::Statement && !writes && rng.one_in(2) {
            let grip = if rng.one_in(2) { Grip::Light } else { Grip::Firm };
            all.insert(0, Step::Pin(layout.partitions.clone(), grip));
        }
        let pins_after = (mode == Mode::Block && all.len() > 1).then(|| (all.len() / 2, layout.partitions.clone()));
        Self { mode, pins_after, all }
    }

    /// Writes one key, or reads everything in many rounds.
    pub(super) fn bare(layout: &Layout, rng: &mut Rng) -> Self {
        let all = match rng.below(5) {
            0..=2 => vec![Step::Put(place(layout, rng), rng.bits())],
            _ => {
                let grip = if rng.one_in(4) { Grip::Firm } else { Grip::Light };
                let mut scans: Vec<_> =
                    layout.partitions.iter().map(|partition| Step::Scan(span(*partition), 2)).collect();
                let first = rng.below(scans.len() as u64) as usize;
                scans.rotate_left(first);
                std::iter::once(Step::Pin(layout.partitions.clone(), grip)).chain(scans).collect()
            }
        };
        Self { mode: Mode::Statement, pins_after: None, all }
    }

    /// Reads everything, in one statement of many rounds.
    pub(super) fn everything(layout: &Layout) -> Self {
        let pin = Step::Pin(layout.partitions.clone(), Grip::Firm);
        let scans = layout.partitions.iter().map(|partition| Step::Scan(span(*partition), 3));
        Self { mode: Mode::Statement, pins_after: None, all: std::iter::once(pin).chain(scans).collect() }
    }

    /// Does it.
    pub(super) async fn run(self, session: Session) -> End {
        let mut txn = session.transaction(self.mode);
        if let Some((much, partitions)) = self.pins_after {
            txn.pins_after(much, partitions);
        }
        let mut saved = None;
        for step in self.all {
            if let Err(error) = perform(step, &mut txn, &mut saved, session.patience).await {
                return End::Failed(error);
            }
        }
        match (self.mode, txn.commit(session.patience).await) {
            (Mode::Block | Mode::Statement, Ok(Done::ReadOnly)) => End::Saw,
            (_, Ok(_)) => End::Apart,
            (_, Err(error)) => End::Failed(error),
        }
    }
}

async fn perform<D: Database>(
    step: Step,
    txn: &mut Transaction<D>,
    saved: &mut Option<Savepoint>,
    patience: Micros,
) -> Result<(), TxnError> {
    match step {
        Step::Get(places) => drop(txn.get(&places, patience).await?),
        Step::Scan(span, limit) => scan(txn, span, limit, patience).await?,
        Step::Put(place, dice) => txn.put(place, Bytes::copy_from_slice(&dice.to_be_bytes())),
        Step::Delete(place) => txn.delete(place),
        Step::Lock(places, nowait) => drop(txn.lock(&places, nowait, patience).await?),
        Step::ExpectAbsent(place) => txn.expect_absent(place),
        Step::Save => *saved = Some(txn.savepoint()),
        Step::Undo => {
            if let Some(savepoint) = saved.take() {
                txn.rollback_to(savepoint);
            }
        }
        Step::Pin(partitions, grip) => txn.pin(&partitions, grip, patience).await?,
        Step::Validate => txn.validate(patience).await?,
    }
    Ok(())
}

/// Reads a whole span, stretch by stretch.
async fn scan<D: Database>(
    txn: &mut Transaction<D>,
    mut span: Span,
    limit: u32,
    patience: Micros,
) -> Result<(), TxnError> {
    while let Some(next) = txn.scan(&span, limit, patience).await?.next {
        span.range.start = next;
    }
    Ok(())
}

fn step(layout: &Layout, mode: Mode, writes: bool, rng: &mut Rng) -> Step {
    let reads_only = matches!(mode, Mode::AsOf(_));
    match rng.below(12) {
        0..=2 => Step::Get(places(layout, rng)),
        3 | 4 => Step::Scan(span(any(layout, rng)), if rng.one_in(2) { 2 } else { 1_000 }),
        5..=7 if writes => Step::Put(place(layout, rng), rng.bits()),
        8 if writes => Step::Delete(place(layout, rng)),
        9 if !reads_only => Step::Lock(places(layout, rng), rng.one_in(3)),
        10 if writes && rng.one_in(2) => Step::ExpectAbsent(place(layout, rng)),
        10 => {
            if rng.one_in(2) {
                Step::Save
            } else {
                Step::Undo
            }
        }
        11 if !reads_only => Step::Validate,
        _ => Step::Get(places(layout, rng)),
    }
}

fn any(layout: &Layout, rng: &mut Rng) -> PartitionId {
    rng.pick(&layout.partitions).copied().unwrap_or_default()
}

fn place(layout: &Layout, rng: &mut Rng) -> Place {
    let partition = any(layout, rng);
    let number = rng.below(layout.keys) as u16;
    Place { partition, key: Key::new(0, OBJECT, 0, &number.to_be_bytes()) }
}

fn places(layout: &Layout, rng: &mut Rng) -> Vec<Place> {
    (0..rng.between(1, 3)).map(|_| place(layout, rng)).collect()
}

pub(super) fn span(partition: PartitionId) -> Span {
    Span { partition, range: KeyRange::of_index(0, OBJECT, 0) }
}
