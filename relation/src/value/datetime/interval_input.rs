//! Intervals from text: PostgreSQL's forms, SQL's, and those of ISO 8601. The fields of the type decide what a number
//! without a unit counts.
//!
//! Source: PostgreSQL 15, `DecodeInterval`.

use super::fault::Fault;
use super::lex::{Field, Kind, split};
use super::parts::{
    CENTURY, DATE, DAY, DECADE, FRACTION, HOUR, MICROSECOND, MILLENNIUM, MILLISECOND, MINUTE, MONTH, Mask, Parts,
    SECOND, TIME, WEEK, YEAR, fraction, leading_int,
};
use super::words::{Unit, unit};
use super::{DAYS_PER_MONTH, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, overflow};
use crate::SqlResult;
use crate::value::{IntervalFields, IntervalLimits, IntervalStyle};

const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;

/// An `interval` from text, within the limits of its type.
///
/// # Errors
///
/// `22007` for text that is no interval, `22015` and `22008` for one out of range.
pub fn parse_interval(text: &str, limits: Option<IntervalLimits>, style: IntervalStyle) -> SqlResult<Interval> {
    let fields = limits.and_then(|limits| limits.fields);
    let sum = match Sum::read_words(text, fields, style) {
        Err(Fault::Format) => Sum::read_iso(text),
        other => other,
    };
    let sum = sum.map_err(|fault| fault.error(text, "interval"))?;
    let months = i64::from(sum.years) * 12 + i64::from(sum.months);
    let months = i32::try_from(months).map_err(|_| overflow("interval out of range"))?;
    let interval = Interval { months, days: sum.days, micros: sum.micros };
    Ok(limits.map_or(interval, |limits| limits.fit(interval)))
}

/// How the fields of a text are read.
#[derive(Clone, Copy)]
struct Reading {
    /// The fields of the type.
    range: Option<IntervalFields>,
    /// The sign in front is one of all numbers.
    negative: bool,
}

/// Whether text begins with a minus, and says nothing more of signs.
fn has_one_sign(fields: &[Field]) -> bool {
    let signs = |field: &Field| field.text.starts_with(['-', '+']);
    fields.split_first().is_some_and(|(first, rest)| first.text.starts_with('-') && !rest.iter().any(signs))
}

/// What a number at the end counts that has no unit.
const fn last_unit(fields: Option<IntervalFields>) -> Unit {
    use IntervalFields as F;
    match fields {
        Some(F::Year) => Unit::Year,
        Some(F::Month | F::YearToMonth) => Unit::Month,
        Some(F::Day) => Unit::Day,
        Some(F::Hour | F::DayToHour) => Unit::Hour,
        Some(F::Minute | F::DayToMinute | F::HourToMinute) => Unit::Minute,
        Some(F::Second | F::DayToSecond | F::HourToSecond | F::MinuteToSecond) | None => Unit::Second,
    }
}

/// What was read so far.
#[derive(Default)]
pub(super) struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

impl Sum {
    /// Reads `1 day 02:03:04 ago`, `1-2 3 4:05`, backwards: units stand behind their numbers.
    fn read_words(text: &str, range: Option<IntervalFields>, style: IntervalStyle) -> Result<Self, Fault> {
        let fields = split(text).ok_or(Fault::Format)?;
        let mut sum = Self::default();
        let (mut mask, mut ago) = (0, false);
        let reading = Reading { range, negative: style == IntervalStyle::SqlStandard && has_one_sign(&fields) };
        // What the next number counts.
        let mut counted = Some(last_unit(range));
        for field in fields.iter().rev() {
            let found = match field.kind {
                Kind::Word if field.text == "ago" => {
                    (ago, counted) = (true, None);
                    0
                }
                Kind::Word => {
                    counted = Some(unit(&field.text).ok_or(Fault::Format)?);
                    0
                }
                _ => sum.read_field(field, reading, &mut counted)?,
            };
            if found & mask != 0 {
                return Err(Fault::Format);
            }
            mask |= found;
        }
        if mask == 0 {
            return Err(Fault::Format);
        }
        if ago { sum.negated() } else { Ok(sum) }
    }

