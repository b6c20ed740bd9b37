//! The same random statements against ours, on one node after the other, and a PostgreSQL: rows, counts and SQLSTATEs must
//! be the same.
//!
//! The statements come from a seed. `DIFFERENTIAL_SEED=N` repeats one, `DIFFERENTIAL_STATEMENTS=N` makes it longer. Where ours
//! differs on purpose (docs/sql-differences.md), the generator keeps away or [`compare::agree`] says so.

mod compare;
mod constraints;
mod expressions;
mod generator;
mod postgres;
mod queries;
mod schema;

use annulus_base::rng::Rng;

use super::client::Sql;
use crate::cluster::{Cluster, Node};
use compare::Outcome;
use constraints::Constraints;
use generator::{Generator, Statement};
use postgres::Postgres;

/// Seeds that every run of the tests repeats.
const SEEDS: std::ops::Range<u64> = 1..7;
/// Statements of each.
const STATEMENTS: usize = 250;

/// The tables of either source.
const TABLES: [&str; 4] = ["t1", "t2", "t3", "t4"];

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Where statements come from.
trait Source {
    fn next(&mut self) -> Statement;

    /// Takes note of what a statement did.
    fn done(&mut self, statement: &Statement, succeeded: bool);

    /// Whether the next statement may be another session's.
    fn is_between(&self) -> bool;
}

#[test]
fn random_statements_do_what_postgresql_does() {
    compare(Generator::new);
}

#[test]
fn constraints_hold_as_in_postgresql() {
    compare(Constraints::new);
}

fn compare<S: Source>(source: fn(Rng) -> S) {
    let mut cluster = Cluster::start(3);
    let postgres = Postgres::start();
    let seeds = setting("DIFFERENTIAL_SEED").map_or(SEEDS, |seed| seed..seed + 1);
    let statements = setting("DIFFERENTIAL_STATEMENTS").map_or(STATEMENTS, |count| count as usize);
    for seed in seeds {
        let theirs = postgres.database(&format!("seed{seed}"));
        let ours = ours(&cluster, seed);
        run(seed, source(Rng::new(seed)), statements, &ours, &theirs);
    }
    cluster.stop();
}

/// A session on every node.
fn ours(cluster: &Cluster, seed: u64) -> Vec<Sql> {
    let database = format!("seed{seed}");
    Sql::connect(cluster.nodes[0].sql).expect("it connects").must(&format!("CREATE DATABASE {database}"));
    let session = |node: &Node| {
        let sql = Sql::connect_to(node.sql, "annulus", &database).expect("it connects");
        // None of the statements takes long, unless it is tried again and again.
        sql.must("SET statement_timeout = '60s'");
        sql
    };
    cluster.nodes.iter().map(session).collect()
}

fn run(seed: u64, mut source: impl Source, statements: usize, ours: &[Sql], theirs: &Sql) {
    let (mut before, mut node) = (Vec::new(), 0);
    for number in 0..statements {
        let moves = source.is_between();
        if moves {
            node = (node + 1) % ours.len();
        }
        let statement = source.next();
        if moves && (statement.sql == "BEGIN" || statement.sql.contains("setval")) {
            // Where a node does not know yet how tables were altered, a block may fail in the middle (40001), and a
            // statement is tried again, which takes more values of sequences.
            TABLES.iter().for_each(|table| drop(ours[node].ask(&format!("SELECT count(*) FROM {table}"))));
        }
        let (found, expected) = (Outcome::of(&ours[node], &statement.sql), Outcome::of(theirs, &statement.sql));
        source.done(&statement, expected.succeeded());
        before.push(statement.sql.clone());
        assert!(
            compare::agree(&statement, &found, &expected),
            "seed {seed}, statement {number}:\n{}\nours: {found:?}\nPostgreSQL: {expected:?}\nafter:\n{};",
            statement.sql,
            before[..number].iter().filter(|sql| !sql.starts_with("SELECT")).cloned().collect::<Vec<_>>().join(";\n"),
        );
    }
}
