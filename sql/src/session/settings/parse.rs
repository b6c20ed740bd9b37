//! Values of settings: what is accepted, and the form in which `SHOW` prints it.

use std::sync::Arc;
use std::time::Duration;

use annulus_relation::error::SqlState;
use annulus_relation::value::TimeZone;
use annulus_relation::{SqlError, SqlResult};

use super::known::{Kind, Known};
use crate::bind::quote_name;

/// Units of time, in milliseconds.
const TIMES: [(&str, f64); 6] =
    [("us", 0.001), ("ms", 1.0), ("s", 1_000.0), ("min", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)];

fn invalid(known: &Known, value: &str) -> SqlError {
    let message = format!("invalid value for parameter \"{}\": \"{value}\"", known.name);
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The value in the form that is kept.
pub(super) fn normal(known: &Known, values: &[String]) -> SqlResult<String> {
    if let Kind::Names = known.kind {
        return Ok(values.iter().map(|name| quote_name(name)).collect::<Vec<_>>().join(", "));
    }
    if let Kind::DateStyle = known.kind {
        return date_style(known, values);
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
        Kind::Encoding => match value.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "utf8" | "unicode" => Ok("UTF8".to_owned()),
            _ => Err(SqlError::unsupported(format!("encoding \"{value}\"")).hint("Use UTF8.")),
        },
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

/// A time zone by name or offset.
pub(super) fn zone(text: &str) -> SqlResult<TimeZone> {
    TimeZone::setting(text).ok_or_else(|| {
        let message = format!("invalid value for parameter \"TimeZone\": \"{text}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    })
}

/// The schemas of a search path.
pub(super) fn schemas(values: &[String], user: &str) -> Arc<[String]> {
    let names = values.iter().flat_map(|value| {
        // One string may hold the whole list: startup parameters and set_config do.
        let parts = value.split(',').map(|part| part.trim().trim_matches('"').to_owned());
        parts.filter(|name| !name.is_empty()).collect::<Vec<_>>()
    });
    names.map(|name| if name == "$user" { user.to_owned() } else { name }).collect()
}

/// Only the ISO style, months before days.
fn date_style(known: &Known, values: &[String]) -> SqlResult<String> {
    let parts = values.iter().flat_map(|value| value.split(',')).map(|part| part.trim().to_ascii_lowercase());
    for part in parts {
        match part.as_str() {
            "iso" | "mdy" | "us" | "noneuro" | "noneuropean" | "default" => {}
            "sql" | "postgres" | "german" | "dmy" | "ymd" | "euro" | "european" => {
                return Err(
                    SqlError::unsupported(format!("DateStyle \"{part}\"")).hint("Dates are printed as ISO, MDY.")
                );
            }
            _ => return Err(invalid(known, &values.join(", "))),
        }
    }
    Ok("ISO, MDY".to_owned())
}
