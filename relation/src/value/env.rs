//! What surroundings the text of values depends on.

use super::KnownTypes;
use super::datetime::TimeZone;

/// A session's settings that decide how values are read and printed, and its transaction's time.
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
    /// How dates are printed.
    pub date_style: DateStyle,
    /// What dates begin with where their text leaves it open, and in printed text that is not of ISO's style.
    pub date_order: DateOrder,
    /// How intervals are printed.
    pub interval_style: IntervalStyle,
    /// The types that users have made.
    pub types: KnownTypes,
}

impl Default for Env {
    fn default() -> Self {
        Self {
            now: 0,
            zone: TimeZone::utc(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
            date_style: DateStyle::default(),
            date_order: DateOrder::default(),
            interval_style: IntervalStyle::default(),
            types: KnownTypes::default(),
        }
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

/// How dates are printed: `DateStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateStyle {
    /// `1997-12-17 07:37:16-08`
    #[default]
    Iso,
    /// `12/17/1997 07:37:16 PST`
    Sql,
    /// `Wed Dec 17 07:37:16 1997 PST`
    Postgres,
    /// `17.12.1997 07:37:16 PST`
    German,
}

/// In which order the parts of a date stand: `DateStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// `1/2/03` is the second of January.
    #[default]
    MonthDayYear,
    /// `1/2/03` is the first of February.
    DayMonthYear,
    /// `1/2/03` is the third of February of 2001.
    YearMonthDay,
}

/// How intervals are printed: `IntervalStyle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`; a sign in front of text without others is one of all of its parts.
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`
    Iso8601,
}
