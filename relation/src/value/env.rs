//! What surroundings the text of values depends on.

use super::datetime::TimeZone;

/// A session's settings that decide how values are read and printed, and its transaction's time.
///
/// Dates are always in ISO style, month before day where text leaves the order open (`DateStyle` is `ISO, MDY`), and
/// intervals in PostgreSQL's own style (`IntervalStyle` is `postgres`).
#[derive(Clone, Debug, PartialEq)]
pub struct Env {
    /// When the transaction began: microseconds since 2000-01-01 UTC. `now`, `today` and `tomorrow` follow from it.
    pub now: i64,
    /// The session's time zone.
    pub zone: TimeZone,
    /// Digits of floating-point numbers: above 0 the shortest text that reads back as the same number.
    pub extra_float_digits: i32,
    /// How `bytea` is printed.
    pub bytea_output: ByteaOutput,
}

impl Default for Env {
    fn default() -> Self {
        Self { now: 0, zone: TimeZone::utc(), extra_float_digits: 1, bytea_output: ByteaOutput::Hex }
    }
}

/// How `bytea` is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteaOutput {
    /// `\x0af1`
    Hex,
    /// Printable bytes as they are, others as `\ooo`.
    Escape,
}
