//! `to_date` and `to_timestamp`: dates and times by template.

use annulus_relation::value::datetime as dt;
use annulus_relation::value::round_instant;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::text;
use super::date_template::{DAYS, Field, MONTHS, Part, ROMAN_MONTHS, parse};

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
    Ok(Value::Timestamptz(round_instant(instant, read.precision)))
}

/// What was read.
#[derive(Default)]
struct Read {
    year: i64,
    /// 0: nothing was said; 1: since Christ; 2: before.
    era: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    julian: i64,
    century: i64,
    /// How many digits of the year the template asks for.
    year_digits: usize,
    week: i64,
    week_of_month: i64,
    /// 0: nothing was said; 1: Sunday.
    weekday: i64,
    /// Whether years and weeks are those of ISO 8601; nothing has said so yet if it is `None`.
    iso: Option<bool>,
    hour: i64,
    minute: i64,
    second: i64,
    second_of_day: i64,
    millis: i64,
    micros: i64,
    /// The digits behind the point that `FF1` to `FF6` keep.
    precision: Option<u8>,
    /// 0: nothing was said; 1: morning; 2: afternoon.
    half_day: i64,
    twelve: bool,
    /// 0: nothing was said; 1: of a zone to the east; -1: to the west.
    zone_sign: i64,
    zone_hours: i64,
    zone_minutes: i64,
}

