//! Functions that see a number as its digits: divisors, factorials, trailing zeros.

use bigdecimal::num_bigint::BigInt;

use super::decimal::{length, parts, rescale};
use super::{Numeric, overflow};
use crate::{SqlError, SqlResult, error::SqlState};

/// The largest number whose factorial can be stored.
const MAX_FACTORIAL: i64 = 32_177;

impl Numeric {
    /// `gcd(self, other)`
    ///
    /// # Errors
    ///
    /// None in practice: the result is not larger than the numbers.
    pub fn gcd(&self, other: &Self) -> SqlResult<Self> {
        let (Self::Finite(a), Self::Finite(b)) = (self, other) else { return Ok(Self::NaN) };
        let ((a, a_scale), (b, b_scale)) = (parts(a), parts(b));
        let scale = a_scale.max(b_scale);
        Self::finite(gcd(rescale(&a, a_scale, scale), rescale(&b, b_scale, scale)), scale)
    }

    /// `lcm(self, other)`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn lcm(&self, other: &Self) -> SqlResult<Self> {
        let (Self::Finite(a), Self::Finite(b)) = (self, other) else { return Ok(Self::NaN) };
        let ((a, a_scale), (b, b_scale)) = (parts(a), parts(b));
        let scale = a_scale.max(b_scale);
        let (a, b) = (rescale(&a, a_scale, scale), rescale(&b, b_scale, scale));
        let divisor = gcd(a.clone(), b.clone());
        if length(&divisor) == 0 {
            return Self::finite(divisor, scale);
        }
        Ok(Self::finite(a / divisor * b, scale)?.abs())
    }

    /// `factorial(n)`
    ///
    /// # Errors
    ///
    /// `22003` for a negative number, or if the result cannot be stored.
    pub fn factorial(n: i64) -> SqlResult<Self> {
        if n < 0 {
            let message = "factorial of a negative number is undefined";
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        if n > MAX_FACTORIAL {
            return Err(overflow());
        }
        Self::finite((2..=n).fold(BigInt::from(1), |product, n| product * n), 0)
    }

    /// `min_scale(self)`: the digits behind the point without trailing zeros; none for the special values.
    #[must_use]
    pub fn min_scale(&self) -> Option<i64> {
        let Self::Finite(number) = self else { return None };
        let (integer, scale) = parts(number);
        if length(&integer) == 0 {
            return Some(0);
        }
        let digits = integer.magnitude().to_string();
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        Some((scale - zeros as i64).max(0))
    }

    /// `trim_scale(self)`: the same number without trailing zeros behind the point.
    ///
    /// # Errors
    ///
    /// None in practice: the result is the same number.
    pub fn trim_scale(&self) -> SqlResult<Self> {
        match (self, self.min_scale()) {
            (Self::Finite(number), Some(scale)) => {
                let (integer, own) = parts(number);
                Self::finite(rescale(&integer, own, scale), scale)
            }
            _ => Ok(self.clone()),
        }
    }
}

fn gcd(mut a: BigInt, mut b: BigInt) -> BigInt {
    while length(&b) > 0 {
        (a, b) = (b.clone(), a % b);
    }
    BigInt::from(a.magnitude().clone())
}
