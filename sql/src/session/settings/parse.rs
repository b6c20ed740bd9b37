//! Values of settings: what is accepted, and the form in which `SHOW` prints it.

use std::sync::Arc;
use std::time::Duration;

use annulus_relation::catalog::is_temporary;
use annulus_relation::error::SqlState;
use annulus_relation::value::datetime::{MICROS_PER_SECOND, parse_interval};
use annulus_relation::value::{DateOrder, DateStyle, IntervalStyle, TimeZone};
use annulus_relation::{SqlError, SqlResult};

use super::known::{Kind, Known};
use crate::bind::quote_name;

/// Units of time, in milliseconds.
const TIMES: [(&str, f64); 6] =
    [("us", 0.001), ("ms", 1.0), ("s", 1_000.0), ("min", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)];

/// What PostgreSQL knows beside UTF-8.
const ENCODINGS: &str = "\
    abc alt big5 euccn eucjis2004 eucjp euckr euctw gb18030 gbk iso88591 iso885910 iso885913 iso885914 iso885915 \
    iso885916 iso88592 iso88593 iso88594 iso88595 iso88596 iso88597 iso88598 iso88599 johab koi8 koi8r koi8u \
    latin1 latin10 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 mskanji muleinternal shiftjis \
    shiftjis2004 sjis tcvn tcvn5712 uhc vscii win win1250 win1251 win1252 win1253 win1254 win1255 win1256 \
    win1257 win1258 win866 win874 win932 win936 win949 win950 windows1250 windows1251 windows1252 windows1253 \
    windows1254 windows1255 windows1256 windows1257 windows1258 windows866 windows874 windows932 windows936 \
    windows949 windows950";

fn invalid_message(known: &Known, value: &str) -> String {
    format!("invalid value for parameter \"{}\": \"{value}\"", known.name)
}

fn invalid(known: &Known, value: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, invalid_message(known, value))
}

/// The value in the form that is kept.
pub(super) fn normal(known: &Known, values: &[String]) -> SqlResult<String> {
    if let Kind::Names = known.kind {
        return Ok(values.iter().map(|name| quote_name(name)).collect::<Vec<_>>().join(", "));
    }
    let [value] = values else {
        let message = format!("SET {} takes only one argument", known.name);
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    };
    match known.kind {
        Kind::Fixed | Kind::Text | Kind::Names | Kind::DateStyle | Kind::Size => Ok(value.clone()),
        Kind::Bool => boolean(known, value),
        Kind::Int(least, most) => integer(known, value, least, most),
        Kind::Real => value.parse::<f64>().map(|_| value.clone()).map_err(|_| invalid(known, value)),
        Kind::Millis => Ok(print_millis(millis(known, value)?)),
        Kind::Word(words) => {
            let found = words.iter().find(|word| word.eq_ignore_ascii_case(value));
            found
                .map(|word| (*word).to_owned())
                .ok_or_else(|| invalid(known, value).hint(format!("Available values: {}.", words.join(", "))))
        }
        Kind::Zone => zone(value).map(|zone| zone.name().to_owned()),
        Kind::Encoding => encoding(known, value),
    }
}

/// A character set: UTF-8, or none, with which bytes go as they are. Only the letters and digits of a name count.
fn encoding(known: &Known, value: &str) -> SqlResult<String> {
    let name: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    match name.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        "sqlascii" => Ok("SQL_ASCII".to_owned()),
        name if ENCODINGS.split(' ').any(|known| known == name) => {
            let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, invalid_message(known, value));
            Err(error.detail("Conversion between it and UTF8 is not supported."))
        }
        _ => Err(invalid(known, value)),
    }
}

