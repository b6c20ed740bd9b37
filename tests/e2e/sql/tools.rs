//! PostgreSQL's own tools: psql and pgbench. They have to be installed (`.ci/run` does that).

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::client::Sql;
use crate::cluster::{Cluster, Node};

/// Runs a tool, with text at its standard input; what it says, and whether it succeeded.
pub fn tool(name: &str, node: &Node, arguments: &[&str], input: &str) -> (String, bool) {
    tool_in("annulus", name, node, arguments, input)
}

/// The same in another database.
pub fn tool_in(database: &str, name: &str, node: &Node, arguments: &[&str], input: &str) -> (String, bool) {
    let port = node.sql.to_string();
    let mut child = Command::new(name)
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "annulus"])
        .args(arguments)
        .arg(database)
        .env("PGCONNECT_TIMEOUT", "10")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name} has to be installed (apt-get install postgresql-client): {error}"));
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    (format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)), status.success())
}

fn psql(node: &Node, input: &str) -> String {
    let (text, done) = tool("psql", node, &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], input);
    assert!(done, "{input}: {text}");
    text
}

/// They connect to the database `postgres` to make others.
#[test]
fn createdb_and_dropdb_make_databases_and_drop_them() {
    let cluster = Cluster::start(3);
    let [one, two, _] = &cluster.nodes[..] else { panic!("three nodes") };
    let (text, done) = tool_in("made", "createdb", one, &[], "");
    assert!(done, "{text}");
    let (text, done) = tool_in("made", "psql", two, &["-X", "-A", "-t", "-c", "SELECT current_database()"], "");
    assert!(done && text == "made\n", "{text}");
    let (text, done) = tool_in("made", "createdb", two, &[], "");
    assert!(!done && text.contains("already exists"), "{text}");
    let (text, done) = tool_in("made", "dropdb", two, &[], "");
    assert!(done, "{text}");
}

#[test]
fn psql_loads_asks_and_describes() {
    let mut cluster = Cluster::start(3);
    let [one, two, _] = &cluster.nodes[..] else { panic!("three nodes") };
    psql(one, "CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(8, 2));");
    let load = "COPY items FROM STDIN (FORMAT csv);\n1,apple,0.50\n2,\"pear, ripe\",1.25\n3,,\n\\.\n";
    psql(two, load);
    assert_eq!(psql(one, "SELECT * FROM items ORDER BY id;"), "1|apple|0.50\n2|pear, ripe|1.25\n3||\n");
    assert_eq!(psql(two, "COPY items TO STDOUT;").lines().collect::<Vec<_>>().len(), 3);
    assert_eq!(psql(two, "COPY (SELECT name FROM items WHERE id = 3) TO STDOUT;"), "\\N\n");
    // In pieces, through a cursor.
    assert_eq!(psql(one, "\\set FETCH_COUNT 2\nSELECT id FROM items ORDER BY id;\n"), "1\n2\n3\n");
    let prepared = "PREPARE cheap (numeric) AS SELECT id, name FROM items WHERE price < $1; EXECUTE cheap (1);";
    assert_eq!(psql(two, prepared), "1|apple\n");
    let (text, done) = tool("psql", one, &["-X", "-q"], "SELEC 1;\nSELECT pg_typeof(1.5);\n");
    assert!(done && text.contains("ERROR:  syntax error at or near \"SELEC\"") && text.contains("numeric"), "{text}");
    for (command, expected) in [
        ("\\d", "items"),
        ("\\dt", "items"),
        ("\\di", "items_pkey"),
        ("\\dn", "public"),
        ("\\l", "annulus"),
        ("\\conninfo", "connected to database \"annulus\""),
    ] {
        let text = psql(one, &format!("{command}\n"));
        assert!(text.contains(expected), "{command}: {text}");
    }
    cluster.stop();
}

