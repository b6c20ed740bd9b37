//! Random histories with crashes, power losses and failing operations.

use annulus_base::rng::Rng;

use super::{Plain, group, open, write};
use crate::storage::log::LogError;
use crate::storage::log::writer::Writer;
use crate::storage::testing::SimDisk;

/// What may be replayed.
#[derive(Default)]
struct Model {
    /// Everything appended that the log has not forgotten.
    all: Vec<Plain>,
    /// How many of these were reported as synced.
    synced: usize,
    /// A checkpoint begun in this life: its snapshot stands for the first so many records.
    checkpoint: Option<(usize, Vec<Plain>)>,
    /// Whether finishing it was tried, so that either form is right.
    finishing: bool,
}

impl Model {
    /// The records and synced count as they are when the checkpoint counts.
    fn after_checkpoint(&self) -> Option<(Vec<Plain>, usize)> {
        let (covered, snapshot) = self.checkpoint.as_ref()?;
        let records = [snapshot, &self.all[*covered..]].concat();
        Some((records, snapshot.len() + self.synced.saturating_sub(*covered)))
    }

    fn finished(&mut self) {
        if let Some((all, synced)) = self.after_checkpoint() {
            (self.all, self.synced) = (all, synced);
        }
        self.checkpoint = None;
        self.finishing = false;
    }

    /// Checks what a restart replayed, and goes on from it.
    fn restarted(&mut self, replayed: Vec<Plain>) {
        let is_one = |all: &[Plain], synced: usize| all.starts_with(&replayed) && replayed.len() >= synced;
        let unchanged = is_one(&self.all, self.synced);
        let checkpointed = self.finishing && self.after_checkpoint().is_some_and(|(all, synced)| is_one(&all, synced));
        assert!(
            unchanged || checkpointed,
            "{} replayed, {} appended, {} synced, finishing: {}",
            replayed.len(),
            self.all.len(),
            self.synced,
            self.finishing
        );
        *self = Self { synced: replayed.len(), all: replayed, checkpoint: None, finishing: false };
    }
}

struct Run {
    rng: Rng,
    disk: SimDisk,
    model: Model,
    appended: u64,
    /// Where the last checkpoint began.
    begun: u64,
}

impl Run {
    fn record(&mut self) -> Plain {
        self.appended += 1;
        let mut payload = self.appended.to_le_bytes().to_vec();
        match self.rng.below(20) {
            0 => payload.resize(self.rng.below(9_000) as usize + 8, self.rng.bits() as u8),
            // Bytes of the log itself, as a backup stored in the database would have them.
            1 => payload.extend(self.disk.contents().into_values().flatten().skip(4096).take(3_000)),
            _ => payload.resize(self.rng.below(300) as usize + 8, self.rng.bits() as u8),
        }
        (self.rng.below(8) as u8, 1, payload)
    }

    fn begin_checkpoint(&mut self, writer: &mut Writer) -> Result<(), LogError> {
        let keep = self.rng.below(4) as usize;
        let snapshot = self.model.all[self.model.all.len().saturating_sub(keep)..].to_vec();
        self.model.checkpoint = None;
        self.appended += 1;
        self.begun = self.appended;
        writer.begin_checkpoint(self.begun, &mut group(&snapshot))?;
        self.model.checkpoint = Some((self.model.all.len(), snapshot));
        Ok(())
    }

    fn finish_checkpoint(&mut self, writer: &mut Writer) -> Result<(), LogError> {
        self.model.finishing = self.model.checkpoint.is_some();
        writer.finish_checkpoint(self.begun)?;
        self.model.finished();
        Ok(())
    }

    fn append(&mut self, writer: &mut Writer) -> Result<(), LogError> {
        let count = self.rng.between(1, 6);
        let records: Vec<_> = (0..count).map(|_| self.record()).collect();
        self.model.all.extend_from_slice(&records);
        write(writer, &records)?;
        self.model.synced = self.model.all.len();
        Ok(())
    }

