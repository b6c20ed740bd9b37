//! Programs of other people's, over their own drivers: SQLAlchemy and Django in Python, JDBC in Java.
//!
//! `.ci/run` installs what they need. Elsewhere a tour whose libraries are missing says so and is left out.

use std::path::PathBuf;
use std::process::Command;

use crate::cluster::Cluster;

/// The system's own: Debian's packages are for it.
const PYTHON: &str = "/usr/bin/python3";

/// Where a tour's script is.
fn script(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "e2e", "sql", "tour", name].iter().collect();
    path.display().to_string()
}

/// Runs a program to its end; what it says, and whether it succeeded.
fn run(program: &str, arguments: &[&str]) -> (String, bool) {
    match Command::new(program).args(arguments).env_remove("PYTHONPATH").output() {
        Ok(done) => {
            let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            (format!("{out}{err}"), done.status.success())
        }
        Err(error) => (error.to_string(), false),
    }
}

/// Whether what a tour needs is there, which a command tells. In CI it has to be.
fn is_there(what: &str, program: &str, arguments: &[&str]) -> bool {
    let (text, there) = run(program, arguments);
    assert!(there || std::env::var_os("CI").is_none(), "{what} has to be installed (see .ci/run): {text}");
    if !there {
        println!("LEFT OUT: {what} is not installed (see .ci/run)");
    }
    there
}

fn must_be_done(program: &str, arguments: &[&str]) {
    let (text, done) = run(program, arguments);
    assert!(done && text.trim_end().ends_with("done"), "{arguments:?}: {text}");
}

#[test]
fn sqlalchemy_makes_inspects_and_uses_tables() {
    if !is_there("SQLAlchemy with psycopg2", PYTHON, &["-c", "import sqlalchemy, psycopg2"]) {
        return;
    }
    let mut cluster = Cluster::start(3);
    let port = cluster.nodes[1].sql.to_string();
    must_be_done(PYTHON, &[&script("with_sqlalchemy.py"), &port]);
    cluster.stop();
}

#[test]
fn django_migrates_and_uses_a_project() {
    if !is_there("Django with psycopg2", PYTHON, &["-c", "import django, psycopg2"]) {
        return;
    }
    let mut cluster = Cluster::start(3);
    let port = cluster.nodes[2].sql.to_string();
    let project = cluster.dir.path().join("project");
    std::fs::create_dir(&project).expect("a directory");
    must_be_done(PYTHON, &[&script("with_django.py"), &project.display().to_string(), &port]);
    cluster.stop();
}

/// Where Debian puts PostgreSQL's driver.
const DRIVER: &str = "/usr/share/java/postgresql.jar";

#[test]
fn jdbc_describes_and_uses_tables() {
    let looks = format!("test -e {DRIVER} && java -version");
    if !is_there("Java with PostgreSQL's driver", "sh", &["-c", &looks]) {
        return;
    }
    let mut cluster = Cluster::start(3);
    let port = cluster.nodes[0].sql.to_string();
    must_be_done("java", &["-ea", "-cp", DRIVER, &script("WithJdbc.java"), &port]);
    cluster.stop();
}
