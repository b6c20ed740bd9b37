//! Dates, times and timestamps from one type to the other, and from one time zone to the other.

use super::abbreviations::{Abbreviation, abbreviation};
use super::calendar::join;
use super::fault::{Fault, unknown_zone};
use super::place;
use super::{
    END_OF_TIMESTAMPS, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, TimeZone, check_timestamp, is_infinite, overflow,
};
use crate::value::IntervalStyle;
use crate::{SqlError, SqlResult, error::SqlState};

/// `date::timestamp`
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn date_to_timestamp(date: i32) -> SqlResult<i64> {
    match date {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        date => {
            let midnight = i64::from(date).checked_mul(MICROS_PER_DAY).filter(|at| *at < END_OF_TIMESTAMPS);
            midnight.ok_or_else(|| overflow("date out of range for timestamp"))
        }
    }
}

/// `date::timestamptz`: midnight of the zone's clocks.
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn date_to_timestamptz(date: i32, zone: &TimeZone) -> SqlResult<i64> {
    timestamp_to_timestamptz(date_to_timestamp(date)?, zone).map_err(|_| overflow("date out of range for timestamp"))
}

/// `timestamp::date`
#[must_use]
pub const fn timestamp_to_date(local: i64) -> i32 {
    match local {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        // Timestamps have a smaller range than dates.
        local => local.div_euclid(MICROS_PER_DAY) as i32,
    }
}

/// `timestamp::time`; an infinite timestamp has none.
#[must_use]
pub const fn timestamp_to_time(local: i64) -> Option<i64> {
    if is_infinite(local) { None } else { Some(local.rem_euclid(MICROS_PER_DAY)) }
}

/// `interval::time`: the part within a day.
#[must_use]
pub const fn interval_to_time(span: &Interval) -> i64 {
    span.micros.rem_euclid(MICROS_PER_DAY)
}

/// `timestamp::timestamptz`
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn timestamp_to_timestamptz(local: i64, zone: &TimeZone) -> SqlResult<i64> {
    if is_infinite(local) {
        return Ok(local);
    }
    join(0, zone.to_instant(local).ok_or_else(|| overflow("timestamp out of range"))?)
}

/// `timestamptz::timestamp`
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn timestamptz_to_timestamp(instant: i64, zone: &TimeZone) -> SqlResult<i64> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    join(0, zone.to_local(instant).ok_or_else(|| overflow("timestamp out of range"))?)
}

/// `timestamp AT TIME ZONE zone`: the instant when the zone's clocks show it.
///
/// # Errors
///
/// `22023` for an unknown zone, `22008` beyond the range of timestamps.
pub fn local_at_zone(local: i64, zone: &str) -> SqlResult<i64> {
    match abbreviation(&zone.to_ascii_lowercase()) {
        _ if is_infinite(local) => Ok(local),
        Some(Abbreviation::Fixed(seconds, _)) => shift(local, -i64::from(seconds)),
        Some(Abbreviation::Zone(rules)) => shift(local, -i64::from(rules.offset_of_abbreviation(zone, local))),
        None => timestamp_to_timestamptz(local, &named(zone)?),
    }
}

/// `timestamptz AT TIME ZONE zone`: what the zone's clocks show.
///
/// # Errors
///
/// `22023` for an unknown zone, `22008` beyond the range of timestamps.
pub fn instant_at_zone(instant: i64, zone: &str) -> SqlResult<i64> {
    match abbreviation(&zone.to_ascii_lowercase()) {
        _ if is_infinite(instant) => Ok(instant),
        Some(Abbreviation::Fixed(seconds, _)) => shift(instant, i64::from(seconds)),
        Some(Abbreviation::Zone(rules)) => shift(instant, i64::from(rules.offset_of_abbreviation_at(zone, instant))),
        None => timestamptz_to_timestamp(instant, &named(zone)?),
    }
}

/// As [`local_at_zone`], where a zone may be a distance from UTC with its sign, to the east.
///
/// # Errors
///
/// As [`local_at_zone`].
pub fn local_at_numeric_zone(local: i64, zone: &str) -> SqlResult<i64> {
    let invalid = |message| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    if zone.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(invalid(format!("invalid input syntax for type numeric time zone: \"{zone}\""))
            .hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    match place::offset(zone) {
        Ok(seconds) => shift(local, -seconds),
        Err(Fault::ZoneDisplacement) => Err(invalid(format!("numeric time zone \"{zone}\" out of range"))),
        Err(_) => local_at_zone(local, zone),
    }
}

fn named(zone: &str) -> SqlResult<TimeZone> {
    TimeZone::named(zone).ok_or_else(|| unknown_zone(zone))
}

fn shift(micros: i64, seconds: i64) -> SqlResult<i64> {
    check_timestamp(micros.saturating_add(seconds * MICROS_PER_SECOND))
}

/// The distance from UTC, in seconds, that an interval means in `AT TIME ZONE`.
///
/// # Errors
///
/// `22023` for an interval with months or days.
pub fn interval_zone(span: &Interval) -> SqlResult<i64> {
    if span.months != 0 || span.days != 0 {
        let text = super::print_interval(span, IntervalStyle::Postgres);
        let message = format!("interval time zone \"{text}\" must not include months or days");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(span.micros / MICROS_PER_SECOND)
}
