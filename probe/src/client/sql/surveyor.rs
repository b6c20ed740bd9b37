//! Schema changes under load: indexes, columns and constraints come and go while everybody works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use annulus_base::rng::Rng;

use super::answer::{Answer, Stage, Trouble};
use super::{Layout, Session};
use crate::Patience;
use crate::journal::Journal;

/// Rest between two changes, milliseconds.
const REST: (u64, u64) = (100, 600);
/// Most rows whose index entries are looked up in the end.
const MOST_COMPARED: usize = 300;
/// Pause before another try.
const PAUSE: Duration = Duration::from_millis(100);

/// Whoever changes the schema, at any node.
pub struct Surveyor<'a> {
    addresses: &'a [String],
    journal: &'a Journal,
    layout: Layout,
    rng: Rng,
    session: Option<Session>,
    /// How many changes got through.
    done: u64,
    /// Why others did not, and how often.
    refusals: BTreeMap<String, u64>,
}

impl<'a> Surveyor<'a> {
    /// One that is not connected yet.
    #[must_use]
    pub fn new(addresses: &'a [String], journal: &'a Journal, layout: Layout, rng: Rng) -> Self {
        Self { addresses, journal, layout, rng, session: None, done: 0, refusals: BTreeMap::new() }
    }

    /// Changes the schema until `finished`.
    pub fn work(&mut self, finished: &AtomicBool) {
        while !finished.load(Ordering::Acquire) {
            let change = self.change();
            match self.ask(&change) {
                Ok(_) => self.done += 1,
                Err(trouble) => self.note(&change, &trouble),
            }
            sleep(Duration::from_millis(self.rng.between(REST.0, REST.1)));
        }
        let refusals: Vec<String> = self.refusals.iter().map(|(why, count)| format!("{why} {count}")).collect();
        let refusals = if refusals.is_empty() { "none".to_owned() } else { refusals.join(", ") };
        self.journal.note(&format!("{} schema changes; not made: {refusals}", self.done));
        if self.done == 0 {
            self.journal.lost_progress("no schema change got through".to_owned());
        }
    }

    /// The table and its index must agree in the end.
    pub fn compare(&mut self, patience: &Patience) {
        let (table, column) = self.layout.changeable();
        let index = format!("CREATE INDEX IF NOT EXISTS surveyed ON {table} ({column})");
        let all = format!("SELECT k, {column} FROM {table} WHERE {column} IS NOT NULL");
        let Some(()) = self.insist(&index, patience).map(drop) else { return };
        let Some(rows) = self.insist(&all, patience) else { return };
        // Each is a query of its own: of many, a part is looked up.
        let rows: Vec<_> = rows.iter().flat_map(|answer| &answer.rows).collect();
        for row in rows.iter().step_by(rows.len().div_ceil(MOST_COMPARED).max(1)) {
            let [Some(key), Some(value)] = row.as_slice() else { continue };
            let by_index = format!("SELECT k FROM {table} WHERE {column} = {value}");
            let Some(found) = self.insist(&by_index, patience) else { return };
            let keys = found.iter().flat_map(|answer| &answer.rows).flatten();
            if !keys.flatten().any(|found| found == key) {
                self.journal.anomaly(format!("key {key} holds {value}, but is not found by that"));
            }
        }
    }

    fn insist(&mut self, sql: &str, patience: &Patience) -> Option<Vec<Answer>> {
        loop {
            match self.ask(sql) {
                Ok(answers) => return Some(answers),
                Err(trouble) if patience.is_over() => {
                    self.journal.lost_progress(format!("{sql}: {trouble}"));
                    return None;
                }
                Err(trouble) => self.note(sql, &trouble),
            }
            sleep(PAUSE);
        }
    }

    fn note(&mut self, sql: &str, trouble: &Trouble) {
        *self.refusals.entry(trouble.reason()).or_default() += 1;
        if !trouble.may_have_happened(Stage::Commit)
            && let Some(what) = trouble.failure().nonsense()
        {
            self.journal.anomaly(format!("{sql}: {what}"));
        }
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Answer>, Trouble> {
        let node = self.rng.below(self.addresses.len() as u64) as usize;
        let session = self.session.take().filter(|_| !self.rng.one_in(4));
        let session = session.or_else(|| Session::connect(&self.addresses[node], self.layout).ok());
        let mut session = session.ok_or(Trouble::Lost("no connection"))?;
        let answer = session.ask(sql);
        self.session = Some(session).filter(Session::is_usable);
        answer
    }

    /// Something that leaves everybody's statements right. Each can be made whatever was made before.
    fn change(&mut self) -> String {
        let (table, column) = self.layout.changeable();
        let number = self.rng.below(1_000);
        let changes = [
            format!("CREATE INDEX IF NOT EXISTS surveyed ON {table} ({column})"),
            format!("CREATE UNIQUE INDEX IF NOT EXISTS surveyed_too ON {table} ({column}, k)"),
            "DROP INDEX IF EXISTS surveyed".to_owned(),
            "DROP INDEX IF EXISTS surveyed_too".to_owned(),
            format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS extra int NOT NULL DEFAULT {number}"),
            format!("ALTER TABLE {table} DROP COLUMN IF EXISTS extra"),
            format!(
                "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS sane; \
                 ALTER TABLE {table} ADD CONSTRAINT sane CHECK ({column} > -1000000000 - {number})"
            ),
        ];
        self.rng.pick(&changes).cloned().unwrap_or_default()
    }
}
