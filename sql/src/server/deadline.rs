//! Until when a statement works.

use std::time::{Duration, Instant};

use annulus_base::time::Micros;
use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};

/// How long a statement without a `statement_timeout` waits for one answer of the cluster, and how long it is tried
/// again after lost conflicts.
const DEFAULT: Duration = Duration::from_secs(60);

/// Until when a statement works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    began: Instant,
    allowed: Option<Duration>,
}

impl Deadline {
    /// A statement begins that has so much time; `None`: as much as it takes.
    pub fn new(allowed: Option<Duration>) -> Self {
        Self { began: Instant::now(), allowed }
    }

    /// The time begins anew: the statement makes progress with a client's data.
    pub fn renew(&mut self) {
        self.began = Instant::now();
    }

    /// How long one answer of the cluster may be waited for.
    pub fn left(&self) -> Micros {
        let left = self.allowed.map_or(DEFAULT, |allowed| allowed.saturating_sub(self.began.elapsed()));
        Micros::try_from(left.as_micros()).unwrap_or(Micros::MAX)
    }

    /// As [`Deadline::left`], or a shorter time.
    pub fn left_within(&self, limit: Option<Duration>) -> Micros {
        let limit = limit.map_or(Micros::MAX, |limit| Micros::try_from(limit.as_micros()).unwrap_or(Micros::MAX));
        self.left().min(limit)
    }

    /// Whether it is no use to try again.
    pub fn passed(&self) -> bool {
        self.began.elapsed() >= self.allowed.unwrap_or(DEFAULT)
    }

    /// `57014` if the statement has had its time.
    pub fn check(&self) -> SqlResult<()> {
        match self.allowed {
            Some(allowed) if self.began.elapsed() >= allowed => {
                Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout"))
            }
            _ => Ok(()),
        }
    }
}
