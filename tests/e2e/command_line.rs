//! `annulus config`, `status` and `kv`.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::cluster::{ANNULUS, Cluster, run};

/// What a command prints that must succeed.
fn output(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

/// What a command complains of that must fail.
fn complaint(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = run(arguments);
    assert_eq!(status.code(), Some(1), "{arguments:?}");
    String::from_utf8_lossy(&stderr).into_owned()
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("annulus.toml");
    let path = file.display().to_string();
    let check = ["config", "--check", "--config", &path];
    fs::write(&file, "request_timeout = \"3s\"\ninitial_members = [\"127.0.0.1:7400\"]\n").expect("a file");
    let effective = output(&check);
    assert!(effective.contains("request_timeout = \"3s\""), "{effective}");
    fs::write(&file, "request_timeout = \"soon\"\nrequest_timeot = 1\nlisten_kv = \"0.0.0.0:6379\"\n").expect("a file");
    let problems = complaint(&check);
    for expected in ["request_timeout cannot be 'soon'", "no setting 'request_timeot'; did you mean request_timeout"] {
        assert!(problems.contains(expected), "'{expected}' is missing in\n{problems}");
    }
    assert!(problems.contains(&path), "{problems}");
    fs::write(&file, output(&["config", "--defaults"])).expect("a file");
    output(&check);
    assert!(complaint(&["config", "--check", "--config", "/nowhere.toml"]).contains("/nowhere.toml"));
}

#[test]
fn the_command_line_shows_and_serves_a_cluster() {
    let mut cluster = Cluster::start(3);
    let [first, second] = [&cluster.nodes[0], &cluster.nodes[1]].map(|node| format!("127.0.0.1:{}", node.kv));
    assert_eq!(output(&["kv", "--addr", &first, "SET", "greeting", "hello world"]), "OK\n");
    assert_eq!(output(&["kv", "--addr", &second, "GET", "greeting"]), "hello world\n");
    assert_eq!(output(&["kv", "--addr", &second, "LIST", "gree"]), "greeting\n");
    assert!(complaint(&["kv", "--addr", &first, "INCR", "greeting"]).contains("not an integer"));
    assert_eq!(output(&["kv", "--addr", &first, "DEL", "greeting"]), "1\n");

    let mut shell = Command::new(ANNULUS)
        .args(["kv", "--addr", &first])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = shell.stdin.take().expect("its input");
    input.write_all(b"SET n 41\nINCR n\nGET n\nEXIT\n").expect("it reads");
    drop(input);
    let Output { status, stdout, .. } = shell.wait_with_output().expect("it ends");
    assert!(status.success());
    assert_eq!(String::from_utf8_lossy(&stdout), "OK\n42\n42\n");

    let http = format!("127.0.0.1:{}", cluster.nodes[2].http);
    let status = output(&["status", "--http", &http]);
    assert!(status.contains("node3 (n") && status.contains("3 of 3 members up"), "{status}");
    for node in &cluster.nodes {
        assert!(status.contains(&format!("127.0.0.1:{}", node.peer)), "{status}");
    }
    let wrong = complaint(&["kv", "--addr", &http, "GET", "n"]);
    assert!(
        wrong.contains("not the Redis protocol") && wrong.contains("is this the node's key-value address"),
        "{wrong}"
    );
    let wrong = complaint(&["status", "--http", &first]);
    assert!(wrong.contains(&first) && wrong.contains("is this its HTTP address"), "{wrong}");
    assert!(complaint(&["kv", "--addr", "localhost", "GET", "n"]).contains("write HOST:PORT"));
    cluster.stop();
    assert!(complaint(&["status", "--http", &http]).contains("is the node running"));
    assert!(complaint(&["kv", "--addr", &first, "GET", "n"]).contains(&first));
}
