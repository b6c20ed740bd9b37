//! `to_date` and `to_timestamp`: dates and times by template.

use annulus_relation::value::datetime as dt;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::text;
use super::date_template::{DAYS, Field, MONTHS, Part, parse};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("to_date(text,text) date", |_, a| {
        let read = read(text(a, 0)?, text(a, 1)?)?;
        Ok(Value::Date(dt::timestamp_to_date(read.local(text(a, 0)?)? / DAY * DAY)))
    })
    .stable(),
    entry("to_timestamp(text,text) timestamptz", to_timestamp).stable(),
];

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// The Julian day of 2000-01-01.
const JULIAN_EPOCH: i64 = 2_451_545;

fn to_timestamp(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let input = text(args, 0)?;
    let read = read(input, text(args, 1)?)?;
    let local = read.local(input)?;
    let instant = match read.zone() {
        Some(seconds) => dt::check_timestamp(local - seconds * SECOND)?,
        None => dt::timestamp_to_timestamptz(local, &site.cx.env.zone)?,
    };
    Ok(Value::Timestamptz(instant))
}

/// What was read.
#[derive(Default)]
struct Read {
    year: i64,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    second_of_day: Option<i64>,
    micros: i64,
    afternoon: Option<bool>,
    twelve: bool,
    zone_hours: Option<i64>,
    zone_minutes: i64,
}

