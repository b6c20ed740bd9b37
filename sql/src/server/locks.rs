//! Which rows the sessions of a node have locked, or wait for: what `pg_locks` shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use annulus_relation::Value;
use annulus_relation::catalog::ObjectId;

use super::shared::{lock, now};

/// A table in which rows are locked: the database's number and its own.
pub(crate) type Where = (u32, ObjectId);

/// The locks of a node's sessions, by the session's number and table.
#[derive(Debug, Default)]
pub(crate) struct Locked {
    sessions: Mutex<BTreeMap<i32, BTreeMap<Where, State>>>,
}

/// What a session has locked in a table.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Whether it holds locks.
    holds: bool,
    /// Since when it waits for more.
    waits: Option<i64>,
}

/// The locks of one session's transaction, until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<Locked>,
    session: i32,
}

impl Locked {
    /// For a transaction of a session, which has none so far.
    pub fn of(self: &Arc<Self>, session: i32) -> Held {
        Held { all: Arc::clone(self), session }
    }

    /// The rows of `pg_locks`: as in PostgreSQL, a lock on the table for all rows that are locked in it, and one that is not
    /// granted while a row is waited for.
    pub fn rows(&self) -> Vec<Vec<(&'static str, Value)>> {
        let mut rows = Vec::new();
        for (session, tables) in lock(&self.sessions).iter() {
            for ((database, table), state) in tables {
                let row = |kind: &str, mode: &str, granted: bool| {
                    vec![
                        ("locktype", Value::text(kind)),
                        ("database", Value::Oid(*database)),
                        ("relation", Value::Oid(*table)),
                        ("pid", Value::Int4(*session)),
                        ("mode", Value::text(mode)),
                        ("granted", Value::Bool(granted)),
                    ]
                };
                rows.extend(state.holds.then(|| row("relation", "RowShareLock", true)));
                rows.extend(state.waits.map(|since| {
                    let mut row = row("tuple", "ExclusiveLock", false);
                    row.push(("waitstart", Value::Timestamptz(since)));
                    row
                }));
            }
        }
        rows
    }
}

impl Held {
    /// Asks for locks of rows, until what is returned is dropped.
    pub fn wait(self: &Arc<Self>, table: Where) -> Waiting {
        self.change(table, |state| state.waits = Some(now()));
        Waiting { held: Arc::clone(self), table }
    }

    /// Has been given locks.
    pub fn given(&self, table: Where) {
        self.change(table, |state| state.holds = true);
    }

    /// Has lost all of its locks.
    pub fn lost(&self) {
        lock(&self.all.sessions).remove(&self.session);
    }

    fn change(&self, table: Where, how: impl FnOnce(&mut State)) {
        how(lock(&self.all.sessions).entry(self.session).or_default().entry(table).or_default());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lost();
    }
}

/// A session waits for locks of rows, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    held: Arc<Held>,
    table: Where,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.held.change(self.table, |state| state.waits = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_shown_until_it_is_given_or_given_up() {
        let all = Arc::new(Locked::default());
        let granted = || {
            let shown = all.rows().into_iter().flatten();
            shown.filter(|(name, _)| *name == "granted").map(|(_, value)| value).collect::<Vec<_>>()
        };
        let held = Arc::new(all.of(7));
        let waiting = held.wait((1, 2));
        assert_eq!(granted(), [Value::Bool(false)]);
        drop(waiting);
        assert!(granted().is_empty());
        held.given((1, 2));
        let waiting = held.wait((1, 2));
        assert_eq!(granted(), [Value::Bool(true), Value::Bool(false)]);
        drop((waiting, held));
        assert!(granted().is_empty());
    }
}
