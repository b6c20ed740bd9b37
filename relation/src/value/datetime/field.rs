//! Fields of dates, times and intervals: `extract` and `date_part`.

use super::calendar::{Civil, Moment, weekday};
use super::words::{Unit, field};
use super::{FIRST_DAY, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, TimeZone, UNIX_EPOCH_SECONDS, is_infinite};
use crate::value::Numeric;
use crate::{SqlError, SqlResult, error::SqlState};

/// The longest name of a field, in bytes.
const MAX_NAME: usize = 63;

/// Where a field is taken from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A `date`. `date_part` of it is that of the `timestamp`.
    Date(i32),
    /// A `time`.
    Time(i64),
    /// A `timestamp`.
    Timestamp(i64),
    /// A `timestamptz`, as a zone's clocks show it.
    Timestamptz(i64, &'a TimeZone),
    /// An `interval`.
    Interval(Interval),
}

/// A field's value, before it is an exact or a floating-point number.
enum Found {
    Integer(i64),
    /// Seconds and microseconds, as a number of seconds.
    Seconds(i64, i64),
    /// The same, as a number of milliseconds.
    Milliseconds(i64, i64),
    /// Microseconds, as a number of seconds.
    Epoch(i128),
    IntervalEpoch(Interval),
    /// A Julian day, and the microseconds of it.
    Julian(i64, i64),
    Infinite(bool),
    /// An infinite time has no such field.
    Nothing,
}

/// `extract(name FROM source)`; none for a field that an infinite time does not have.
///
/// # Errors
///
/// `22023` for a name that is no field, `0A000` for one that the type does not have.
pub fn extract(name: &str, source: Source<'_>) -> SqlResult<Option<Numeric>> {
    let exact = |micros: i64, scale| Numeric::finite(micros.into(), scale).map(Some);
    match find(name, source)? {
        Found::Integer(value) => Ok(Some(Numeric::from(value))),
        Found::Seconds(seconds, micros) => exact(seconds * MICROS_PER_SECOND + micros, 6),
        Found::Milliseconds(seconds, micros) => exact(seconds * MICROS_PER_SECOND + micros, 3),
        Found::Epoch(micros) => Numeric::finite(micros.into(), 6).map(Some),
        Found::IntervalEpoch(span) => Numeric::finite(epoch_of_interval(&span).into(), 6).map(Some),
        Found::Julian(day, micros) => {
            let part = Numeric::from(micros).div(&Numeric::from(MICROS_PER_DAY))?;
            Numeric::from(day).add(&part).map(Some)
        }
        Found::Infinite(negative) => Ok(Some(if negative { Numeric::NegativeInfinity } else { Numeric::Infinity })),
        Found::Nothing => Ok(None),
    }
}

/// `date_part(name, source)`, as [`extract`].
///
/// # Errors
///
/// As [`extract`].
pub fn date_part(name: &str, source: Source<'_>) -> SqlResult<Option<f64>> {
    Ok(Some(match find(name, source)? {
        Found::Integer(value) => value as f64,
        Found::Seconds(seconds, micros) => seconds as f64 + micros as f64 / 1e6,
        Found::Milliseconds(seconds, micros) => seconds as f64 * 1000.0 + micros as f64 / 1000.0,
        Found::Epoch(micros) => micros as f64 / 1e6,
        Found::IntervalEpoch(span) => {
            let years = f64::from(span.months / 12) * (365.25 * 86_400.0);
            let months = f64::from(span.months % 12) * (30.0 * 86_400.0);
            span.micros as f64 / 1e6 + years + months + f64::from(span.days) * 86_400.0
        }
        Found::Julian(day, micros) => {
            let (seconds, micros) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
            day as f64 + (seconds as f64 + micros as f64 / 1e6) / 86_400.0
        }
        Found::Infinite(true) => f64::NEG_INFINITY,
        Found::Infinite(false) => f64::INFINITY,
        Found::Nothing => return Ok(None),
    }))
}

/// The microseconds of an interval, where a year has 365.25 days and a month 30.
fn epoch_of_interval(span: &Interval) -> i128 {
    let days_times_4 =
        1461 * i128::from(span.months / 12) + 120 * i128::from(span.months % 12) + 4 * i128::from(span.days);
    days_times_4 * 21_600 * i128::from(MICROS_PER_SECOND) + i128::from(span.micros)
}

/// The name of a field as errors show it.
pub(super) fn shown(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let end = (0..=MAX_NAME.min(lower.len())).rev().find(|at| lower.is_char_boundary(*at)).unwrap_or(0);
    lower[..end].to_owned()
}

