//! The node's clocks, read in one place and handed to the pure crates as arguments.
//!
//! A test hook can set them wrong: then the wall clock is ahead or behind, and both run too fast or too slow. The steady
//! clock never goes back.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use annulus_base::Now;
use annulus_base::time::{MILLISECOND, Micros};

const MILLION: i64 = 1_000_000;
/// The largest error of the rate, parts per million: a steady clock must not go back.
const MOST_FAST: i64 = 900_000;
/// The largest error of the wall clock, milliseconds: ten days.
const MOST_AHEAD: i64 = 10 * 24 * 3_600_000;

/// A steady clock that counts from the node's start, and the wall clock.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    wrong: Option<Rc<Cell<Wrong>>>,
}

/// How clocks are wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockError {
    /// Milliseconds that the wall clock is ahead.
    ahead: i64,
    /// Parts per million that both are too fast.
    fast: i64,
}

impl ClockError {
    /// The wall clock is so many milliseconds ahead, both clocks are so many parts per million too fast; both within
    /// bounds.
    #[must_use]
    pub fn new(ahead: i64, fast: i64) -> Self {
        Self { ahead: ahead.clamp(-MOST_AHEAD, MOST_AHEAD), fast: fast.clamp(-MOST_FAST, MOST_FAST) }
    }
}

/// An error, and when it began.
#[derive(Clone, Copy, Debug, Default)]
struct Wrong {
    error: ClockError,
    /// What the true steady clock said then.
    since: Micros,
    /// What the wrong one said then.
    steady: Micros,
}

impl Wrong {
    fn reading(self, truth: Now) -> Now {
        let passed = truth.steady.saturating_sub(self.since);
        let gained = i128::from(passed) * i128::from(self.error.fast) / i128::from(MILLION);
        let gained = i64::try_from(gained).unwrap_or(i64::MAX);
        let ahead = self.error.ahead * MILLISECOND as i64;
        Now {
            steady: self.steady.saturating_add(passed).saturating_add_signed(gained),
            wall: truth.wall.saturating_add_signed(ahead).saturating_add_signed(gained),
        }
    }
}

impl Clock {
    /// A clock whose steady part starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), wrong: None }
    }

    /// The same, but wrong, and other errors can follow.
    #[must_use]
    pub fn start_wrong(error: ClockError) -> Self {
        let wrong = Wrong { error, ..Wrong::default() };
        Self { started: Instant::now(), wrong: Some(Rc::new(Cell::new(wrong))) }
    }

    /// Another error from now on, if it was started to be wrong.
    pub fn set_wrong(&self, error: ClockError) {
        if let Some(wrong) = &self.wrong {
            let truth = self.truth();
            wrong.set(Wrong { error, since: truth.steady, steady: wrong.get().reading(truth).steady });
        }
    }

    /// What the clocks say.
    #[must_use]
    pub fn now(&self) -> Now {
        let truth = self.truth();
        self.wrong.as_ref().map_or(truth, |wrong| wrong.get().reading(truth))
    }

    fn truth(&self) -> Now {
        Now { steady: self.started.elapsed().as_micros() as Micros, wall: wall() }
    }
}

/// Microseconds since the Unix epoch; 0 on a clock set before it.
#[must_use]
pub fn wall() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as Micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(steady: Micros, wall: Micros) -> Now {
        Now { steady, wall }
    }

    #[test]
    fn a_wrong_clock_is_ahead_and_gains() {
        let wrong = Wrong { error: ClockError::new(-2, 500_000), since: 1_000, steady: 1_000 };
        let Now { steady, wall } = wrong.reading(at(1_000, 10_000));
        assert_eq!((steady, wall), (1_000, 8_000));
        let Now { steady, wall } = wrong.reading(at(3_000, 12_000));
        assert_eq!((steady, wall), (4_000, 11_000));
        assert_eq!(wrong.reading(at(1_000, 100)).wall, 0, "not before the epoch");
    }

    #[test]
    fn the_steady_clock_never_goes_back() {
        let clock = Clock::start_wrong(ClockError::new(5_000, 900_000));
        let mut last = clock.now();
        for (ahead, fast) in [(-5_000, -2_000_000), (0, 0), (i64::MAX, i64::MAX), (i64::MIN, i64::MIN)] {
            clock.set_wrong(ClockError::new(ahead, fast));
            let now = clock.now();
            assert!(now.steady >= last.steady, "{now:?} after {last:?}");
            last = now;
        }
    }
}
