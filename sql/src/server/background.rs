//! What nobody waits for: jobs whose coordinator has died, loads whose transaction has not committed, temporary relations
//! whose session has ended, and data that nothing refers to any more.

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
use super::failure::is_retryable;
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

/// A job that was found in the catalog of a database.
type Found = (u32, Job);

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

    pub(super) async fn round(self: &Rc<Self>, seen: &mut HashMap<Found, (u64, u32)>) -> Outcome<()> {
        let deadline = Deadline::new(None);
        self.abandoned.stop_all(&self.db, deadline.left()).await;
        let databases = self.databases(deadline.left()).await?;
        let mut found: HashMap<Found, (u64, u32)> = HashMap::new();
        for info in databases.all() {
            let catalogs = self.catalogs(info)?;
            let catalog = catalogs.current(&self.db, deadline.left()).await?;
            for (job, progress) in open_jobs(&catalog) {
                let key = (info.number, job.clone());
                let rounds =
                    seen.get(&key).filter(|(before, _)| *before == progress).map_or(0, |(_, rounds)| rounds + 1);
                if rounds < PATIENT {
                    found.insert(key, (progress, rounds));
                } else {
                    self.resume(&catalogs, &catalog, &info.name, &job).await;
                }
            }
            if let Some(shared) = self.nobody(&catalog, &info.name) {
                // What does not succeed now will in a later round.
                let _ = self.tend_temporary(&catalogs, &shared).await;
            }
            for _ in 0..SWEEPS {
                let deadline = Deadline::new(None);
                if !goes_on(sweep(&self.db, catalogs.home, SWEPT, deadline.left()).await)? {
                    break;
                }
            }
        }
        *seen = found;
        for _ in 0..SWEEPS {
            let deadline = Deadline::new(None);
            if !goes_on(sweep_databases(&self.db, SWEPT, deadline.left()).await)? {
                break;
            }
        }
        Ok(())
    }

    async fn resume(self: &Rc<Self>, catalogs: &Rc<Catalogs>, catalog: &Arc<Catalog>, database: &str, job: &Job) {
        let Some(shared) = self.nobody(catalog, database) else { return };
        let jobs = Jobs { server: self, catalogs, shared: &shared };
        // Whoever declared it is gone: there is nobody to tell that the rows do not fit.
        let _ = jobs.run(job).await;
    }

    /// What functions see of a session that no client has.
    fn nobody(&self, catalog: &Arc<Catalog>, database: &str) -> Option<Arc<Shared>> {
        let settings = Settings::new("annulus", &[]).ok()?;
        Some(Arc::new(Shared::new(0, database.to_owned(), settings, Arc::clone(catalog), self)))
    }
}

/// Whether there is more garbage for this node: where another one was faster, it is that one's.
fn goes_on(swept: Outcome<Swept>) -> Outcome<bool> {
    match swept {
        Err(failure) if is_retryable(&failure) => Ok(false),
        swept => Ok(swept? == Swept::Part),
    }
}

