//! A storage engine whose reads and writes are counted.

use std::sync::Arc;

use bytes::Bytes;
use metrics::Counter;

use crate::metrics::EngineMetrics;
use crate::storage::engine::{Batch, Bounds, Engine, EngineKind, EngineResult, Entries, Entry, Order, Snapshot, Space};

/// The engine behind it, with what goes in and out counted.
pub struct Counted {
    engine: Arc<dyn Engine>,
    metrics: EngineMetrics,
}

impl Counted {
    /// Counts what `engine` does.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, metrics: &EngineMetrics) -> Self {
        Self { engine, metrics: metrics.clone() }
    }
}

impl Engine for Counted {
    fn kind(&self) -> EngineKind {
        self.engine.kind()
    }

    fn write(&self, batch: Batch) -> EngineResult<()> {
        self.metrics.writes.increment(batch.iter().filter(|change| change.value.is_some()).count() as u64);
        self.engine.write(batch)
    }

    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        self.metrics.reads.increment(1);
        self.engine.get(space, key)
    }

    fn first(&self, space: Space, bounds: Bounds<'_>) -> EngineResult<Option<Entry>> {
        self.metrics.reads.increment(1);
        self.engine.first(space, bounds)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(CountedSnapshot { snapshot: self.engine.snapshot(), reads: self.metrics.reads.clone() })
    }

    fn sync(&self) -> EngineResult<()> {
        self.engine.sync()
    }

    fn disk_bytes(&self) -> EngineResult<u64> {
        self.engine.disk_bytes()
    }
}

struct CountedSnapshot {
    snapshot: Box<dyn Snapshot>,
    reads: Counter,
}

impl Snapshot for CountedSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> EngineResult<Option<Bytes>> {
        self.reads.increment(1);
        self.snapshot.get(space, key)
    }

    fn range<'a>(&'a self, space: Space, bounds: Bounds<'_>, order: Order) -> Entries<'a> {
        Box::new(self.snapshot.range(space, bounds, order).inspect(|_| self.reads.increment(1)))
    }
}
