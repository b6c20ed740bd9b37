//! `to_char` of dates, times and intervals.

use annulus_relation::value::datetime::{self as dt, Moment, weekday};
use annulus_relation::value::{Interval, datetime::LocalClock};
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{interval, string, text, timestamp, timestamptz};
use super::date_template::{Case, DAYS, Field, MONTHS, Part, ROMAN_MONTHS, parse};
use super::number::ordinal_ending;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("to_char(timestamp,text) text", |_, a| match timestamp(a, 0)? {
        at if dt::is_infinite(at) => Ok(Value::Null),
        at => written(&Shown::at(at, None), text(a, 1)?),
    })
    .stable(),
    entry("to_char(timestamptz,text) text", of_timestamptz).stable(),
    entry("to_char(interval,text) text", |_, a| written(&Shown::span(&interval(a, 0)?), text(a, 1)?)).stable(),
];

/// The Julian day of 2000-01-01.
const JULIAN_EPOCH: i64 = 2_451_545;

/// What is written: a moment, or an interval's parts.
struct Shown {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// The moment's day; an interval has none.
    date: Option<dt::Civil>,
    clock: Option<LocalClock>,
}

impl Shown {
    fn at(local: i64, clock: Option<LocalClock>) -> Self {
        let Moment { date, hour, minute, second, micros } = Moment::from_local(local);
        Self {
            year: date.year,
            month: date.month,
            day: date.day,
            hour,
            minute,
            second,
            micros,
            date: Some(date),
            clock,
        }
    }

    fn span(span: &Interval) -> Self {
        let parts = span.parts();
        Self {
            year: parts.years,
            month: parts.months,
            day: parts.days,
            hour: parts.hours,
            minute: parts.minutes,
            second: parts.seconds,
            micros: parts.micros,
            date: None,
            clock: None,
        }
    }

    /// The year as people count it: there is no year 0.
    const fn counted(&self, year: i64) -> i64 {
        if self.date.is_some() && year <= 0 { 1 - year } else { year }
    }
}

fn of_timestamptz(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (at, zone) = (timestamptz(args, 0)?, &site.cx.env.zone);
    if dt::is_infinite(at) {
        return Ok(Value::Null);
    }
    let local = dt::timestamptz_to_timestamp(at, zone)?;
    written(&Shown::at(local, Some(zone.clock(at))), text(args, 1)?)
}

fn written(shown: &Shown, template: &str) -> SqlResult<Value> {
    if template.is_empty() {
        return Ok(Value::Null);
    }
    let mut out = String::new();
    for part in parse(template) {
        match part {
            Part::Exact => {}
            Part::Text(character) | Part::Quoted(character) => out.push(character),
            Part::Field { field, case, fill, ordinal } => {
                let text = shown.field(field, case, fill)?;
                out.push_str(&text);
                if let Some(upper) = ordinal.filter(|_| text.ends_with(|c: char| c.is_ascii_digit())) {
                    out.push_str(ordinal_ending(&text, upper)?);
                }
            }
        }
    }
    string(out)
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_ascii_uppercase(),
        Case::Capital => text.into(),
        Case::Lower => text.to_ascii_lowercase(),
    }
}

/// A number with at least so many digits, unless `FM`.
fn padded(number: i64, width: usize, fill: bool) -> String {
    let width = if fill { 0 } else { width + usize::from(number < 0) };
    format!("{number:0width$}")
}

fn blank_padded(text: String, width: usize, fill: bool) -> String {
    if fill { text } else { format!("{text:<width$}") }
}

fn not_of_interval() -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value")
        .hint("Intervals are not tied to specific calendar dates.")
}

