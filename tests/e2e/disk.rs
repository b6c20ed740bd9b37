//! A full disk: writes are refused in time, deletes are accepted, and room heals it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cluster::{Cluster, Node};
use crate::wait::until_true;

const PATIENCE: Duration = Duration::from_secs(15);
/// Size of the disk: room for a few log segments and the engine's journal.
const SIZE: u64 = 256 << 20;

/// A small disk, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing can be mounted.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a directory");
        let options = format!("size={SIZE}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
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
    let Some(disk) = SmallDisk::mount(&cluster.nodes[0].dir) else {
        println!("SKIPPED: a small disk cannot be mounted here");
        return;
    };
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
    let Some(disk) = SmallDisk::mount(&cluster.nodes[0].dir) else {
        println!("SKIPPED: a small disk cannot be mounted here");
        return;
    };
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
