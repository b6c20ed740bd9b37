//! The Gregorian calendar, extended to the past: days, and their years, months and weeks.
//!
//! Days count from 2000-01-01. Years are astronomical: year 0 is 1 BC, year -1 is 2 BC.

use super::{MICROS_PER_DAY, MICROS_PER_SECOND, check_timestamp, overflow};
use crate::SqlResult;

/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_CYCLE: i64 = 146_097;
/// From 0000-03-01, where this arithmetic begins, to 2000-01-01.
const EPOCH: i64 = 730_425;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The astronomical year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl Civil {
    /// The day that lies that many days behind 2000-01-01.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        let days = days + EPOCH;
        let (cycle, day) = (days.div_euclid(DAYS_PER_CYCLE), days.rem_euclid(DAYS_PER_CYCLE));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + 400 * cycle + if month <= 2 { 1 } else { 0 };
        Self { year, month, day: of_year - (153 * shifted + 2) / 5 + 1 }
    }

    /// How many days it lies behind 2000-01-01.
    #[must_use]
    pub const fn days(&self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
        let shifted = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let of_year = (153 * shifted + 2) / 5 + self.day - 1;
        cycle * DAYS_PER_CYCLE + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - EPOCH
    }

    /// The day of the year, from 1.
    #[must_use]
    pub const fn day_of_year(&self) -> i64 {
        self.days() - Self { year: self.year, month: 1, day: 1 }.days() + 1
    }

    /// The same day some months later or earlier, or the last one of its month.
    #[must_use]
    pub fn plus_months(&self, months: i64) -> Self {
        let month = self.year * 12 + self.month - 1 + months;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        Self { year, month, day: self.day.min(month_length(year, month)) }
    }

    /// The year and week of ISO 8601: weeks begin on Monday, and belong to the year of their Thursday.
    #[must_use]
    pub const fn iso_week(&self) -> (i64, i64) {
        let days = self.days();
        let year = Self::from_days(days - (weekday(days) + 6) % 7 + 3).year;
        (year, (days - first_iso_day(year)).div_euclid(7) + 1)
    }
}

/// The Monday that begins the first week of a year of ISO 8601.
const fn first_iso_day(year: i64) -> i64 {
    let fourth = Civil { year, month: 1, day: 4 }.days();
    fourth - (weekday(fourth) + 6) % 7
}

/// The day of the week: 0 is Sunday.
#[must_use]
pub const fn weekday(days: i64) -> i64 {
    (days + 6).rem_euclid(7)
}

/// How many days a month has.
#[must_use]
pub const fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A local time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The day.
    pub date: Civil,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 to 999 999.
    pub micros: i64,
}

impl Moment {
    /// A finite local time, taken apart.
    #[must_use]
    pub const fn from_local(local: i64) -> Self {
        let of_day = local.rem_euclid(MICROS_PER_DAY);
        let seconds = of_day / MICROS_PER_SECOND;
        Self {
            date: Civil::from_days(local.div_euclid(MICROS_PER_DAY)),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: of_day % MICROS_PER_SECOND,
        }
    }

    /// The microseconds since midnight.
    #[must_use]
    pub const fn of_day(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * MICROS_PER_SECOND + self.micros
    }

    /// The local time.
    ///
    /// # Errors
    ///
    /// `22008` beyond the range of timestamps.
    pub fn local(&self) -> SqlResult<i64> {
        join(self.date.days(), self.of_day())
    }
}

/// The local time of a day and the microseconds since its midnight.
///
/// # Errors
///
/// `22008` beyond the range of timestamps.
pub fn join(days: i64, micros: i64) -> SqlResult<i64> {
    let joined = days.checked_mul(MICROS_PER_DAY).and_then(|midnight| midnight.checked_add(micros));
    match joined {
        Some(local) if !matches!(local, i64::MIN | i64::MAX) => check_timestamp(local),
        _ => Err(overflow("timestamp out of range")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_the_same_thing() {
        let days = |year, month, day| Civil { year, month, day }.days();
        assert_eq!(days(2000, 1, 1), 0);
        assert_eq!(days(1970, 1, 1), -10_957);
        assert_eq!(days(-4713, 11, 24), -2_451_545);
        assert_eq!(days(5_874_898, 1, 1), 2_145_031_949);
        for day in (-2_451_545..3_000_000).step_by(97) {
            assert_eq!(Civil::from_days(day).days(), day);
        }
    }

    #[test]
    fn weeks_belong_to_the_year_of_their_thursday() {
        let week = |year, month, day| Civil { year, month, day }.iso_week();
        assert_eq!(week(2005, 1, 1), (2004, 53));
        assert_eq!(week(2012, 12, 31), (2013, 1));
        assert_eq!(week(2020, 12, 31), (2020, 53));
        assert_eq!(week(2021, 1, 4), (2021, 1));
        assert_eq!(weekday(0), 6);
    }

    #[test]
    fn months_keep_the_day_where_they_can() {
        let date = Civil { year: 2000, month: 1, day: 31 };
        assert_eq!(date.plus_months(1), Civil { year: 2000, month: 2, day: 29 });
        assert_eq!(date.plus_months(-11), Civil { year: 1999, month: 2, day: 28 });
        assert_eq!(date.plus_months(-12), Civil { year: 1999, month: 1, day: 31 });
    }
}
