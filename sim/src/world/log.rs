//! A vote log on a virtual disk: records are appended at once and durable after a sync.

use annulus_base::rng::Rng;
use annulus_replica::record::Record;

/// A node's vote log. Counts are of records appended since the node's last start.
#[derive(Debug, Default)]
pub struct Log {
    /// Durable: what the running incarnation began with, or a later checkpoint.
    head: Vec<Record>,
    /// Appended since, except what a checkpoint made superfluous.
    tail: Vec<Record>,
    /// How many records were appended before the first of `tail`.
    trimmed: u64,
    synced: u64,
}

impl Log {
    /// Appends records.
    pub fn append(&mut self, records: impl IntoIterator<Item = Record>) {
        self.tail.extend(records);
    }

    /// How many records were appended.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.trimmed + self.tail.len() as u64
    }

    /// How many of them are durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.synced
    }

    /// A sync that began when `upto` records had been appended has returned.
    pub fn synced(&mut self, upto: u64) {
        self.synced = self.synced.max(upto.min(self.appended()));
    }

    /// Puts a checkpoint, taken when `upto` records had been appended, in the place of these records.
    pub fn trim(&mut self, checkpoint: Vec<Record>, upto: u64) {
        self.head = checkpoint;
        self.tail.drain(..(upto - self.trimmed) as usize);
        self.trimmed = upto;
        self.synced = self.synced.max(upto);
    }

    /// The process ends and power is lost: of the unsynced records a random prefix survives; a torn last
    /// record fails its checksum and is cut off.
    pub fn crash(&mut self, rng: &mut Rng) {
        let kept = rng.between(self.synced, self.appended());
        self.lose_after(kept);
    }

    /// As [`Log::crash`], with all unsynced records lost.
    pub fn crash_losing_all(&mut self) {
        self.lose_after(self.synced);
    }

    fn lose_after(&mut self, kept: u64) {
        self.tail.truncate((kept - self.trimmed) as usize);
        self.head.append(&mut self.tail);
        self.trimmed = 0;
        self.synced = 0;
    }

    /// What is to be replayed at a start.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annulus_base::Timestamp;

    fn fences(range: std::ops::Range<u64>) -> Vec<Record> {
        range.map(|ts| Record::Fence(Timestamp(ts))).collect()
    }

    #[test]
    fn synced_records_survive_and_others_may_not() {
        for seed in 0..20 {
            let mut log = Log::default();
            log.append(fences(0..4));
            log.synced(2);
            log.crash(&mut Rng::new(seed));
            let kept = log.records().len();
            assert!((2..=4).contains(&kept));
            assert_eq!(log.records(), fences(0..kept as u64));
            assert_eq!((log.appended(), log.durable()), (0, 0));
        }
    }

    #[test]
    fn a_checkpoint_replaces_what_it_covers() {
        let mut log = Log::default();
        log.append(fences(0..5));
        log.trim(fences(100..101), 3);
        assert_eq!((log.appended(), log.durable()), (5, 3));
        log.synced(4);
        log.crash_losing_all();
        assert_eq!(log.records(), [fences(100..101), fences(3..4)].concat());
    }
}
