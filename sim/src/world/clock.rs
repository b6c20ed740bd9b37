//! A node's clocks: the steady one runs true, the wall clock is skewed, drifts and jumps.

use annulus_base::Now;
use annulus_base::time::{Micros, SECOND};

/// The wall-clock time at which every simulation begins.
pub const DAWN: Micros = 1_750_000_000 * SECOND;

/// The clocks of one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// What the steady clock showed at virtual time zero; another one after every start.
    pub steady_base: Micros,
    /// How far the wall clock is ahead (or behind), microseconds.
    pub skew: i64,
    /// By how many microseconds per second the wall clock runs fast (or slow).
    pub drift: i64,
}

impl Clock {
    /// Both clocks at a virtual time.
    #[must_use]
    pub fn now(&self, time: Micros) -> Now {
        let drifted = (time as i64).saturating_mul(self.drift) / SECOND as i64;
        let wall = (DAWN + time).saturating_add_signed(self.skew + drifted);
        Now { steady: self.steady_base + time, wall }
    }

    /// The virtual time at which the steady clock shows `steady`.
    #[must_use]
    pub fn time_of(&self, steady: Micros) -> Micros {
        steady.saturating_sub(self.steady_base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wall_clock_lies() {
        let clock = Clock { steady_base: 7, skew: -2_000, drift: 100 };
        let now = clock.now(10 * SECOND);
        assert_eq!(now.wall, DAWN + 10 * SECOND - 2_000 + 1_000);
        assert_eq!(clock.time_of(now.steady), 10 * SECOND);
    }
}
