//! Damage to what had been durable, and files that are gone.

use std::sync::Arc;

use annulus_base::rng::Rng;

use super::{OPTIONS, Plain, numbered, open, write};
use crate::storage::files::Directory;
use crate::storage::log::{LogError, LogOptions, Replay};
use crate::storage::testing::SimDisk;

/// A log of several segments, and what is in it.
fn filled(close: bool) -> (SimDisk, Vec<Plain>) {
    let disk = SimDisk::new(0);
    let mut writer = open(&disk).unwrap().writer;
    for start in (0..2_000).step_by(20) {
        write(&mut writer, &numbered(start..start + 20)).unwrap();
    }
    if close {
        writer.close().unwrap();
    }
    (disk.restart(), numbered(0..2_000))
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let counts = |name: &String| name.ends_with(".log") || name.ends_with(".base");
    disk.contents().into_keys().filter(counts).collect()
}

fn error(disk: &SimDisk) -> LogError {
    open(disk).err().expect("opening must be refused")
}

#[test]
fn after_a_clean_close_no_damage_goes_unnoticed() {
    let mut rng = Rng::new(1);
    let mut refused = 0;
    for _ in 0..300 {
        let (disk, records) = filled(true);
        let name = rng.pick(&segments(&disk)).unwrap().clone();
        disk.tamper(&name, |data| {
            let at = rng.below(data.len() as u64) as usize;
            data[at] ^= 1 << rng.below(8);
        });
        match open(&disk) {
            // It hit unused space, padding, or the closing group.
            Ok(opened) => assert_eq!(opened.records, records),
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(matches!(error, LogError::Corrupt { .. } | LogError::Version { .. }), "{text}");
                assert!(text.contains(&name), "{text}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn without_a_clean_close_only_the_last_group_can_be_cut() {
    let mut rng = Rng::new(2);
    let mut cut = 0;
    for _ in 0..300 {
        let (disk, records) = filled(false);
        let last = segments(&disk).pop().unwrap();
        disk.tamper(&last, |data| {
            let used = data.iter().rposition(|byte| *byte != 0).unwrap();
            let at = used - rng.below(2_000.min(used as u64)) as usize;
            data[at] ^= 1 << rng.below(8);
        });
        if let Ok(opened) = open(&disk) {
            cut += usize::from(opened.records != records);
            assert!(opened.records == records || opened.records == records[..records.len() - 20]);
        }
    }
    assert!(cut > 10, "{cut}");
}

#[test]
fn a_zeroed_stretch_in_the_middle_is_refused() {
    let (disk, _) = filled(false);
    let last = segments(&disk).pop().unwrap();
    disk.tamper(&last, |data| data[4096..4608].fill(0));
    let error = error(&disk);
    assert!(matches!(error, LogError::Corrupt { offset: 4096, .. }), "{error}");
    assert!(error.to_string().contains("replace it by a new node"), "{error}");
}

#[test]
fn missing_segments_are_named() {
    for index in 0..2 {
        let (disk, _) = filled(true);
        let name = segments(&disk)[index].clone();
        disk.remove(&name).unwrap();
        let error = error(&disk);
        assert!(matches!(error, LogError::Missing { .. }), "{error}");
        if index > 0 {
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
}

#[test]
fn a_node_that_had_a_log_does_not_start_an_empty_one() {
    let directory: Arc<dyn Directory> = Arc::new(SimDisk::new(0));
    let opened = Replay::open(directory, LogOptions { create: false, ..OPTIONS });
    assert!(matches!(opened.err(), Some(LogError::Missing { .. })));
}

#[test]
fn a_later_format_is_refused_with_its_version() {
    let (disk, _) = filled(true);
    disk.tamper(&segments(&disk)[0], |data| data[8] = 9);
    assert!(matches!(error(&disk), LogError::Version { version: 9, .. }));
}

#[test]
fn a_damaged_checkpoint_is_never_taken_for_a_torn_tail() {
    let disk = SimDisk::new(0);
    let mut writer = open(&disk).unwrap().writer;
    write(&mut writer, &numbered(0..100)).unwrap();
    writer.begin_checkpoint(1, &mut super::group(&numbered(90..100))).unwrap();
    writer.finish_checkpoint(1).unwrap();
    let disk = disk.restart();
    assert_eq!(segments(&disk).len(), 1);
    let name = segments(&disk).pop().unwrap();
    disk.tamper(&name, |data| data[4096 + 40] ^= 1);
    assert!(matches!(error(&disk), LogError::Corrupt { .. }));
}

#[test]
fn other_files_are_left_alone() {
    let (disk, records) = filled(true);
    disk.create("notes.txt").unwrap();
    assert_eq!(open(&disk).unwrap().records, records);
    assert!(disk.contents().contains_key("notes.txt"));
}

#[test]
fn every_segment_has_a_salt_of_its_own() {
    let (disk, _) = filled(true);
    let names = segments(&disk);
    let salts: std::collections::BTreeSet<_> =
        names.iter().map(|name| disk.contents()[name][32..40].to_vec()).collect();
    assert!(names.len() > 2);
    assert_eq!(salts.len(), names.len());
}
