//! Numbers of any precision.
//!
//! Invariants: the scale of a finite number is what is displayed, it is never negative, and the number is within what
//! PostgreSQL can store ([`MAX_WEIGHT`], [`MAX_SCALE`]); every operation's result has the scale that PostgreSQL gives it.
//!
//! Source: PostgreSQL 15, `numeric.c`.

mod arithmetic;
mod convert;
mod decimal;
mod functions;
mod integers;
mod text;
mod wire;

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

pub use arithmetic::division_by_zero;

use crate::{SqlError, SqlResult, error::SqlState};

/// The most digits before the decimal point.
pub const MAX_WEIGHT: i64 = 131_072;
/// The most digits behind the decimal point.
pub const MAX_SCALE: i64 = 16_383;

/// `numeric`: an exact decimal number with its display scale, or one of PostgreSQL's special values.
#[derive(Clone, Debug, PartialEq)]
pub enum Numeric {
    /// A number; its scale is what is displayed.
    Finite(BigDecimal),
    /// `NaN`, which equals itself and sorts last.
    NaN,
    /// `Infinity`
    Infinity,
    /// `-Infinity`
    NegativeInfinity,
}

impl Numeric {
    /// A finite number as `integer / 10^scale`; a negative scale becomes zeros before the point.
    ///
    /// # Errors
    ///
    /// `22003` if PostgreSQL could not store it.
    pub fn finite(integer: BigInt, scale: i64) -> SqlResult<Self> {
        if decimal::length(&integer) - scale > MAX_WEIGHT || scale > MAX_SCALE {
            return Err(overflow());
        }
        let (integer, scale) = if scale < 0 { (integer * decimal::ten(-scale), 0) } else { (integer, scale) };
        Ok(Self::Finite(decimal::number(integer, scale)))
    }

    /// The number 0, without digits behind the point.
    #[must_use]
    pub fn zero() -> Self {
        Self::from(0i64)
    }

    /// Whether it is `NaN`.
    #[must_use]
    pub const fn is_nan(&self) -> bool {
        matches!(self, Self::NaN)
    }

    /// -1, 0 or 1, as its sign is; 0 for `NaN`.
    #[must_use]
    pub fn signum(&self) -> i32 {
        match self {
            Self::Finite(number) => match number.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
            Self::NaN => 0,
            Self::Infinity => 1,
            Self::NegativeInfinity => -1,
        }
    }

    /// How many digits are displayed behind the point, if it is finite.
    #[must_use]
    pub fn scale(&self) -> Option<i64> {
        match self {
            Self::Finite(number) => Some(number.as_bigint_and_scale().1),
            _ => None,
        }
    }

    /// The order of `numeric`: by value, whatever the scales; infinities at the ends, `NaN` behind all.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let rank = |n: &Self| match n {
            Self::NegativeInfinity => 0,
            Self::Finite(_) => 1,
            Self::Infinity => 2,
            Self::NaN => 3,
        };
        match (self, other) {
            (Self::Finite(a), Self::Finite(b)) => compare_finite(a, b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

fn compare_finite(a: &BigDecimal, b: &BigDecimal) -> Ordering {
    let ((a, a_scale), (b, b_scale)) = (a.as_bigint_and_scale(), b.as_bigint_and_scale());
    match a_scale.cmp(&b_scale) {
        Ordering::Equal => a.cmp(&b),
        Ordering::Less => (a.as_ref() * decimal::ten(b_scale - a_scale)).cmp(&b),
        Ordering::Greater => a.as_ref().cmp(&(b.as_ref() * decimal::ten(a_scale - b_scale))),
    }
}

/// `22003`: a number beyond what `numeric` can store.
fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}
