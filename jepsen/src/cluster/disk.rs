//! What a node has on this machine, wherever it runs: its data, the space for it, and its test hooks.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use annulus_base::rng::Rng;
use rustix::fs::statvfs;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::damage::{self, Flip};
use super::{ClockError, Part, Shape};
use crate::Failure;

/// A small disk: enough for an empty node, and full soon.
const SMALL: &CStr = c"size=192m";
/// How full this machine's disk may be, in percent: nodes refuse writes at 95, and a cell writes some hundred megabytes.
const MOST_USED: u64 = 93;

/// A node's data, and the directory of its test hooks beside it. A disk of limited size can be filled.
pub struct Disk {
    dir: PathBuf,
    is_small: bool,
    flips: Vec<Flip>,
}

impl Disk {
    /// The empty disks of a cluster's nodes in `dir`.
    ///
    /// # Errors
    /// If they cannot be made, or this machine has too little room: what nodes refuse then is not their fault.
    pub(super) fn of_all(shape: Shape, dir: &Path) -> Result<Vec<Self>, Failure> {
        check_room(dir)?;
        (1..=shape.nodes).map(|number| Self::make(dir.join(format!("n{number}")), shape.small_disks)).collect()
    }

    fn make(dir: PathBuf, is_small: bool) -> Result<Self, Failure> {
        fs::create_dir(&dir).map_err(Failure::at(&dir))?;
        if is_small {
            mount("tmpfs", &dir, "tmpfs", MountFlags::empty(), SMALL).map_err(|error| {
                Failure::Unsupported(format!("a small disk for each node needs the right to mount one ({error})"))
            })?;
        }
        let disk = Self { dir, is_small, flips: Vec::new() };
        for dir in [disk.data(), disk.hooks()] {
            fs::create_dir(&dir).map_err(Failure::at(&dir))?;
        }
        Ok(disk)
    }

    /// What the node is called.
    pub(super) fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The node's data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The directory of its test hooks.
    pub(super) fn hooks(&self) -> PathBuf {
        self.dir.join("hooks")
    }

    fn taken(&self) -> PathBuf {
        self.dir.join("taken")
    }

    fn filler(&self) -> PathBuf {
        self.dir.join("filler")
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// If it cannot be done; the same for all below.
    pub fn fill(&self) -> Result<(), Failure> {
        if !self.is_small {
            return Err(Failure::Unsupported("only a small disk can be filled".to_owned()));
        }
        let path = self.filler();
        let mut file = File::create(&path).map_err(Failure::at(&path))?;
        // Ever smaller pieces, until not even one byte fits.
        let mut piece = vec![0; 1024 * 1024];
        while !piece.is_empty() {
            if file.write(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
        Ok(())
    }

    /// Gives the space back.
    pub fn free(&self) -> Result<(), Failure> {
        remove(&self.filler())
    }

    /// Puts the data of a node that does not run away: it would start with an empty disk.
    pub fn take(&self) -> Result<(), Failure> {
        let data = self.data();
        let owner = fs::metadata(&data).map_err(Failure::at(&data))?;
        fs::rename(&data, self.taken()).map_err(Failure::at(&data))?;
        fs::create_dir(&data).map_err(Failure::at(&data))?;
        chown(&data, Some(owner.uid()), Some(owner.gid())).map_err(Failure::at(&data))
    }

    /// Whether the data is put away.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.taken().exists()
    }

    /// Puts the data back; the node must not run.
    pub fn put_back(&self) -> Result<(), Failure> {
        let data = self.data();
        fs::remove_dir_all(&data).map_err(Failure::at(&data))?;
        fs::rename(self.taken(), &data).map_err(Failure::at(&data))
    }

    /// Makes the node's clock wrong from now on, also after a restart, or right again.
    pub fn set_clock(&self, error: ClockError) -> Result<(), Failure> {
        let (new, path) = (self.hooks().join("clock.new"), self.hooks().join("clock"));
        // Never half of it.
        fs::write(&new, format!("{} {}\n", error.ahead, error.fast)).map_err(Failure::at(&new))?;
        fs::rename(&new, &path).map_err(Failure::at(&path))
    }

    /// Lets the node's syncs fail from now on, or succeed again.
    pub fn fail_syncs(&self, fail: bool) -> Result<(), Failure> {
        let path = self.hooks().join("fail-sync");
        if fail { fs::write(&path, "").map_err(Failure::at(&path)) } else { remove(&path) }
    }

    /// Flips a bit of a node that does not run, until the damage is undone. Which one, for people.
    pub fn damage(&mut self, part: Part, seed: u64) -> Result<String, Failure> {
        let dir = self.data().join(part.directory());
        let flip = damage::flip(&dir, &mut Rng::new(seed)).map_err(Failure::at(&dir))?;
        let what = flip.as_ref().map_or_else(
            || format!("nothing to damage in {}", dir.display()),
            |flip| format!("a bit of byte {} of {}", flip.offset, flip.path.display()),
        );
        self.flips.extend(flip);
        Ok(what)
    }

    /// Whether bits are flipped.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        !self.flips.is_empty()
    }

    /// Flips them back; the node must not run.
    pub fn undo_damage(&mut self) -> Result<(), Failure> {
        // The last one first.
        while let Some(flip) = self.flips.pop() {
            flip.undo().map_err(Failure::at(&flip.path))?;
        }
        Ok(())
    }
}

/// Removes a file that may be there.
fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::at(path)(error)),
        _ => Ok(()),
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_small
            && let Err(error) = unmount(&self.dir, UnmountFlags::DETACH)
        {
            eprintln!("{} may still be mounted: {error}", self.dir.display());
        }
    }
}

