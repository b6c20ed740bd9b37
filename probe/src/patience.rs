//! When to give up what does not succeed.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long what does not succeed is tried again, counted from the moment when nothing disturbs the cluster any more.
#[derive(Debug)]
pub struct Patience {
    length: Duration,
    begun: OnceLock<Instant>,
}

impl Patience {
    /// One that has not begun: until then nothing is given up.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self { length, begun: OnceLock::new() }
    }

    /// Nothing disturbs the cluster from now on. Only the first call counts.
    pub fn begin(&self) {
        self.begun.get_or_init(Instant::now);
    }

    /// Whether it is time to give up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.begun.get().is_some_and(|begun| begun.elapsed() > self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_over_before_it_has_begun() {
        let patience = Patience::new(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(1));
        assert!(!patience.is_over());
        patience.begin();
        std::thread::sleep(Duration::from_millis(1));
        assert!(patience.is_over());
    }
}