impl Shown {
    fn field(&self, field: Field, case: Case, fill: bool) -> SqlResult<String> {
        Ok(match field {
            Field::Hour24 => padded(self.hour, 2, fill),
            Field::Hour12 => padded(if self.hour % 12 == 0 { 12 } else { self.hour % 12 }, 2, fill),
            Field::Minute => padded(self.minute, 2, fill),
            Field::Second => padded(self.second, 2, fill),
            Field::Millisecond => padded(self.micros / 1000, 3, false),
            Field::Microsecond => padded(self.micros, 6, false),
            Field::Fraction(digits) => {
                padded(self.micros / 10i64.pow(6 - digits), usize::try_from(digits).unwrap_or(6), false)
            }
            Field::SecondOfDay => ((self.hour * 60 + self.minute) * 60 + self.second).to_string(),
            Field::Meridiem { dots } => {
                let afternoon = self.hour.rem_euclid(24) >= 12;
                cased(
                    match (afternoon, dots) {
                        (false, false) => "AM",
                        (true, false) => "PM",
                        (false, true) => "A.M.",
                        (true, true) => "P.M.",
                    },
                    case,
                )
            }
            Field::Year(digits) => self.year_of(self.year, digits, fill),
            Field::YearWithComma => {
                let year = self.counted(self.year);
                format!("{},{:03}", year / 1000, year % 1000)
            }
            Field::Month => padded(self.month, 2, fill),
            Field::Day => padded(self.day, 2, fill),
            Field::Century => padded(self.century(), 2, fill),
            Field::Quarter if self.month == 0 => String::new(),
            Field::Quarter => ((self.month - 1) / 3 + 1).to_string(),
            Field::RomanMonth => self.roman_month(case, fill),
            Field::WeekOfMonth => ((self.day - 1) / 7 + 1).to_string(),
            other => self.of_date(other, case, fill)?,
        })
    }

    fn year_of(&self, year: i64, digits: usize, fill: bool) -> String {
        let year = self.counted(year);
        let year = if digits < 4 { year % 10i64.pow(u32::try_from(digits).unwrap_or(4)) } else { year };
        padded(year, digits, fill)
    }

    fn century(&self) -> i64 {
        match (self.date, self.year) {
            (None, year) => year / 100,
            (_, year @ 1..) => (year - 1) / 100 + 1,
            (_, year) => year / 100 - 1,
        }
    }

    fn roman_month(&self, case: Case, fill: bool) -> String {
        if self.month == 0 && self.year == 0 {
            return String::new();
        }
        // Months before the beginning are counted backwards from the last; of whole years none is left.
        let month = match self.month {
            0 if self.year < 0 => 1,
            0 => 12,
            month @ ..0 => 13 + month,
            month => month,
        };
        let numeral = ROMAN_MONTHS[usize::try_from(month - 1).unwrap_or(0) % 12];
        blank_padded(cased(numeral, case), 4, fill)
    }

    /// Fields that only a day of the calendar has.
    fn of_date(&self, field: Field, case: Case, fill: bool) -> SqlResult<String> {
        let date = self.date.ok_or_else(not_of_interval)?;
        let days = date.days();
        let (iso_year, iso_week) = date.iso_week();
        let of_week = usize::try_from(weekday(days)).unwrap_or(0);
        let iso_of_week = (weekday(days) + 6) % 7 + 1;
        let month = MONTHS[usize::try_from(date.month - 1).unwrap_or(0)];
        Ok(match field {
            Field::Era { dots } => {
                let era = match (date.year <= 0, dots) {
                    (true, false) => "BC",
                    (false, false) => "AD",
                    (true, true) => "B.C.",
                    (false, true) => "A.D.",
                };
                cased(era, case)
            }
            Field::IsoYear(digits) => self.year_of(iso_year, digits, fill),
            Field::MonthName => blank_padded(cased(month, case), 9, fill),
            Field::MonthShort => cased(&month[..3], case),
            Field::DayName => blank_padded(cased(DAYS[of_week], case), 9, fill),
            Field::DayShort => cased(&DAYS[of_week][..3], case),
            Field::DayOfYear => padded(date.day_of_year(), 3, fill),
            Field::IsoDayOfYear => padded((iso_week - 1) * 7 + iso_of_week, 3, fill),
            Field::DayOfWeek => (of_week + 1).to_string(),
            Field::IsoDayOfWeek => iso_of_week.to_string(),
            Field::WeekOfYear => padded((date.day_of_year() - 1) / 7 + 1, 2, fill),
            Field::IsoWeek => padded(iso_week, 2, fill),
            Field::Julian => (days + JULIAN_EPOCH).to_string(),
            zone => self.zone(zone, case, fill),
        })
    }

    fn zone(&self, field: Field, case: Case, fill: bool) -> String {
        let offset = i64::from(self.clock.as_ref().map_or(0, |clock| clock.offset));
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 3600, offset.abs() % 3600 / 60);
        match field {
            Field::ZoneName => self.clock.as_ref().map_or_else(String::new, |clock| {
                if case == Case::Lower { clock.abbreviation.to_lowercase() } else { clock.abbreviation.clone() }
            }),
            Field::ZoneHours => format!("{sign}{hours:02}"),
            Field::ZoneMinutes => format!("{minutes:02}"),
            _ if minutes == 0 => format!("{sign}{}", padded(hours, 2, fill)),
            _ => format!("{sign}{}:{minutes:02}", padded(hours, 2, fill)),
        }
    }
}
