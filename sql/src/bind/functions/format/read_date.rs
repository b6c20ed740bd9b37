//! `to_date` and `to_timestamp`: dates and times by template.

use annulus_relation::value::datetime as dt;
use annulus_relation::value::{round_instant, round_micros};
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::text;
use super::date_read::{Read, invalid, set};
use super::date_template::{DAYS, Field, MONTHS, Part, ROMAN_MONTHS, parse};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("to_date(text,text) date", |_, a| {
        let read = read(text(a, 0)?, text(a, 1)?)?;
        read.date(text(a, 0)?).map(Value::Date)
    })
    .stable(),
    entry("to_timestamp(text,text) timestamptz", to_timestamp).stable(),
];

const SECOND: i64 = 1_000_000;

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

fn read(input: &str, template: &str) -> SqlResult<Read> {
    let mut reader = Reader::new(input);
    reader.blanks();
    reader.parts(&parse(template))?;
    Ok(reader.read)
}

/// What is read as the standard has it: nothing is passed over, and nothing left.
pub(in super::super) fn read_standard(input: &str, template: &str) -> SqlResult<Standard> {
    let parts = parse(template);
    for part in &parts {
        if let Part::Text(character) = part
            && !"-./,':; ".contains(*character)
        {
            return Err(invalid(format!("invalid datetime format separator: \"{character}\"")));
        }
    }
    let mut reader = Reader { exact: true, standard: true, ..Reader::new(input) };
    if reader.parts(&parts)? < parts.len() {
        return Err(invalid("input string is too short for datetime format".to_owned()));
    }
    if !reader.rest.trim_start().is_empty() {
        return Err(invalid("trailing characters remain in input string after datetime format".to_owned()));
    }
    let fields =
        || parts.iter().filter_map(|part| if let Part::Field { field, .. } = part { Some(*field) } else { None });
    let is_zone = |field| matches!(field, Field::ZoneHours | Field::ZoneMinutes | Field::ZoneName | Field::ZoneOffset);
    Ok(Standard {
        dated: fields().any(|field| !is_zone(field) && !field.is_of_time()),
        timed: fields().any(Field::is_of_time),
        zoned: fields().any(is_zone),
        read: reader.read,
    })
}

/// What was read, and what the template asks for.
pub(in super::super) struct Standard {
    read: Read,
    /// A day.
    pub dated: bool,
    /// A time of day.
    pub timed: bool,
    /// A time zone.
    pub zoned: bool,
}

impl Standard {
    /// The day.
    pub fn date(&self, input: &str) -> SqlResult<i32> {
        self.read.date(input)
    }

    /// The local time; on the first day of the first year if there is no day.
    pub fn local(&self, input: &str) -> SqlResult<i64> {
        self.read.local(input).map(|local| round_instant(local, self.read.precision))
    }

    /// The microseconds since midnight.
    pub fn time(&self, input: &str) -> SqlResult<i64> {
        self.read.time(input).map(|time| round_micros(time, self.read.precision))
    }

    /// Seconds east of UTC, if a zone was read.
    pub fn zone(&self) -> Option<i64> {
        self.read.zone()
    }
}

impl<'a> Reader<'a> {
    fn new(input: &'a str) -> Self {
        Self { whole: input, rest: input, skipped: 0, exact: false, standard: false, read: Read::default() }
    }

    /// Reads what the parts of a template ask for until there is no more; returns how many of them had something.
    fn parts(&mut self, parts: &[Part]) -> SqlResult<usize> {
        let reader = self;
        for (index, part) in parts.iter().enumerate() {
            if reader.rest.is_empty() {
                return Ok(index);
            }
            reader.part(part, parts.get(index + 1))?;
        }
        Ok(parts.len())
    }

    fn part(&mut self, part: &Part, next: Option<&Part>) -> SqlResult<()> {
        let reader = self;
        match part {
            Part::Exact => reader.exact = true,
            Part::Text(character) | Part::Quoted(character) if reader.standard => {
                let what = if matches!(part, Part::Text(_)) { "separator" } else { "character" };
                let unmatched = || invalid(format!("unmatched format {what} \"{character}\""));
                reader.rest = reader.rest.strip_prefix(*character).ok_or_else(unmatched)?;
            }
            Part::Text(character) if !character.is_alphanumeric() && !reader.exact => reader.separator(),
            Part::Text(_) | Part::Quoted(_) => reader.character(),
            Part::Field { field, fill, ordinal, case } => {
                reader.blanks_unless_exact();
                let open = *fill || ordinal.is_some() || ends_number(next);
                reader.field(*field, open, &field.keyword(*case))?;
                if ordinal.is_some() {
                    reader.rest = reader.rest.get(2..).unwrap_or("");
                }
                reader.skipped = 0;
                reader.blanks_unless_exact();
            }
        }
        Ok(())
    }
}

/// Whether the part behind a number cannot be mistaken for more of its digits.
fn ends_number(next: Option<&Part>) -> bool {
    match next {
        None => true,
        Some(Part::Exact) => true,
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
    /// No blanks are passed over, and text takes a character each.
    exact: bool,
    /// Text takes what it says.
    standard: bool,
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
        if self.skipped > 0 && !self.exact {
            self.skipped -= 1;
        } else {
            let mut characters = self.rest.chars();
            characters.next();
            self.rest = characters.as_str();
        }
    }

    fn blanks_unless_exact(&mut self) {
        if !self.exact {
            self.blanks();
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
