//! Numbers of other types, from and to `numeric`.

use bigdecimal::num_bigint::BigInt;

use super::{Numeric, decimal};
use crate::value::errors::out_of_range;
use crate::value::number::{self, parse_float4, parse_float8};
use crate::{SqlError, SqlResult, error::SqlState};

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Self::from(i128::from(value))
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Self {
        Self::Finite(decimal::number(BigInt::from(value), 0))
    }
}

impl Numeric {
    /// The number that a `double precision` is to 15 digits, as PostgreSQL converts it.
    ///
    /// # Errors
    ///
    /// None in practice: every such number can be stored.
    pub fn from_f64(value: f64) -> SqlResult<Self> {
        Self::parse(&number::print_float8(value, 0))
    }

    /// The number that a `real` is to 6 digits, as PostgreSQL converts it.
    ///
    /// # Errors
    ///
    /// None in practice: every such number can be stored.
    pub fn from_f32(value: f32) -> SqlResult<Self> {
        Self::parse(&number::print_float4(value, 0))
    }

    /// The nearest `double precision`.
    ///
    /// # Errors
    ///
    /// `22003` beyond its range.
    pub fn to_f64(&self) -> SqlResult<f64> {
        match self {
            Self::NaN => Ok(f64::NAN),
            Self::Infinity => Ok(f64::INFINITY),
            Self::NegativeInfinity => Ok(f64::NEG_INFINITY),
            Self::Finite(_) => parse_float8(&self.print()),
        }
    }

    /// The nearest `real`.
    ///
    /// # Errors
    ///
    /// `22003` beyond its range.
    pub fn to_f32(&self) -> SqlResult<f32> {
        match self {
            Self::NaN => Ok(f32::NAN),
            Self::Infinity => Ok(f32::INFINITY),
            Self::NegativeInfinity => Ok(f32::NEG_INFINITY),
            Self::Finite(_) => parse_float4(&self.print()),
        }
    }

    /// The integer that it rounds to, half away from zero.
    ///
    /// # Errors
    ///
    /// `22003` beyond `bigint`, `0A000` for the special values.
    pub fn to_i64(&self) -> SqlResult<i64> {
        self.to_integer("bigint")
    }

    /// The integer of a narrower type that it rounds to; `ty` is that type's name.
    ///
    /// # Errors
    ///
    /// As [`Numeric::to_i64`].
    pub fn to_integer<T: TryFrom<BigInt>>(&self, ty: &str) -> SqlResult<T> {
        let special = |what: &str| {
            let message = format!("cannot convert {what} to {ty}");
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
        };
        match self {
            Self::NaN => special("NaN"),
            Self::Infinity | Self::NegativeInfinity => special("infinity"),
            Self::Finite(number) => {
                let (integer, _) = decimal::parts(&decimal::rounded(number, 0));
                T::try_from(integer).map_err(|_| out_of_range(ty))
            }
        }
    }
}
