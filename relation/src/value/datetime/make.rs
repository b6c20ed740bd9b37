//! Dates, times and intervals from numbers: `make_date` and the like, `to_timestamp`.

use super::calendar::join;
use super::parts::{DATE, Parts};
use super::{
    END_OF_TIMESTAMPS, FIRST_DAY, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, TimeZone, UNIX_EPOCH_SECONDS,
    check_date, overflow, timestamp_to_timestamptz,
};
use crate::SqlResult;
use crate::value::number::print_general;

/// C's `%02g`
fn seconds_text(seconds: f64) -> String {
    format!("{:0>2}", print_general(seconds, 6))
}

/// The day of a date given as numbers; a negative year is before Christ.
fn days(year: i32, month: i32, day: i32, shown_year: impl Fn(&Parts) -> i64) -> SqlResult<i64> {
    let mut parts = Parts {
        mask: DATE,
        year: i64::from(year).abs(),
        month: i64::from(month),
        day: i64::from(day),
        before_christ: year < 0,
        ..Parts::default()
    };
    if parts.check_date().is_err() {
        let shown = shown_year(&parts);
        return Err(overflow(&format!("date field value out of range: {shown}-{month:02}-{day:02}")));
    }
    let days = parts.date().days();
    let valid = i32::try_from(days).is_ok_and(|days| days != i32::MAX && check_date(days).is_ok());
    if valid {
        return Ok(days);
    }
    Err(overflow(&format!("date out of range: {}-{month:02}-{day:02}", shown_year(&parts))))
}

/// The microseconds since midnight of a time given as numbers.
fn of_day(hour: i32, minute: i32, seconds: f64) -> SqlResult<i64> {
    let micros = (seconds * MICROS_PER_SECOND as f64).round_ties_even();
    let in_range = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=6e7).contains(&micros);
    let of_day =
        i64::from(hour) * 3600 * MICROS_PER_SECOND + i64::from(minute) * 60 * MICROS_PER_SECOND + micros as i64;
    if in_range && of_day <= MICROS_PER_DAY {
        return Ok(of_day);
    }
    let text = format!("{hour}:{minute:02}:{}", seconds_text(seconds));
    Err(overflow(&format!("time field value out of range: {text}")))
}

/// `make_date(year, month, day)`
///
/// # Errors
///
/// `22008` for what is no date.
pub fn make_date(year: i32, month: i32, day: i32) -> SqlResult<i32> {
    let days = days(year, month, day, |parts| parts.year)?;
    i32::try_from(days).map_err(|_| overflow("date out of range"))
}

/// `make_time(hour, minute, seconds)`
///
/// # Errors
///
/// `22008` for what is no time.
pub fn make_time(hour: i32, minute: i32, seconds: f64) -> SqlResult<i64> {
    of_day(hour, minute, seconds)
}

/// `make_timestamp(year, month, day, hour, minute, seconds)`
///
/// # Errors
///
/// `22008` for what is no timestamp.
pub fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, seconds: f64) -> SqlResult<i64> {
    let days = days(year, month, day, |_| i64::from(year))?;
    let time = of_day(hour, minute, seconds)?;
    join(days, time).map_err(|_| {
        let seconds = seconds_text(seconds);
        overflow(&format!("timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{seconds}"))
    })
}

/// The instant when a zone's clocks show what [`make_timestamp`] made: `make_timestamptz`.
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn make_timestamptz(local: i64, zone: &TimeZone) -> SqlResult<i64> {
    timestamp_to_timestamptz(local, zone)
}

/// `make_interval(years, months, weeks, days, hours, minutes, seconds)`
///
/// # Errors
///
/// `22008` if a part overflows.
pub fn make_interval([years, months, weeks, days, hours, minutes]: [i32; 6], seconds: f64) -> SqlResult<Interval> {
    let micros = (seconds * MICROS_PER_SECOND as f64).round_ties_even();
    let interval = || {
        if !micros.is_finite() || micros.abs() >= -(i64::MIN as f64) {
            return None;
        }
        let minutes = i64::from(hours) * 60 + i64::from(minutes);
        Some(Interval {
            months: years.checked_mul(12)?.checked_add(months)?,
            days: weeks.checked_mul(7)?.checked_add(days)?,
            micros: (minutes * 60 * MICROS_PER_SECOND).checked_add(micros as i64)?,
        })
    };
    interval().ok_or_else(|| overflow("interval out of range"))
}

/// `to_timestamp(seconds)`: seconds since 1970.
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn to_timestamp(seconds: f64) -> SqlResult<i64> {
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds < 0.0 { i64::MIN } else { i64::MAX });
    }
    let out_of_range = || overflow(&format!("timestamp out of range: \"{}\"", print_general(seconds, 6)));
    let first = (i64::from(FIRST_DAY) * 86_400 + UNIX_EPOCH_SECONDS) as f64;
    let end = (END_OF_TIMESTAMPS / MICROS_PER_SECOND + UNIX_EPOCH_SECONDS) as f64;
    if seconds < first || seconds >= end {
        return Err(out_of_range());
    }
    let micros = ((seconds - UNIX_EPOCH_SECONDS as f64) * MICROS_PER_SECOND as f64).round_ties_even();
    join(0, micros as i64).map_err(|_| out_of_range())
}
