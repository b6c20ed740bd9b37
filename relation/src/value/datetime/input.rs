//! Dates, times and timestamps from text.

use super::calendar::join;
use super::decode::{self, Decoded};
use super::parts::Parts;
use super::{MICROS_PER_SECOND, UNIX_EPOCH_DAY, check_date};
use crate::value::Env;
use crate::{SqlError, SqlResult, error::SqlState};

fn out_of_range(ty: &str, text: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{ty} out of range: \"{text}\""))
}

/// A `date` from text.
///
/// # Errors
///
/// `22007` for text that is no date, `22008` for one out of range.
pub fn parse_date(text: &str, env: &Env) -> SqlResult<i32> {
    let parts = match decode::timestamp(text, env).map_err(|fault| fault.error(text, "date"))? {
        Decoded::Local(parts, _) => parts,
        Decoded::Epoch => return Ok(UNIX_EPOCH_DAY),
        Decoded::Infinity => return Ok(i32::MAX),
        Decoded::NegativeInfinity => return Ok(i32::MIN),
    };
    let days = i32::try_from(parts.date().days()).ok().filter(|days| !matches!(*days, i32::MIN | i32::MAX));
    days.and_then(|days| check_date(days).ok()).ok_or_else(|| out_of_range("date", text))
}

/// A `time` from text; a time zone in it is read over.
///
/// # Errors
///
/// `22007` for text that is no time, `22008` for one out of range.
pub fn parse_time(text: &str, env: &Env) -> SqlResult<i64> {
    let parts = decode::time(text, env).map_err(|fault| fault.error(text, "time"))?;
    Ok(parts.of_day())
}

/// A `timestamp` from text; a time zone in it is read over.
///
/// # Errors
///
/// `22007` for text that is no timestamp, `22008` for one out of range.
pub fn parse_timestamp(text: &str, env: &Env) -> SqlResult<i64> {
    match decode::timestamp(text, env).map_err(|fault| fault.error(text, "timestamp"))? {
        Decoded::Local(parts, _) => instant(&parts, 0, text),
        reserved => Ok(reserved_instant(&reserved)),
    }
}

/// A `timestamptz` from text; without a time zone in it, the session's counts.
///
/// # Errors
///
/// As [`parse_timestamp`].
pub fn parse_timestamptz(text: &str, env: &Env) -> SqlResult<i64> {
    match decode::timestamp(text, env).map_err(|fault| fault.error(text, "timestamp with time zone"))? {
        Decoded::Local(parts, place) => instant(&parts, place.offset(&parts, &env.zone), text),
        reserved => Ok(reserved_instant(&reserved)),
    }
}

fn instant(parts: &Parts, offset: i64, text: &str) -> SqlResult<i64> {
    join(parts.date().days(), parts.of_day() - offset * MICROS_PER_SECOND).map_err(|_| out_of_range("timestamp", text))
}

const fn reserved_instant(decoded: &Decoded) -> i64 {
    match decoded {
        Decoded::Infinity => i64::MAX,
        Decoded::NegativeInfinity => i64::MIN,
        _ => UNIX_EPOCH_DAY as i64 * super::MICROS_PER_DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::TimeZone;
    use crate::value::datetime::{print_date, print_time, print_timestamp};

    #[test]
    fn now_and_today_are_those_of_the_transaction_in_the_zone_of_the_session() {
        // 2001-07-01 23:30 UTC is the next day in Berlin.
        let now = parse_timestamp("2001-07-01 23:30:00.5", &Env::default()).unwrap();
        let env = Env { now, zone: TimeZone::named("Europe/Berlin").unwrap(), ..Env::default() };
        assert_eq!(print_timestamp(parse_timestamp("now", &env).unwrap()), "2001-07-02 01:30:00.5");
        assert_eq!(parse_timestamptz("now", &env).unwrap(), now);
        assert_eq!(print_time(parse_time("now", &env).unwrap()), "01:30:00.5");
        for (word, day) in [("yesterday", "2001-07-01"), ("today", "2001-07-02"), ("tomorrow", "2001-07-03")] {
            assert_eq!(print_date(parse_date(word, &env).unwrap()), day);
        }
        assert_eq!(print_timestamp(parse_timestamptz("today 04:05", &env).unwrap()), "2001-07-02 02:05:00");
    }
}
