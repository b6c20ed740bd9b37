//! One node of the demo as a child process.
//!
//! The child stops when its standard input ends; so it never outlives the demo, however that ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Stdio;

use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

/// A child that ended.
#[derive(Debug)]
pub struct Exit {
    /// Its number.
    pub child: usize,
    /// How it ended.
    pub how: String,
}

/// A running child. Killed if it is still running when the runtime ends.
#[derive(Debug)]
pub struct Child {
    id: u32,
    input: Option<ChildStdin>,
}

impl Child {
    /// Starts a child, whose output is appended to `log`, and tells `exits` when it has ended.
    ///
    /// # Errors
    /// If the process cannot be started or its log not opened.
    pub fn start(
        number: usize,
        program: &Path,
        arguments: Vec<String>,
        log: &Path,
        exits: &mpsc::UnboundedSender<Exit>,
    ) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the demo, which then stops its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let child = Self { id: process.id().unwrap_or_default(), input: process.stdin.take() };
        let exits = exits.clone();
        tokio::spawn(async move {
            let how = match process.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            // Nobody listens any more once the demo is over.
            let _ = exits.send(Exit { child: number, how });
        });
        Ok(child)
    }

    /// Its process id.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Tells it to stop in order.
    pub fn stop(&mut self) {
        self.input = None;
    }
}

/// How much of a log is shown, bytes and lines.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 15;

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| format!("(cannot be read: {error})"));
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    shown.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> (Child, mpsc::UnboundedReceiver<Exit>) {
        let (exits, exited) = mpsc::unbounded_channel();
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        (Child::start(4, Path::new("/bin/sh"), arguments, log, &exits).unwrap(), exited)
    }

    #[tokio::test]
    async fn a_child_stops_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, mut exited) = shell("cat; exit 7", &dir.path().join("log"));
        assert!(child.id() > 0 && exited.try_recv().is_err());
        child.stop();
        let exit = exited.recv().await.unwrap();
        assert_eq!((exit.child, exit.how.as_str()), (4, "exit status: 7"));
        assert!(exited.recv().await.is_none(), "the channel ends with the last child");
    }

    #[tokio::test]
    async fn the_end_of_a_dead_childs_log_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let (_child, mut exited) = shell("seq 1000; echo last words >&2; kill -9 $$", &log);
        assert!(exited.recv().await.unwrap().how.contains("signal: 9"));
        let tail = tail(&log);
        assert!(tail.starts_with("  | 987\n") && tail.ends_with("  | 1000\n  | last words"), "{tail}");
    }
}
