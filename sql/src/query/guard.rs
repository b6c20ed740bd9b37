//! What a query heeds within a batch of rows: DataFusion looks only between batches whether it is cancelled, and counts the
//! memory of what its operators keep, not of what functions make.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annulus_relation::{SqlError, SqlResult, SqlState, Value};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::error::from_datafusion;
use super::memory::heap;

/// How many bytes are taken from the queries' memory at a time.
const STEP: usize = 1 << 20;

/// One query's; all of its threads share it.
#[derive(Clone)]
pub(super) struct Guard {
    cancelled: Arc<AtomicBool>,
    pool: Arc<dyn MemoryPool>,
}

impl Guard {
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self { cancelled: Arc::default(), pool: Arc::clone(pool) }
    }

    /// Nobody waits for the query any longer.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// `57014` if nobody waits for the query any longer.
    pub fn check(&self) -> SqlResult<()> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// The memory of values that a function makes; given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Made {
    held: Option<MemoryReservation>,
    uncounted: usize,
}

impl Made {
    /// One more is made.
    ///
    /// # Errors
    /// `53200` if the queries' memory does not suffice.
    pub fn add(&mut self, value: &Value, function: &str, guard: &Guard) -> SqlResult<()> {
        self.uncounted += heap(value);
        if self.uncounted >= STEP {
            let register = || MemoryConsumer::new(function).register(&guard.pool);
            let held = self.held.get_or_insert_with(register);
            held.try_grow(std::mem::take(&mut self.uncounted)).map_err(from_datafusion)?;
        }
        Ok(())
    }
}
