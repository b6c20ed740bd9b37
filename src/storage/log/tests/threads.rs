//! The log with its threads, on a real disk and on a failing one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::{Plain, numbered, plain};
use crate::storage::files::{Directory, OsDirectory};
use crate::storage::log::{Log, LogError, LogOptions, Position, Synced};
use crate::storage::testing::SimDisk;

const OPTIONS: LogOptions = LogOptions { segment_bytes: 256 << 10, create: true };

type Reports = Receiver<Result<Synced, LogError>>;

fn start(directory: Arc<dyn Directory>) -> (Vec<Plain>, Log, Reports) {
    start_with(directory, OPTIONS)
}

fn start_with(directory: Arc<dyn Directory>, options: LogOptions) -> (Vec<Plain>, Log, Reports) {
    let mut replay = Log::open(directory, options).unwrap();
    let records = replay.by_ref().map(|record| plain(record.unwrap())).collect();
    let (report, reports) = channel();
    let log = replay.start(Box::new(move |synced| drop(report.send(synced)))).unwrap();
    (records, log, reports)
}

fn directory(dir: &tempfile::TempDir) -> Arc<dyn Directory> {
    Arc::new(OsDirectory::open(dir.path()).unwrap())
}

fn append(log: &Log, records: &[Plain]) -> Position {
    let positions = records.iter().map(|(kind, version, payload)| log.append(*kind, *version, payload));
    let last = positions.max().unwrap();
    log.submit();
    last
}

/// The sizes of the groups until then.
fn wait_for(reports: &Reports, position: Position) -> Vec<u64> {
    let mut groups = Vec::new();
    loop {
        let synced = reports.recv().unwrap().unwrap();
        groups.push(synced.records);
        if synced.position >= position {
            return groups;
        }
    }
}

#[test]
fn records_and_checkpoints_survive_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (records, log, reports) = start(directory(&dir));
    assert!(records.is_empty());
    for start in (0..20_000).step_by(100) {
        append(&log, &numbered(start..start + 100));
    }
    let groups = wait_for(&reports, 20_000);
    assert_eq!(groups.iter().sum::<u64>(), 20_000, "every record is in one group");
    assert_eq!(log.synced(), 20_000);
    assert_eq!(log.backlog(), 0);
    let checkpoint = log.begin_checkpoint(numbered(1..3));
    let last = append(&log, &numbered(20_000..20_010));
    assert_eq!(last, 20_011);
    wait_for(&reports, last);
    log.finish_checkpoint(checkpoint).unwrap();
    drop(log);
    let (records, log, _) = start(directory(&dir));
    assert_eq!(records, [numbered(1..3), numbered(20_000..20_010)].concat());
    drop(log);
    let sizes = directory(&dir).list().unwrap().len();
    assert!(sizes <= 6, "old segments are gone: {sizes} files");
}

#[test]
fn an_abandoned_checkpoint_frees_nothing() {
    let disk = SimDisk::new(0);
    let (_, log, reports) = start(Arc::new(disk.clone()));
    append(&log, &numbered(0..10));
    let abandoned = log.begin_checkpoint(numbered(5..10));
    let other = log.begin_checkpoint(numbered(7..10));
    wait_for(&reports, other.position());
    log.finish_checkpoint(abandoned).unwrap();
    drop(log);
    assert_eq!(start(Arc::new(disk.restart())).0, numbered(0..10));
}

#[test]
fn a_checkpoint_cannot_be_finished_before_it_is_synced() {
    let disk = SimDisk::new(0);
    let (_, log, reports) = start(Arc::new(disk.clone()));
    disk.fail_after(0);
    let checkpoint = log.begin_checkpoint(numbered(0..1));
    assert!(reports.iter().any(|report| report.is_err()));
    assert!(matches!(log.finish_checkpoint(checkpoint), Err(LogError::CheckpointNotSynced)));
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (_, log, reports) = start(directory(&dir));
    let large = vec![(1, 1, vec![7; 3 << 20])];
    let last = append(&log, &[large.clone(), numbered(0..10)].concat());
    wait_for(&reports, last);
    drop(log);
    assert_eq!(start(directory(&dir)).0, [large, numbered(0..10)].concat());
}

