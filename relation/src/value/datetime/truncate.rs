//! `date_trunc`

use super::abbreviations::{Abbreviation, abbreviation};
use super::calendar::{Civil, Moment};
use super::field::{not_recognized, not_supported, shown};
use super::words::{Unit, unit};
use super::{Interval, MICROS_PER_SECOND, TimeZone, is_infinite, overflow, timestamp_to_timestamptz};
use crate::SqlResult;

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";
const INTERVAL: &str = "interval";

/// `date_trunc(name, timestamp)`
///
/// # Errors
///
/// `22023` for a name that is no unit, `0A000` for one that timestamps do not have, `22008` for a result out of range.
pub fn truncate(name: &str, local: i64) -> SqlResult<i64> {
    if is_infinite(local) {
        return Ok(local);
    }
    let unit = find(name, TIMESTAMP)?;
    truncated(unit, Moment::from_local(local)).ok_or_else(|| not_supported(name, TIMESTAMP))?.local()
}

/// `date_trunc(name, timestamptz, zone)`: units from the day on begin when the zone's clocks say so.
///
/// # Errors
///
/// As [`truncate`].
pub fn truncate_tz(name: &str, instant: i64, zone: &TimeZone) -> SqlResult<i64> {
    if is_infinite(instant) {
        return Ok(instant);
    }
    let unit = find(name, TIMESTAMPTZ)?;
    let offset = i64::from(zone.offset(instant)) * MICROS_PER_SECOND;
    let moment = Moment::from_local(instant.saturating_add(offset));
    let local = truncated(unit, moment).ok_or_else(|| not_supported(name, TIMESTAMPTZ))?.local()?;
    match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour => {
            super::calendar::join(0, local - offset)
        }
        _ => timestamp_to_timestamptz(local, zone),
    }
}

/// `date_trunc(name, interval)`
///
/// # Errors
///
/// As [`truncate`].
pub fn truncate_interval(name: &str, span: &Interval) -> SqlResult<Interval> {
    let unit = find(name, INTERVAL)?;
    let months_to = |months: i32| Interval { months: span.months - span.months % months, ..Interval::default() };
    let micros_to = |micros: i64| Interval { micros: span.micros - span.micros % micros, ..*span };
    Ok(match unit {
        Unit::Millennium => months_to(12_000),
        Unit::Century => months_to(1200),
        Unit::Decade => months_to(120),
        Unit::Year => months_to(12),
        Unit::Quarter => months_to(3),
        Unit::Month => months_to(1),
        Unit::Day => Interval { micros: 0, ..*span },
        Unit::Hour => micros_to(3600 * MICROS_PER_SECOND),
        Unit::Minute => micros_to(60 * MICROS_PER_SECOND),
        Unit::Second => micros_to(MICROS_PER_SECOND),
        Unit::Millisecond => micros_to(1000),
        Unit::Microsecond => *span,
        Unit::Week => return Err(not_supported(name, INTERVAL).detail("Months usually have fractional weeks.")),
        _ => return Err(not_supported(name, INTERVAL)),
    })
}

fn find(name: &str, ty: &str) -> SqlResult<Unit> {
    unit(&shown(name)).ok_or_else(|| not_recognized(name, ty))
}

/// The beginning of the unit; none for what is no unit of timestamps.
fn truncated(unit: Unit, mut moment: Moment) -> Option<Moment> {
    let Civil { year, month, .. } = moment.date;
    match unit {
        Unit::Microsecond => return Some(moment),
        Unit::Millisecond => {
            moment.micros -= moment.micros % 1000;
            return Some(moment);
        }
        _ => moment.micros = 0,
    }
    let date = |year, month| Some(Civil { year, month, day: 1 });
    let midnight = match unit {
        Unit::Second | Unit::Minute | Unit::Hour => None,
        Unit::Day => Some(moment.date),
        Unit::Week => {
            let days = moment.date.days();
            Some(Civil::from_days(days - (super::weekday(days) + 6) % 7))
        }
        Unit::Month => date(year, month),
        Unit::Quarter => date(year, (month - 1) / 3 * 3 + 1),
        Unit::Year => date(year, 1),
        Unit::Decade => date(year.div_euclid(10) * 10, 1),
        Unit::Century => date((year - 1).div_euclid(100) * 100 + 1, 1),
        Unit::Millennium => date((year - 1).div_euclid(1000) * 1000 + 1, 1),
        _ => return None,
    };
    if let Some(date) = midnight {
        return Some(Moment { date, hour: 0, minute: 0, second: 0, micros: 0 });
    }
    if unit != Unit::Second {
        moment.second = 0;
    }
    if unit == Unit::Hour {
        moment.minute = 0;
    }
    Some(moment)
}

/// `date_trunc` of a `timestamptz` where a zone is named.
///
/// # Errors
///
/// `22023` for an unknown zone, and those of [`truncate`].
pub fn truncate_at_zone(name: &str, instant: i64, zone: &str) -> SqlResult<i64> {
    let rules = match abbreviation(&zone.to_ascii_lowercase()) {
        Some(Abbreviation::Fixed(seconds, _)) => TimeZone::fixed(seconds),
        Some(Abbreviation::Zone(rules)) => Some(rules),
        None => TimeZone::named(zone),
    };
    let rules = rules.ok_or_else(|| super::fault::unknown_zone(zone))?;
    truncate_tz(name, instant, &rules)
        .map_err(|error| if error.state().0 == "22008" { overflow("timestamp out of range") } else { error })
}