/// All of pgbench as it comes: `-i` drops, creates, loads, vacuums and adds the primary keys.
#[test]
fn pgbench_initializes_and_runs_its_own_scripts() {
    let mut cluster = Cluster::start(3);
    let [one, two, _] = &cluster.nodes[..] else { panic!("three nodes") };
    for _ in 0..2 {
        let (text, done) = tool("pgbench", one, &["-i", "-s", "1", "-q"], "");
        assert!(done, "{text}");
    }
    let count = "SELECT count(*), min(aid), max(aid), sum(abalance) FROM pgbench_accounts;";
    assert_eq!(psql(two, count), "100000|1|100000|0\n");
    let keys = "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE indisprimary ORDER BY 1;";
    assert_eq!(psql(two, keys), "pgbench_accounts_pkey\npgbench_branches_pkey\npgbench_tellers_pkey\n");
    let plan = psql(two, "EXPLAIN SELECT abalance FROM pgbench_accounts WHERE aid = 7;");
    assert!(plan.contains("Point Read using pgbench_accounts_pkey"), "{plan}");
    for (node, script) in [(one, "tpcb-like"), (two, "simple-update"), (one, "select-only")] {
        for mode in ["simple", "extended", "prepared"] {
            let run = ["-n", "-M", mode, "-c", "2", "-t", "20", "--max-tries=1000", "-b", script];
            let (text, done) = tool("pgbench", node, &run, "");
            assert!(done && processed(&text) == 40, "{script} {mode}: {text}");
        }
    }
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT sum(delta) FROM pgbench_history);";
    assert_eq!(psql(two, sums), "0\n");
    cluster.stop();
}

/// pgbench's tables, with fewer accounts and keys from the start.
const TABLES: &str = "
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
    INSERT INTO pgbench_branches VALUES (1, 0, '');
    INSERT INTO pgbench_tellers SELECT n, 1, 0, '' FROM generate_series(1, 10) n;
    INSERT INTO pgbench_accounts SELECT n, 1, 0, '' FROM generate_series(1, 1000) n";
/// pgbench's own transaction over them.
const TRANSACTION: &str = "\\set aid random(1, 1000)\n\\set tid random(1, 10)\n\\set delta random(-5000, 5000)\n\
    BEGIN;\n\
    UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;\n\
    SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n\
    UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;\n\
    UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;\n\
    INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, 1, :aid, :delta, CURRENT_TIMESTAMP);\n\
    END;\n";

#[test]
fn pgbench_conserves_balances_while_a_node_is_killed() {
    let mut cluster = Cluster::start(3);
    let sql = Sql::connect(cluster.nodes[0].sql).expect("a client");
    sql.must(TABLES);
    let script = cluster.dir.path().join("script.sql");
    std::fs::write(&script, TRANSACTION).expect("a script");
    let script = script.display().to_string();
    for mode in ["simple", "extended", "prepared"] {
        let run = ["-n", "-M", mode, "-c", "3", "-T", "4", "--max-tries=0"];
        std::thread::scope(|scope| {
            let (first, second) = (&cluster.nodes[0], &cluster.nodes[1]);
            let writing = scope.spawn(|| tool("pgbench", first, &[&run[..], &["-f", &script]].concat(), ""));
            let reading = scope.spawn(|| tool("pgbench", second, &[&run[..], &["-b", "select-only"]].concat(), ""));
            std::thread::sleep(Duration::from_secs(1));
            if mode == "prepared" {
                cluster.nodes[2].signal(rustix::process::Signal::KILL);
            }
            for (what, bench) in [("writing", writing), ("reading", reading)] {
                let (text, done) = bench.join().expect("pgbench ends");
                assert!(done && processed(&text) > 0, "{what} {mode}: {text}");
            }
        });
    }
    let sums = ["accounts: abalance", "tellers: tbalance", "branches: bbalance", "history: delta"].map(|of| {
        let (table, column) = of.split_once(": ").expect("two words");
        sql.must(&format!("SELECT coalesce(sum({column}), 0) FROM pgbench_{table}"))
    });
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    assert_ne!(sql.must("SELECT count(*) FROM pgbench_history"), ["0"]);
    cluster.nodes[2].kill();
    cluster.nodes[..2].iter_mut().for_each(Node::stop);
}

/// How many transactions pgbench says that it has done.
fn processed(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    line.and_then(|rest| rest.split('/').next()?.trim().parse().ok()).unwrap_or(0)
}