#[test]
fn after_a_failure_nothing_is_reported_as_synced() {
    for operations in 0..6 {
        let disk = SimDisk::new(0);
        let (_, log, reports) = start(Arc::new(disk.clone()));
        wait_for(&reports, append(&log, &numbered(0..5)));
        disk.fail_after(operations);
        let failed = (0..).find_map(|_| {
            append(&log, &numbered(5..6));
            reports.recv().unwrap().err()
        });
        assert!(matches!(failed, Some(LogError::Io { .. })));
        let synced = log.synced();
        append(&log, &numbered(50..60));
        assert_eq!(log.synced(), synced);
        drop(log);
        assert!(reports.recv().is_err(), "nothing comes after a failure");
        let (records, ..) = start(Arc::new(disk.restart()));
        assert!(records.len() as u64 >= synced);
    }
}

#[test]
fn what_is_not_submitted_is_written_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_, log, _) = start(directory(&dir));
    log.append(1, 1, &0_u64.to_le_bytes());
    drop(log);
    assert_eq!(start(directory(&dir)).0, numbered(0..1));
}

/// Prints, for comparison within one run: bare `fdatasync` of a preallocated file against the log.
#[test]
fn timing_beside_bare_syncs() {
    const ROUNDS: u32 = 300;
    let dir = tempfile::tempdir().unwrap();
    let bare = directory(&dir).create("bare").unwrap();
    bare.write_all_at(&vec![0; 1 << 20], 0).unwrap();
    bare.sync_data().unwrap();
    let began = Instant::now();
    for round in 0..ROUNDS {
        bare.write_all_at(&[1; 128], u64::from(round) * 128).unwrap();
        bare.sync_data().unwrap();
    }
    println!("bare write and fdatasync: {:?} each", began.elapsed() / ROUNDS);

    let (_, log, reports) = start_with(directory(&dir), LogOptions { segment_bytes: 32 << 20, create: true });
    for batch in [1, 8, 64] {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            wait_for(&reports, append(&log, &vec![(1, 1, vec![1; 110]); batch]));
        }
        let each = began.elapsed() / ROUNDS;
        println!("log, {batch} records waited for: {each:?} each, {:.0} records/s", batch as f64 / each.as_secs_f64());
    }
    let began = Instant::now();
    let mut last = 0;
    for _ in 0..100_000 {
        last = log.append(1, 1, &[1; 110]);
        log.submit();
    }
    let appended = began.elapsed();
    wait_for(&reports, last);
    println!(
        "log, 100000 records in flight: append {:?} each, all durable in {:?}",
        appended / 100_000,
        began.elapsed()
    );
}

#[test]
fn groups_written_by_the_appender_and_by_the_thread_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (_, log, reports) = start(directory(&dir));
    let (mut here, mut groups) = (0, 0);
    for at in 0..1_000 {
        let (kind, version, payload) = numbered(at..at + 1).remove(0);
        let position = log.append(kind, version, &payload);
        if at % 4 != 0 && log.sync_here() {
            here += 1;
            assert_eq!(log.synced(), position, "what the appender wrote is durable when it returns");
        } else {
            log.submit();
        }
        // Now and then it goes on while the thread is still at work.
        if at % 16 != 0 {
            groups += wait_for(&reports, position).iter().sum::<u64>();
        }
    }
    log.submit();
    while groups < 1_000 {
        groups += reports.recv().unwrap().unwrap().records;
    }
    println!("{here} groups by the appender");
    drop(log);
    assert_eq!(start(directory(&dir)).0, numbered(0..1_000));
}

#[test]
fn after_a_failure_of_the_appender_nothing_is_written() {
    let disk = SimDisk::new(1);
    let (_, log, reports) = start(Arc::new(disk.clone()));
    append(&log, &numbered(0..1));
    wait_for(&reports, 1);
    disk.fail_after(0);
    for (kind, version, payload) in &numbered(1..2) {
        log.append(*kind, *version, payload);
    }
    // On a machine so busy that its disk seems slow, the thread does it.
    let tried = (0..1_000).any(|_| {
        std::thread::yield_now();
        log.sync_here()
    });
    if !tried {
        log.submit();
    }
    assert!(reports.recv().unwrap().is_err());
    assert!(!log.sync_here());
    drop(log);
    assert!(reports.recv().is_err(), "a failure is told once");
}
