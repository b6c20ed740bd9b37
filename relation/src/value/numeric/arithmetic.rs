//! Sums, products, quotients and rounding.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

use super::decimal::{divide_rounded, first_group, parts, rescale, ten};
use super::{MAX_SCALE, Numeric};
use crate::{SqlError, SqlResult, error::SqlState};

/// The least significant digits that quotients and functions give.
pub(super) const MIN_SIGNIFICANT: i64 = 16;
/// The most digits behind the point that quotients and functions give by themselves.
pub(super) const MAX_DISPLAY_SCALE: i64 = 1000;
/// The most digits before the point that rounding takes away: more than any number has.
const MAX_ROUNDED: i64 = 131_073;

/// `22012`
#[must_use]
pub fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// Both integers at the larger one of their scales, and that scale.
fn aligned(a: &BigDecimal, b: &BigDecimal) -> (BigInt, BigInt, i64) {
    let ((a, a_scale), (b, b_scale)) = (parts(a), parts(b));
    let scale = a_scale.max(b_scale);
    (rescale(&a, a_scale, scale), rescale(&b, b_scale, scale), scale)
}

/// The scale that PostgreSQL gives a quotient.
pub(super) fn quotient_scale(a: &BigDecimal, b: &BigDecimal) -> i64 {
    let ((a_weight, a_first), (b_weight, b_first)) = (first_group(a), first_group(b));
    let weight = a_weight - b_weight - i64::from(a_first <= b_first);
    (MIN_SIGNIFICANT - weight * super::decimal::GROUP).max(parts(a).1).max(parts(b).1).clamp(0, MAX_DISPLAY_SCALE)
}

/// `a / b` to `scale` digits; `b` is not 0.
pub(super) fn quotient(a: &BigDecimal, b: &BigDecimal, scale: i64) -> BigInt {
    let ((a, a_scale), (b, b_scale)) = (parts(a), parts(b));
    match scale + b_scale - a_scale {
        shift if shift >= 0 => divide_rounded(&(a * ten(shift)), &b),
        shift => divide_rounded(&a, &(b * ten(-shift))),
    }
}

impl Numeric {
    /// `self + other`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn add(&self, other: &Self) -> SqlResult<Self> {
        match (self, other) {
            (Self::Finite(a), Self::Finite(b)) => {
                let (a, b, scale) = aligned(a, b);
                Self::finite(a + b, scale)
            }
            (Self::NaN, _)
            | (_, Self::NaN)
            | (Self::Infinity, Self::NegativeInfinity)
            | (Self::NegativeInfinity, Self::Infinity) => Ok(Self::NaN),
            (Self::Finite(_), special) | (special, _) => Ok(special.clone()),
        }
    }

    /// `self - other`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn sub(&self, other: &Self) -> SqlResult<Self> {
        self.add(&other.neg())
    }

    /// `self * other`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn mul(&self, other: &Self) -> SqlResult<Self> {
        if let (Self::Finite(a), Self::Finite(b)) = (self, other) {
            let ((a, a_scale), (b, b_scale)) = (parts(a), parts(b));
            let scale = a_scale + b_scale;
            let kept = scale.min(MAX_SCALE);
            return Self::finite(rescale(&(a * b), scale, kept), kept);
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Self::NaN);
        }
        Ok(Self::infinite(self.signum() * other.signum()))
    }

    /// The infinity with a sign; without one, `NaN`.
    const fn infinite(sign: i32) -> Self {
        match sign {
            0 => Self::NaN,
            1.. => Self::Infinity,
            _ => Self::NegativeInfinity,
        }
    }

    /// `self / other`
    ///
    /// # Errors
    ///
    /// `22012` if `other` is 0, `22003` if the result cannot be stored.
    pub fn div(&self, other: &Self) -> SqlResult<Self> {
        if let (Self::Finite(a), Self::Finite(b)) = (self, other)
            && other.signum() != 0
        {
            let scale = quotient_scale(a, b);
            return Self::finite(quotient(a, b, scale), scale);
        }
        self.div_special(other)
    }

    /// Quotients where a part is special or the divisor is 0.
    fn div_special(&self, other: &Self) -> SqlResult<Self> {
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (Self::Infinity | Self::NegativeInfinity, Self::Infinity | Self::NegativeInfinity) => Ok(Self::NaN),
            (_, Self::Finite(_)) if other.signum() == 0 => Err(division_by_zero()),
            (_, Self::Finite(_)) => Ok(Self::infinite(self.signum() * other.signum())),
            _ => Ok(Self::zero()),
        }
    }

    /// `div(self, other)`: the quotient without its fraction.
    ///
    /// # Errors
    ///
    /// As [`Numeric::div`].
    pub fn div_trunc(&self, other: &Self) -> SqlResult<Self> {
        if let (Self::Finite(a), Self::Finite(b)) = (self, other)
            && other.signum() != 0
        {
            let (a, b, _) = aligned(a, b);
            return Self::finite(a / b, 0);
        }
        self.div_special(other)
    }

    /// `self % other`, with the sign of `self`.
    ///
    /// # Errors
    ///
    /// `22012` if `other` is 0.
    pub fn rem(&self, other: &Self) -> SqlResult<Self> {
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (_, Self::Finite(b)) if b.sign() == Sign::NoSign => Err(division_by_zero()),
            (Self::Finite(a), Self::Finite(b)) => {
                let (a, b, scale) = aligned(a, b);
                Self::finite(a % b, scale)
            }
            (Self::Finite(_), _) => Ok(self.clone()),
            _ => Ok(Self::NaN),
        }
    }

    /// `-self`
    #[must_use]
    pub fn neg(&self) -> Self {
        match self {
            Self::Finite(number) => Self::Finite(-number.clone()),
            Self::NaN => Self::NaN,
            Self::Infinity => Self::NegativeInfinity,
            Self::NegativeInfinity => Self::Infinity,
        }
    }

    /// `abs(self)`
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// `sign(self)`
    #[must_use]
    pub fn sign(&self) -> Self {
        if self.is_nan() { Self::NaN } else { Self::from(i64::from(self.signum())) }
    }

    /// `round(self, scale)`, half away from zero; a negative scale rounds before the point.
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn round(&self, scale: i32) -> SqlResult<Self> {
        self.with_scale(scale, rescale)
    }

    /// `trunc(self, scale)`: the digits behind are dropped.
    ///
    /// # Errors
    ///
    /// None in practice: the result is not larger than the number.
    pub fn trunc(&self, scale: i32) -> SqlResult<Self> {
        self.with_scale(scale, |integer, from, to| match to - from {
            more if more >= 0 => integer * ten(more),
            fewer => integer / ten(-fewer),
        })
    }

    fn with_scale(&self, scale: i32, change: fn(&BigInt, i64, i64) -> BigInt) -> SqlResult<Self> {
        let Self::Finite(number) = self else { return Ok(self.clone()) };
        let scale = i64::from(scale).clamp(-MAX_ROUNDED, MAX_SCALE);
        let (integer, own) = parts(number);
        let changed = change(&integer, own, scale);
        let scale = if changed.sign() == Sign::NoSign { scale.max(0) } else { scale };
        Self::finite(changed, scale)
    }

    /// `ceil(self)`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn ceil(&self) -> SqlResult<Self> {
        let down = self.trunc(0)?;
        if down.compare(self).is_lt() { down.add(&Self::from(1i64)) } else { Ok(down) }
    }

    /// `floor(self)`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn floor(&self) -> SqlResult<Self> {
        let up = self.trunc(0)?;
        if up.compare(self).is_gt() { up.sub(&Self::from(1i64)) } else { Ok(up) }
    }
}
