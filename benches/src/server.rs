//! Server processes: started with their log in a file, watched, and stopped by their process id.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Refusal;
use crate::failure::Failure;

/// How long a peer may take until it serves.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a server that starts or stops.
const POLL: Duration = Duration::from_millis(20);
/// How many lines of a dead server's log are shown.
const TAIL_LINES: usize = 15;

/// A running server process, stopped when dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    /// How it is told to stop; nothing once it has been told.
    stop_with: Option<Signal>,
}

impl Server {
    /// Starts a program, whose output goes to `NAME.log` in `dir`.
    ///
    /// # Errors
    /// If the process cannot be started or its log not opened.
    pub fn start(name: &str, dir: &Path, mut program: Command, stop_with: Signal) -> Result<Self, Failure> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = program
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for the benchmark, which then stops its servers in order.
            .process_group(0)
            .spawn()?;
        Ok(Self { name: name.to_owned(), child, log, stop_with: Some(stop_with) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> Result<(), Failure> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
        let lines: Vec<&str> = text.lines().collect();
        let log = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        Err(Failure::Died { name: self.name.clone(), how: status.to_string(), log })
    }

    /// Tells it once to stop, without waiting until it has.
    pub fn ask_to_stop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).filter(|_| running);
        if let (Some(pid), Some(signal)) = (pid, self.stop_with.take()) {
            // It may just have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        self.ask_to_stop();
        let end = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                eprintln!("{} does not stop: killing it", self.name);
                self.child.kill()?;
                self.child.wait()?;
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{} (process {}) may still run: {error}", self.name, self.pid());
        }
    }
}

/// A command that ends when this program dies, even if it is killed.
pub fn bound_to_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// Runs a program that prepares a server until it ends; it is killed if this is dropped.
///
/// # Errors
/// If it fails; with what it said.
pub async fn run(program: &str, mut command: Command) -> Result<(), Failure> {
    command.current_dir("/");
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Err(Failure::Helper { program: program.to_owned(), how: output.status.to_string(), output: text })
}

/// Different free ports on loopback. All are held until all are chosen.
///
/// # Errors
/// If there are none.
pub fn free_ports<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let listeners = (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>()?;
    let mut ports = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?;
    }
    Ok(ports)
}

/// Waits until `ready` succeeds while all servers run.
///
/// # Errors
/// If a server ends, or if the time is over.
pub async fn until_ready(
    name: &'static str,
    servers: &mut [Server],
    ready: impl AsyncFn() -> Result<(), Refusal>,
) -> Result<(), Failure> {
    let end = Instant::now() + START_TIMEOUT;
    loop {
        let Err(refusal) = ready().await else { return Ok(()) };
        for server in &mut *servers {
            server.check()?;
        }
        if Instant::now() > end {
            return Err(Failure::NotReady { name, within: START_TIMEOUT, last: refusal.to_string() });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Finds a program in the search path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::start("shell", dir, command, Signal::TERM).unwrap()
    }

    #[test]
    fn a_server_stops_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut server = shell("exec sleep 1000", dir.path());
        server.check().unwrap();
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists());
    }

    #[test]
    fn a_dead_server_is_reported_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut server = shell("echo no disk; exit 3", dir.path());
        server.child.wait().unwrap();
        let text = server.check().unwrap_err().to_string();
        assert!(text.contains("exit status: 3") && text.ends_with("no disk"), "{text}");
    }

    #[test]
    fn ports_differ() {
        let ports = free_ports::<20>().unwrap();
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 20);
    }
}
