//! Text of dates and times in the session's style.
//!
//! Source: PostgreSQL 15, `EncodeDateOnly` and `EncodeDateTime`.

use super::calendar::{Civil, Moment, weekday};
use super::output::{print_date, print_time, print_timestamp, print_timestamptz};
use super::{MICROS_PER_SECOND, is_infinite, is_infinite_date};
use crate::value::{DateOrder, DateStyle, Env};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// The text of a `date`.
#[must_use]
pub fn show_date(days: i32, env: &Env) -> String {
    if env.date_style == DateStyle::Iso || is_infinite_date(days) {
        return print_date(days);
    }
    let date = Civil::from_days(i64::from(days));
    let separator = match env.date_style {
        DateStyle::German => '.',
        DateStyle::Postgres => '-',
        DateStyle::Sql | DateStyle::Iso => '/',
    };
    numbers(date, separator, env) + era(date)
}

/// The text of a `timestamp`.
#[must_use]
pub fn show_timestamp(local: i64, env: &Env) -> String {
    if env.date_style == DateStyle::Iso || is_infinite(local) {
        return print_timestamp(local);
    }
    show_moment(&Moment::from_local(local), "", env)
}

/// The text of a `timestamptz`, as clocks of the session show it.
#[must_use]
pub fn show_timestamptz(instant: i64, env: &Env) -> String {
    if env.date_style == DateStyle::Iso || is_infinite(instant) {
        return print_timestamptz(instant, &env.zone);
    }
    let clock = env.zone.clock(instant);
    let local = instant.saturating_add(i64::from(clock.offset) * MICROS_PER_SECOND);
    show_moment(&Moment::from_local(local), &format!(" {}", clock.abbreviation), env)
}

fn show_moment(moment: &Moment, zone: &str, env: &Env) -> String {
    let (date, time) = (moment.date, print_time(moment.of_day()));
    let text = match env.date_style {
        DateStyle::Postgres => {
            let day = DAYS[usize::try_from(weekday(date.days())).unwrap_or(0) % 7];
            let month = MONTHS[usize::try_from(date.month - 1).unwrap_or(0) % 12];
            let (first, second) = match env.date_order {
                DateOrder::DayMonthYear => (format!("{:02}", date.day), month.to_owned()),
                _ => (month.to_owned(), format!("{:02}", date.day)),
            };
            format!("{day} {first} {second} {time} {:04}", counted(date))
        }
        DateStyle::German => format!("{} {time}", numbers(date, '.', env)),
        DateStyle::Sql | DateStyle::Iso => format!("{} {time}", numbers(date, '/', env)),
    };
    text + zone + era(date)
}

/// `17/12/1997`, or the month before the day.
fn numbers(date: Civil, separator: char, env: &Env) -> String {
    let day_first = env.date_order == DateOrder::DayMonthYear || env.date_style == DateStyle::German;
    let (first, second) = if day_first { (date.day, date.month) } else { (date.month, date.day) };
    format!("{first:02}{separator}{second:02}{separator}{:04}", counted(date))
}

/// The year as people count it: there is no year 0.
const fn counted(date: Civil) -> i64 {
    if date.year > 0 { date.year } else { 1 - date.year }
}

const fn era(date: Civil) -> &'static str {
    if date.year > 0 { "" } else { " BC" }
}