    fn step(&mut self, writer: &mut Writer) -> Result<(), LogError> {
        match self.rng.below(12) {
            0 => self.begin_checkpoint(writer),
            1 => self.finish_checkpoint(writer),
            _ => self.append(writer),
        }
    }

    /// Starts the log; `None` if that fails for an injected failure, and for nothing else.
    fn open(&mut self) -> Option<Writer> {
        match open(&self.disk) {
            Ok(opened) => {
                self.model.restarted(opened.records);
                Some(opened.writer)
            }
            Err(error) => {
                assert!(matches!(error, LogError::Io { .. }), "{error}");
                None
            }
        }
    }

    fn die(&mut self) {
        self.disk = if self.rng.one_in(2) { self.disk.restart() } else { self.disk.lose_power() };
    }

    /// One life of the process, to its end by a clean close, a kill, a power loss or a failing operation.
    fn live(&mut self) {
        if self.rng.one_in(2) {
            self.disk.fail_after(self.rng.below(60));
        }
        if let Some(mut writer) = self.open() {
            let steps = self.rng.below(25);
            let lived = (0..steps).try_for_each(|_| self.step(&mut writer));
            if lived.is_ok() && self.rng.one_in(4) {
                // A close that fails is a crash.
                let _ = writer.close();
            }
        }
        self.die();
    }

    /// A short life with two checkpoints, in which all operations fail after some.
    fn live_briefly(&mut self, operations: u64) {
        self.disk.fail_after(operations);
        if let Some(mut writer) = self.open() {
            let steps = [Self::append, Self::begin_checkpoint, Self::append, Self::finish_checkpoint];
            // The second round uses the files that the first one freed. A failure ends this life.
            let _ = steps.into_iter().cycle().take(8).try_for_each(|step| step(self, &mut writer));
        }
        self.die();
    }
}

fn run(seed: u64) -> Run {
    let rng = Rng::new(seed);
    Run { rng, disk: SimDisk::new(!seed), model: Model::default(), appended: seed << 32, begun: 0 }
}

#[test]
fn what_was_synced_is_replayed_and_nothing_is_invented() {
    for seed in 0..600 {
        println!("seed {seed}");
        let mut run = run(seed);
        for _ in 0..12 {
            run.live();
        }
        run.open().unwrap();
    }
}

#[test]
fn failures_at_any_two_operations_of_two_lives_are_survived() {
    const ALL: u64 = 100;
    for (first, second) in (0..ALL).flat_map(|first| (0..ALL).step_by(3).map(move |second| (first, second))) {
        println!("operations {first} and {second}");
        let mut run = run(first << 8 | second);
        run.live_briefly(u64::MAX);
        run.live_briefly(first);
        run.live_briefly(second);
        run.open().unwrap();
    }
}

#[test]
fn a_torn_group_is_cut_and_reported() {
    let mut reported = 0;
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let mut writer = open(&disk).unwrap().writer;
        write(&mut writer, &super::numbered(0..10)).unwrap();
        // The next sync fails, and then the power.
        disk.fail_after(1);
        assert!(write(&mut writer, &super::numbered(10..400)).is_err());
        let disk = disk.lose_power();
        let opened = open(&disk).unwrap();
        assert!(opened.records == super::numbered(0..10) || opened.records == super::numbered(0..400));
        reported += usize::from(opened.cut.is_some());
        let again = open(&disk.restart()).unwrap();
        assert_eq!(again.records, opened.records);
        assert_eq!(again.cut, None);
    }
    assert!(reported > 10, "{reported}");
}

#[test]
fn a_full_disk_is_a_typed_error_and_loses_nothing() {
    let disk = SimDisk::new(0);
    let mut writer = open(&disk).unwrap().writer;
    disk.limit_room(Some(40 << 10));
    let mut written = 0;
    let error = loop {
        match write(&mut writer, &super::numbered(written..written + 10)) {
            Ok(()) => written += 10,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
    disk.limit_room(None);
    assert_eq!(open(&disk.restart()).unwrap().records, super::numbered(0..written));
}
