//! Integers in the decimal system: the ground under [`Numeric`](super::Numeric).

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

/// Decimal digits in one of PostgreSQL's digits; its result scales depend on how numbers fall into them.
pub const GROUP: i64 = 4;

/// `10^n`; 1 if `n` is negative.
pub fn ten(n: i64) -> BigInt {
    match u32::try_from(n) {
        Ok(n) if n < 39 => BigInt::from(10u128.pow(n)),
        Ok(n) => BigInt::from(10).pow(n),
        Err(_) => BigInt::from(1),
    }
}

/// How many decimal digits a number has; 0 has none.
pub fn length(n: &BigInt) -> i64 {
    if n.sign() == Sign::NoSign {
        return 0;
    }
    let log = (n.bits() - 1) as f64 * std::f64::consts::LOG10_2;
    let at_least = (log.floor() as i64 - 1).max(0);
    let mut length = at_least;
    let mut bound = ten(at_least);
    while n.magnitude() >= bound.magnitude() {
        length += 1;
        bound *= 10;
    }
    length
}

/// `n / divisor`, rounded to the nearest integer, half away from zero.
pub fn divide_rounded(n: &BigInt, divisor: &BigInt) -> BigInt {
    let magnitude = n.magnitude();
    let divisor_magnitude = divisor.magnitude();
    let rounded = (magnitude * 2u32 + divisor_magnitude) / (divisor_magnitude * 2u32);
    let sign = if n.sign() == divisor.sign() { Sign::Plus } else { Sign::Minus };
    BigInt::from_biguint(sign, rounded)
}

/// The number `n / 10^from` as a multiple of `10^-to`, rounded half away from zero.
pub fn rescale(n: &BigInt, from: i64, to: i64) -> BigInt {
    match to - from {
        0 => n.clone(),
        more if more > 0 => n * ten(more),
        fewer => divide_rounded(n, &ten(-fewer)),
    }
}

/// The integer and the scale of a number: it is `integer / 10^scale`.
pub fn parts(number: &BigDecimal) -> (BigInt, i64) {
    let (integer, scale) = number.as_bigint_and_scale();
    (integer.into_owned(), scale)
}

/// The power of ten of a number's first digit; of 0, 0.
pub fn exponent(number: &BigDecimal) -> i64 {
    let (integer, scale) = parts(number);
    match length(&integer) {
        0 => 0,
        length => length - 1 - scale,
    }
}

/// The power of 10000 of a number's first digit in PostgreSQL's form, and that digit; of 0, both are 0.
pub fn first_group(number: &BigDecimal) -> (i64, i64) {
    let (integer, scale) = parts(number);
    let length = length(&integer);
    if length == 0 {
        return (0, 0);
    }
    let exponent = length - 1 - scale;
    let digits = exponent.rem_euclid(GROUP) + 1;
    let magnitude = BigInt::from(integer.magnitude().clone());
    let first = if length >= digits { magnitude / ten(length - digits) } else { magnitude * ten(digits - length) };
    (exponent.div_euclid(GROUP), i64::try_from(first).unwrap_or(0))
}

/// A number that is `integer / 10^scale`.
pub fn number(integer: BigInt, scale: i64) -> BigDecimal {
    BigDecimal::new(integer, scale)
}

/// A number rounded half away from zero to `scale` digits behind the point (negative: before it).
pub fn rounded(value: &BigDecimal, scale: i64) -> BigDecimal {
    let (integer, own) = parts(value);
    number(rescale(&integer, own, scale), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_groups_are_those_of_the_decimal_digits() {
        for n in 0..60 {
            assert_eq!(length(&ten(n)), n + 1);
            assert_eq!(length(&(ten(n) - 1)), n);
        }
        let group = |integer: i64, scale| first_group(&number(integer.into(), scale));
        assert_eq!(group(12_345_678, 0), (1, 1234));
        assert_eq!(group(5, 1), (-1, 5000));
        assert_eq!(group(5, 5), (-2, 5000));
        assert_eq!(group(1_000_000, 2), (1, 1));
    }

    #[test]
    fn halves_round_away_from_zero() {
        let round = |n: i64| divide_rounded(&n.into(), &10.into());
        assert_eq!([round(15), round(-15), round(14), round(-14), round(-4)], [2, -2, 1, -1, 0].map(BigInt::from));
    }
}
