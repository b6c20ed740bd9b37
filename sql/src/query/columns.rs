//! Columns of whole tables, kept after queries have read them.
//!
//! What is kept of a partition is used again as long as its replicas say that nothing in it has changed: then a query over
//! the table reads nothing, decodes nothing, and computes on arrays that are there already.
//!
//! Invariants:
//! - Kept columns are the table's rows in one partition at one snapshot. They are given to a query at another
//!   snapshot only if a majority has promised that between the two nobody wrote to the rows, or to the table's stamp
//!   there (see [`Standing`]), and if the query knows the table by the same descriptor.
//! - One query at a time collects the columns of a table; others that want them wait for it.
//! - All of it together takes about as much memory as was allowed; what is used least goes first. What queries are
//!   collecting together takes about as much again at most.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use annulus_base::PartitionId;
use annulus_relation::SqlType;
use annulus_relation::catalog::{ColumnId, ObjectId, Table};
use annulus_txn::standing::Standing;
use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, new_empty_array};
use datafusion::arrow::compute::concat;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use tokio::sync::Notify;

use super::arrow::data_type;

/// Tables with fewer rows are read as quickly as asked about.
const FEWEST_ROWS: u64 = 1_000;
/// Tables collected at the same time.
const MOST_COLLECTED: usize = 4;
/// How long a query that collects may make no progress until others go on without it.
const PATIENCE: Duration = Duration::from_millis(500);

/// How a partition stands: the table's rows in it, and the table's stamp.
pub type Standings = [Standing; 2];

fn are_still(now: &Standings, earlier: &Standings) -> bool {
    now.iter().zip(earlier).all(|(now, earlier)| now.is_still(earlier))
}

