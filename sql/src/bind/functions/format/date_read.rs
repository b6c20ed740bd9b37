//! What `to_date` and `to_timestamp` have read, as one local time.
//!
//! Source: `do_to_timestamp` of PostgreSQL 15's formatting.c.

use annulus_relation::value::datetime as dt;
use annulus_relation::{SqlError, SqlResult, SqlState};

use super::date_template::Field;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// The Julian day of 2000-01-01.
const JULIAN_EPOCH: i64 = 2_451_545;

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) year: i64,
    /// 0: nothing was said; 1: since Christ; 2: before.
    pub(super) era: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) day_of_year: i64,
    pub(super) julian: i64,
    pub(super) century: i64,
    /// How many digits of the year the template asks for.
    pub(super) year_digits: usize,
    pub(super) week: i64,
    pub(super) week_of_month: i64,
    /// 0: nothing was said; 1: Sunday.
    pub(super) weekday: i64,
    /// Whether years and weeks are those of ISO 8601; nothing has said so yet if it is `None`.
    pub(super) iso: Option<bool>,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) second_of_day: i64,
    pub(super) millis: i64,
    pub(super) micros: i64,
    /// The digits behind the point that `FF1` to `FF6` keep.
    pub(super) precision: Option<u8>,
    /// 0: nothing was said; 1: morning; 2: afternoon.
    pub(super) half_day: i64,
    pub(super) twelve: bool,
    /// 0: nothing was said; 1: of a zone to the east; -1: to the west.
    pub(super) zone_sign: i64,
    pub(super) zone_hours: i64,
    pub(super) zone_minutes: i64,
}

/// What an input says of one thing; as in PostgreSQL, 0 is as if it said nothing.
pub(super) fn set(slot: &mut i64, value: i64, name: &str) -> SqlResult<()> {
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

pub(super) fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

impl Read {
    /// The day, checked; the time must be one, and is not looked at.
    pub(super) fn date(&self, input: &str) -> SqlResult<i32> {
        let days = self.days(input)?;
        self.time(input)?;
        let out_of_range =
            || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{input}\""));
        i32::try_from(days).ok().and_then(|days| dt::check_date(days).ok()).ok_or_else(out_of_range)
    }

    /// The local time, checked.
    pub(super) fn local(&self, input: &str) -> SqlResult<i64> {
        let days = self.days(input)?;
        let time = self.time(input)?;
        let local = days.checked_mul(DAY).and_then(|local| local.checked_add(time));
        dt::check_timestamp(local.ok_or_else(|| out_of_range(input))?)
    }

    /// The microseconds since midnight, checked.
    pub(super) fn time(&self, input: &str) -> SqlResult<i64> {
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
        Ok(seconds * SECOND + micros)
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
    pub(super) fn keep_to(&mut self, field: Field) -> SqlResult<()> {
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
    pub(super) fn zone(&self) -> Option<i64> {
        (self.zone_sign != 0).then_some(self.zone_sign * (self.zone_hours * 60 + self.zone_minutes) * 60)
    }
}

/// The Monday of a week of ISO 8601: the first has the fourth of January.
fn iso_week(year: i64, week: i64) -> i64 {
    let fourth = dt::Civil { year, month: 1, day: 4 }.days();
    fourth - (dt::weekday(fourth) + 6) % 7 + (week - 1) * 7
}
