//! Time as an argument: what the caller's clocks say, and the hybrid logical clock made of it.
//!
//! Safety never depends on any of this; clocks decide only how often a transaction is asked to come
//! back with a later timestamp.

use std::fmt;

use wincode::{SchemaRead, SchemaWrite};

/// One microsecond-based duration, in microseconds.
pub type Micros = u64;

/// One millisecond, in microseconds.
pub const MILLISECOND: Micros = 1_000;
/// One second, in microseconds.
pub const SECOND: Micros = 1_000_000;

/// What the clocks of a node say at one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Microseconds of a clock that never goes back and is never set. Timers use this one.
    pub steady: Micros,
    /// Microseconds since the Unix epoch, UTC. May jump either way. Timestamps use this one.
    pub wall: Micros,
}

/// A hybrid logical clock reading: 52 bits of wall-clock microseconds, 12 bits of counter.
///
/// Source: Kulkarni et al., "Logical Physical Clocks" (2014), with time and counter in one word.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct Timestamp(pub u64);

const COUNTER_BITS: u32 = 12;

impl Timestamp {
    /// Before every version.
    pub const ZERO: Self = Self(0);
    /// After every version.
    pub const MAX: Self = Self(u64::MAX);

    /// The first timestamp of a wall-clock microsecond. Saturates beyond the year 2112.
    #[must_use]
    pub const fn from_micros(wall: Micros) -> Self {
        if wall >= 1 << (64 - COUNTER_BITS) { Self::MAX } else { Self(wall << COUNTER_BITS) }
    }

    /// The wall-clock microsecond it lies in.
    #[must_use]
    pub const fn micros(self) -> Micros {
        self.0 >> COUNTER_BITS
    }

    /// The next larger timestamp.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The next smaller timestamp.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// This timestamp moved later by a duration.
    #[must_use]
    pub const fn plus(self, micros: Micros) -> Self {
        Self(self.0.saturating_add(micros.saturating_mul(1 << COUNTER_BITS)))
    }

    /// This timestamp moved earlier by a duration.
    #[must_use]
    pub const fn minus(self, micros: Micros) -> Self {
        Self(self.0.saturating_sub(micros.saturating_mul(1 << COUNTER_BITS)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.micros(), self.0 & ((1 << COUNTER_BITS) - 1))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{self}")
    }
}

/// A node's hybrid logical clock: never repeats a reading, never falls behind what it observed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hlc {
    last: Timestamp,
}

impl Hlc {
    /// A clock whose readings are all above `floor` (after a restart: the durable fence).
    #[must_use]
    pub const fn starting_above(floor: Timestamp) -> Self {
        Self { last: floor }
    }

    /// A new reading, above every earlier one and everything observed.
    pub fn tick(&mut self, now: Now) -> Timestamp {
        self.last = self.last.next().max(Timestamp::from_micros(now.wall));
        self.last
    }

    /// Makes later readings exceed `seen`.
    pub fn observe(&mut self, seen: Timestamp) {
        self.last = self.last.max(seen);
    }

    /// The largest reading given or observed so far.
    #[must_use]
    pub const fn last(&self) -> Timestamp {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_never_repeat_even_when_the_wall_clock_jumps_back() {
        let mut clock = Hlc::default();
        let first = clock.tick(Now { steady: 0, wall: 1_000 });
        let second = clock.tick(Now { steady: 1, wall: 10 });
        assert!(second > first);
        assert_eq!(second.micros(), 1_000);
        clock.observe(Timestamp::from_micros(5_000));
        assert!(clock.tick(Now { steady: 2, wall: 11 }) > Timestamp::from_micros(5_000));
    }

    #[test]
    fn far_future_saturates() {
        assert_eq!(Timestamp::from_micros(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.next(), Timestamp::MAX);
        assert_eq!(Timestamp::ZERO.minus(SECOND), Timestamp::ZERO);
    }
}
