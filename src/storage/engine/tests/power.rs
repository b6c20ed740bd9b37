//! Lost power, killed processes, full and damaged disks.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annulus_base::rng::Rng;

use super::{delete, put, range};
use crate::storage::engine::memory::MemoryEngine;
use crate::storage::engine::{EVERYTHING, Engine, EngineError, EngineKind, Entry, Order, Space, open};
use crate::storage::testing::SimDisk;

fn memory(disk: &SimDisk) -> Result<MemoryEngine, EngineError> {
    MemoryEngine::open(Arc::new(disk.clone()))
}

fn contents(engine: &dyn Engine) -> Vec<Entry> {
    range(&*engine.snapshot(), EVERYTHING, Order::Forward)
}

#[test]
fn the_memory_engine_holds_its_last_checkpoint_after_a_power_loss() {
    let mut survived = 0;
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut disk = SimDisk::new(!seed);
        let mut synced = Vec::new();
        for life in 0..4 {
            let Ok(engine) = memory(&disk) else { panic!("seed {seed}: refused to open") };
            assert_eq!(contents(&engine), synced, "seed {seed} life {life}");
            for n in 0..rng.below(200) {
                let key = (rng.below(100) as u32).to_be_bytes();
                let change = if rng.one_in(3) { delete(&key) } else { put(&key, &[n as u8; 50]) };
                engine.write(vec![change]).unwrap();
            }
            let before = contents(&engine);
            if rng.one_in(2) {
                disk.fail_after(rng.below(8));
            }
            let done = engine.sync().is_ok();
            disk = if rng.one_in(3) { disk.restart() } else { disk.lose_power() };
            // A checkpoint that failed may have got as far as its rename.
            let now = contents(&memory(&disk).unwrap());
            assert!(now == before || (!done && now == synced), "seed {seed} life {life}");
            survived += usize::from(done);
            synced = now;
        }
    }
    assert!(survived > 300);
}

#[test]
fn a_damaged_snapshot_file_is_refused() {
    let disk = SimDisk::new(0);
    let engine = memory(&disk).unwrap();
    engine.write((0..100_u8).map(|n| put(&[n], &[n; 20])).collect()).unwrap();
    engine.sync().unwrap();
    let good = disk.contents().remove("snapshot").unwrap();
    for at in 0..good.len() {
        disk.tamper("snapshot", |data| data[at] ^= 0x10);
        let error = memory(&disk).err().expect("damage must be noticed");
        assert!(matches!(error, EngineError::Damaged { kind: EngineKind::Memory, .. }), "byte {at}: {error}");
        disk.tamper("snapshot", |data| data.truncate(at));
        assert!(memory(&disk).is_err(), "cut at {at}");
        disk.tamper("snapshot", |data| data.clone_from(&good));
    }
    assert_eq!(contents(&memory(&disk).unwrap()).len(), 100);
}

#[test]
fn bytes_of_snapshot_format_version_1() {
    let disk = SimDisk::new(0);
    let engine = memory(&disk).unwrap();
    engine.write(vec![put(b"key", b"value")]).unwrap();
    engine.sync().unwrap();
    let hex: String = disk.contents()["snapshot"].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "416e6e756c534e0a0100000004000000050000005b462037006b657976616c7565ffffffff01000000000000007653678a"
    );
}

#[test]
fn a_full_disk_is_a_typed_error_and_keeps_the_last_checkpoint() {
    let disk = SimDisk::new(0);
    let engine = memory(&disk).unwrap();
    engine.write(vec![put(b"a", b"1")]).unwrap();
    engine.sync().unwrap();
    disk.limit_room(Some(1_000));
    engine.write(vec![put(b"b", &[1; 5_000])]).unwrap();
    let error = engine.sync().unwrap_err();
    assert!(matches!(error, EngineError::Full { .. }), "{error}");
    assert_eq!(contents(&memory(&disk.restart()).unwrap()).len(), 1);
}