pub(super) fn not_recognized(name: &str, ty: &str) -> SqlError {
    let message = format!("unit \"{}\" not recognized for type {ty}", shown(name));
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

pub(super) fn not_supported(name: &str, ty: &str) -> SqlError {
    let message = format!("unit \"{}\" not supported for type {ty}", shown(name));
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn find(name: &str, source: Source<'_>) -> SqlResult<Found> {
    let ty = match source {
        Source::Date(_) => "date",
        Source::Time(_) => "time without time zone",
        Source::Timestamp(_) => "timestamp without time zone",
        Source::Timestamptz(..) => "timestamp with time zone",
        Source::Interval(_) => "interval",
    };
    let unit = field(&shown(name)).ok_or_else(|| not_recognized(name, ty))?;
    let found = match source {
        Source::Date(days) => of_date(unit, days),
        Source::Time(time) if unit == Unit::Epoch => Some(Found::Epoch(time.into())),
        Source::Time(time) => of_time(unit, &Moment::from_local(time), time / (3600 * MICROS_PER_SECOND)),
        Source::Timestamp(at) if is_infinite(at) => of_infinity(unit, at < 0),
        Source::Timestamptz(at, _) if is_infinite(at) => of_infinity(unit, at < 0),
        Source::Timestamp(local) => of_timestamp(unit, local, local),
        Source::Timestamptz(instant, zone) => of_timestamptz(unit, instant, zone),
        Source::Interval(span) => of_interval(unit, span),
    };
    found.ok_or_else(|| not_supported(name, ty))
}

fn of_infinity(unit: Unit, negative: bool) -> Option<Found> {
    Some(match unit {
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::IsoYear | Unit::Epoch => {
            Found::Infinite(negative)
        }
        _ => Found::Nothing,
    })
}

fn of_date(unit: Unit, days: i32) -> Option<Found> {
    let is_of_date = !matches!(
        unit,
        Unit::Microsecond
            | Unit::Millisecond
            | Unit::Second
            | Unit::Minute
            | Unit::Hour
            | Unit::Zone
            | Unit::ZoneHour
            | Unit::ZoneMinute
    );
    if !is_of_date {
        return None;
    }
    match (unit, days) {
        (_, i32::MIN | i32::MAX) => of_infinity(unit, days < 0),
        (Unit::Epoch, _) => Some(Found::Integer(i64::from(days) * 86_400 + UNIX_EPOCH_SECONDS)),
        (Unit::Julian, _) => Some(Found::Integer(i64::from(days) - i64::from(FIRST_DAY))),
        _ => of_civil(unit, Civil::from_days(i64::from(days))).map(Found::Integer),
    }
}

fn of_time(unit: Unit, moment: &Moment, hours: i64) -> Option<Found> {
    Some(match unit {
        Unit::Microsecond => Found::Integer(moment.second * MICROS_PER_SECOND + moment.micros),
        Unit::Millisecond => Found::Milliseconds(moment.second, moment.micros),
        Unit::Second => Found::Seconds(moment.second, moment.micros),
        Unit::Minute => Found::Integer(moment.minute),
        Unit::Hour => Found::Integer(hours),
        _ => return None,
    })
}

fn of_timestamp(unit: Unit, local: i64, instant: i64) -> Option<Found> {
    let moment = Moment::from_local(local);
    match unit {
        Unit::Epoch => {
            let epoch = i128::from(instant) + i128::from(UNIX_EPOCH_SECONDS) * i128::from(MICROS_PER_SECOND);
            Some(Found::Epoch(epoch))
        }
        Unit::Julian => Some(Found::Julian(moment.date.days() - i64::from(FIRST_DAY), moment.of_day())),
        _ => of_time(unit, &moment, moment.hour).or_else(|| of_civil(unit, moment.date).map(Found::Integer)),
    }
}

fn of_timestamptz(unit: Unit, instant: i64, zone: &TimeZone) -> Option<Found> {
    let offset = i64::from(zone.offset(instant));
    match unit {
        Unit::Zone => Some(Found::Integer(offset)),
        Unit::ZoneHour => Some(Found::Integer(offset / 3600)),
        Unit::ZoneMinute => Some(Found::Integer(offset / 60 % 60)),
        _ => of_timestamp(unit, instant.saturating_add(offset * MICROS_PER_SECOND), instant),
    }
}

fn of_civil(unit: Unit, date: Civil) -> Option<i64> {
    let Civil { year, month, day } = date;
    // There is no year 0: 1 AD follows 1 BC.
    let counted = |year: i64| if year > 0 { year } else { year - 1 };
    let period = |length: i64| {
        if year > 0 { (year + length - 1) / length } else { -((length - year) / length) }
    };
    Some(match unit {
        Unit::Day => day,
        Unit::Month => month,
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Week => date.iso_week().1,
        Unit::Year => counted(year),
        Unit::Decade => year.div_euclid(10),
        Unit::Century => period(100),
        Unit::Millennium => period(1000),
        Unit::IsoYear => counted(date.iso_week().0),
        Unit::DayOfWeek => weekday(date.days()),
        Unit::IsoDayOfWeek => (weekday(date.days()) + 6) % 7 + 1,
        Unit::DayOfYear => date.day_of_year(),
        _ => return None,
    })
}

fn of_interval(unit: Unit, span: Interval) -> Option<Found> {
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    let seconds = span.micros / MICROS_PER_SECOND;
    let (second, micros) = (seconds % 60, span.micros % MICROS_PER_SECOND);
    Some(match unit {
        Unit::Microsecond => Found::Integer(second * MICROS_PER_SECOND + micros),
        Unit::Millisecond => Found::Milliseconds(second, micros),
        Unit::Second => Found::Seconds(second, micros),
        Unit::Minute => Found::Integer(seconds / 60 % 60),
        Unit::Hour => Found::Integer(seconds / 3600),
        Unit::Day => Found::Integer(i64::from(span.days)),
        Unit::Month => Found::Integer(months),
        Unit::Quarter => Found::Integer(months / 3 + 1),
        Unit::Year => Found::Integer(years),
        Unit::Decade => Found::Integer(years / 10),
        Unit::Century => Found::Integer(years / 100),
        Unit::Millennium => Found::Integer(years / 1000),
        Unit::Epoch => Found::IntervalEpoch(span),
        _ => return None,
    })
}