/// Refuses a directory whose file system is too full.
fn check_room(dir: &Path) -> Result<(), Failure> {
    let stat = statvfs(dir).map_err(|error| Failure::at(dir)(error.into()))?;
    let used = percent_used(stat.f_blocks.saturating_sub(stat.f_bfree), stat.f_bavail);
    if used > MOST_USED { Err(Failure::NoRoom { dir: dir.to_owned(), used, most: MOST_USED }) } else { Ok(()) }
}

/// As nodes count it: blocks that only root may use are neither taken nor free.
fn percent_used(taken: u64, free: u64) -> u64 {
    (taken * 100).checked_div(taken + free).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(dir: &Path) -> Disk {
        let shape = Shape { nodes: 1, replicas: 3, small_disks: false };
        Disk::of_all(shape, dir).unwrap().remove(0)
    }

    #[test]
    fn data_that_was_taken_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        assert_eq!(disk.name(), "n1");
        let file = disk.data().join("file");
        fs::write(&file, "old").unwrap();
        disk.take().unwrap();
        assert!(disk.is_taken() && disk.data().is_dir() && !file.exists());
        fs::write(&file, "new").unwrap();
        disk.put_back().unwrap();
        assert!(!disk.is_taken());
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }

    #[test]
    fn hooks_are_files_that_nodes_look_for() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        disk.set_clock(ClockError { ahead: -20, fast: 300 }).unwrap();
        assert_eq!(fs::read(disk.hooks().join("clock")).unwrap(), b"-20 300\n");
        for fail in [true, false, false] {
            disk.fail_syncs(fail).unwrap();
            assert_eq!(disk.hooks().join("fail-sync").exists(), fail);
        }
    }

    #[test]
    fn a_disk_without_a_limit_is_not_filled() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        assert!(matches!(disk.fill(), Err(Failure::Unsupported(_))));
        disk.free().unwrap();
    }

    #[test]
    fn room_is_counted_as_nodes_count_it() {
        assert_eq!(percent_used(12, 80), 13);
        assert_eq!(percent_used(0, 7), 0);
        assert_eq!(percent_used(0, 0), 100);
        assert!(matches!(check_room(Path::new("/nowhere/at/all")), Err(Failure::File { .. })));
    }
}
