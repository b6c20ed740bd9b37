//! What types of intervals keep: `interval year to month`, `interval(3)`, `interval day to second(2)`.
//!
//! Source: PostgreSQL 15, `intervaltypmodin`, `intervaltypmodout` and `AdjustIntervalForTypmod`.

use std::fmt;

use super::datetime::Interval;

/// The most digits behind the point of seconds; more are as good as that many.
pub const MAX_TIME_PRECISION: u8 = 6;

/// Stands in a modifier for all fields.
const ALL_FIELDS: i32 = 0x7fff;
/// Stands in a modifier for no precision.
const NO_PRECISION: i32 = 0xffff;

const MICROS_PER_MINUTE: i64 = 60_000_000;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;

/// The modifiers of an interval type: fields, a precision, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntervalLimits {
    /// The fields that are kept; `None` for all.
    pub fields: Option<IntervalFields>,
    /// The digits behind the point of seconds; `None` for all that there are.
    pub precision: Option<u8>,
}

/// The fields that an interval type may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntervalFields {
    /// `year`
    Year,
    /// `month`
    Month,
    /// `day`
    Day,
    /// `hour`
    Hour,
    /// `minute`
    Minute,
    /// `second`
    Second,
    /// `year to month`
    YearToMonth,
    /// `day to hour`
    DayToHour,
    /// `day to minute`
    DayToMinute,
    /// `day to second`
    DayToSecond,
    /// `hour to minute`
    HourToMinute,
    /// `hour to second`
    HourToSecond,
    /// `minute to second`
    MinuteToSecond,
}

use IntervalFields as F;

/// Bits of the single fields in modifiers.
mod bit {
    pub(super) const MONTH: i32 = 1 << 1;
    pub(super) const YEAR: i32 = 1 << 2;
    pub(super) const DAY: i32 = 1 << 3;
    pub(super) const HOUR: i32 = 1 << 10;
    pub(super) const MINUTE: i32 = 1 << 11;
    pub(super) const SECOND: i32 = 1 << 12;
}

/// The fields, their names and their bits in modifiers.
const ALL: [(F, &str, i32); 13] = [
    (F::Year, "year", bit::YEAR),
    (F::Month, "month", bit::MONTH),
    (F::Day, "day", bit::DAY),
    (F::Hour, "hour", bit::HOUR),
    (F::Minute, "minute", bit::MINUTE),
    (F::Second, "second", bit::SECOND),
    (F::YearToMonth, "year to month", bit::YEAR | bit::MONTH),
    (F::DayToHour, "day to hour", bit::DAY | bit::HOUR),
    (F::DayToMinute, "day to minute", bit::DAY | bit::HOUR | bit::MINUTE),
    (F::DayToSecond, "day to second", bit::DAY | bit::HOUR | bit::MINUTE | bit::SECOND),
    (F::HourToMinute, "hour to minute", bit::HOUR | bit::MINUTE),
    (F::HourToSecond, "hour to second", bit::HOUR | bit::MINUTE | bit::SECOND),
    (F::MinuteToSecond, "minute to second", bit::MINUTE | bit::SECOND),
];

impl IntervalFields {
    /// The fields of that name, in lower case with single spaces.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, own, _)| *own == name).map(|(fields, ..)| *fields)
    }

    /// Whether seconds are among them: only then may a precision stand behind.
    #[must_use]
    pub const fn has_seconds(self) -> bool {
        matches!(self, F::Second | F::DayToSecond | F::HourToSecond | F::MinuteToSecond)
    }

    fn entry(self) -> (&'static str, i32) {
        ALL.iter().find(|(fields, ..)| *fields == self).map_or(("", ALL_FIELDS), |(_, name, bits)| (*name, *bits))
    }
}

