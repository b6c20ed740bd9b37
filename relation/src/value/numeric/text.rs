//! Text of numbers, and the limits of `numeric(precision, scale)`.

use bigdecimal::num_bigint::BigInt;

use super::{MAX_SCALE, MAX_WEIGHT, Numeric, decimal, overflow};
use crate::value::errors::invalid_syntax;
use crate::value::number::is_space;
use crate::{SqlError, SqlResult, error::SqlState};

const SPECIAL: [(&str, Numeric); 7] = [
    ("nan", Numeric::NaN),
    ("infinity", Numeric::Infinity),
    ("+infinity", Numeric::Infinity),
    ("-infinity", Numeric::NegativeInfinity),
    ("inf", Numeric::Infinity),
    ("+inf", Numeric::Infinity),
    ("-inf", Numeric::NegativeInfinity),
];

/// Exponents from here on overflow whatever the digits are.
const MAX_EXPONENT: i64 = i32::MAX as i64 / 2;

impl Numeric {
    /// A number from text: digits, a point and an exponent, or a special value.
    ///
    /// # Errors
    ///
    /// `22P02` for other text, `22003` for a number that PostgreSQL could not store.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let invalid = || invalid_syntax("numeric", text);
        let rest = text.trim_matches(is_space);
        if let Some((_, value)) = SPECIAL.iter().find(|(name, _)| rest.eq_ignore_ascii_case(name)) {
            return Ok(value.clone());
        }
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent).ok_or_else(invalid)?),
            None => (rest, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(mantissa) => (true, mantissa),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        if exponent.abs() >= MAX_EXPONENT {
            return Err(overflow());
        }
        build(negative, &digits, fraction.len() as i64 - exponent)
    }

    /// Its text.
    #[must_use]
    pub fn print(&self) -> String {
        let number = match self {
            Self::NaN => return "NaN".to_owned(),
            Self::Infinity => return "Infinity".to_owned(),
            Self::NegativeInfinity => return "-Infinity".to_owned(),
            Self::Finite(number) => number,
        };
        let (integer, scale) = decimal::parts(number);
        let text = integer.magnitude().to_string();
        let sign = if self.signum() < 0 { "-" } else { "" };
        let scale = usize::try_from(scale).unwrap_or(0);
        if scale == 0 {
            return format!("{sign}{text}");
        }
        let text = format!("{text:0>width$}", width = scale + 1);
        let (whole, fraction) = text.split_at(text.len() - scale);
        format!("{sign}{whole}.{fraction}")
    }

    /// The number as `numeric(precision, scale)` holds it: rounded to its scale.
    ///
    /// # Errors
    ///
    /// `22003` if it has too many digits before the point.
    pub fn enforce(self, limits: Option<(u16, i16)>) -> SqlResult<Self> {
        let Some((precision, scale)) = limits else { return Ok(self) };
        let overflow = |detail: String| {
            let detail = format!("A field with precision {precision}, scale {scale} {detail}");
            Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(detail))
        };
        let number = match self {
            Self::NaN => return Ok(Self::NaN),
            Self::Infinity | Self::NegativeInfinity => return overflow("cannot hold an infinite value.".to_owned()),
            Self::Finite(number) => number,
        };
        let rounded = decimal::rounded(&number, scale.into());
        let digits = i64::from(precision) - i64::from(scale);
        if rounded.sign() != bigdecimal::num_bigint::Sign::NoSign && decimal::exponent(&rounded) >= digits {
            let limit = if digits == 0 { "1".to_owned() } else { format!("10^{digits}") };
            return overflow(format!("must round to an absolute value less than {limit}."));
        }
        let (integer, scale) = decimal::parts(&rounded);
        Self::finite(integer, scale)
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    // As C's `strtol`, which skips white space and stops at the ends of what it can hold.
    let text = text.trim_start_matches(is_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse().unwrap_or(i64::MAX);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

fn build(negative: bool, digits: &str, scale: i64) -> SqlResult<Numeric> {
    let significant = digits.trim_start_matches('0');
    if scale > MAX_SCALE || significant.len() as i64 - scale > MAX_WEIGHT {
        // Zero is zero, however many zeros its exponent asks for.
        if significant.is_empty() && scale <= MAX_SCALE {
            return Ok(Numeric::zero());
        }
        return Err(overflow());
    }
    if significant.is_empty() {
        return Numeric::finite(BigInt::from(0), scale.max(0));
    }
    let integer = BigInt::parse_bytes(significant.as_bytes(), 10).ok_or_else(overflow)?;
    Numeric::finite(if negative { -integer } else { integer }, scale)
}