fn out_of_range(input: &str) -> SqlError {
    let message = format!("date/time field value out of range: \"{input}\"");
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

impl Read {
    /// The local time, checked.
    fn local(&self, input: &str) -> SqlResult<i64> {
        let days = self.days(input)?;
        let hour = self.hour()?;
        let seconds = match self.second_of_day {
            Some(seconds) if self.hour == 0 && self.minute == 0 && self.second == 0 => seconds,
            _ => (hour * 60 + self.minute) * 60 + self.second,
        };
        let in_range = (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if !in_range || !(0..86_400).contains(&seconds) || !(0..SECOND).contains(&self.micros) {
            return Err(out_of_range(input));
        }
        let local = days.checked_mul(DAY).and_then(|local| local.checked_add(seconds * SECOND + self.micros));
        dt::check_timestamp(local.ok_or_else(|| out_of_range(input))?)
    }

    fn days(&self, input: &str) -> SqlResult<i64> {
        if let Some(julian) = self.julian {
            return Ok(julian - JULIAN_EPOCH);
        }
        let year = if self.before_christ { 1 - self.year } else { self.year };
        let first = dt::Civil { year, month: 1, day: 1 };
        if let (Some(day), None, None) = (self.day_of_year, self.month, self.day) {
            let length = dt::Civil { year: year + 1, ..first }.days() - first.days();
            return if (1..=length).contains(&day) { Ok(first.days() + day - 1) } else { Err(out_of_range(input)) };
        }
        let date = dt::Civil { year, month: self.month.unwrap_or(1), day: self.day.unwrap_or(1) };
        let exists = (1..=12).contains(&date.month) && dt::Civil::from_days(date.days()) == date;
        if exists { Ok(date.days()) } else { Err(out_of_range(input)) }
    }

    fn hour(&self) -> SqlResult<i64> {
        if !self.twelve {
            return Ok(self.hour);
        }
        if !(1..=12).contains(&self.hour) {
            return Err(invalid(format!("hour \"{}\" is invalid for the 12-hour clock", self.hour))
                .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        Ok(match self.afternoon {
            Some(true) => self.hour % 12 + 12,
            Some(false) => self.hour % 12,
            None => self.hour,
        })
    }

    /// Seconds east of UTC, if a zone was read.
    fn zone(&self) -> Option<i64> {
        let hours = self.zone_hours?;
        let minutes = if hours < 0 { -self.zone_minutes } else { self.zone_minutes };
        Some(hours * 3600 + minutes * 60)
    }
}

fn read(input: &str, template: &str) -> SqlResult<Read> {
    let mut reader = Reader { rest: input.trim_start(), skipped: 0, read: Read::default() };
    let parts = parse(template);
    for (index, part) in parts.iter().enumerate() {
        if reader.rest.is_empty() {
            break;
        }
        match part {
            Part::Text(character) if !character.is_alphanumeric() => reader.separator(),
            Part::Text(_) | Part::Quoted(_) => reader.character(),
            Part::Field { field, fill, ordinal, .. } => {
                reader.blanks();
                let open = *fill || ordinal.is_some() || ends_number(parts.get(index + 1));
                reader.field(*field, open)?;
                if ordinal.is_some() {
                    reader.rest = reader.rest.get(2..).unwrap_or("");
                }
            }
        }
    }
    Ok(reader.read)
}

/// Whether the part behind a number cannot be mistaken for more of its digits.
fn ends_number(next: Option<&Part>) -> bool {
    match next {
        None => true,
        Some(Part::Text(character) | Part::Quoted(character)) => !character.is_ascii_digit(),
        Some(Part::Field { field, .. }) => matches!(
            field,
            Field::MonthName
                | Field::MonthShort
                | Field::DayName
                | Field::DayShort
                | Field::Meridiem { .. }
                | Field::Era { .. }
                | Field::RomanMonth
                | Field::ZoneHours
        ),
    }
}

struct Reader<'a> {
    rest: &'a str,
    /// Characters skipped beyond what the template asked for.
    skipped: i64,
    read: Read,
}

impl Reader<'_> {
    /// A separator matches any one, or nothing.
    fn separator(&mut self) {
        self.skipped -= 1;
        let mut characters = self.rest.chars();
        if characters.next().is_some_and(|c| c.is_ascii() && !c.is_ascii_alphanumeric()) {
            self.rest = characters.as_str();
            self.skipped += 1;
        }
    }

    /// Text matches any one character.
    fn character(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            let mut characters = self.rest.chars();
            characters.next();
            self.rest = characters.as_str();
        }
    }

    fn blanks(&mut self) {
        let trimmed = self.rest.trim_start();
        self.skipped += i64::try_from(self.rest.len() - trimmed.len()).unwrap_or(0);
        self.rest = trimmed;
    }

    fn field(&mut self, field: Field, open: bool) -> SqlResult<()> {
        match field {
            Field::Hour24 => self.read.hour = self.number(2, open, "HH24")?.0,
            Field::Hour12 => {
                self.read.hour = self.number(2, open, "HH12")?.0;
                self.read.twelve = true;
            }
            Field::Minute => self.read.minute = self.number(2, open, "MI")?.0,
            Field::Second => self.read.second = self.number(2, open, "SS")?.0,
            Field::Millisecond => self.read.micros = self.fraction(3, open, "MS")?,
            Field::Microsecond => self.read.micros = self.fraction(6, open, "US")?,
            Field::Fraction(digits) => self.read.micros = self.fraction(digits, open, "FF")?,
            Field::SecondOfDay => self.read.second_of_day = Some(self.number(5, open, "SSSSS")?.0),
            Field::Year(digits) => self.year(digits, open)?,
            Field::Month => self.read.month = Some(self.number(2, open, "MM")?.0),
            Field::Day => self.read.day = Some(self.number(2, open, "DD")?.0),
            Field::DayOfYear => self.read.day_of_year = Some(self.number(3, open, "DDD")?.0),
            Field::Julian => self.read.julian = Some(self.number(7, true, "J")?.0),
            Field::MonthName => self.read.month = Some(self.name(&MONTHS, false, "MONTH")? + 1),
            Field::MonthShort => self.read.month = Some(self.name(&MONTHS, true, "MON")? + 1),
            Field::DayName => drop(self.name(&DAYS, false, "DAY")?),
            Field::DayShort => drop(self.name(&DAYS, true, "DY")?),
            Field::Meridiem { dots } => {
                let names = if dots { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                self.read.afternoon = Some(self.name(&names, false, names[0])? == 1);
                self.read.twelve = true;
            }
            Field::Era { dots } => {
                let names = if dots { ["A.D.", "B.C."] } else { ["AD", "BC"] };
                self.read.before_christ = self.name(&names, false, names[0])? == 1;
            }
            Field::ZoneHours => {
                let sign = if self.rest.starts_with('-') { -1 } else { 1 };
                self.rest = self.rest.trim_start_matches(['+', '-', ' ']);
                self.read.zone_hours = Some(sign * self.number(2, open, "TZH")?.0);
            }
            Field::ZoneMinutes => self.read.zone_minutes = self.number(2, open, "TZM")?.0,
            other => return Err(SqlError::unsupported(format_args!("{other:?} in to_date and to_timestamp"))),
        }
        Ok(())
    }

    /// A number of at most so many digits, or as many as there are if that is open; and how many there were.
    fn number(&mut self, width: usize, open: bool, name: &str) -> SqlResult<(i64, u32)> {
        self.blanks();
        let limit = if open { usize::MAX } else { width };
        let length = self.rest.bytes().take(limit).take_while(u8::is_ascii_digit).count();
        if length == 0 {
            let shown: String = self.rest.chars().take(width).collect();
            return Err(
                invalid(format!("invalid value \"{shown}\" for \"{name}\"")).detail("Value must be an integer.")
            );
        }
        if !open && self.rest.len() < width {
            let remain = self.rest.len();
            return Err(invalid(format!("source string too short for \"{name}\" formatting field"))
                .detail(format!("Field requires {width} characters, but only {remain} remain."))
                .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        if !open && length < width {
            let shown: String = self.rest.chars().take(width).collect();
            return Err(invalid(format!("invalid value \"{shown}\" for \"{name}\""))
                .detail(format!("Field requires {width} characters, but only {length} could be parsed."))
                .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let number: i32 = self.rest[..length].parse().map_err(|_| {
            let message = format!("value for \"{name}\" in source string is out of range");
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
        })?;
        self.rest = &self.rest[length..];
        Ok((i64::from(number), u32::try_from(length).unwrap_or(u32::MAX)))
    }

    /// Digits behind the point, as microseconds.
    fn fraction(&mut self, width: u32, open: bool, name: &str) -> SqlResult<i64> {
        let (number, digits) = self.number(usize::try_from(width).unwrap_or(6), open, name)?;
        Ok(match 6u32.checked_sub(digits) {
            Some(missing) => number * 10i64.pow(missing),
            None => number / 10i64.pow((digits - 6).min(18)),
        })
    }

    /// A year; of fewer than four digits, the one nearest to 2020.
    fn year(&mut self, digits: usize, open: bool) -> SqlResult<()> {
        let name = &"YYYY"[..digits];
        let (year, read) = self.number(digits, open, name)?;
        self.read.year = match year {
            year if digits == 4 || read > 3 => year,
            0..70 => year + 2000,
            70..100 => year + 1900,
            100..520 => year + 2000,
            year => year + 1000,
        };
        Ok(())
    }

    /// The index of the name that comes next, in any case.
    fn name(&mut self, names: &[&str], short: bool, field: &str) -> SqlResult<i64> {
        let written = |name: &str| if short { name[..3].to_owned() } else { name.to_owned() };
        let found = names.iter().position(|name| {
            let name = written(name);
            self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&name))
        });
        let Some(index) = found else {
            let shown: String = self.rest.chars().take_while(|c| !c.is_whitespace()).collect();
            return Err(invalid(format!("invalid value \"{shown}\" for \"{field}\""))
                .detail("The given value did not match any of the allowed values for this field."));
        };
        self.rest = &self.rest[written(names[index]).len()..];
        Ok(i64::try_from(index).unwrap_or(0))
    }
}
