//! Whole databases: `KEYS`, `SCAN`, `DBSIZE`, `RANDOMKEY`, `FLUSHDB`, `FLUSHALL`.
//!
//! The functions here are what happens inside of `MULTI`, where a database is read as a whole; outside
//! [`super::super::walk`] goes through it.

use bytes::Bytes;

use super::arguments::{at, is};
use super::scan::{ScanOptions, matches};
use super::{Command, DataFn, Flow, NO_KEYS, Reads, Run, data, row};
use crate::server::resp::errors::{Answer, Failure, SYNTAX};
use crate::server::resp::keyspace::DATABASES;
use crate::server::resp::protocol::Reply;
use crate::server::resp::view::View;

const SLOW: (&str, &str) = ("readonly", "keyspace read slow dangerous");
const READ: (&str, &str) = ("readonly", "keyspace read slow");
const FAST: (&str, &str) = ("readonly fast", "keyspace read fast");
const WRITE: (&str, &str) = ("write", "keyspace write slow dangerous");

const fn whole(run: DataFn, outside: Flow) -> Run {
    Run::Whole { run, outside }
}

pub const COMMANDS: &[Command] = &[
    row("keys", 2, SLOW, NO_KEYS, whole(keys, Flow::Keys), "1.0.0", "Find all keys that match a pattern"),
    row("scan", -2, READ, NO_KEYS, whole(scan, Flow::Scan), "2.8.0", "Go through the keys, some at a time"),
    row("dbsize", 1, FAST, NO_KEYS, whole(dbsize, Flow::Dbsize), "1.0.0", "Count the keys of the database"),
    row("randomkey", 1, READ, NO_KEYS, whole(randomkey, Flow::Randomkey), "1.0.0", "Get any key of the database"),
    row("flushdb", -1, WRITE, NO_KEYS, data(flushdb, Reads::Nothing), "1.0.0", "Delete all keys of the database"),
    row("flushall", -1, WRITE, NO_KEYS, data(flushall, Reads::Nothing), "1.0.0", "Delete all keys of all databases"),
];

fn keys(view: &mut View, args: &[Bytes]) -> Answer {
    let found = view.keys().into_iter().filter(|key| matches(at(args, 1), key));
    Ok(Reply::Array(found.map(Reply::Bulk).collect()))
}

/// In a transaction everything fits into one answer.
fn scan(view: &mut View, args: &[Bytes]) -> Answer {
    let options = ScanOptions::parse(args)?;
    let found = view.keys().into_iter().filter(|key| options.wants(key));
    Ok(Reply::Array(vec![Reply::text("0"), Reply::Array(found.map(Reply::Bulk).collect())]))
}

fn dbsize(view: &mut View, _: &[Bytes]) -> Answer {
    Ok(Reply::count(view.keys().len()))
}

fn randomkey(view: &mut View, _: &[Bytes]) -> Answer {
    let keys = view.keys();
    Ok(Reply::maybe(keys.get((view.random % keys.len().max(1) as u64) as usize).cloned()))
}

/// One small write per partition either way, so `SYNC` and `ASYNC` make no difference.
fn check_flush(args: &[Bytes]) -> Result<(), Failure> {
    match &args[1..] {
        [] => Ok(()),
        [mode] if is(mode, "async") || is(mode, "sync") => Ok(()),
        _ => Err(SYNTAX),
    }
}

fn flushdb(view: &mut View, args: &[Bytes]) -> Answer {
    check_flush(args)?;
    view.flush(view.db);
    Ok(Reply::OK)
}

fn flushall(view: &mut View, args: &[Bytes]) -> Answer {
    check_flush(args)?;
    (0..DATABASES).for_each(|db| view.flush(db));
    Ok(Reply::OK)
}
