//! A full disk: writes are refused in time, deletes are accepted, and room heals it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::client::Kv;
use crate::cluster::{Cluster, Node};
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(15);
/// Size of the disk: room for a few log segments and the engine's journal.
const SIZE: u64 = 256 << 20;

/// A small disk, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and a word about it, where nothing can be mounted.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a directory");
        let options = format!("size={SIZE}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?;
        if !done.status.success() {
            println!("SKIPPED: a small disk cannot be mounted here");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    fn used(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).expect("the disk answers");
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }

    /// Lets a file take what is missing to so many thousandths of the disk.
    fn fill_to(&self, thousandths: u64) {
        let missing = (SIZE * thousandths / 1000).saturating_sub(self.used());
        fs::write(self.ballast(), vec![1; missing as usize]).expect("room for the ballast");
    }

    /// Lets a file take everything that is left.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).expect("a file");
        // A page at a time, so that nothing is left.
        while ballast.write_all(&[1; 4096]).is_ok() {}
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the ballast can go");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left behind for the system if it is still busy.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_accepts_deletes() {
    let mut cluster = Cluster::make(1, &[]);
    let Some(disk) = SmallDisk::mount(&cluster.nodes[0].dir) else { return };
    cluster.nodes[0].spawn();
    cluster.nodes[0].wait_ready();
    let mut client = cluster.nodes[0].client();
    client.must::<()>("MSET a 1 b 2 c 3");
    disk.fill_to(960);
    let set: [&[u8]; 3] = [b"SET", b"d", b"4"];
    until_true("writes are refused", PATIENCE, || client.ask_words::<()>(&set).is_err());
    let refusal = client.refused(&set);
    assert!(refusal.contains("the disk is nearly full: writes are refused, deletes are accepted"), "{refusal}");
    assert_eq!(client.must::<String>("GET a"), "1");
    assert_eq!(client.must::<i64>("DEL b"), 1);
    disk.make_room();
    until_true("writes are accepted again", PATIENCE, || client.ask_words::<()>(&set).is_ok());
    let found: Vec<Option<String>> = client.must("MGET a b c d");
    assert_eq!(found, [Some("1".to_owned()), None, Some("3".to_owned()), Some("4".to_owned())]);
    cluster.stop();
    drop(cluster);
}

#[test]
fn one_full_disk_does_not_lose_or_hang_the_cluster() {
    let mut cluster = Cluster::make(3, &[]);
    let Some(disk) = SmallDisk::mount(&cluster.nodes[0].dir) else { return };
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.wait_ready();
    let mut client = cluster.nodes[1].client();
    client.must::<()>("MSET a 1 b 2");
    disk.fill_to(960);
    until_true("the full node says so", PATIENCE, || cluster.nodes[0].log().contains("the disk is nearly full"));
    // Others may refuse, too, but they answer, and never wrongly.
    let written = client.ask::<()>("SET a 3");
    eprintln!("a write through another node: {written:?}");
    assert_eq!(client.must::<i64>("DEL b"), 1);
    disk.make_room();
    until_true("writes are accepted again", PATIENCE, || cluster.nodes[0].client().ask::<()>("SET c 4").is_ok());
    let expected = if written.is_ok() { "3" } else { "1" };
    for node in &cluster.nodes {
        let found: Vec<Option<String>> = node.client().must("MGET a b c");
        assert_eq!(found, [Some(expected.to_owned()), None, Some("4".to_owned())]);
    }
    cluster.stop();
}

/// So many keys, as long as they may be: deleting them all at once is allowed when the disk is nearly full, and
/// takes a larger file of the vote log than there is.
const LONG_KEYS: usize = 2_000;

fn with_long_keys(command: &str, value: Option<&str>) -> Vec<Vec<u8>> {
    let pair = |n: usize| std::iter::once(format!("{n:04096}")).chain(value.map(str::to_owned));
    std::iter::once(command.to_owned()).chain((0..LONG_KEYS).flat_map(pair)).map(String::into_bytes).collect()
}

fn ask<T: redis::FromRedisValue>(client: &mut Kv, words: &[Vec<u8>]) -> redis::RedisResult<T> {
    client.ask_words(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// It says what it could not write where, and what to do, and fails.
fn stopped_for_lack_of_room(node: &mut Node) {
    assert_eq!(node.wait_end(PATIENCE).code(), Some(1), "{}", node.tail());
    let log = node.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("annulus: "), "{last}");
    // The vote log or the engine, whichever needs room first.
    let parts = ["no space to ", &node.dir.display().to_string(), "No space left on device", "free space"];
    assert!(parts.iter().all(|part| last.contains(part)), "{last}");
}

#[test]
fn a_node_without_any_room_stops_and_comes_back_with_everything() {
    let mut cluster = Cluster::make(1, &[]);
    let Some(disk) = SmallDisk::mount(&cluster.nodes[0].dir) else { return };
    let node = &mut cluster.nodes[0];
    node.spawn();
    node.wait_ready();
    let mut client = node.client();
    client.must::<()>("MSET a 1 b 2");
    ask::<()>(&mut client, &with_long_keys("MSET", Some("v"))).expect("there is room");
    disk.fill();
    let deleted = ask::<i64>(&mut client, &with_long_keys("DEL", None));
    assert!(deleted.is_err(), "what is not durable is not acknowledged");
    stopped_for_lack_of_room(node);
    disk.make_room();
    node.spawn();
    node.wait_ready();
    let mut client = node.client();
    assert_eq!(client.must::<Vec<String>>("MGET a b"), ["1", "2"]);
    let found: usize = ask(&mut client, &with_long_keys("EXISTS", None)).expect("an answer");
    assert_eq!(found, LONG_KEYS, "nothing acknowledged is lost, nothing refused was done");
    client.must::<()>("SET a 3");
    node.stop();
}

#[test]
fn the_others_go_on_without_a_node_that_has_no_room() {
    let mut cluster = Cluster::make(3, &[]);
    let Some(disk) = SmallDisk::mount(&cluster.nodes[0].dir) else { return };
    cluster.nodes.iter_mut().for_each(Node::spawn);
    cluster.wait_ready();
    let mut client = cluster.nodes[1].client();
    ask::<()>(&mut client, &with_long_keys("MSET", Some("v"))).expect("there is room");
    disk.fill();
    let deleted = ask::<usize>(&mut client, &with_long_keys("DEL", None));
    stopped_for_lack_of_room(&mut cluster.nodes[0]);
    until_true("the others take writes", PATIENCE, || cluster.nodes[2].client().ask::<()>("SET a 1").is_ok());
    disk.make_room();
    cluster.nodes[0].spawn();
    cluster.wait_ready();
    let mut client = cluster.nodes[0].client();
    assert_eq!(client.must::<String>("GET a"), "1");
    let found: usize = ask(&mut client, &with_long_keys("EXISTS", None)).expect("an answer");
    match deleted {
        Ok(count) => assert_eq!((count, found), (LONG_KEYS, 0), "what was acknowledged is so"),
        Err(error) => assert!(found == 0 || found == LONG_KEYS, "{found} keys are left after {error}"),
    }
    cluster.stop();
}
