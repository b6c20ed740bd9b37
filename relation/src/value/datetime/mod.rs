//! Dates, times and intervals.
//!
//! Instants and local times are microseconds since 2000-01-01; the ends of the integers are the infinities.

mod abbreviations;
mod arithmetic;
mod calendar;
mod convert;
mod decode;
mod fault;
mod field;
mod input;
mod interval;
mod interval_input;
mod interval_iso;
mod interval_output;
mod lex;
mod make;
mod output;
mod parts;
mod place;
mod styled;
mod truncate;
mod words;
mod zone;

use crate::{SqlError, SqlResult, error::SqlState};

pub use abbreviations::{Abbreviation, abbreviation};
pub use arithmetic::*;
pub use calendar::{Civil, Moment, weekday};
pub use convert::*;
pub use field::*;
pub use input::{parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use interval::Interval;
pub use interval_input::parse_interval;
pub use interval_output::print_interval;
pub use make::*;
pub use output::{print_date, print_time, print_timestamp, print_timestamptz};
pub use styled::{show_date, show_timestamp, show_timestamptz};
pub use truncate::*;
pub use zone::{LocalClock, TimeZone};

/// Microseconds of a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days of a month, where a month stands for its average.
pub const DAYS_PER_MONTH: i32 = 30;
/// 2000-01-01 in seconds since 1970-01-01.
pub(crate) const UNIX_EPOCH_SECONDS: i64 = 946_684_800;

/// 1970-01-01.
const UNIX_EPOCH_DAY: i32 = -10_957;
/// Julian day 0 (4714-11-24 BC), the first day that a date can be, in days since 2000-01-01.
const FIRST_DAY: i32 = -2_451_545;
/// The first day after the last one that a date can be: 5874898-01-01.
const END_OF_DATES: i32 = 2_145_031_949;
/// The first instant after the last one that a timestamp can be: 294277-01-01.
const END_OF_TIMESTAMPS: i64 = 106_751_983 * MICROS_PER_DAY;

/// A `date` within its limits.
///
/// # Errors
///
/// `22008`
pub fn check_date(days: i32) -> SqlResult<i32> {
    let valid = matches!(days, i32::MIN | i32::MAX) || (FIRST_DAY..END_OF_DATES).contains(&days);
    if valid { Ok(days) } else { Err(overflow("date out of range")) }
}

/// A `time` within its limits.
///
/// # Errors
///
/// `22008`
pub fn check_time(micros: i64) -> SqlResult<i64> {
    if (0..=MICROS_PER_DAY).contains(&micros) { Ok(micros) } else { Err(overflow("time out of range")) }
}

/// A `timestamp` or `timestamptz` within its limits.
///
/// # Errors
///
/// `22008`
pub fn check_timestamp(micros: i64) -> SqlResult<i64> {
    let first = i64::from(FIRST_DAY) * MICROS_PER_DAY;
    let valid = matches!(micros, i64::MIN | i64::MAX) || (first..END_OF_TIMESTAMPS).contains(&micros);
    if valid { Ok(micros) } else { Err(overflow("timestamp out of range")) }
}

/// `22008`
fn overflow(message: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}
