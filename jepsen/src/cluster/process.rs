//! One node as a process on loopback: its ports, its program.

use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::disk::Disk;
use super::network::Place;
use super::{FLAGS, NO_NEXT, ports};
use crate::Failure;

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
    pub log: PathBuf,
    pub place: Place,
    pub kv: u16,
    pub sql: u16,
    http: u16,
    programs: Programs,
    is_upgraded: bool,
    pub arguments: Vec<String>,
    pub child: Option<Child>,
    pub disk: Disk,
}

impl Process {
    pub fn new(programs: &Programs, disk: Disk, logs: &Path) -> Self {
        let [public, private, kv, sql, http] = ports::free();
        let name = disk.name();
        let mut arguments = vec!["start".to_owned(), "--stop-with-parent".to_owned(), format!("--node-name={name}")];
        arguments.push(format!("--data-dir={}", disk.data().display()));
        arguments.push(format!("--advertise-peer=127.0.0.1:{public}"));
        for (flag, port) in [("peer", private), ("kv", kv), ("sql", sql), ("http", http)] {
            arguments.push(format!("--listen-{flag}=127.0.0.1:{port}"));
        }
        arguments.extend(FLAGS.map(str::to_owned));
        arguments.push(format!("--test-hooks={}", disk.hooks().display()));
        arguments.extend(programs.mutation.iter().map(|rule| format!("--test-mutation={rule}")));
        Self {
            log: logs.join(format!("{name}.log")),
            place: Place { public, private },
            kv,
            sql,
            http,
            programs: programs.clone(),
            is_upgraded: false,
            arguments,
            child: None,
            disk,
        }
    }

    pub fn page(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
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

    /// Runs the next program from its next start on.
    pub fn upgrade(&mut self) -> Result<(), Failure> {
        if self.programs.next.is_none() {
            return Err(Failure::Unsupported(NO_NEXT.to_owned()));
        }
        self.is_upgraded = true;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}
