//! Text of dates and times, in ISO style.

use std::fmt::Write as _;

use super::calendar::{Civil, Moment};
use super::{MICROS_PER_SECOND, TimeZone};

/// What stands for the ends of a type's integers.
const INFINITY: &str = "infinity";
const NEGATIVE_INFINITY: &str = "-infinity";

/// The text of a `date`.
#[must_use]
pub fn print_date(days: i32) -> String {
    match days {
        i32::MAX => INFINITY.to_owned(),
        i32::MIN => NEGATIVE_INFINITY.to_owned(),
        days => {
            let (date, era) = era(Civil::from_days(i64::from(days)));
            date + era
        }
    }
}

/// A date, and ` BC` if it is before Christ.
fn era(date: Civil) -> (String, &'static str) {
    let (year, era) = if date.year > 0 { (date.year, "") } else { (1 - date.year, " BC") };
    (format!("{year:04}-{:02}-{:02}", date.month, date.day), era)
}

/// The text of a `time`.
#[must_use]
pub fn print_time(micros: i64) -> String {
    let seconds = micros / MICROS_PER_SECOND;
    let mut out = format!("{:02}:{:02}:", seconds / 3600, seconds / 60 % 60);
    print_seconds(&mut out, seconds % 60, micros % MICROS_PER_SECOND);
    out
}

/// Two digits and as many behind the point as there are.
pub(super) fn print_seconds(out: &mut String, seconds: i64, micros: i64) {
    let _ = write!(out, "{seconds:02}");
    if micros != 0 {
        let digits = format!("{micros:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// The text of a `timestamp`.
#[must_use]
pub fn print_timestamp(local: i64) -> String {
    print_instant(local, 0, "")
}

/// The text of a `timestamptz`, as clocks in the zone show it.
#[must_use]
pub fn print_timestamptz(instant: i64, zone: &TimeZone) -> String {
    if matches!(instant, i64::MIN | i64::MAX) {
        return print_timestamp(instant);
    }
    let offset = zone.offset(instant);
    let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    let mut suffix = format!("{sign}{:02}", seconds / 3600);
    if seconds % 3600 != 0 {
        let _ = write!(suffix, ":{:02}", seconds / 60 % 60);
    }
    if seconds % 60 != 0 {
        let _ = write!(suffix, ":{:02}", seconds % 60);
    }
    print_instant(instant, i64::from(offset), &suffix)
}

fn print_instant(instant: i64, offset: i64, suffix: &str) -> String {
    match instant {
        i64::MAX => return INFINITY.to_owned(),
        i64::MIN => return NEGATIVE_INFINITY.to_owned(),
        _ => {}
    }
    let moment = Moment::from_local(instant.saturating_add(offset * MICROS_PER_SECOND));
    let (date, era) = era(moment.date);
    format!("{date} {}{suffix}{era}", print_time(moment.of_day()))
}
