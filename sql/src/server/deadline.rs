//! Until when a statement works.

use std::time::{Duration, Instant};

use annulus_base::time::Micros;
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};

/// How long a statement works that has no `statement_timeout`, unless data keeps coming or going.
const DEFAULT: Duration = Duration::from_secs(60);

/// Until when a statement works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    pub fn new(allowed: Option<Duration>) -> Self {
        let allowed = allowed.unwrap_or(DEFAULT);
        Self { at: Instant::now() + allowed, allowed }
    }

    /// The time begins anew: the statement makes progress with a client's data.
    pub fn renew(&mut self) {
        self.at = Instant::now() + self.allowed;
    }

    /// What is left.
    pub fn left(&self) -> Micros {
        let left = self.at.saturating_duration_since(Instant::now());
        Micros::try_from(left.as_micros()).unwrap_or(Micros::MAX)
    }

    /// What is left of this, or of a shorter time.
    pub fn left_within(&self, limit: Option<Duration>) -> Micros {
        let limit = limit.map_or(Micros::MAX, |limit| Micros::try_from(limit.as_micros()).unwrap_or(Micros::MAX));
        self.left().min(limit)
    }

    pub fn passed(&self) -> bool {
        Instant::now() >= self.at
    }

    /// `57014` if it has passed.
    pub fn check(&self) -> SqlResult<()> {
        match self.passed() {
            false => Ok(()),
            true => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")),
        }
    }
}
