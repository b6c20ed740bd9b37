//! Text of booleans, integers and floating-point numbers.

use super::errors::{invalid_syntax, text_out_of_range};
use super::shortest::{shortest_f32, shortest_f64};
use crate::{SqlError, SqlResult, error::SqlState};

/// White space, as C's `isspace` knows it.
pub const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A `boolean` from text: any beginning of `true`, `false`, `yes`, `no`, then `on`, `off`, `1`, `0`.
///
/// # Errors
///
/// `22P02` for other text.
pub fn parse_bool(text: &str) -> SqlResult<bool> {
    let word = text.trim_matches(is_space).to_ascii_lowercase();
    let begins = |whole: &str| !word.is_empty() && whole.starts_with(&word);
    if begins("true") || begins("yes") || word == "on" || word == "1" {
        return Ok(true);
    }
    if begins("false") || begins("no") || word == "of" || word == "off" || word == "0" {
        return Ok(false);
    }
    Err(invalid_syntax("boolean", text))
}

/// An integer from text, within `min..=max`.
///
/// # Errors
///
/// `22P02` for text that is no integer, `22003` for one outside of the range.
pub fn parse_int(text: &str, ty: &str, min: i64, max: i64) -> SqlResult<i64> {
    let rest = text.trim_start_matches(is_space);
    let (negative, digits) = match rest.as_bytes().first() {
        Some(b'-') => (true, &rest[1..]),
        Some(b'+') => (false, &rest[1..]),
        _ => (false, rest),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return Err(invalid_syntax(ty, text));
    }
    let mut value = 0i128;
    for digit in digits[..end].bytes() {
        let digit = i128::from(digit - b'0');
        value = value * 10 + if negative { -digit } else { digit };
        if value < i128::from(min) || value > i128::from(max) {
            return Err(text_out_of_range(ty, text));
        }
    }
    if !digits[end..].chars().all(is_space) {
        return Err(invalid_syntax(ty, text));
    }
    i64::try_from(value).map_err(|_| text_out_of_range(ty, text))
}

/// An `oid` from text; negative numbers mean their two's complement, as in PostgreSQL.
///
/// # Errors
///
/// As [`parse_int`].
pub fn parse_oid(text: &str) -> SqlResult<u32> {
    let value = parse_int(text, "oid", i64::from(i32::MIN), i64::from(u32::MAX))?;
    Ok(value as u32)
}

/// The length of the number at the beginning of `text`, as C's `strtod` reads it (without hexadecimal numbers).
pub fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        at += if whole + fraction > 0 { 1 + fraction } else { 0 };
    }
    if whole + fraction == 0 {
        return 0;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// `NaN` and the infinities at the beginning of `text`, and their length.
fn special(text: &str) -> Option<(f64, usize)> {
    const NAMES: [(&str, f64); 7] = [
        ("nan", f64::NAN),
        ("infinity", f64::INFINITY),
        ("+infinity", f64::INFINITY),
        ("-infinity", f64::NEG_INFINITY),
        ("inf", f64::INFINITY),
        ("+inf", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
    ];
    let matches = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    NAMES.iter().find(|(name, _)| matches(name)).map(|(name, value)| (*value, name.len()))
}

macro_rules! float_input {
    ($(#[$doc:meta])* $name:ident, $float:ty, $ty:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// `22P02` for text that is no number, `22003` for one that overflows or underflows.
        pub fn $name(text: &str) -> SqlResult<$float> {
            let rest = text.trim_start_matches(is_space);
            let (value, length) = match number_length(rest) {
                0 => special(rest).map(|(value, length)| (value as $float, length)),
                length => rest[..length].parse::<$float>().ok().map(|value| (value, length)),
            }
            .ok_or_else(|| invalid_syntax($ty, text))?;
            let number = &rest[..length];
            let lost = value == 0.0 && has_nonzero_digit(number);
            let grown = value.is_infinite() && number.bytes().any(|b| b.is_ascii_digit());
            if lost || grown {
                // PostgreSQL shows all of the text of a `real`.
                let shown = if $ty == "real" { text } else { number };
                let message = format!("\"{shown}\" is out of range for type {}", $ty);
                return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
            }
            if !rest[length..].chars().all(is_space) {
                return Err(invalid_syntax($ty, text));
            }
            Ok(value)
        }
    };
}

fn has_nonzero_digit(number: &str) -> bool {
    number.bytes().take_while(|b| !matches!(b, b'e' | b'E')).any(|b| matches!(b, b'1'..=b'9'))
}

float_input!(
    /// A `real` from text.
    parse_float4,
    f32,
    "real"
);
float_input!(
    /// A `double precision` from text.
    parse_float8,
    f64,
    "double precision"
);

/// The text of a `real`.
#[must_use]
pub fn print_float4(value: f32, extra_float_digits: i32) -> String {
    if extra_float_digits > 0 || !value.is_finite() {
        return place(&shortest_f32(value), f64::from(value), 6);
    }
    print_general(f64::from(value), 6 + extra_float_digits)
}

/// The text of a `double precision`.
#[must_use]
pub fn print_float8(value: f64, extra_float_digits: i32) -> String {
    if extra_float_digits > 0 || !value.is_finite() {
        return place(&shortest_f64(value), value, 15);
    }
    print_general(value, 15 + extra_float_digits)
}

/// C's `%.*g`.
#[must_use]
pub fn print_general(value: f64, digits: i32) -> String {
    let digits = usize::try_from(digits).unwrap_or(1).max(1);
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    place(&format!("{mantissa}e{exponent}"), value, i32::try_from(digits).unwrap_or(15))
}

/// Lays `digits.digits e exponent` out as C does: plainly if the exponent is in `-4..limit`.
fn place(scientific: &str, value: f64, limit: i32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..limit).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let Ok(before) = usize::try_from(exponent + 1) else {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    };
    match digits.len() {
        length if length <= before => format!("{sign}{digits}{}", "0".repeat(before - length)),
        _ if before == 0 => format!("{sign}0.{digits}"),
        _ => format!("{sign}{}.{}", &digits[..before], &digits[before..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_the_shortest_text_as_postgres_lays_it_out() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-1.5e300, "-1.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(print_float8(value, 1), text);
        }
        assert_eq!(print_float4(1e6, 1), "1e+06");
        assert_eq!(print_float4(16_777_216.0, 1), "1.6777216e+07");
        assert_eq!(print_float8(0.1 + 0.2, 0), "0.3");
        assert_eq!(print_float8(1.0 / 3.0, -12), "0.333");
    }

    #[test]
    fn floats_outside_of_their_range_are_refused() {
        for text in ["1e400", "-1e400", "1e-400"] {
            assert_eq!(parse_float8(text).unwrap_err().state().0, "22003", "{text}");
        }
        assert_eq!(
            parse_float8("1e400x").unwrap_err().to_string(),
            "\"1e400\" is out of range for type double precision"
        );
        for text in ["", "x", "1e", "1.2.3", ".", "- 1", "infx"] {
            assert_eq!(parse_float8(text).unwrap_err().state().0, "22P02", "{text}");
        }
        assert_eq!(parse_float8(" -iNf ").unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn the_range_of_an_integer_is_checked_before_what_follows_it() {
        let int = |text| parse_int(text, "integer", i32::MIN.into(), i32::MAX.into());
        assert_eq!(int(" -2147483648\n").unwrap(), -2_147_483_648);
        assert_eq!(int("2147483648x").unwrap_err().state().0, "22003");
        assert_eq!(int("1 2").unwrap_err().to_string(), "invalid input syntax for type integer: \"1 2\"");
    }
}
