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
        // There is no year 0: -1 is the year before 1.
        let counted = if self.era == 2 { -self.year } else { self.year };
        let year = if counted < 0 { counted + 1 } else { counted };
        let first = dt::Civil { year, month: 1, day: 1 };
        let day = self.day_of_year;
        if day != 0 && self.month == 0 && self.day == 0 {
            let length = dt::Civil { year: year + 1, ..first }.days() - first.days();
            return if (1..=length).contains(&day) { Ok(first.days() + day - 1) } else { Err(out_of_range(input)) };
        }
        let date = dt::Civil { year, month: given(self.month), day: given(self.day) };
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

/// A month or a day, the first if none was given.
const fn given(number: i64) -> i64 {
    if number == 0 { 1 } else { number }
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
            Field::Year(digits) => self.year(digits, open, name)?,
            Field::YearWithComma => self.year_with_comma(name)?,
            Field::Month => set_number!(self, month, 2, open, name),
            Field::Day => set_number!(self, day, 2, open, name),
            Field::DayOfYear => set_number!(self, day_of_year, 3, open, name),
            Field::Julian => set_number!(self, julian, 7, true, name),
            // It does not say which day of the quarter.
            Field::Quarter => drop(self.number(1, open, name)?),
            Field::DayName => drop(self.name(&DAYS, false, name)?),
            Field::DayShort => drop(self.name(&DAYS, true, name)?),
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
            other => return Err(SqlError::unsupported(format_args!("{other:?} in to_date and to_timestamp"))),
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