impl IntervalLimits {
    /// What a modifier says; `None` if it says nothing.
    #[must_use]
    pub fn from_typmod(typmod: i32) -> Option<Self> {
        if typmod < 0 {
            return None;
        }
        let (bits, precision) = (typmod >> 16 & ALL_FIELDS, typmod & NO_PRECISION);
        let fields = ALL.iter().find(|(.., own)| *own == bits).map(|(fields, ..)| *fields);
        let precision = u8::try_from(precision).ok().filter(|digits| *digits <= MAX_TIME_PRECISION);
        Some(Self { fields, precision })
    }

    /// The modifier, as the protocol and the system catalog give it.
    #[must_use]
    pub fn typmod(self) -> i32 {
        let bits = self.fields.map_or(ALL_FIELDS, |fields| fields.entry().1);
        bits << 16 | self.precision.map_or(NO_PRECISION, i32::from)
    }

    /// An interval within the limits: what is smaller than the last field is cut off, seconds are rounded.
    #[must_use]
    pub fn fit(self, interval: Interval) -> Interval {
        let Interval { months, days, micros } = interval;
        let whole = |unit: i64| micros / unit * unit;
        let kept = match self.fields {
            Some(F::Year) => Interval { months: months / 12 * 12, days: 0, micros: 0 },
            Some(F::Month | F::YearToMonth) => Interval { months, days: 0, micros: 0 },
            Some(F::Day) => Interval { months, days, micros: 0 },
            Some(F::Hour | F::DayToHour) => Interval { months, days, micros: whole(MICROS_PER_HOUR) },
            Some(F::Minute | F::DayToMinute | F::HourToMinute) => {
                Interval { months, days, micros: whole(MICROS_PER_MINUTE) }
            }
            Some(F::Second | F::DayToSecond | F::HourToSecond | F::MinuteToSecond) | None => interval,
        };
        Interval { micros: round_micros(kept.micros, self.precision), ..kept }
    }
}

/// ` year to month`, `(3)`, ` day to second(2)`: what stands behind the type's name.
impl fmt::Display for IntervalLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fields) = self.fields {
            write!(f, " {}", fields.entry().0)?;
        }
        self.precision.map_or(Ok(()), |digits| write!(f, "({digits})"))
    }
}

/// Microseconds with that many digits behind the point of seconds, halves away from zero.
#[must_use]
pub fn round_micros(micros: i64, precision: Option<u8>) -> i64 {
    let Some(digits) = precision.filter(|digits| *digits < MAX_TIME_PRECISION) else { return micros };
    let unit = 10_i64.pow(u32::from(MAX_TIME_PRECISION - digits));
    let rounded = micros.unsigned_abs().saturating_add(unit.unsigned_abs() / 2) / unit.unsigned_abs();
    let rounded = i64::try_from(rounded).unwrap_or(i64::MAX / unit).saturating_mul(unit);
    if micros < 0 { -rounded } else { rounded }
}

/// A `timestamp` or `timestamptz` rounded; infinities stay.
#[must_use]
pub fn round_instant(micros: i64, precision: Option<u8>) -> i64 {
    if matches!(micros, i64::MIN | i64::MAX) { micros } else { round_micros(micros, precision) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_come_back() {
        for (fields, ..) in ALL {
            for precision in [None, Some(0), Some(6)] {
                let limits = IntervalLimits { fields: Some(fields), precision };
                assert_eq!(IntervalLimits::from_typmod(limits.typmod()), Some(limits));
            }
        }
        let limits = IntervalLimits { fields: None, precision: Some(3) };
        assert_eq!(limits.typmod(), 0x7fff_0003);
        assert_eq!(IntervalLimits::from_typmod(0x7fff_0003), Some(limits));
        assert_eq!(IntervalLimits::from_typmod(-1), None);
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (micros, digits, rounded) in [
            (1_500_000, 0, 2_000_000),
            (-1_500_000, 0, -2_000_000),
            (1_499_999, 0, 1_000_000),
            (1_234_567, 3, 1_235_000),
            (-1_234_567, 5, -1_234_570),
            (1_234_567, 6, 1_234_567),
        ] {
            assert_eq!(round_micros(micros, Some(digits)), rounded, "{micros} {digits}");
        }
        assert_eq!(round_micros(i64::MAX, None), i64::MAX);
    }
}