/// The jobs that a catalog shows, each with how far it is.
fn open_jobs(catalog: &Catalog) -> Vec<(Job, u64)> {
    let mut jobs = Vec::new();
    for table in catalog.tables() {
        if let Some(succession) = table.succession() {
            jobs.push((Job::Rekey { table: table.id }, succession.rows));
        }
        for index in table.indexes.iter().skip(1) {
            if let IndexState::Filling { rows, .. } = &index.state {
                jobs.push((Job::Fill { table: table.id, index: index.id }, *rows));
            }
        }
        let checks = table.checks.iter().map(|check| (&check.name, check.standing));
        let keys = table.foreign_keys.iter().map(|key| (&key.name, key.standing));
        let pending = checks.chain(keys).filter(|(_, standing)| standing.is_pending());
        let validate = |columns, constraints| Job::Validate { table: table.id, columns, constraints };
        let columns = table.columns.iter().filter(|column| column.not_null.is_pending());
        let columns = columns.map(|column| validate(vec![column.id], Vec::new()));
        // Each by itself: what does not hold takes nothing else with it.
        let all: Vec<Job> = columns.chain(pending.map(|(name, _)| validate(Vec::new(), vec![name.clone()]))).collect();
        let progress = all.len() as u64;
        jobs.extend(all.into_iter().map(|job| (job, progress)));
    }
    jobs
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use annulus_txn::interface::TxnError;
    use annulus_txn::testing::{Call, Fake, Fault};

    use super::PATIENT;
    use crate::testing::{Node, run};

    #[test]
    fn another_node_goes_on_with_columns_that_are_added() {
        run(async |node| {
            let elsewhere = node.other();
            let mut client = node.client().await;
            client.ok("create table p (id int primary key); insert into p select generate_series(0, 9)").await;
            client.ok("create table t (v int); insert into t select i from generate_series(1, 5000) i").await;
            let commits = || Fault::Precedes(Box::new(|_| {}));
            // The declaration commits, values of the sequence are taken, and steps of the work.
            (0..4).for_each(|_| node.db.inject(Call::Commit, commits()));
            node.db.inject(Call::Commit, Fault::Fails(TxnError::Overloaded));
            let add = "alter table t add id serial primary key, add u uuid default gen_random_uuid() not null, \
                       add g int generated always as (v * 2) stored check (g > 0), \
                       add p int generated always as (v % 10) stored references p";
            assert!(client.told(add).await.starts_with("ERROR 53000"));
            let mut other = elsewhere.client().await;
            // Nobody sees them yet, or changes anything else of the table.
            assert_eq!(other.ok("select * from t where v = 7").await, "7\nSELECT 1");
            assert!(other.told("alter table t add x int").await.starts_with("ERROR 55006"));
            assert!(other.told("truncate t").await.starts_with("ERROR 55006"));
            assert!(other.told("create table t_id_seq (x int)").await.starts_with("ERROR 42P07"));
            assert!(other.told("create table t_pkey (x int)").await.starts_with("ERROR 42P07"));
            // What a foreign key refers to stays what it can refer to.
            assert!(other.told("alter table p alter id type numeric").await.starts_with("ERROR 42804"));
            assert!(other.told("drop table p").await.starts_with("ERROR 2BP01"));
            other.ok("insert into t select i from generate_series(5001, 5100) i").await;
            other.ok("update t set v = v + 10000 where v % 10 = 0; delete from t where v % 10 = 1").await;
            let lines: String = (30_001..=30_100).map(|v| format!("{v}\n")).collect();
            assert_eq!(other.copy("copy t from stdin", lines).await, "COPY 100");
            assert!(other.told("insert into t values (-1)").await.starts_with("ERROR 23514"));
            let mut seen = HashMap::new();
            for _ in 0..=3 * PATIENT {
                elsewhere.server.round(&mut seen).await.unwrap();
            }
            let whole = "select count(*), count(distinct id), count(distinct u), sum(v), sum(g), min(id) > 0 from t";
            assert_eq!(client.ok(whole).await, "4690|4690|4690|19814140|39628280|t\nSELECT 1");
            let plan = other.ok("explain select * from t where id = 6").await;
            assert!(plan.contains("Point Read using t_pkey"), "{plan}");
            assert!(client.told("delete from p where id = 3").await.starts_with("ERROR 23503"));
            client.ok("insert into t (v) values (3)").await;
            other.ok("insert into t (v) values (3)").await;
            assert_eq!(client.ok("select count(*) from t where v = 3 and id > 0 and g = 6").await, "3\nSELECT 1");
        });
    }

    #[test]
    fn columns_that_rows_cannot_have_are_taken_back() {
        run(async |node| {
            let mut client = node.client().await;
            client.ok("create table t (v int); insert into t select i from generate_series(1, 3000) i").await;
            let whole = "alter table t add id serial, add w int generated always as (v % 1000) stored unique";
            assert!(client.told(whole).await.starts_with("ERROR 23505"));
            let part = "alter table t add id serial, add w int generated always as (nullif(v, 2999)) stored not null";
            assert!(
                client.told(part).await.starts_with("ERROR 23502: column \"w\" of relation \"t\" contains null values")
            );
            let check = "alter table t add id serial, add w int generated always as (v) stored check (w < 2999)";
            assert!(client.told(check).await.starts_with("ERROR 23514"));
            let divided = "alter table t add w int generated always as (1 / (v - 2000)) stored";
            assert!(client.told(divided).await.starts_with("ERROR 22012"));
            // Nothing is left of them.
            assert_eq!(client.ok("select * from t where v = 3").await, "3\nSELECT 1");
            assert_eq!(client.ok("select count(*) from pg_class where relname like 't\\_%'").await, "0\nSELECT 1");
            client.ok("alter table t add id serial unique").await;
            assert_eq!(client.ok("select count(distinct id) from t").await, "3000\nSELECT 1");
        });
    }

    #[test]
    fn another_node_goes_on_with_what_nobody_does() {
        run(async |node| {
            let elsewhere = node.other();
            let mut client = node.client().await;
            client
                .ok("create table t (id int, v int); insert into t select i, i from generate_series(1, 5000) i")
                .await;
            // The declaration commits, and a step of the work; then the client is told that it could not go on.
            let commits = || Fault::Precedes(Box::new(|_| {}));
            node.db.inject(Call::Commit, commits());
            node.db.inject(Call::Commit, commits());
            node.db.inject(Call::Commit, Fault::Fails(TxnError::Overloaded));
            assert!(client.told("alter table t add primary key (id)").await.starts_with("ERROR 53000"));
            let mut other = elsewhere.client().await;
            assert!(other.told("create index on t (v)").await.starts_with("ERROR 55006"));
            assert!(other.told("insert into t values (3, 3)").await.starts_with("ERROR 23505"));
            other.ok("update t set id = 6000 where id = 4000").await;
            let mut seen = HashMap::new();
            for _ in 0..=PATIENT {
                elsewhere.server.round(&mut seen).await.unwrap();
            }
            let plan = other.ok("explain select * from t where id = 6000").await;
            assert!(plan.contains("Point Read using t_pkey"), "{plan}");
            assert_eq!(client.ok("select count(*), sum(id) from t").await, "5000|12504500\nSELECT 1");
        });
    }

    #[test]
    fn another_node_goes_on_with_a_column_that_goes_with_its_key() {
        run(async |node| {
            let elsewhere = node.other();
            let mut client = node.client().await;
            client.ok("create table t (id serial primary key, v int not null, w int)").await;
            client.ok("insert into t (v, w) select i, i from generate_series(1, 5000) i").await;
            let commits = || Fault::Precedes(Box::new(|_| {}));
            (0..2).for_each(|_| node.db.inject(Call::Commit, commits()));
            node.db.inject(Call::Commit, Fault::Fails(TxnError::Overloaded));
            let alter = "alter table t drop column id, add primary key (v), add unique (w)";
            assert!(client.told(alter).await.starts_with("ERROR 53000"));
            let mut other = elsewhere.client().await;
            // All is as it was yet, but for what the key to come and the constraint refuse.
            other.ok("insert into t (v, w) values (6000, 6000)").await;
            assert!(other.told("insert into t (v, w) values (6000, 7000)").await.starts_with("ERROR 23505"));
            assert!(other.told("insert into t (v, w) values (7000, 6000)").await.starts_with("ERROR 23505"));
            assert!(other.told("alter table t alter id drop not null").await.starts_with("ERROR 55006"));
            assert_eq!(other.ok("delete from t where id = 7").await, "DELETE 1");
            let mut seen = HashMap::new();
            for _ in 0..=2 * PATIENT {
                elsewhere.server.round(&mut seen).await.unwrap();
            }
            let plan = other.ok("explain select * from t where v = 6000").await;
            assert!(plan.contains("Point Read using t_pkey"), "{plan}");
            assert_eq!(client.ok("select * from t where w = 6000").await, "6000|6000\nSELECT 1");
            assert_eq!(client.ok("select count(*), sum(v), sum(w) from t").await, "5000|12508493|12508493\nSELECT 1");
            assert_eq!(client.ok("select count(*) from pg_class where relkind = 'S'").await, "0\nSELECT 1");
            assert!(client.told("select id from t").await.starts_with("ERROR 42703"));
        });
    }

    #[test]
    fn not_null_holds_for_sure_once_somebody_has_looked_at_all_rows() {
        run(async |node| {
            let elsewhere = node.other();
            let (mut client, mut other) = (node.client().await, elsewhere.client().await);
            client
                .ok("create table t (id int primary key, v int, w int); \
                     insert into t select i, nullif(i, 4500), i from generate_series(1, 5000) i")
                .await;
            for column in ["v", "w"] {
                // The declaration commits; then the client is told that its rows cannot be looked at.
                let overloaded = |db: &Fake| db.inject(Call::Scan, Fault::Fails(TxnError::Overloaded));
                node.db.inject(Call::Commit, Fault::Precedes(Box::new(overloaded)));
                let told = client.told(&format!("alter table t alter {column} set not null")).await;
                assert!(told.starts_with("ERROR 53000"), "{told}");
            }
            assert!(other.told("insert into t values (6000, null, 1)").await.starts_with("ERROR 23502"));
            assert!(other.told("insert into t values (6000, 1, null)").await.starts_with("ERROR 23502"));
            assert_eq!(other.ok("select id from t where v is null").await, "4500\nSELECT 1");
            assert_eq!(other.ok("select count(*) from t where v is null").await, "1\nSELECT 1");
            let mut seen = HashMap::new();
            for _ in 0..=PATIENT {
                elsewhere.server.round(&mut seen).await.unwrap();
            }
            // The rows do not keep it: it is as if nothing had been declared of that column.
            client.ok("insert into t values (6000, null, 1)").await;
            assert_eq!(client.ok("select id from t where v is null").await, "4500\n6000\nSELECT 2");
            // The other column's is kept, and is validated with that.
            assert!(client.told("insert into t values (6001, 1, null)").await.starts_with("ERROR 23502"));
            let plan = client.ok("explain select count(*) from t where w is null").await;
            assert!(!plan.contains("Scan on t"), "{plan}");
        });
    }

    /// How many keys are stored once nothing is left to be done.
    async fn settled(node: &Node) -> usize {
        node.server.round(&mut HashMap::new()).await.unwrap();
        node.db.present().len()
    }

    #[test]
    fn a_table_that_is_truncated_over_and_over_keeps_what_comes_after() {
        run(async |node| {
            let mut client = node.client().await;
            client.ok("create table t (id int primary key); insert into t values (1)").await;
            client.ok("begin; truncate t; truncate t; truncate t; insert into t values (2), (3); commit").await;
            settled(&node).await;
            assert_eq!(client.ok("select count(*) from t").await, "2\nSELECT 1");
            for _ in 0..5 {
                client.ok("truncate t").await;
            }
            client.ok("insert into t values (4)").await;
            settled(&node).await;
            assert_eq!(client.ok("select count(*) from t").await, "1\nSELECT 1");
        });
    }

    #[test]
    fn rows_of_a_load_that_was_not_committed_are_deleted() {
        run(async |node| {
            let mut client = node.client().await;
            client.ok("create table t (id int primary key)").await;
            client.ok("truncate t").await;
            let before = settled(&node).await;
            let rows: String = (0..3_000).map(|id| format!("{id}\n")).collect();
            client.ok("begin; truncate t").await;
            assert_eq!(client.copy("copy t from stdin", &rows).await, "COPY 3000");
            // It is under way: nothing of it is touched.
            assert_eq!(settled(&node).await, before + 3_001);
            client.ok("rollback").await;
            assert_eq!(settled(&node).await, before);
            client.ok("begin; truncate t").await;
            client.copy("copy t from stdin", &rows).await;
            assert!(client.copy("copy t from stdin", "1\n").await.starts_with("ERROR 23505"));
            client.told("commit").await;
            assert_eq!(settled(&node).await, before);
            // Truncated again by the same transaction, after the load.
            client.ok("begin; truncate t").await;
            client.copy("copy t from stdin", &rows).await;
            client.ok("drop table t; create table t (id int primary key); insert into t values (1); commit").await;
            assert_eq!(client.ok("select count(*) from t").await, "1\nSELECT 1");
            assert_eq!(settled(&node).await, before + 1);
        });
    }

    #[test]
    fn a_part_of_a_load_with_an_unknown_outcome_is_asked_for() {
        run(async |node| {
            let mut client = node.client().await;
            client.ok("create table t (id int primary key); begin; truncate t").await;
            node.db.inject(Call::Commit, Fault::Precedes(Box::new(|_| {})));
            node.db.inject(Call::Commit, Fault::FailsAfter(TxnError::Unknown));
            let told = client.copy("copy t from stdin", "1\n2\n").await;
            assert_eq!(told, "COPY 2");
            client.ok("commit").await;
            assert_eq!(client.ok("select count(*) from t").await, "2\nSELECT 1");
        });
    }
}
