//! `annulus demo`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Kv;
use crate::cluster::{ANNULUS, START, STOP, run};
use crate::wait::until;

/// A running demo. Its nodes end with it, however it ends.
struct Demo {
    process: Child,
    output: BufReader<ChildStdout>,
    /// The key-value ports of its nodes.
    ports: Vec<u16>,
}

impl Demo {
    /// Starts one and waits until it says how to connect.
    fn start(dir: &Path) -> Self {
        let dir = dir.display().to_string();
        let mut process = Command::new(ANNULUS)
            .args(["demo", "--dir", &dir])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut demo = Self { process, output, ports: Vec::new() };
        let mut shown = String::new();
        while !shown.contains("Ctrl-C stops the cluster") {
            let read = demo.output.read_line(&mut shown).expect("text");
            assert!(read > 0, "the demo ended within {START:?}:\n{shown}");
        }
        let nodes = shown.lines().filter(|line| line.trim_start().starts_with("node"));
        let port = |line: &str| line.split("redis-cli -p ").nth(1)?.split(' ').next()?.parse().ok();
        demo.ports = nodes.map(|line| port(line).expect("a redis-cli line")).collect();
        assert_eq!(demo.ports.len(), 3, "{shown}");
        demo
    }

    /// Stops it as Ctrl-C does.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).expect("an own child can be signalled");
        let status = until("the end of the demo", STOP, || self.process.try_wait().expect("a child"));
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        assert!(status.success() && rest.contains("All nodes have stopped."), "{status}: {rest}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_demo_serves_keeps_its_data_and_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let demo = Demo::start(dir.path());
    Kv::connect(demo.ports[0]).expect("a client").must::<()>("SET greeting hello");
    assert_eq!(Kv::connect(demo.ports[2]).expect("a client").must::<String>("GET greeting"), "hello");
    assert!(demo.ports.iter().all(|port| *port < 32_768), "outgoing connections may take {:?}", demo.ports);
    let dir_again = dir.path().display().to_string();
    let again = run(&["demo", "--dir", &dir_again]);
    let complaint = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && complaint.contains("or choose another --dir"), "{complaint}");
    let ports = demo.ports.clone();
    demo.stop();
    let demo = Demo::start(dir.path());
    assert_eq!(demo.ports, ports, "a demo keeps its ports");
    assert_eq!(Kv::connect(demo.ports[1]).expect("a client").must::<String>("GET greeting"), "hello");
    demo.stop();
}
