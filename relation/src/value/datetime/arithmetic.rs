//! Sums and differences of dates, times and timestamps.

use super::calendar::{Moment, join, month_length};
use super::convert::{date_to_timestamp, timestamp_to_timestamptz, timestamptz_to_timestamp};
use super::{Interval, MICROS_PER_DAY, TimeZone, check_date, overflow};
use crate::{SqlError, SqlResult, error::SqlState};

/// Whether a `timestamp` or `timestamptz` is one of the infinities.
#[must_use]
pub const fn is_infinite(micros: i64) -> bool {
    matches!(micros, i64::MIN | i64::MAX)
}

/// Whether a `date` is one of the infinities.
#[must_use]
pub const fn is_infinite_date(days: i32) -> bool {
    matches!(days, i32::MIN | i32::MAX)
}

/// `date + integer`
///
/// # Errors
///
/// `22008` beyond the range of dates.
pub fn add_days(date: i32, days: i32) -> SqlResult<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    let sum = date.checked_add(days).filter(|sum| !is_infinite_date(*sum));
    check_date(sum.ok_or_else(|| overflow("date out of range"))?)
}

/// `date - integer`
///
/// # Errors
///
/// `22008` beyond the range of dates.
pub fn subtract_days(date: i32, days: i32) -> SqlResult<i32> {
    match days.checked_neg() {
        Some(days) => add_days(date, days),
        None if is_infinite_date(date) => Ok(date),
        None => Err(overflow("date out of range")),
    }
}

/// `date - date`
///
/// # Errors
///
/// `22008` for an infinite date.
pub fn subtract_dates(a: i32, b: i32) -> SqlResult<i32> {
    if is_infinite_date(a) || is_infinite_date(b) {
        return Err(overflow("cannot subtract infinite dates"));
    }
    Ok(a - b)
}

/// `timestamp - timestamp`, and the same of `timestamptz`
///
/// # Errors
///
/// `22008` for an infinite timestamp.
pub fn subtract_timestamps(a: i64, b: i64) -> SqlResult<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(|| overflow("interval out of range"))?;
    Interval { micros, ..Interval::default() }.justify_hours()
}

/// `timestamp + interval`: first the months, then the days, then the time.
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn add_interval(local: i64, span: &Interval) -> SqlResult<i64> {
    if is_infinite(local) {
        return Ok(local);
    }
    let mut local = local;
    if span.months != 0 {
        let mut moment = Moment::from_local(local);
        moment.date = moment.date.plus_months(i64::from(span.months));
        local = moment.local()?;
    }
    if span.days != 0 {
        local = join(i64::from(span.days) + local.div_euclid(MICROS_PER_DAY), local.rem_euclid(MICROS_PER_DAY))?;
    }
    join(0, local.checked_add(span.micros).ok_or_else(|| overflow("timestamp out of range"))?)
}

/// `timestamp - interval`
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn subtract_interval(local: i64, span: &Interval) -> SqlResult<i64> {
    add_interval(local, &negated(span))
}

fn negated(span: &Interval) -> Interval {
    // The least integers stay what they are, and are out of range in any sum.
    Interval { months: span.months.wrapping_neg(), days: span.days.wrapping_neg(), micros: span.micros.wrapping_neg() }
}

/// `timestamptz + interval`: months and days are those of the zone's clocks.
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn add_interval_tz(instant: i64, span: &Interval, zone: &TimeZone) -> SqlResult<i64> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    let mut instant = instant;
    for part in
        [Interval { months: span.months, ..Interval::default() }, Interval { days: span.days, ..Interval::default() }]
    {
        if part != Interval::default() {
            let local = add_interval(timestamptz_to_timestamp(instant, zone)?, &part)?;
            instant = timestamp_to_timestamptz(local, zone)?;
        }
    }
    add_interval(instant, &Interval { micros: span.micros, ..Interval::default() })
}

/// `timestamptz - interval`
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn subtract_interval_tz(instant: i64, span: &Interval, zone: &TimeZone) -> SqlResult<i64> {
    add_interval_tz(instant, &negated(span), zone)
}