    fn negated(&self) -> Result<Self, Fault> {
        let negated = || {
            Some(Self {
                years: self.years.checked_neg()?,
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        negated().ok_or(Fault::Field)
    }

    fn read_field(&mut self, field: &Field, reading: Reading, counted: &mut Option<Unit>) -> Result<Mask, Fault> {
        let text = field.text.as_str();
        let time = match field.kind {
            Kind::Time => Some((1, text)),
            Kind::Signed if text.contains(':') => Some((if text.starts_with('-') { -1 } else { 1 }, &text[1..])),
            _ => None,
        };
        if let Some((sign, text)) = time {
            match read_time(text, reading.range) {
                Ok(micros) => {
                    self.micros = if reading.negative { -micros } else { sign * micros };
                    // A number before it counts days.
                    *counted = Some(Unit::Day);
                    return Ok(TIME);
                }
                Err(fault) if field.kind == Kind::Time => return Err(fault),
                Err(_) => {}
            }
        }
        let negative = text.starts_with('-') || reading.negative;
        let (whole, rest) = leading_long(text)?;
        let whole = if reading.negative && whole > 0 { -whole } else { whole };
        let (whole, part) = if let Some(months) = rest.strip_prefix('-') {
            *counted = Some(Unit::Month);
            (years_and_months(whole, months, negative)?, 0.0)
        } else if rest.is_empty() {
            (whole, 0.0)
        } else {
            let part = fraction(rest)?;
            (whole, if negative { -part } else { part })
        };
        let unit = counted.ok_or(Fault::Format)?;
        if unit == Unit::Hour {
            *counted = Some(Unit::Day);
        }
        self.add_unit(unit, whole, part)
    }

    /// Adds a number of units, and the part of one more.
    pub(super) fn add_unit(&mut self, unit: Unit, whole: i64, part: f64) -> Result<Mask, Fault> {
        let (added, mask) = match unit {
            Unit::Microsecond => (self.add_micros(whole, part, 1), MICROSECOND),
            Unit::Millisecond => (self.add_micros(whole, part, 1000), MILLISECOND),
            Unit::Second if part == 0.0 => (self.add_micros(whole, part, MICROS_PER_SECOND), SECOND),
            Unit::Second => (self.add_micros(whole, part, MICROS_PER_SECOND), SECOND | FRACTION),
            Unit::Minute => (self.add_micros(whole, part, MICROS_PER_MINUTE), MINUTE),
            Unit::Hour => (self.add_micros(whole, part, MICROS_PER_HOUR), HOUR),
            Unit::Day => (self.add_days(whole, 1, part), DAY),
            Unit::Week => (self.add_days(whole, 7, part), WEEK),
            Unit::Month => (self.add_months(whole, part), MONTH),
            Unit::Year => (self.add_years(whole, part, 1), YEAR),
            Unit::Decade => (self.add_years(whole, part, 10), DECADE),
            Unit::Century => (self.add_years(whole, part, 100), CENTURY),
            Unit::Millennium => (self.add_years(whole, part, 1000), MILLENNIUM),
            _ => return Err(Fault::Format),
        };
        added.ok_or(Fault::Field)?;
        Ok(mask)
    }

    fn add_micros(&mut self, whole: i64, part: f64, scale: i64) -> Option<()> {
        self.micros = self.micros.checked_add(whole.checked_mul(scale)?)?;
        self.add_part_of_micros(part, scale)
    }

    /// Adds a part of a unit that has `scale` microseconds.
    pub(super) fn add_part_of_micros(&mut self, part: f64, scale: i64) -> Option<()> {
        let scaled = part * scale as f64;
        let whole = scaled.trunc();
        let rest = scaled - whole;
        let rounded = whole as i64 + if rest > 0.5 { 1 } else { 0 } - if rest < -0.5 { 1 } else { 0 };
        self.micros = self.micros.checked_add(rounded)?;
        Some(())
    }

    fn add_days(&mut self, whole: i64, scale: i32, part: f64) -> Option<()> {
        let days = i32::try_from(whole).ok()?.checked_mul(scale)?;
        self.days = self.days.checked_add(days)?;
        self.add_part_of_days(part, scale)
    }

    fn add_part_of_days(&mut self, part: f64, scale: i32) -> Option<()> {
        let days = part * f64::from(scale);
        self.days = self.days.checked_add(days.trunc() as i32)?;
        self.add_part_of_micros(days - days.trunc(), MICROS_PER_DAY)
    }

    fn add_months(&mut self, whole: i64, part: f64) -> Option<()> {
        self.months = self.months.checked_add(i32::try_from(whole).ok()?)?;
        self.add_part_of_days(part, DAYS_PER_MONTH)
    }

    fn add_years(&mut self, whole: i64, part: f64, scale: i32) -> Option<()> {
        let years = i32::try_from(whole).ok()?.checked_mul(scale)?;
        self.years = self.years.checked_add(years)?;
        let months = (part * f64::from(scale) * 12.0).round_ties_even() as i32;
        self.months = self.months.checked_add(months)?;
        Some(())
    }
}

/// The integer at the beginning of `text`, and what follows it.
fn leading_long(text: &str) -> Result<(i64, &str), Fault> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if length == 0 {
        return Ok((0, digits));
    }
    let value = text[..text.len() - digits.len() + length].parse().map_err(|_| Fault::Field)?;
    Ok((value, &digits[length..]))
}

/// The months of `1-2`: both have the sign of the years.
fn years_and_months(years: i64, months: &str, negative: bool) -> Result<i64, Fault> {
    let (months, rest) = leading_int(months)?;
    if !(0..12).contains(&months) {
        return Err(Fault::Field);
    }
    if !rest.is_empty() {
        return Err(Fault::Format);
    }
    let months = if negative { -months } else { months };
    years.checked_mul(12).and_then(|years| years.checked_add(months)).ok_or(Fault::Field)
}

/// The microseconds of `04:05:06.789`; the hours have no limit.
fn read_time(text: &str, range: Option<IntervalFields>) -> Result<i64, Fault> {
    let (hours, rest) = leading_long(text)?;
    // The hours are read apart: they may be more than a clock's.
    let mut parts = Parts { mask: DATE, ..Parts::default() };
    parts.read_time(&format!("0{rest}"))?;
    if text.matches(':').count() == 1 && (text.contains('.') || range == Some(IntervalFields::MinuteToSecond)) {
        // `mm:ss.fff`, or `mm:ss` by the type: the first number was the minutes.
        if !text.contains('.') {
            parts.second = std::mem::take(&mut parts.minute);
        }
        parts.minute = hours;
        return parts_micros(&parts, 0);
    }
    parts_micros(&parts, hours)
}

fn parts_micros(parts: &Parts, hours: i64) -> Result<i64, Fault> {
    let sum = || {
        let minutes = hours.checked_mul(60)?.checked_add(parts.minute)?;
        let seconds = minutes.checked_mul(60)?.checked_add(parts.second)?;
        seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(parts.micros)
    };
    let valid = parts.minute < 60;
    sum().filter(|_| valid).ok_or(Fault::Field)
}
