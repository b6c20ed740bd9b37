//! `annulus sql`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cluster::{ANNULUS, Cluster, run};

#[test]
fn our_own_shell_runs_statements_and_scripts() {
    let mut cluster = Cluster::start(1);
    let address = format!("127.0.0.1:{}", cluster.nodes[0].sql);
    let done = run(&["sql", "--addr", &address, "CREATE TABLE t (id int PRIMARY KEY, name text)"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let script = "INSERT INTO t VALUES (1, 'a;b'),\n (2, NULL);\nCOPY t FROM STDIN;\n3\tc\n\\.\nSELECT * FROM t\nORDER BY id;\n\\dt\n";
    let mut shell = Command::new(ANNULUS)
        .args(["sql", "--addr", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    shell.stdin.take().expect("its input").write_all(script.as_bytes()).expect("it reads");
    let said = shell.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(text, "1\ta;b\n2\t\n3\tc\npublic\tt\ttable\n");
    let failed = run(&["sql", "--addr", &address, "SELECT x"]);
    let error = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && error.contains("ERROR: column \"x\" does not exist"), "{error}");
    assert!(error.contains("LINE 1: SELECT x\n               ^"), "{error}");
    let nowhere = run(&["sql", "--addr", "127.0.0.1:1", "SELECT 1"]);
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("is this its SQL address?"));
    cluster.stop();
}
