//! Spans of time, and their arithmetic.

use super::{DAYS_PER_MONTH, MICROS_PER_DAY, MICROS_PER_SECOND, overflow};
use crate::value::numeric::division_by_zero;
use crate::{SqlError, SqlResult};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// A span of time, as PostgreSQL keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// The parts of an interval as people write them, each with its sign.
#[derive(Clone, Copy, Debug)]
pub struct IntervalParts {
    /// Years.
    pub years: i64,
    /// Months beside the years.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Hours, which are not counted to days.
    pub hours: i64,
    /// Minutes beside the hours.
    pub minutes: i64,
    /// Seconds beside the minutes.
    pub seconds: i64,
    /// Microseconds beside the seconds.
    pub micros: i64,
}

impl Interval {
    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> IntervalParts {
        let seconds = self.micros / MICROS_PER_SECOND;
        IntervalParts {
            years: i64::from(self.months / 12),
            months: i64::from(self.months % 12),
            days: i64::from(self.days),
            hours: seconds / 3600,
            minutes: seconds / 60 % 60,
            seconds: seconds % 60,
            micros: self.micros % MICROS_PER_SECOND,
        }
    }
}

fn out_of_range() -> SqlError {
    overflow("interval out of range")
}

/// Rounded to microseconds, where the unit is a day or a second.
fn to_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

fn to_i32(value: f64) -> SqlResult<i32> {
    let fits = value >= f64::from(i32::MIN) && value < -f64::from(i32::MIN);
    if fits { Ok(value as i32) } else { Err(out_of_range()) }
}

impl Interval {
    /// Its length where a month is 30 days and a day 24 hours: what intervals are ordered by.
    #[must_use]
    pub fn length(&self) -> i128 {
        let days = i128::from(self.months) * i128::from(DAYS_PER_MONTH) + i128::from(self.days);
        days * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }

    /// `self + other`
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn add(&self, other: &Self) -> SqlResult<Self> {
        let sum = || {
            Some(Self {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        sum().ok_or_else(out_of_range)
    }

    /// `self - other`
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn sub(&self, other: &Self) -> SqlResult<Self> {
        let difference = || {
            Some(Self {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                micros: self.micros.checked_sub(other.micros)?,
            })
        };
        difference().ok_or_else(out_of_range)
    }

    /// `-self`
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn neg(&self) -> SqlResult<Self> {
        Self::default().sub(self)
    }

    /// `self * factor`: fractions of months become days, fractions of days become time.
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn mul(&self, factor: f64) -> SqlResult<Self> {
        self.scale(|part| part * factor)
    }

    /// `self / divisor`, as [`Interval::mul`].
    ///
    /// # Errors
    ///
    /// `22012` if the divisor is 0, `22008` if a part overflows.
    pub fn div(&self, divisor: f64) -> SqlResult<Self> {
        if divisor == 0.0 {
            return Err(division_by_zero());
        }
        self.scale(|part| part / divisor)
    }

    fn scale(&self, scaled: impl Fn(f64) -> f64) -> SqlResult<Self> {
        let (months, days) = (scaled(f64::from(self.months)), scaled(f64::from(self.days)));
        let (whole_months, mut whole_days) = (to_i32(months)?, to_i32(days)?);
        let days_of_month = to_micros((months - f64::from(whole_months)) * f64::from(DAYS_PER_MONTH));
        let part_of_day = days - f64::from(whole_days) + days_of_month - days_of_month.trunc();
        let mut seconds = to_micros(part_of_day * SECONDS_PER_DAY);
        if seconds.abs() >= SECONDS_PER_DAY {
            let carried = (seconds / SECONDS_PER_DAY).trunc();
            whole_days = whole_days.checked_add(carried as i32).ok_or_else(out_of_range)?;
            seconds -= carried * SECONDS_PER_DAY;
        }
        let days = whole_days.checked_add(days_of_month as i32).ok_or_else(out_of_range)?;
        let micros = (scaled(self.micros as f64) + seconds * MICROS_PER_SECOND as f64).round_ties_even();
        let limit = -(i64::MIN as f64);
        if !(micros >= -limit && micros < limit) {
            return Err(out_of_range());
        }
        Ok(Self { months: whole_months, days, micros: micros as i64 })
    }

    /// `justify_hours(self)`: whole 24 hours become days.
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn justify_hours(&self) -> SqlResult<Self> {
        let carried = (self.micros / MICROS_PER_DAY) as i32;
        let days = self.days.checked_add(carried).ok_or_else(out_of_range)?;
        Ok(Self { months: self.months, days, micros: self.micros % MICROS_PER_DAY }.time_with_sign_of_days())
    }

    /// `justify_days(self)`: whole 30 days become months.
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn justify_days(&self) -> SqlResult<Self> {
        let mut result = self.carry_days()?;
        if result.months > 0 && result.days < 0 {
            result.days += DAYS_PER_MONTH;
            result.months -= 1;
        } else if result.months < 0 && result.days > 0 {
            result.days -= DAYS_PER_MONTH;
            result.months += 1;
        }
        Ok(result)
    }

    /// `justify_interval(self)`: both, with one sign for all parts.
    ///
    /// # Errors
    ///
    /// `22008` if a part overflows.
    pub fn justify_interval(&self) -> SqlResult<Self> {
        let same_sign = self.days > 0 && self.micros > 0 || self.days < 0 && self.micros < 0;
        let mut result = if same_sign { self.carry_days()? } else { *self };
        result.days += (result.micros / MICROS_PER_DAY) as i32;
        result.micros %= MICROS_PER_DAY;
        result = result.carry_days()?;
        if result.months > 0 && (result.days < 0 || result.days == 0 && result.micros < 0) {
            result.days += DAYS_PER_MONTH;
            result.months -= 1;
        } else if result.months < 0 && (result.days > 0 || result.days == 0 && result.micros > 0) {
            result.days -= DAYS_PER_MONTH;
            result.months += 1;
        }
        Ok(result.time_with_sign_of_days())
    }

    fn carry_days(&self) -> SqlResult<Self> {
        let months = self.months.checked_add(self.days / DAYS_PER_MONTH).ok_or_else(out_of_range)?;
        Ok(Self { months, days: self.days % DAYS_PER_MONTH, micros: self.micros })
    }

    const fn time_with_sign_of_days(mut self) -> Self {
        if self.days > 0 && self.micros < 0 {
            self.micros += MICROS_PER_DAY;
            self.days -= 1;
        } else if self.days < 0 && self.micros > 0 {
            self.micros -= MICROS_PER_DAY;
            self.days += 1;
        }
        self
    }
}
