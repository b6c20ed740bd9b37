//! The sweeper: deletes what nobody will read again, in the background.
//!
//! These are expired keys that no reader has come across, keys of generations that were flushed, and
//! outcome records that are too old. A round looks at a bounded number of keys and partitions, so the
//! load that it makes is known; how long a whole pass takes follows from the amount of data. Each
//! partition is swept by one node, its head; two that sweep the same do no harm.
//!
//! Deleting is always conditional on the version seen (but for flushed generations, which no transaction
//! can use any more), so a key that was set anew meanwhile stays.

use std::collections::HashMap;
use std::rc::Rc;

use annulus_base::{Key, KeyRange, PartitionId};
use annulus_replica::store::Stamp;
use annulus_txn::interface::{Commit, Database, SeenRange, TxnError, When};
use annulus_txn::token;
use tokio_util::sync::CancellationToken;

use super::Server;
use super::fetch::generation_row;
use super::keyspace::{self, DATABASES};
use super::shared::{Patience, Shared};
use super::walk::{deletion, expired};

/// Sweeps the partitions for which `heads` holds, round after round, until `shutdown` is cancelled.
pub async fn sweep<D: Database>(
    server: Rc<Server<D>>,
    heads: impl Fn(PartitionId) -> bool,
    shutdown: CancellationToken,
) {
    let mut sweeper = Sweeper::new(&server.shared);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(server.shared.config.sweep_interval) => {}
        }
        if let Err(error) = sweeper.round(&server, &heads).await {
            // The next round tries again; nothing depends on it.
            tracing::debug!(%error, "the sweeper could not finish its round");
        }
    }
}

/// Where the sweeper is.
#[derive(Debug)]
pub struct Sweeper {
    partitions: Vec<PartitionId>,
    /// The index of the partition to look at next.
    next: usize,
    /// Where to go on in it.
    from: Option<Key>,
    /// Up to which generation each partition is known to be clean of older ones.
    clean: HashMap<PartitionId, u32>,
}

impl Sweeper {
    /// A sweeper at the beginning of a pass.
    #[must_use]
    pub fn new(shared: &Shared) -> Self {
        let databases = (0..DATABASES).flat_map(|db| shared.keyspace.partitions(db));
        let partitions = databases.chain(shared.keyspace.outcome_partitions()).collect();
        Self { partitions, next: 0, from: None, clean: HashMap::new() }
    }

    /// One round. Returns the number of keys deleted.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn round<D: Database>(
        &mut self,
        server: &Server<D>,
        heads: impl Fn(PartitionId) -> bool,
    ) -> Result<usize, TxnError> {
        let config = &server.shared.config;
        let (mut keys, mut deleted) = (config.sweep_keys, 0);
        let mut looked_at = 0;
        for _ in 0..self.partitions.len() {
            if keys == 0 || looked_at == config.sweep_partitions {
                break;
            }
            let Some(partition) = self.partitions.get(self.next).copied() else { break };
            if !heads(partition) {
                self.go_on(None);
                continue;
            }
            looked_at += 1;
            let swept = self.sweep_partition(server, partition, keys).await?;
            keys = keys.saturating_sub(swept.seen);
            deleted += swept.deleted;
            self.go_on(swept.next);
        }
        Ok(deleted)
    }

    /// Goes on in the same partition, or with the next one.
    fn go_on(&mut self, from: Option<Key>) {
        if from.is_none() {
            self.next = (self.next + 1) % self.partitions.len().max(1);
        }
        self.from = from;
    }

    async fn sweep_partition<D: Database>(
        &mut self,
        server: &Server<D>,
        partition: PartitionId,
        limit: u32,
    ) -> Result<Swept, TxnError> {
        let sweep = Sweep { server, partition, limit };
        if server.shared.keyspace.outcome_partitions().any(|of| of == partition) {
            return sweep.outcomes(self.from.take()).await;
        }
        let (generation, page) = sweep.look(self.from.take()).await?;
        if self.clean.get(&partition).copied().unwrap_or(1) < generation {
            let swept = sweep.older_than(generation).await?;
            if swept.next.is_none() {
                self.clean.insert(partition, generation);
            }
            return Ok(swept);
        }
        sweep.expired(page).await
    }
}

/// What was done in one partition.
struct Swept {
    seen: u32,
    deleted: usize,
    next: Option<Key>,
}

