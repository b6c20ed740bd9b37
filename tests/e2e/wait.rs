//! Waiting for conditions.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something, and returns it.
///
/// # Panics
/// When `patience` is over; says what was waited for.
pub fn until<T>(what: impl Display, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} for this: {what}");
        sleep(PAUSE);
    }
}

/// Looks until it is so.
///
/// # Panics
/// As [`until`].
pub fn until_true(what: impl Display, patience: Duration, mut look: impl FnMut() -> bool) {
    until(what, patience, || look().then_some(()));
}
