//! The parts of a date and a time, as they are found one by one in text.
//!
//! Source: PostgreSQL 15, `datetime.c`: numbers mean what is still missing, year before month before day if the year has
//! more than two digits, otherwise in the session's order.

use super::calendar::{Civil, month_length};
use super::fault::Fault;
use super::words::{Word, word};
use super::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::value::DateOrder;

/// Sets of parts.
pub type Mask = u32;
pub const YEAR: Mask = 1;
pub const MONTH: Mask = 1 << 1;
pub const DAY: Mask = 1 << 2;
pub const DATE: Mask = YEAR | MONTH | DAY;
pub const DAY_OF_YEAR: Mask = 1 << 3;
pub const HOUR: Mask = 1 << 4;
pub const MINUTE: Mask = 1 << 5;
pub const SECOND: Mask = 1 << 6;
pub const MILLISECOND: Mask = 1 << 7;
pub const MICROSECOND: Mask = 1 << 18;
pub const FRACTION: Mask = MILLISECOND | MICROSECOND;
pub const TIME: Mask = HOUR | MINUTE | SECOND | FRACTION;
pub const ZONE: Mask = 1 << 8;
/// The zone is one of daylight saving, or a short name whose meaning depends on the time.
pub const ZONE_VARIES: Mask = 1 << 9;
pub const DAYLIGHT_SAVING: Mask = 1 << 19;
pub const RESERVED: Mask = 1 << 10;
pub const MERIDIEM: Mask = 1 << 11;
pub const ERA: Mask = 1 << 12;
pub const WEEKDAY: Mask = 1 << 13;
/// Parts of intervals that dates do not have.
pub const WEEK: Mask = 1 << 14;
pub const DECADE: Mask = 1 << 15;
pub const CENTURY: Mask = 1 << 16;
pub const MILLENNIUM: Mask = 1 << 17;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Which parts there are.
    pub mask: Mask,
    /// What numbers without names mean.
    pub order: DateOrder,
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub day_of_year: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
    /// The year was given with two digits at most.
    pub short_year: bool,
    /// The year counts before Christ.
    pub before_christ: bool,
    /// The date was given as a Julian day.
    pub julian: bool,
    /// The month was given by its name.
    pub named_month: bool,
    /// Morning is false, afternoon is true.
    pub afternoon: Option<bool>,
}

/// The integer at the beginning of `text`, and what follows it; as C's `strtol` into an `int`.
pub fn leading_int(text: &str) -> Result<(i64, &str), Fault> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if length == 0 {
        return Ok((0, text));
    }
    let value: i32 = text[..text.len() - digits.len() + length].parse().map_err(|_| Fault::Field)?;
    Ok((i64::from(value), &digits[length..]))
}

/// The fraction `.123`; only a point is 0.
pub fn fraction(text: &str) -> Result<f64, Fault> {
    let digits = text.strip_prefix('.').ok_or(Fault::Format)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Format);
    }
    format!("0.{digits}0").parse().map_err(|_| Fault::Format)
}

/// The fraction of a second, in microseconds.
pub fn fraction_micros(text: &str) -> Result<i64, Fault> {
    Ok((fraction(text)? * MICROS_PER_SECOND as f64).round_ties_even() as i64)
}

fn digits(text: &str) -> Result<i64, Fault> {
    let value: i32 = text.parse().map_err(|_| Fault::Field)?;
    Ok(i64::from(value))
}

impl Parts {
    /// Adds parts, which must be new.
    pub fn add(&mut self, parts: Mask) -> Result<(), Fault> {
        if self.mask & parts != 0 {
            return Err(Fault::Format);
        }
        self.mask |= parts;
        Ok(())
    }

    /// Whether all of these parts are there.
    pub const fn has(&self, parts: Mask) -> bool {
        self.mask & parts == parts
    }