struct Sweep<'a, D> {
    server: &'a Server<D>,
    partition: PartitionId,
    limit: u32,
}

impl<D: Database> Sweep<'_, D> {
    fn patience(&self) -> Patience {
        self.server.shared.patience()
    }

    async fn page(&self, asked: KeyRange) -> Result<Page, TxnError> {
        let ranges = vec![(self.partition, asked.clone(), self.limit)];
        let found = self.server.database.scan(ranges, When::Latest, self.patience().left()).await?;
        let nothing = || SeenRange { partition: self.partition, range: asked.clone(), rows: Vec::new() };
        Ok(Page { found: found.into_iter().next().unwrap_or_else(nothing), asked })
    }

    /// The partition's generation, and a page of the keys of the one that is likely.
    async fn look(&self, from: Option<Key>) -> Result<(u32, Page), TxnError> {
        let keyspace = &self.server.shared.keyspace;
        let asked = from_on(keyspace::user_range(keyspace.likely_generation(self.partition)), from);
        let ranges =
            vec![(self.partition, keyspace::generation_range(), 1), (self.partition, asked.clone(), self.limit)];
        let mut found = self.server.database.scan(ranges, When::Latest, self.patience().left()).await?.into_iter();
        let generation = found.next().map(|found| keyspace.learn_generation(self.partition, &generation_row(&found)));
        let number = generation.map_or(1, |generation| generation.number);
        let nothing = || SeenRange { partition: self.partition, range: asked.clone(), rows: Vec::new() };
        Ok((number, Page { found: found.next().unwrap_or_else(nothing), asked }))
    }

    /// Deletes keys of flushed generations. No transaction can use them any more, so nothing is checked.
    async fn older_than(&self, generation: u32) -> Result<Swept, TxnError> {
        let page = self.page(keyspace::older_generations(generation)).await?;
        let rows: Vec<_> = page.found.rows.iter().map(|(key, seen)| (key.clone(), seen.stamp)).collect();
        let commit = Commit { reads: Vec::new(), ..deletion(self.partition, rows) };
        let deleted = self.delete(commit).await?;
        self.server.shared.stats.collected.add(deleted as u64);
        Ok(page.swept(deleted))
    }

    async fn expired(&self, page: Page) -> Result<Swept, TxnError> {
        let rows = expired(&page.found, self.server.shared.now());
        let deleted = self.delete(deletion(self.partition, rows)).await?;
        self.server.shared.stats.expired.add(deleted as u64);
        Ok(page.swept(deleted))
    }

    async fn outcomes(&self, from: Option<Key>) -> Result<Swept, TxnError> {
        let page = self.page(from_on(token::records(), from)).await?;
        let now = self.server.shared.wall();
        let is_outdated = |value: Option<&bytes::Bytes>| value.is_some_and(|record| token::is_outdated(record, now));
        let outdated = page.found.rows.iter().filter(|(_, seen)| is_outdated(seen.value.as_ref()));
        let rows: Vec<(Key, Stamp)> = outdated.map(|(key, seen)| (key.clone(), seen.stamp)).collect();
        let deleted = self.delete(deletion(self.partition, rows)).await?;
        self.server.shared.stats.collected.add(deleted as u64);
        Ok(page.swept(deleted))
    }

    /// Deletes; nothing if a key has changed meanwhile: then the next pass looks again.
    async fn delete(&self, commit: Commit) -> Result<usize, TxnError> {
        let keys = commit.writes.len();
        if keys == 0 {
            return Ok(0);
        }
        let database = &self.server.database;
        match database.commit(database.begin(), None, commit, self.patience().left()).await {
            Ok(_) => Ok(keys),
            Err(TxnError::Conflict(_) | TxnError::Locked(_)) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// The range from a key on, if the key lies in it: the generation may have changed since.
fn from_on(range: KeyRange, from: Option<Key>) -> KeyRange {
    match from {
        Some(start) if range.contains(&start) => KeyRange { start, end: range.end },
        _ => range,
    }
}

/// A stretch that was looked at.
struct Page {
    found: SeenRange,
    asked: KeyRange,
}

impl Page {
    fn swept(&self, deleted: usize) -> Swept {
        let next = (self.found.range.end < self.asked.end).then(|| self.found.range.end.clone());
        Swept { seen: self.found.rows.len().max(1) as u32, deleted, next }
    }
}