/// What an input says of one thing; as in PostgreSQL, 0 is as if it said nothing.
fn set(slot: &mut i64, value: i64, name: &str) -> SqlResult<()> {
    if *slot != 0 && *slot != value {
        return Err(invalid(format!("conflicting values for \"{name}\" field in formatting string"))
            .detail("This value contradicts a previous setting for the same field type."));
    }
    *slot = value;
    Ok(())
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
        let micros = self.millis * 1000 + self.micros;
        let seconds = match self.second_of_day {
            seconds @ 1.. if self.hour == 0 && self.minute == 0 && self.second == 0 => seconds,
            _ => (hour * 60 + self.minute) * 60 + self.second,
        };
        let in_range = (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if !in_range || !(0..86_400).contains(&seconds) || !(0..SECOND).contains(&micros) {
            return Err(out_of_range(input));
        }
        let local = days.checked_mul(DAY).and_then(|local| local.checked_add(seconds * SECOND + micros));
        dt::check_timestamp(local.ok_or_else(|| out_of_range(input))?)
    }

    fn days(&self, input: &str) -> SqlResult<i64> {
        if self.julian != 0 {
            return Ok(self.julian - JULIAN_EPOCH);
        }
        let year = self.astronomical_year();
        let iso = self.iso == Some(true);
        let mut date = dt::Civil { year, month: 1, day: 1 };
        let (mut day, mut day_of_year) = (self.day, self.day_of_year);
        if self.week != 0 && iso {
            // Sunday ends the week; without a day it is Monday.
            let weekday = if self.weekday == 1 { 6 } else { (self.weekday - 2).max(0) };
            date = dt::Civil::from_days(iso_week(year, self.week) + weekday);
        } else if self.week != 0 {
            day_of_year = (self.week - 1) * 7 + 1;
        }
        if self.week_of_month != 0 {
            day = (self.week_of_month - 1) * 7 + 1;
        }
        date.day = if day == 0 { date.day } else { day };
        date.month = if self.month == 0 { date.month } else { self.month };
        if day_of_year != 0 && (date.month <= 1 || date.day <= 1) {
            if year == 0 && self.era == 0 {
                return Err(invalid("cannot calculate day of year without year information".to_owned()));
            }
            let found = if iso { iso_week(year, 1) } else { dt::Civil { year, month: 1, day: 1 }.days() };
            let found = dt::Civil::from_days(found + day_of_year - 1);
            if !iso && found.year != year {
                return Err(out_of_range(input));
            }
            date = match iso {
                true => found,
                false => dt::Civil {
                    year,
                    month: if date.month <= 1 { found.month } else { date.month },
                    day: if date.day <= 1 { found.day } else { date.day },
                },
            };
        }
        let exists = (1..=12).contains(&date.month) && dt::Civil::from_days(date.days()) == date;
        if exists { Ok(date.days()) } else { Err(out_of_range(input)) }
    }

    /// The year where 0 is the one before the first.
    fn astronomical_year(&self) -> i64 {
        let before_christ = self.era == 2;
        let century = if before_christ { -self.century } else { self.century };
        if self.year != 0 && century != 0 && self.year_digits <= 2 {
            return match (self.year % 100, century) {
                (0, 0..) => century * 100,
                (0, _) => century * 100 + 1,
                (rest, 0..) => rest + (century - 1) * 100,
                (rest, _) => (century + 1) * 100 - rest + 1,
            };
        }
        if self.year == 0 && century != 0 {
            return if century > 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 };
        }
        let counted = if before_christ { -self.year } else { self.year };
        if counted < 0 { counted + 1 } else { counted }
    }

    /// Years, weeks and days are either the calendar's or those of ISO 8601.
    fn keep_to(&mut self, field: Field) -> SqlResult<()> {
        let iso = match field {
            Field::IsoYear(_) | Field::IsoWeek | Field::IsoDayOfWeek | Field::IsoDayOfYear => true,
            Field::Year(_) | Field::YearWithComma | Field::Month | Field::MonthName | Field::MonthShort => false,
            Field::RomanMonth | Field::Day | Field::DayOfYear | Field::DayOfWeek => false,
            Field::WeekOfYear | Field::WeekOfMonth => false,
            _ => return Ok(()),
        };
        if *self.iso.get_or_insert(iso) != iso {
            return Err(invalid("invalid combination of date conventions".to_owned())
                .hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
        Ok(())
    }

    fn hour(&self) -> SqlResult<i64> {
        if !self.twelve {
            return Ok(self.hour);
        }
        if !(1..=12).contains(&self.hour) {
            return Err(invalid(format!("hour \"{}\" is invalid for the 12-hour clock", self.hour))
                .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        Ok(match self.half_day {
            2 => self.hour % 12 + 12,
            1 => self.hour % 12,
            _ => self.hour,
        })
    }

    /// Seconds east of UTC, if a zone was read.
    fn zone(&self) -> Option<i64> {
        (self.zone_sign != 0).then_some(self.zone_sign * (self.zone_hours * 60 + self.zone_minutes) * 60)
    }
}

/// The Monday of a week of ISO 8601: the first has the fourth of January.
fn iso_week(year: i64, week: i64) -> i64 {
    let fourth = dt::Civil { year, month: 1, day: 4 }.days();
    fourth - (dt::weekday(fourth) + 6) % 7 + (week - 1) * 7
}

fn read(input: &str, template: &str) -> SqlResult<Read> {
    let mut reader = Reader { whole: input, rest: input, skipped: 0, read: Read::default() };
    reader.blanks();
    let parts = parse(template);
    for (index, part) in parts.iter().enumerate() {
        if reader.rest.is_empty() {
            break;
        }
        match part {
            Part::Text(character) if !character.is_alphanumeric() => reader.separator(),
            Part::Text(_) | Part::Quoted(_) => reader.character(),
            Part::Field { field, fill, ordinal, case } => {
                reader.blanks();
                let open = *fill || ordinal.is_some() || ends_number(parts.get(index + 1));
                reader.field(*field, open, &field.keyword(*case))?;
                if ordinal.is_some() {
                    reader.rest = reader.rest.get(2..).unwrap_or("");
                }
                reader.skipped = 0;
                reader.blanks();
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
    whole: &'a str,
    rest: &'a str,
    /// Characters skipped beyond what the template asked for.
    skipped: i64,
    read: Read,
}

/// Reads a number of so many digits into a field.
macro_rules! set_number {
    ($reader:ident, $slot:ident, $width:expr, $open:expr, $name:expr) => {{
        let (number, _) = $reader.number($width, $open, $name)?;
        set(&mut $reader.read.$slot, number, $name)?;
    }};
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

    fn field(&mut self, field: Field, open: bool, name: &str) -> SqlResult<()> {
        self.read.keep_to(field)?;
        match field {
            Field::Hour24 => set_number!(self, hour, 2, open, name),
            Field::Hour12 => {
                set_number!(self, hour, 2, open, name);
                self.read.twelve = true;
            }
            Field::Minute => set_number!(self, minute, 2, open, name),
            Field::Second => set_number!(self, second, 2, open, name),
            Field::Millisecond => {
                let millis = self.fraction(3, 3, open, name)?;
                set(&mut self.read.millis, millis, name)?;
            }
            Field::Microsecond => {
                let micros = self.fraction(6, 6, open, name)?;
                set(&mut self.read.micros, micros, name)?;
            }
            Field::Fraction(digits) => {
                self.read.precision = u8::try_from(digits).ok();
                let micros = self.fraction(usize::try_from(digits).unwrap_or(6), 6, open, name)?;
                set(&mut self.read.micros, micros, name)?;
            }
            Field::SecondOfDay => set_number!(self, second_of_day, 5, open, name),
            Field::Year(digits) | Field::IsoYear(digits) => self.year(digits, open, name)?,
            Field::YearWithComma => self.year_with_comma(name)?,
            Field::Month => set_number!(self, month, 2, open, name),
            Field::Day => set_number!(self, day, 2, open, name),
            Field::DayOfYear | Field::IsoDayOfYear => set_number!(self, day_of_year, 3, open, name),
            Field::WeekOfYear | Field::IsoWeek => set_number!(self, week, 2, open, name),
            Field::WeekOfMonth => set_number!(self, week_of_month, 1, open, name),
            Field::Century => set_number!(self, century, 2, open, name),
            Field::DayOfWeek => set_number!(self, weekday, 1, open, name),
            Field::IsoDayOfWeek => {
                set_number!(self, weekday, 1, open, name);
                self.read.weekday = if self.read.weekday >= 7 { 1 } else { self.read.weekday + 1 };
            }
            Field::Julian => set_number!(self, julian, 7, true, name),
            // It does not say which day of the quarter.
            Field::Quarter => drop(self.number(1, open, name)?),
            Field::DayName | Field::DayShort => {
                let index = self.name(&DAYS, field == Field::DayShort, name)?;
                set(&mut self.read.weekday, index, name)?;
                self.read.weekday += 1;
            }
            Field::MonthName | Field::MonthShort | Field::RomanMonth => self.month_by_name(field, name)?,
            Field::Meridiem { dots } => {
                let names = if dots { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                let half = self.name(&names, false, name)? + 1;
                set(&mut self.read.half_day, half, name)?;
                self.read.twelve = true;
            }
            Field::Era { dots } => {
                let names = if dots { ["A.D.", "B.C."] } else { ["AD", "BC"] };
                let era = self.name(&names, false, name)? + 1;
                set(&mut self.read.era, era, name)?;
            }
            Field::ZoneHours => {
                self.zone_sign();
                set_number!(self, zone_hours, 2, open, name);
            }
            Field::ZoneMinutes => {
                if self.read.zone_sign == 0 {
                    self.read.zone_sign = 1;
                }
                set_number!(self, zone_minutes, 2, open, name);
            }
            Field::ZoneName | Field::ZoneOffset => {
                let message = format!("formatting field \"{name}\" is only supported in to_char");
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        }
        Ok(())
    }

    fn month_by_name(&mut self, field: Field, name: &str) -> SqlResult<()> {
        let month = match field {
            // Longer numerals come before those that they begin with.
            Field::RomanMonth => {
                let mut numerals = ROMAN_MONTHS;
                numerals.reverse();
                12 - self.name(&numerals, false, name)?
            }
            field => self.name(&MONTHS, field == Field::MonthShort, name)? + 1,
        };
        set(&mut self.read.month, month, name)
    }

    /// The sign of a zone: written, or passed over as a separator.
    fn zone_sign(&mut self) {
        let passed = &self.whole[..self.whole.len() - self.rest.len()];
        let west = match self.rest.strip_prefix(['+', '-', ' ']) {
            Some(rest) => {
                let west = self.rest.starts_with('-');
                self.rest = rest;
                west
            }
            None => self.skipped > 0 && passed.ends_with('-'),
        };
        self.read.zone_sign = if west { -1 } else { 1 };
    }

    /// A number of at most so many digits, or as many as there are if that is open; and how many there were.
    fn number(&mut self, width: usize, open: bool, name: &str) -> SqlResult<(i64, usize)> {
        self.blanks();
        let limit = if open { usize::MAX } else { width };
        let sign = usize::from(self.rest.starts_with(['+', '-']) && limit > 1);
        let digits = self.rest.bytes().skip(sign).take(limit - sign).take_while(u8::is_ascii_digit).count();
        let length = if digits == 0 { 0 } else { sign + digits };
        let shown = || self.rest.chars().take(width).collect::<String>();
        if !open && self.rest.len() < width {
            let remain = self.rest.len();
            return Err(invalid(format!("source string too short for \"{name}\" formatting field"))
                .detail(format!("Field requires {width} characters, but only {remain} remain."))
                .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        if length == 0 {
            return Err(
                invalid(format!("invalid value \"{}\" for \"{name}\"", shown())).detail("Value must be an integer.")
            );
        }
        if !open && length < width {
            return Err(invalid(format!("invalid value \"{}\" for \"{name}\"", shown()))
                .detail(format!("Field requires {width} characters, but only {length} could be parsed."))
                .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let number: i32 = self.rest[..length].parse().map_err(|_| {
            let message = format!("value for \"{name}\" in source string is out of range");
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message).detail(format!(
                "Value must be in the range {} to {}.",
                i32::MIN,
                i32::MAX
            ))
        })?;
        self.rest = &self.rest[length..];
        Ok((i64::from(number), length))
    }

    /// Digits behind the point, as a number of units of which a second has ten to the power of `unit`.
    fn fraction(&mut self, width: usize, unit: usize, open: bool, name: &str) -> SqlResult<i64> {
        let (number, digits) = self.number(width, open, name)?;
        let missing = u32::try_from(unit.saturating_sub(digits)).unwrap_or(0);
        Ok(number * 10i64.pow(missing))
    }

    /// A year; of fewer than four digits, the one nearest to 2020.
    fn year(&mut self, digits: usize, open: bool, name: &str) -> SqlResult<()> {
        let (year, read) = self.number(digits, open, name)?;
        self.read.year_digits = digits;
        let year = match year {
            year if digits == 4 || read > 3 => year,
            ..70 => year + 2000,
            70..100 => year + 1900,
            100..520 => year + 2000,
            520..1000 => year + 1000,
            year => year,
        };
        set(&mut self.read.year, year, name)
    }

    /// `1,582`
    fn year_with_comma(&mut self, name: &str) -> SqlResult<()> {
        let failed = || invalid(format!("invalid input string for \"{name}\""));
        let (thousands, rest) = self.rest.split_once(',').ok_or_else(failed)?;
        let length = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let number = |text: &str| text.trim_start().parse::<i32>().map(i64::from).map_err(|_| failed());
        let year = number(thousands)? * 1000 + number(&rest[..length])?;
        self.rest = &rest[length..];
        self.read.year_digits = 4;
        set(&mut self.read.year, year, name)
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