/// Whether two descriptors say the same; mostly they are one.
fn is_same(one: &Arc<Table>, other: &Arc<Table>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Some columns of the rows that a table has in one partition.
pub struct Kept {
    table: Arc<Table>,
    standings: Standings,
    rows: usize,
    columns: BTreeMap<ColumnId, ArrayRef>,
}

impl Kept {
    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// A column, if it is kept.
    #[must_use]
    pub fn column(&self, id: ColumnId) -> Option<&ArrayRef> {
        self.columns.get(&id)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("rows", &self.rows).field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

type Place = (PartitionId, ObjectId);

#[derive(Clone)]
struct Bytes;

impl Weighter<Place, Arc<Kept>> for Bytes {
    fn weight(&self, _: &Place, kept: &Arc<Kept>) -> u64 {
        /// The entry, its standings and its descriptor's share.
        const OVERHEAD: usize = 1_024;
        let columns = kept.columns.values().map(|column| column.get_array_memory_size());
        (OVERHEAD + columns.sum::<usize>()) as u64
    }
}

/// The kept columns of a node.
pub struct ColumnCache {
    /// Behind one lock, so that no part of the memory is set apart for some tables.
    kept: Mutex<Cache<Place, Arc<Kept>, Bytes>>,
    capacity: u64,
    /// The tables that queries collect, by catalog and number, each with the session and how far that is.
    collected: Mutex<HashMap<Place, (i32, Arc<AtomicU64>)>>,
    /// How many bytes they have collected.
    collected_bytes: AtomicU64,
    /// Somebody has ended collecting.
    ended: Notify,
}

/// Another query collects the columns of the same table.
#[derive(Debug)]
pub struct Busy {
    session: i32,
    progress: Weak<AtomicU64>,
}

impl Busy {
    /// Whether it is a query of this session, which would wait for itself.
    #[must_use]
    pub const fn is_of(&self, session: i32) -> bool {
        self.session == session
    }

    /// Waits until the other query is through, or makes no progress: perhaps its client does not listen.
    pub async fn wait(self, cache: &ColumnCache) {
        let mut seen = None;
        loop {
            let ended = cache.ended.notified();
            let Some(now) = self.progress.upgrade().map(|progress| progress.load(Ordering::Relaxed)) else { return };
            if tokio::time::timeout(PATIENCE, ended).await.is_err() && seen.replace(now) == Some(now) {
                return;
            }
        }
    }
}

impl fmt::Debug for ColumnCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnCache").field("partitions", &self.kept().len()).finish_non_exhaustive()
    }
}

impl ColumnCache {
    /// Keeps about so many bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        const FIRST_ITEMS: usize = 256;
        Self {
            kept: Mutex::new(Cache::with_weighter(FIRST_ITEMS, capacity, Bytes)),
            capacity,
            collected: Mutex::default(),
            collected_bytes: AtomicU64::new(0),
            ended: Notify::new(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Cache<Place, Arc<Kept>, Bytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a table with so many rows is worth it.
    #[must_use]
    pub const fn is_worth_it(rows: u64) -> bool {
        rows >= FEWEST_ROWS
    }

    /// The columns of a table in a partition as they are at a snapshot.
    #[must_use]
    pub fn find(
        &self,
        partition: PartitionId,
        table: &Arc<Table>,
        columns: &[ColumnId],
        standings: &Standings,
    ) -> Option<Arc<Kept>> {
        let kept = Arc::clone(self.kept().get(&(partition, table.id))?);
        let same = are_still(standings, &kept.standings) && is_same(&kept.table, table);
        (same && columns.iter().all(|id| kept.columns.contains_key(id))).then_some(kept)
    }

    /// Keeps what was read, together with what is known of the same rows already.
    fn keep(&self, partition: PartitionId, mut new: Kept) {
        let place = (partition, new.table.id);
        let mut all = self.kept();
        if let Some(old) = all.get(&place)
            && old.rows == new.rows
            && are_still(&new.standings, &old.standings)
            && is_same(&old.table, &new.table)
        {
            for (id, column) in &old.columns {
                new.columns.entry(*id).or_insert_with(|| Arc::clone(column));
            }
        }
        all.insert(place, Arc::new(new));
    }
}

/// What was found in a partition so far.
struct Part {
    standings: Standings,
    rows: usize,
    /// Each with all columns.
    chunks: Vec<Vec<ArrayRef>>,
}

/// What is to be kept of a scan, as it goes on.
pub struct Collecting {
    cache: Arc<ColumnCache>,
    table: Arc<Table>,
    columns: Vec<ColumnId>,
    catalog: PartitionId,
    parts: BTreeMap<PartitionId, Part>,
    bytes: u64,
    progress: Arc<AtomicU64>,
}

impl fmt::Debug for Collecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collecting").field("partitions", &self.parts.len()).finish_non_exhaustive()
    }
}

impl Collecting {
    /// Of a session's scan that gives these columns, in partitions whose standing is known; `None` if there are none.
    ///
    /// # Errors
    /// [`Busy`] if another query is at it.
    pub fn begin(
        cache: &Arc<ColumnCache>,
        (session, catalog): (i32, PartitionId),
        table: &Arc<Table>,
        columns: &[ColumnId],
        parts: impl Iterator<Item = (PartitionId, Standings)>,
    ) -> Result<Option<Self>, Busy> {
        let known = |(_, standings): &(PartitionId, Standings)| standings.iter().all(Standing::is_known);
        let empty = |standings| Part { standings, rows: 0, chunks: Vec::new() };
        let parts: BTreeMap<_, _> =
            parts.filter(known).map(|(partition, standings)| (partition, empty(standings))).collect();
        let mut collected = cache.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = (catalog, table.id);
        if let Some((session, progress)) = collected.get(&whole) {
            return Err(Busy { session: *session, progress: Arc::downgrade(progress) });
        }
        if parts.is_empty() || collected.len() >= MOST_COLLECTED {
            return Ok(None);
        }
        let progress = Arc::new(AtomicU64::new(0));
        collected.insert(whole, (session, Arc::clone(&progress)));
        drop(collected);
        let (cache, table) = (Arc::clone(cache), Arc::clone(table));
        Ok(Some(Self { cache, catalog, table, columns: columns.to_vec(), parts, bytes: 0, progress }))
    }

    /// Takes note of rows of a partition, which take so many bytes. Tells whether it is worth going on.
    pub fn add(&mut self, partition: PartitionId, rows: usize, columns: Vec<ArrayRef>, bytes: usize) -> bool {
        self.progress.fetch_add(rows as u64 + 1, Ordering::Relaxed);
        if let Some(part) = self.parts.get_mut(&partition) {
            self.bytes += bytes as u64;
            self.cache.collected_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            part.rows += rows;
            part.chunks.push(columns);
        }
        self.cache.collected_bytes.load(Ordering::Relaxed) <= self.cache.capacity
    }

    /// The scan has come to its end: all of it is kept.
    pub fn finish(mut self) {
        let types: Option<Vec<&SqlType>> = self
            .columns
            .iter()
            .map(|id| self.table.columns.iter().find(|column| column.id == *id).map(|column| &column.ty))
            .collect();
        let Some(types) = types else { return };
        for (partition, Part { standings, rows, chunks }) in std::mem::take(&mut self.parts) {
            let whole = |(place, ty): (usize, &&SqlType)| {
                let pieces: Vec<&dyn Array> =
                    chunks.iter().filter_map(|chunk| Some(chunk.get(place)?.as_ref())).collect();
                if pieces.is_empty() { Ok(new_empty_array(&data_type(ty))) } else { concat(&pieces).map(compact) }
            };
            let columns: Result<Vec<ArrayRef>, _> = types.iter().enumerate().map(whole).collect();
            // Arrays that cannot be put together are not kept.
            let Ok(columns) = columns else { continue };
            let columns = self.columns.iter().copied().zip(columns).collect();
            let kept = Kept { table: Arc::clone(&self.table), standings, rows, columns };
            self.cache.keep(partition, kept);
        }
    }
}

/// Without what its views do not refer to: pieces of one array share its buffers.
fn compact(array: ArrayRef) -> ArrayRef {
    if let Some(views) = array.as_string_view_opt() {
        Arc::new(views.gc())
    } else if let Some(views) = array.as_binary_view_opt() {
        Arc::new(views.gc())
    } else {
        array
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.cache.collected_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        let mut collected = self.cache.collected.lock().unwrap_or_else(PoisonError::into_inner);
        collected.remove(&(self.catalog, self.table.id));
        drop(collected);
        self.cache.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use annulus_txn::testing::Call;

    use crate::testing::{Client, run};

    const SUM: &str = "select count(*), sum(v), max(name) from t";

    /// How many rows a query reads from the cluster, and how many it finds kept.
    async fn explained(client: &mut Client, query: &str) -> (u64, u64) {
        let plan = client.ok(&format!("explain analyze {query}")).await;
        let number = |name: &str| {
            let after = plan.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name}: {plan}")).1;
            after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        (number("rows read"), number("rows kept"))
    }

    async fn filled(client: &mut Client) {
        client.ok("create table t (id int primary key, v int, name text)").await;
        client.ok("insert into t select n, n, 'n' || n from generate_series(1, 3000) n").await;
        // The first one tells how large the table is, the second one keeps it.
        for _ in 0..2 {
            assert_eq!(client.ok(SUM).await, "3000|4501500|n999\nSELECT 1");
        }
    }

    #[test]
    fn a_table_that_stands_as_it_did_is_not_read_again() {
        run(async |node| {
            let mut client = node.client().await;
            filled(&mut client).await;
            assert_eq!(explained(&mut client, SUM).await, (0, 3000));
            assert_eq!(client.ok(SUM).await, "3000|4501500|n999\nSELECT 1");
            // Another column is read, and kept with the others.
            assert_eq!(client.ok("select sum(id) from t").await, "4501500\nSELECT 1");
            assert_eq!(explained(&mut client, SUM).await, (0, 3000));
            assert_eq!(client.ok("select count(*) from t where name like '%99'").await, "30\nSELECT 1");
        });
    }

    #[test]
    fn writes_anywhere_are_seen_at_once() {
        run(async |node| {
            let elsewhere = node.other();
            let (mut client, mut other) = (node.client().await, elsewhere.client().await);
            filled(&mut client).await;
            other.ok("update t set v = v + 1 where id = 7").await;
            assert_eq!(client.ok(SUM).await, "3000|4501501|n999\nSELECT 1");
            other.ok("delete from t where id = 8; insert into t values (4000, 8, 'zz')").await;
            assert_eq!(client.ok(SUM).await, "3000|4501501|zz\nSELECT 1");
            other.ok("truncate t").await;
            assert_eq!(client.ok(SUM).await, "0|NULL|NULL\nSELECT 1");
        });
    }

    #[test]
    fn own_writes_and_snapshots_are_respected() {
        run(async |node| {
            let elsewhere = node.other();
            let (mut client, mut other) = (node.client().await, elsewhere.client().await);
            filled(&mut client).await;
            client.ok("begin; update t set v = 0 where id = 3000").await;
            assert_eq!(client.ok(SUM).await, "3000|4498500|n999\nSELECT 1");
            client.ok("rollback").await;
            assert_eq!(client.ok(SUM).await, "3000|4501500|n999\nSELECT 1");
            client.ok("begin read only").await;
            assert_eq!(client.ok(SUM).await, "3000|4501500|n999\nSELECT 1");
            other.ok("update t set v = 0 where id = 3000").await;
            assert_eq!(other.ok(SUM).await, "3000|4498500|n999\nSELECT 1");
            assert_eq!(client.ok(SUM).await, "3000|4501500|n999\nSELECT 1");
            client.ok("commit").await;
            assert_eq!(client.ok(SUM).await, "3000|4498500|n999\nSELECT 1");
            // What is written after a read is validated against rows, which must have been read.
            client.ok("begin").await;
            assert_eq!(client.ok(SUM).await, "3000|4498500|n999\nSELECT 1");
            other.ok("update t set v = 1 where id = 3000").await;
            client.ok("create table u as select 1 as one").await;
            assert!(client.told("commit").await.starts_with("ERROR 40001"));
        });
    }

    #[test]
    fn a_range_of_most_keys_reads_and_keeps_all() {
        run(async |node| {
            let mut client = node.client().await;
            filled(&mut client).await;
            // No query has asked for the key, but how its values lie is known.
            let most = "select sum(v) from t where id > 10";
            for _ in 0..2 {
                assert_eq!(client.ok(most).await, "4501445\nSELECT 1");
            }
            assert_eq!(explained(&mut client, most).await, (0, 3000));
            assert_eq!(explained(&mut client, "select sum(v) from t where id > 2990").await, (10, 0));
        });
    }

    #[test]
    fn who_comes_meanwhile_waits_for_the_columns() {
        run(async |node| {
            let mut clients = Vec::new();
            for _ in 0..8 {
                clients.push(node.client().await);
            }
            filled(&mut clients[0]).await;
            clients[0].ok("update t set v = v where id < 3000").await;
            node.db.take_calls();
            let sums = clients.iter_mut().map(|client| client.ok(SUM));
            let sums = futures::future::join_all(sums).await;
            assert!(sums.iter().all(|sum| sum == "3000|4501500|n999\nSELECT 1"), "{sums:?}");
            let scans = node.db.take_calls().get(&Call::Scan).copied().unwrap_or_default();
            clients[0].ok("update t set v = v where id < 3000").await;
            node.db.take_calls();
            clients[0].ok(SUM).await;
            assert_eq!(scans, node.db.take_calls()[&Call::Scan], "more than one has read the table");
            // A query that reads the table twice does not wait for itself.
            clients[0].ok("update t set v = v where id < 3000").await;
            assert_eq!(clients[0].ok("select count(*) from t a join t b on a.v = b.v").await, "3000\nSELECT 1");
        });
    }

    #[test]
    fn long_values_are_kept_once() {
        run(async |node| {
            let mut client = node.client().await;
            client.ok("create table t (id int primary key, v int, name text)").await;
            for from in (0..30_000).step_by(10_000) {
                let rows = format!("generate_series({from} + 1, {from} + 10000) n");
                client.ok(&format!("insert into t select n, n, repeat('x', 300) from {rows}")).await;
            }
            let sum = format!("30000|450015000|{}\nSELECT 1", "x".repeat(300));
            assert_eq!(client.ok(SUM).await, sum);
            assert_eq!(explained(&mut client, SUM).await, (0, 30_000));
            assert_eq!(client.ok(SUM).await, sum);
        });
    }

    #[test]
    fn changes_of_the_schema_are_seen() {
        run(async |node| {
            let elsewhere = node.other();
            let (mut client, mut other) = (node.client().await, elsewhere.client().await);
            filled(&mut client).await;
            other.ok("alter table t add column more int default 5").await;
            assert_eq!(client.ok("select sum(more), sum(v) from t").await, "15000|4501500\nSELECT 1");
            other.ok("alter table t alter column v type bigint").await;
            assert_eq!(client.ok(SUM).await, "3000|4501500|n999\nSELECT 1");
            other.ok("alter table t drop column v; alter table t add column v int default 1").await;
            assert_eq!(client.ok(SUM).await, "3000|3000|n999\nSELECT 1");
            assert_eq!(client.ok(SUM).await, "3000|3000|n999\nSELECT 1");
        });
    }
}
