//! One node as a process on loopback: its disk, its test hooks, its program.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use annulus_base::rng::Rng;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::damage::{self, Flip};
use super::network::Place;
use super::{ClockError, Part, ports};
use crate::Failure;

/// A small disk: enough for an empty node, and full soon.
const SMALL_DISK: &CStr = c"size=192m";
/// What nodes are told: small files, since many clusters follow each other, and little patience, so that a fault of
/// seconds shows what happens.
const FLAGS: [&str; 3] = ["--log-segment-size=4MiB", "--cache-size=32MiB", "--request-timeout=2s"];

/// What nodes run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The node's program.
    pub node: PathBuf,
    /// What it is upgraded to.
    pub next: Option<PathBuf>,
    /// The rule that is taken out of every node.
    pub mutation: Option<String>,
}

impl From<&Path> for Programs {
    fn from(node: &Path) -> Self {
        Self { node: node.to_owned(), next: None, mutation: None }
    }
}

/// A node.
pub(super) struct Process {
    /// What holds its data, and is its small disk if it has one.
    disk: PathBuf,
    has_small_disk: bool,
    pub log: PathBuf,
    pub place: Place,
    pub kv: u16,
    pub sql: u16,
    http: u16,
    programs: Programs,
    is_upgraded: bool,
    pub arguments: Vec<String>,
    pub child: Option<Child>,
    flips: Vec<Flip>,
}

impl Process {
    pub fn new(programs: &Programs, disk: &Path, logs: &Path) -> Self {
        let [public, private, kv, sql, http] = ports::free();
        let name = disk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut arguments = vec!["start".to_owned(), "--stop-with-parent".to_owned(), format!("--node-name={name}")];
        arguments.push(format!("--data-dir={}", disk.join("data").display()));
        arguments.push(format!("--advertise-peer=127.0.0.1:{public}"));
        for (flag, port) in [("peer", private), ("kv", kv), ("sql", sql), ("http", http)] {
            arguments.push(format!("--listen-{flag}=127.0.0.1:{port}"));
        }
        arguments.extend(FLAGS.map(str::to_owned));
        arguments.push(format!("--test-hooks={}", disk.join("hooks").display()));
        arguments.extend(programs.mutation.iter().map(|rule| format!("--test-mutation={rule}")));
        Self {
            disk: disk.to_owned(),
            has_small_disk: false,
            log: logs.join(format!("{name}.log")),
            place: Place { public, private },
            kv,
            sql,
            http,
            programs: programs.clone(),
            is_upgraded: false,
            arguments,
            child: None,
            flips: Vec::new(),
        }
    }

    /// Makes its directories, and a small disk there if wanted.
    pub fn prepare(&mut self, small_disk: bool) -> Result<(), Failure> {
        fs::create_dir_all(&self.disk).map_err(Failure::at(&self.disk))?;
        if small_disk {
            mount("tmpfs", &self.disk, "tmpfs", MountFlags::empty(), SMALL_DISK).map_err(|error| {
                Failure::Unsupported(format!("a small disk for each node needs the right to mount one ({error})"))
            })?;
            self.has_small_disk = true;
        }
        fs::create_dir_all(self.hooks()).map_err(Failure::at(&self.hooks()))
    }

    pub fn data(&self) -> PathBuf {
        self.disk.join("data")
    }

    pub fn taken(&self) -> PathBuf {
        self.disk.join("taken")
    }

    pub fn filler(&self) -> PathBuf {
        self.disk.join("filler")
    }

    pub fn page(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
    }

    fn hooks(&self) -> PathBuf {
        self.disk.join("hooks")
    }

    /// Starts it; its process id.
    pub fn spawn(&mut self) -> Result<u32, Failure> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(Failure::at(&self.log))?;
        let next = self.programs.next.as_ref().filter(|_| self.is_upgraded);
        let program = next.unwrap_or(&self.programs.node);
        let child = Command::new(program)
            .args(&self.arguments)
            // Its standard input ends with this process, and so does the node.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the suite, which then ends its nodes.
            .process_group(0)
            .spawn()
            .map_err(Failure::at(program))?;
        Ok(self.child.insert(child).id())
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    pub fn fill_disk(&self) -> Result<(), Failure> {
        if !self.has_small_disk {
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

    /// Makes its clock wrong, or right again.
    pub fn set_clock(&self, error: ClockError) -> Result<(), Failure> {
        let (new, path) = (self.hooks().join("clock.new"), self.hooks().join("clock"));
        // Never half of it.
        fs::write(&new, format!("{} {}\n", error.ahead, error.fast)).map_err(Failure::at(&new))?;
        fs::rename(&new, &path).map_err(Failure::at(&path))
    }

    /// Lets its syncs fail, or succeed again.
    pub fn fail_syncs(&self, fail: bool) -> Result<(), Failure> {
        let path = self.hooks().join("fail-sync");
        let done = if fail { fs::write(&path, "") } else { fs::remove_file(&path) };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::at(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Flips a bit of its files. What was flipped, for people.
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

    pub const fn is_damaged(&self) -> bool {
        !self.flips.is_empty()
    }

    pub fn undo_damage(&mut self) -> Result<(), Failure> {
        // The last one first.
        while let Some(flip) = self.flips.pop() {
            flip.undo().map_err(Failure::at(&flip.path))?;
        }
        Ok(())
    }

    /// Runs the next program from its next start on.
    pub fn upgrade(&mut self) -> Result<(), Failure> {
        if self.programs.next.is_none() {
            return Err(Failure::Unsupported("an upgrade needs a second build; see --upgrade-to".to_owned()));
        }
        self.is_upgraded = true;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
        if self.has_small_disk
            && let Err(error) = unmount(&self.disk, UnmountFlags::DETACH)
        {
            eprintln!("{} may still be mounted: {error}", self.disk.display());
        }
    }
}
