//! What nobody waits for: jobs whose coordinator has died, and data that nothing refers to any more.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_relation::catalog::{Catalog, IndexState, Swept, sweep, sweep_databases};
use annulus_relation::failure::Outcome;
use annulus_txn::interface::Database;

use super::Server;
use super::catalogs::Catalogs;
use super::deadline::Deadline;
use super::shared::Shared;
use crate::ddl::Job;
use crate::session::Settings;
use crate::session::jobs::Jobs;

/// How long it waits between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// How many keys of garbage are deleted at a time.
const SWEPT: u32 = 1_000;
/// How many times in a row garbage is deleted before others get their turn.
const SWEEPS: u32 = 20;
/// After how many rounds without progress a job counts as abandoned.
const PATIENT: u32 = 3;

/// A job that was found in a catalog: its database, table, and index (0: constraints).
type Found = (u32, u32, u32);

impl<D: Database> Server<D> {
    /// Goes on with abandoned jobs and deletes garbage, until it is dropped. One for each node.
    pub async fn run_background(self: Rc<Self>) {
        let mut seen: HashMap<Found, (u64, u32)> = HashMap::new();
        loop {
            tokio::time::sleep(PAUSE).await;
            // What does not succeed now will in a later round, here or on another node.
            let _ = self.round(&mut seen).await;
        }
    }

    async fn round(self: &Rc<Self>, seen: &mut HashMap<Found, (u64, u32)>) -> Outcome<()> {
        let deadline = Deadline::new(None);
        let databases = self.databases(deadline.left()).await?;
        let mut found: HashMap<Found, (u64, u32)> = HashMap::new();
        for info in databases.all() {
            let catalogs = self.catalogs(info)?;
            let catalog = catalogs.current(&self.db, deadline.left()).await?;
            for (job, progress) in open_jobs(&catalog) {
                let key = (info.number, job.table(), job.index());
                let rounds =
                    seen.get(&key).filter(|(before, _)| *before == progress).map_or(0, |(_, rounds)| rounds + 1);
                found.insert(key, (progress, rounds));
                if rounds >= PATIENT {
                    found.remove(&key);
                    self.resume(&catalogs, &catalog, &info.name, &job).await;
                }
            }
            for _ in 0..SWEEPS {
                let deadline = Deadline::new(None);
                if sweep(&self.db, catalogs.home, SWEPT, deadline.left()).await? == Swept::Clean {
                    break;
                }
            }
        }
        *seen = found;
        for _ in 0..SWEEPS {
            let deadline = Deadline::new(None);
            if sweep_databases(&self.db, SWEPT, deadline.left()).await? == Swept::Clean {
                break;
            }
        }
        Ok(())
    }

    async fn resume(self: &Rc<Self>, catalogs: &Rc<Catalogs>, catalog: &Arc<Catalog>, database: &str, job: &Job) {
        let Ok(settings) = Settings::new("annulus", &[]) else { return };
        let shared = Arc::new(Shared::new(0, database.to_owned(), settings, Arc::clone(catalog), self));
        let jobs = Jobs { server: self, catalogs, shared: &shared };
        // Whoever declared it is gone: there is nobody to tell that the rows do not fit.
        let _ = jobs.run(job).await;
    }
}

/// The jobs that a catalog shows, each with how far it is.
fn open_jobs(catalog: &Catalog) -> Vec<(Job, u64)> {
    let mut jobs = Vec::new();
    for table in catalog.tables() {
        if crate::session::rewrite::is_rewritten(table) {
            jobs.push((Job::Unmark { table: table.id }, u64::from(table.generation)));
        }
        for index in table.indexes.iter().skip(1) {
            if let IndexState::Filling { rows, .. } = &index.state {
                jobs.push((Job::Fill { table: table.id, index: index.id }, *rows));
            }
        }
        let checks = table.checks.iter().filter(|check| !check.validated).count();
        let keys = table.foreign_keys.iter().filter(|key| !key.validated).count();
        if checks + keys > 0 {
            jobs.push((Job::Validate { table: table.id, columns: Vec::new() }, (checks + keys) as u64));
        }
    }
    jobs
}