fn boolean(known: &Known, value: &str) -> SqlResult<String> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Ok("on".to_owned()),
        "off" | "false" | "no" | "0" | "f" | "n" => Ok("off".to_owned()),
        _ => {
            let message = format!("parameter \"{}\" requires a Boolean value", known.name);
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

fn integer(known: &Known, value: &str, least: i64, most: i64) -> SqlResult<String> {
    let number: i64 = value.trim().parse().map_err(|_| invalid(known, value))?;
    if !(least..=most).contains(&number) {
        let message =
            format!("{number} is outside the valid range for parameter \"{}\" ({least} .. {most})", known.name);
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(number.to_string())
}

fn millis(known: &Known, value: &str) -> SqlResult<i64> {
    let text = value.trim();
    let end = text.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: f64 = digits.trim().parse().map_err(|_| invalid(known, value))?;
    let unit = match unit.trim() {
        "" => 1.0,
        unit => TIMES.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis).ok_or_else(|| {
            invalid(known, value)
                .hint("Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".")
        })?,
    };
    let millis = (number * unit).round();
    if !(0.0..=f64::from(i32::MAX)).contains(&millis) {
        let message = format!(
            "{millis} ms is outside the valid range for parameter \"{}\" (0 ms .. {} ms)",
            known.name,
            i32::MAX
        );
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(millis as i64)
}

/// In the largest unit that it is a whole number of.
fn print_millis(millis: i64) -> String {
    if millis == 0 {
        return "0".to_owned();
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| millis % size == 0);
    let (size, name) = unit.unwrap_or((1, "ms"));
    format!("{}{name}", millis / size)
}

/// A span of time; 0 is none.
pub(super) fn duration(known: &Known, values: &[String]) -> SqlResult<Option<Duration>> {
    let millis = values.first().map_or(Ok(0), |value| millis(known, value))?;
    Ok(u64::try_from(millis).ok().filter(|millis| *millis > 0).map(Duration::from_millis))
}

/// A time zone by name, by hours to the east, or by an interval: `INTERVAL '-08:00'`.
pub(super) fn zone(text: &str) -> SqlResult<TimeZone> {
    let invalid = || {
        let message = format!("invalid value for parameter \"TimeZone\": \"{text}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    let interval = text.get(..8).filter(|start| start.eq_ignore_ascii_case("interval"));
    let quoted = interval.and_then(|_| text[8..].trim().strip_prefix('\'')?.strip_suffix('\''));
    let Some(interval) = quoted else {
        let is_number = text.trim().parse::<f64>().is_ok();
        return TimeZone::setting(text).ok_or_else(|| match is_number {
            true => invalid().detail("UTC timezone offset is out of range."),
            false => invalid(),
        });
    };
    let interval = parse_interval(interval, None, IntervalStyle::Postgres)?;
    if interval.months != 0 {
        return Err(invalid().detail("Cannot specify months in time zone interval."));
    }
    if interval.days != 0 {
        return Err(invalid().detail("Cannot specify days in time zone interval."));
    }
    i32::try_from(interval.micros / MICROS_PER_SECOND).ok().and_then(TimeZone::fixed).ok_or_else(invalid)
}

/// The schemas of a search path.
pub(super) fn schemas(values: &[String], user: &str) -> Arc<[String]> {
    let names = values.iter().flat_map(|value| {
        // One string may hold the whole list: startup parameters and set_config do.
        let parts = value.split(',').map(|part| part.trim().trim_matches('"').to_owned());
        parts.filter(|name| !name.is_empty()).collect::<Vec<_>>()
    });
    // Where a session's own schema stands, no name says but `pg_temp`; others' are not for it.
    let names = names.filter(|name| !is_temporary(name));
    names.map(|name| if name == "$user" { user.to_owned() } else { name }).collect()
}

/// How dates are printed, and in which order their parts stand.
pub(super) type Dates = (DateStyle, DateOrder);

/// What `DateStyle` says; what it does not speak of stays.
pub(super) fn dates(values: &[String], before: Dates) -> SqlResult<Dates> {
    let text = values.join(", ");
    let wrong = |detail: String| {
        let message = format!("invalid value for parameter \"DateStyle\": \"{text}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).detail(detail)
    };
    let (mut style, mut order) = (None, None);
    for part in text.split(',').map(str::trim) {
        let word = part.to_ascii_lowercase();
        let conflict = match (style_named(&word), order_named(&word)) {
            (Some(said), _) => style.replace(said).is_some_and(|before| before != said),
            (_, Some(said)) => order.replace(said).is_some_and(|before| before != said),
            (None, None) if word == "default" => {
                (style, order) = (style.or(Some(DateStyle::default())), order.or(Some(DateOrder::default())));
                false
            }
            (None, None) => return Err(wrong(format!("Unrecognized key word: \"{part}\"."))),
        };
        if conflict {
            return Err(wrong("Conflicting \"datestyle\" specifications.".to_owned()));
        }
    }
    let german = (style == Some(DateStyle::German)).then_some(DateOrder::DayMonthYear);
    Ok((style.unwrap_or(before.0), order.or(german).unwrap_or(before.1)))
}

fn style_named(word: &str) -> Option<DateStyle> {
    match word {
        "iso" => Some(DateStyle::Iso),
        "sql" => Some(DateStyle::Sql),
        "german" => Some(DateStyle::German),
        word if word.starts_with("postgres") => Some(DateStyle::Postgres),
        _ => None,
    }
}

fn order_named(word: &str) -> Option<DateOrder> {
    match word {
        "ymd" => Some(DateOrder::YearMonthDay),
        "dmy" => Some(DateOrder::DayMonthYear),
        "mdy" | "us" => Some(DateOrder::MonthDayYear),
        word if word.starts_with("euro") => Some(DateOrder::DayMonthYear),
        word if word.starts_with("noneuro") => Some(DateOrder::MonthDayYear),
        _ => None,
    }
}

/// `DateStyle` as `SHOW` prints it.
pub(super) fn date_style((style, order): Dates) -> String {
    let style = match style {
        DateStyle::Iso => "ISO",
        DateStyle::Sql => "SQL",
        DateStyle::Postgres => "Postgres",
        DateStyle::German => "German",
    };
    let order = match order {
        DateOrder::MonthDayYear => "MDY",
        DateOrder::DayMonthYear => "DMY",
        DateOrder::YearMonthDay => "YMD",
    };
    format!("{style}, {order}")
}

/// The style of intervals that a valid value names.
pub(super) fn interval_style(text: &str) -> IntervalStyle {
    match text {
        "postgres_verbose" => IntervalStyle::PostgresVerbose,
        "sql_standard" => IntervalStyle::SqlStandard,
        "iso_8601" => IntervalStyle::Iso8601,
        _ => IntervalStyle::Postgres,
    }
}