/// `time + interval`, within the day
#[must_use]
pub const fn add_interval_to_time(time: i64, span: &Interval) -> i64 {
    time.wrapping_add(span.micros).rem_euclid(MICROS_PER_DAY)
}

/// `time - interval`, within the day
#[must_use]
pub const fn subtract_interval_from_time(time: i64, span: &Interval) -> i64 {
    time.wrapping_sub(span.micros).rem_euclid(MICROS_PER_DAY)
}

/// `date + time`
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn add_time(date: i32, time: i64) -> SqlResult<i64> {
    let midnight = date_to_timestamp(date)?;
    if is_infinite(midnight) { Ok(midnight) } else { join(0, midnight.saturating_add(time)) }
}

/// `age(a, b)` of timestamps: in years, months and days, as people count them.
///
/// # Errors
///
/// `22008` for an infinite timestamp.
pub fn age(a: i64, b: i64) -> SqlResult<Interval> {
    age_of(a, b, a < b)
}

/// `age(a, b)` of `timestamptz`, as the zone's clocks show them.
///
/// # Errors
///
/// `22008` for an infinite timestamp.
pub fn age_tz(a: i64, b: i64, zone: &TimeZone) -> SqlResult<Interval> {
    age_of(timestamptz_to_timestamp(a, zone)?, timestamptz_to_timestamp(b, zone)?, a < b)
}

fn age_of(a: i64, b: i64, negative: bool) -> SqlResult<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(overflow("timestamp out of range"));
    }
    let (late, early) = if negative { (b, a) } else { (a, b) };
    let (late, early) = (Moment::from_local(late), Moment::from_local(early));
    let mut months = (late.date.year - early.date.year) * 12 + late.date.month - early.date.month;
    let mut days = late.date.day - early.date.day;
    let micros = late.of_day() - early.of_day();
    days += micros.div_euclid(MICROS_PER_DAY);
    // Months before the last one have the length of the earlier date's month.
    let length = month_length(early.date.year, early.date.month);
    while days < 0 {
        days += length;
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    let part = |part: i64| i32::try_from(sign * part).map_err(|_| overflow("interval out of range"));
    let micros = sign * micros.rem_euclid(MICROS_PER_DAY);
    Ok(Interval { months: part(months)?, days: part(days)?, micros })
}

/// `date_bin(stride, at, origin)`
///
/// # Errors
///
/// `22008` for a stride that is not positive or a result out of range, `0A000` for one with months.
pub fn date_bin(stride: &Interval, at: i64, origin: i64) -> SqlResult<i64> {
    if is_infinite(at) {
        return Ok(at);
    }
    if is_infinite(origin) {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        let message = "timestamps cannot be binned into intervals containing months or years";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let interval_overflow = || overflow("interval out of range");
    let days = i64::from(stride.days).checked_mul(MICROS_PER_DAY);
    let stride = days.and_then(|days| days.checked_add(stride.micros)).ok_or_else(interval_overflow)?;
    if stride <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let since = at.checked_sub(origin).ok_or_else(interval_overflow)?;
    let binned = at.checked_sub(since.rem_euclid(stride)).ok_or_else(|| overflow("timestamp out of range"))?;
    join(0, binned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_integers_are_out_of_range_and_no_panic() {
        for span in [i32::MIN, i32::MAX].map(|n| Interval { months: n, days: n, micros: i64::MIN }) {
            for at in [0, 1 << 62, -(1 << 57)] {
                assert_eq!(add_interval(at, &span).unwrap_err().state().0, "22008");
                assert_eq!(subtract_interval(at, &span).unwrap_err().state().0, "22008");
                assert_eq!(subtract_interval_tz(at, &span, &TimeZone::utc()).unwrap_err().state().0, "22008");
            }
            assert!((0..MICROS_PER_DAY).contains(&subtract_interval_from_time(1, &span)));
        }
        assert_eq!(subtract_days(5, i32::MIN).unwrap_err().state().0, "22008");
        assert_eq!(subtract_days(i32::MAX, i32::MIN).unwrap(), i32::MAX);
    }
}