    /// Reads a date with delimiters: `2001-02-03`, `03-Feb-2001`, `2/3/2001`, `2001.034`.
    pub fn read_date(&mut self, text: &str) -> Result<Mask, Fault> {
        let is_delimiter = |c: char| !c.is_ascii_alphanumeric();
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(is_delimiter);
            let first = rest.chars().next().ok_or(Fault::Format)?;
            let end = rest.find(|c: char| c.is_ascii_digit() != first.is_ascii_digit() || is_delimiter(c));
            let end = end.unwrap_or(rest.len());
            pieces.push(&rest[..end]);
            // One character behind each piece is dropped, whatever it is.
            rest = rest.get(end + 1..).unwrap_or("");
        }
        let before = self.mask;
        for piece in pieces.iter().filter(|piece| piece.starts_with(|c: char| c.is_ascii_alphabetic())) {
            match word(piece) {
                Some(Word::Noise) => {}
                Some(Word::Month(month)) => {
                    self.add(MONTH)?;
                    (self.month, self.named_month) = (month, true);
                }
                _ => return Err(Fault::Format),
            }
        }
        for piece in pieces.iter().filter(|piece| piece.starts_with(|c: char| c.is_ascii_digit())) {
            let found = self.read_number(piece, self.named_month)?;
            self.add(found)?;
        }
        if self.mask & !(DAY_OF_YEAR | ZONE) != DATE {
            return Err(Fault::Format);
        }
        let found = self.mask & !before;
        self.mask = before;
        Ok(found)
    }

    /// Reads a number without delimiters as the part that is missing next.
    pub fn read_number(&mut self, text: &str, named_month: bool) -> Result<Mask, Fault> {
        let (value, rest) = leading_int(text)?;
        if rest.len() == text.len() {
            return Err(Fault::Format);
        }
        if rest.starts_with('.') {
            if text.len() - rest.len() > 2 {
                return self.read_digits(text, self.mask | DATE);
            }
            self.micros = fraction_micros(rest)?;
        } else if !rest.is_empty() {
            return Err(Fault::Format);
        }
        let known = self.mask & DATE;
        if text.len() == 3 && known == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(DAY_OF_YEAR | MONTH | DAY);
        }
        let long = text.len() >= 3;
        let year_first = long || self.order == DateOrder::YearMonthDay;
        let part = match known {
            0 if year_first => YEAR,
            0 if self.order == DateOrder::DayMonthYear => DAY,
            0 => MONTH,
            YEAR => MONTH,
            MONTH if named_month && year_first => YEAR,
            MONTH => DAY,
            known if known == YEAR | MONTH => {
                if named_month && long && self.short_year {
                    // The first number was the day after all.
                    (self.day, self.year, self.short_year) = (self.year, value, false);
                    return Ok(DAY);
                }
                DAY
            }
            DAY => MONTH,
            known if known == MONTH | DAY => YEAR,
            DATE => return self.read_digits(text, self.mask),
            _ => return Err(Fault::Format),
        };
        match part {
            YEAR => (self.year, self.short_year) = (value, text.len() <= 2),
            MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(part)
    }

    /// Reads digits that run together: `20010203`, `040506.7`, `0405`.
    pub fn read_digits(&mut self, text: &str, known: Mask) -> Result<Mask, Fault> {
        let whole = match text.split_once('.') {
            Some((whole, _)) => {
                self.micros = fraction_micros(&text[whole.len()..])?;
                whole
            }
            None if known & DATE != DATE && text.len() >= 6 && text.is_ascii() => {
                let (rest, day) = text.split_at(text.len() - 2);
                let (year, month) = rest.split_at(rest.len() - 2);
                (self.year, self.month, self.day) = (digits(year)?, digits(month)?, digits(day)?);
                self.short_year |= year.len() == 2;
                return Ok(DATE);
            }
            None => text,
        };
        if known & TIME == TIME || !whole.is_ascii() || !matches!(whole.len(), 4 | 6) {
            return Err(Fault::Format);
        }
        (self.hour, self.minute) = (digits(&whole[..2])?, digits(&whole[2..4])?);
        self.second = if whole.len() == 6 { digits(&whole[4..])? } else { 0 };
        Ok(TIME)
    }

    /// Reads a time with colons: `04:05`, `04:05:06.789`.
    pub fn read_time(&mut self, text: &str) -> Result<Mask, Fault> {
        let (hour, rest) = leading_int(text)?;
        let rest = rest.strip_prefix(':').ok_or(Fault::Format)?;
        let (minute, rest) = leading_int(rest)?;
        (self.hour, self.minute, self.second, self.micros) = (hour, minute, 0, 0);
        if rest.starts_with('.') {
            self.micros = fraction_micros(rest)?;
            (self.hour, self.minute, self.second) = (0, hour, minute);
        } else if let Some(rest) = rest.strip_prefix(':') {
            let (second, rest) = leading_int(rest)?;
            self.second = second;
            if !rest.is_empty() {
                self.micros = fraction_micros(rest)?;
            }
        } else if !rest.is_empty() {
            return Err(Fault::Format);
        }
        let valid = (0..60).contains(&self.minute) && (0..=60).contains(&self.second);
        if valid { Ok(TIME) } else { Err(Fault::Field) }
    }

    /// Whether the time is no time of a day.
    pub fn time_overflows(&self) -> bool {
        let valid = (0..=24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second)
            && (0..=MICROS_PER_SECOND).contains(&self.micros);
        !valid || self.of_day() > MICROS_PER_DAY
    }

    /// The microseconds since midnight.
    pub const fn of_day(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * MICROS_PER_SECOND + self.micros
    }

    /// The date, once it is complete.
    pub const fn date(&self) -> Civil {
        Civil { year: self.year, month: self.month, day: self.day }
    }

    /// Takes a day of the calendar as the date.
    pub const fn set_date(&mut self, date: Civil) {
        (self.year, self.month, self.day) = (date.year, date.month, date.day);
    }

    /// Makes the year an astronomical one, and checks that the date is one of the calendar.
    pub fn check_date(&mut self) -> Result<(), Fault> {
        if self.has(YEAR) && !self.julian {
            self.year = match self.year {
                year if self.before_christ && year > 0 => 1 - year,
                year @ 0..70 if self.short_year && !self.before_christ => year + 2000,
                year @ 70..100 if self.short_year && !self.before_christ => year + 1900,
                year if year > 0 => year,
                _ => return Err(Fault::Field),
            };
        }
        if self.has(DAY_OF_YEAR) {
            let first = Civil { year: self.year, month: 1, day: 1 }.days();
            self.set_date(Civil::from_days(first + self.day_of_year - 1));
        }
        if self.has(MONTH) && !(1..=12).contains(&self.month) || self.has(DAY) && !(1..=31).contains(&self.day) {
            return Err(Fault::MonthOrDay);
        }
        if self.has(DATE) && self.day > month_length(self.year, self.month) {
            return Err(Fault::Field);
        }
        Ok(())
    }

    /// Applies `am` and `pm`.
    pub const fn apply_meridiem(&mut self) -> Result<(), Fault> {
        match self.afternoon {
            Some(_) if self.hour > 12 => return Err(Fault::Field),
            Some(false) if self.hour == 12 => self.hour = 0,
            Some(true) if self.hour != 12 => self.hour += 12,
            _ => {}
        }
        Ok(())
    }
}