/// Copies a directory as a power loss would leave it: what was there in `synced` is certain; of all that
/// grew or changed since, each sector is there or not.
fn lose_power(now: &Path, synced: &Path, after: &Path, rng: &mut Rng) {
    std::fs::create_dir_all(after).unwrap();
    for entry in std::fs::read_dir(now).unwrap() {
        let entry = entry.unwrap();
        let (old, new) = (synced.join(entry.file_name()), after.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            lose_power(&entry.path(), &old, &new, rng);
            continue;
        }
        let current = std::fs::read(entry.path()).unwrap();
        let mut content = std::fs::read(&old).unwrap_or_else(|_| current.clone());
        content.resize(current.len(), 0);
        // Most of the file is preallocated: only changed sectors matter.
        for at in (0..current.len()).step_by(512) {
            let end = (at + 512).min(current.len());
            if content[at..end] != current[at..end] && rng.one_in(2) {
                content[at..end].copy_from_slice(&current[at..end]);
            }
        }
        std::fs::write(&new, content).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    lose_power(from, Path::new("/nowhere"), to, &mut Rng::new(0));
}

#[test]
fn fjall_holds_its_last_checkpoint_after_a_power_loss() {
    const KEYS: u32 = 300;
    for seed in 0..6 {
        let mut rng = Rng::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let engine = open(EngineKind::Fjall, &path("live"), 1 << 20).unwrap();
        let pair = |n: u32, round: u32| {
            let value = [&round.to_be_bytes()[..], &[7; 100]].concat();
            vec![put(&n.to_be_bytes(), &value), put(&(n + KEYS).to_be_bytes(), &value)]
        };
        for n in 0..KEYS {
            engine.write(pair(n, 1)).unwrap();
        }
        engine.sync().unwrap();
        copy(&path("live"), &path("synced"));
        for n in 0..KEYS {
            engine.write(pair(n, 2)).unwrap();
        }
        // Whatever fjall still buffers in the process gets its chance to be torn.
        engine.sync().unwrap();
        lose_power(&path("live"), &path("synced"), &path("after"), &mut rng);
        drop(engine);
        let engine = open(EngineKind::Fjall, &path("after"), 1 << 20).unwrap();
        let round = |n: u32| {
            let value = engine.get(Space::Versions, &n.to_be_bytes()).unwrap().expect("a synced key is there");
            value[3]
        };
        for n in 0..KEYS {
            assert!([1, 2].contains(&round(n)), "key {n}");
            assert_eq!(round(n), round(n + KEYS), "a batch is atomic");
        }
        engine.write(pair(0, 3)).unwrap();
        engine.sync().unwrap();
        assert_eq!(round(0), 3);
    }
}

/// The file of a directory that differs from the one in another, and which of its bytes are new.
fn changed(now: &Path, before: &Path) -> Option<(PathBuf, Range<usize>)> {
    std::fs::read_dir(now).unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        let (path, old) = (entry.path(), before.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            return changed(&path, &old);
        }
        let (content, old) = (std::fs::read(&path).unwrap(), std::fs::read(&old).unwrap());
        let first = content.iter().zip(&old).position(|(new, old)| new != old)?;
        let last = content.iter().zip(&old).rposition(|(new, old)| new != old)?;
        Some((path, first..last + 1))
    })
}

#[test]
fn a_journal_is_whole_up_to_where_it_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let engine = open(EngineKind::Fjall, &path("live"), 1 << 20).unwrap();
    engine.write(vec![put(b"a", b"first")]).unwrap();
    engine.sync().unwrap();
    copy(&path("live"), &path("before"));
    engine.write(vec![put(b"a", &[7; 16]), put(b"b", &[8; 16])]).unwrap();
    engine.sync().unwrap();
    copy(&path("live"), &path("now"));
    drop(engine);
    let (journal, new) = changed(&path("now"), &path("before")).expect("something was written");
    assert!(new.len() > 32, "{new:?}");
    // What follows is preallocated, and empty.
    let mut content = std::fs::read(&journal).unwrap();
    content.truncate(new.end + 512);
    std::fs::remove_file(&journal).unwrap();
    for end in new.clone() {
        let torn = path(&format!("torn{end}"));
        copy(&path("now"), &torn);
        let kept = [&content[..end], &vec![0; content.len() - end]].concat();
        std::fs::write(torn.join(journal.strip_prefix(path("now")).unwrap()), kept).unwrap();
        let engine = open(EngineKind::Fjall, &torn, 1 << 20).unwrap();
        let found = [b"a", b"b"].map(|key| engine.get(Space::Versions, key).unwrap());
        assert_eq!(found, [Some("first".into()), None], "torn at {end} of {new:?}");
        engine.write(vec![put(b"b", b"next")]).unwrap();
        engine.sync().unwrap();
        drop(engine);
        std::fs::remove_dir_all(torn).unwrap();
    }
}

/// Not a test by itself: the child process of the next one, writing until it is killed.
#[test]
#[ignore = "started by killed_engines_lose_nothing_of_their_checkpoint"]
fn writes_until_killed() {
    let Ok(kind) = std::env::var("ANNULUS_TEST_ENGINE") else { return };
    let kind: EngineKind = kind.parse().unwrap();
    let path = std::env::var("ANNULUS_TEST_PATH").unwrap();
    let engine = open(kind, Path::new(&path), 1 << 20).unwrap();
    for round in 0_u32.. {
        let value = [&round.to_be_bytes()[..], &[7; 100]].concat();
        engine
            .write(vec![put(b"first", &value), put(&(round % 500).to_be_bytes(), &value), put(b"second", &value)])
            .unwrap();
        if round % 50 == 0 {
            engine.sync().unwrap();
            println!("synced {round}");
        }
    }
}

#[test]
fn killed_engines_lose_nothing_of_their_checkpoint() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "storage::engine::tests::power::writes_until_killed", "--ignored", "--nocapture"])
            .env("ANNULUS_TEST_ENGINE", kind.name())
            .env("ANNULUS_TEST_PATH", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reported =
            lines.by_ref().filter_map(|line| line.unwrap().split("synced ").nth(1)?.trim().parse::<u32>().ok());
        let synced = reported.take(20).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let synced =
            lines.filter_map(|line| line.unwrap().strip_prefix("synced ")?.parse().ok()).last().unwrap_or(synced);
        let engine = open(kind, &path, 1 << 20).unwrap();
        let round = |key: &[u8]| {
            let value = engine.get(Space::Versions, key).unwrap().unwrap();
            u32::from_be_bytes(value[..4].try_into().unwrap())
        };
        assert!(round(b"first") >= synced, "{kind}: {} of {synced}", round(b"first"));
        assert_eq!(round(b"first"), round(b"second"), "{kind}: a batch is atomic");
    }
}
