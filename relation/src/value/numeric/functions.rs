//! Roots, exponentials, logarithms and powers, to the digits that PostgreSQL gives.
//!
//! The scales of results are PostgreSQL's; the digits are computed with guard digits and rounded once.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::arithmetic::{MAX_DISPLAY_SCALE, MIN_SIGNIFICANT, quotient};
use super::decimal::{GROUP, exponent, first_group, length, number, parts, rescale, rounded, ten};
use super::{MAX_WEIGHT, Numeric, overflow};
use crate::{SqlError, SqlResult, error::SqlState};

/// `log10(e)`
const LOG10_E: f64 = std::f64::consts::LOG10_E;
/// `ln(10)`
const LN_10: f64 = std::f64::consts::LN_10;
/// Where `exp` surely overflows.
const MAX_EXP: f64 = 6000.0;
/// More digits than the result needs.
const GUARD: i64 = 12;

fn invalid_power(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

fn invalid_logarithm(sign: i32) -> SqlError {
    let what = if sign == 0 { "zero" } else { "a negative number" };
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, format!("cannot take logarithm of {what}"))
}

/// The nearest `f64`, infinite beyond its range.
fn approximate(x: &BigDecimal) -> f64 {
    Numeric::Finite(x.clone()).print().parse().unwrap_or(f64::NAN)
}

/// The scale that gives enough significant digits to a number near `10^weight`, and at least those of its arguments.
fn result_scale(weight: i64, arguments: &[&BigDecimal]) -> i64 {
    let given = arguments.iter().map(|x| parts(x).1).max().unwrap_or(0);
    (MIN_SIGNIFICANT - weight).max(given).clamp(0, MAX_DISPLAY_SCALE)
}

impl Numeric {
    /// `sqrt(self)`
    ///
    /// # Errors
    ///
    /// `2201F` for a negative number.
    pub fn sqrt(&self) -> SqlResult<Self> {
        if self.signum() < 0 {
            return Err(invalid_power("cannot take square root of a negative number"));
        }
        let Self::Finite(x) = self else { return Ok(self.clone()) };
        let scale = result_scale((first_group(x).0 + 1) * GROUP / 2 - 1, &[x]);
        let (integer, own) = parts(x);
        let square = integer * ten(2 * scale - own);
        let root = square.sqrt();
        let up = square > &root * &root + &root;
        Self::finite(if up { root + 1 } else { root }, scale)
    }

    /// `exp(self)`
    ///
    /// # Errors
    ///
    /// `22003` if the result cannot be stored.
    pub fn exp(&self) -> SqlResult<Self> {
        let Self::Finite(x) = self else {
            return Ok(if *self == Self::NegativeInfinity { Self::zero() } else { self.clone() });
        };
        let weight = (approximate(x) * LOG10_E).clamp(-2000.0, 2000.0) as i64;
        let scale = result_scale(weight, &[x]);
        Self::finite(exp(x, scale)?, scale)
    }

    /// `ln(self)`
    ///
    /// # Errors
    ///
    /// `2201E` for 0 and negative numbers.
    pub fn ln(&self) -> SqlResult<Self> {
        let x = match self {
            Self::Finite(x) if self.signum() > 0 => x,
            Self::NaN | Self::Infinity => return Ok(self.clone()),
            _ => return Err(invalid_logarithm(self.signum())),
        };
        let scale = result_scale(ln_weight(x), &[x]);
        Self::finite(ln(x, scale), scale)
    }

    /// `log(base, self)`
    ///
    /// # Errors
    ///
    /// `2201E` for 0 and negative numbers, `22012` for the base 1.
    pub fn log(&self, base: &Self) -> SqlResult<Self> {
        if self.is_nan() || base.is_nan() {
            return Ok(Self::NaN);
        }
        let (own, other) = (self.signum(), base.signum());
        if own < 0 || other < 0 {
            return Err(invalid_logarithm(-1));
        }
        if own == 0 || other == 0 {
            return Err(invalid_logarithm(0));
        }
        let (Self::Finite(x), Self::Finite(base)) = (self, base) else {
            return Ok(match (self, base) {
                (Self::Infinity, Self::Infinity) => Self::NaN,
                (_, Self::Infinity) => Self::zero(),
                _ => Self::Infinity,
            });
        };
        let (x_weight, base_weight) = (ln_weight(x), ln_weight(base));
        let weight = x_weight - base_weight;
        let scale = result_scale(weight, &[x, base]);
        let of = |x: &BigDecimal, own: i64| {
            let scale = (scale + weight - own + 8).max(0);
            number(ln(x, scale), scale)
        };
        let (x, base) = (of(x, x_weight), of(base, base_weight));
        if base.sign() == bigdecimal::num_bigint::Sign::NoSign {
            return Err(super::arithmetic::division_by_zero());
        }
        Self::finite(quotient(&x, &base, scale), scale)
    }

    /// `power(self, power)`
    ///
    /// # Errors
    ///
    /// `2201F` where it is undefined, `22003` if the result cannot be stored.
    pub fn power(&self, power: &Self) -> SqlResult<Self> {
        let one = Self::from(1i64);
        let is_one = self.compare(&one).is_eq();
        if self.is_nan() || power.is_nan() {
            let defined = is_one || power.signum() == 0 && !power.is_nan();
            return Ok(if defined { one } else { Self::NaN });
        }
        if self.signum() == 0 && power.signum() < 0 {
            return Err(invalid_power("zero raised to a negative power is undefined"));
        }
        if self.signum() < 0 && !power.is_integral() {
            return Err(invalid_power("a negative number raised to a non-integer power yields a complex result"));
        }
        match (self, power) {
            (Self::Finite(base), Self::Finite(power)) => power_finite(base, power),
            _ if is_one || power.signum() == 0 => Ok(one),
            _ if self.signum() == 0 => Ok(Self::zero()),
            (_, Self::Infinity | Self::NegativeInfinity) => {
                let grows = match self.abs().compare(&one) {
                    std::cmp::Ordering::Equal => return Ok(one),
                    order => order.is_gt() == (power.signum() > 0),
                };
                Ok(if grows { Self::Infinity } else { Self::zero() })
            }
            _ if power.signum() < 0 => Ok(Self::zero()),
            (Self::NegativeInfinity, _) if power.is_odd() => Ok(Self::NegativeInfinity),
            _ => Ok(Self::Infinity),
        }
    }

    fn is_integral(&self) -> bool {
        match self {
            Self::Finite(x) => x.is_integer(),
            Self::NaN => false,
            _ => true,
        }
    }

    fn is_odd(&self) -> bool {
        matches!(self, Self::Finite(x) if x.is_integer() && parts(&rounded(x, 0)).0.bit(0))
    }
}

/// `e^x` to `scale` digits: Taylor's series of `x / 2^n`, then squared `n` times.
fn exp(x: &BigDecimal, scale: i64) -> SqlResult<BigInt> {
    let estimate = approximate(x);
    if estimate.abs() >= MAX_EXP {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(BigInt::from(0)) };
    }
    let mut halvings = 0u32;
    while estimate.abs() / f64::from(1 << halvings) > 0.01 {
        halvings += 1;
    }
    let weight = (estimate * LOG10_E) as i64;
    let work = scale + weight.max(0) + i64::from(halvings) / 3 + GUARD;
    let one = ten(work);
    let (integer, own) = parts(x);
    let x = rescale(&integer, own, work) >> halvings;
    let mut sum = &one + &x;
    let mut term = x.clone();
    for n in 2.. {
        term = term * &x / (&one * n);
        if length(&term) == 0 {
            break;
        }
        sum += &term;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &one;
    }
    Ok(rescale(&sum, work, scale))
}

/// The power of ten of `ln(x)`, as PostgreSQL estimates it.
fn ln_weight(x: &BigDecimal) -> i64 {
    if is_near_one(x) {
        return exponent(&(x - number(BigInt::from(1), 0)));
    }
    let (integer, scale) = parts(x);
    let digits = length(&integer);
    // PostgreSQL looks at two of its groups: five to eight digits.
    let kept = (digits - 1 - scale).rem_euclid(GROUP) + 1 + GROUP;
    let first = if digits > kept { integer / ten(digits - kept) } else { integer * ten(kept - digits) };
    let first = i64::try_from(first).unwrap_or(1) as f64;
    (first.ln() + (digits - kept - scale) as f64 * LN_10).abs().log10() as i64
}

/// Whether `0.9 <= x <= 1.1`.
fn is_near_one(x: &BigDecimal) -> bool {
    let tenths = |n: i64| number(BigInt::from(n), 1);
    *x >= tenths(9) && *x <= tenths(11)
}

/// `ln(x)` of a positive `x` to `scale` digits: that of its digits, and that of its power of ten.
fn ln(x: &BigDecimal, scale: i64) -> BigInt {
    let (integer, own) = parts(x);
    let tens = if is_near_one(x) { 0 } else { exponent(x) };
    let work = scale + GUARD + 8;
    let digits = ln_of_digits(rescale(&integer, own + tens, work), work);
    let ln = if tens == 0 { digits } else { digits + ln_of_digits(ten(work + 1), work) * tens };
    rescale(&ln, work, scale)
}

/// `ln(x / 10^work)` of a number of `0.9..=10`: roots until it is near 1, then the series of `atanh`.
fn ln_of_digits(mut x: BigInt, work: i64) -> BigInt {
    let one = ten(work);
    let near = &one + ten(work - 1);
    let mut roots = 0u32;
    while x > near {
        x = (x * &one).sqrt();
        roots += 1;
    }
    let z = (&x - &one) * &one / (&x + &one);
    let square = &z * &z / &one;
    let mut sum = z.clone();
    let mut power = z;
    for n in (3u32..).step_by(2) {
        power = power * &square / &one;
        let term = &power / n;
        if length(&term) == 0 {
            break;
        }
        sum += term;
    }
    sum << (roots + 1)
}

fn power_finite(base: &BigDecimal, power: &BigDecimal) -> SqlResult<Numeric> {
    let whole = if power.is_integer() { i32::try_from(parts(&rounded(power, 0)).0).ok() } else { None };
    let zero = base.sign() == bigdecimal::num_bigint::Sign::NoSign;
    match whole {
        Some(whole) => {
            let scale = result_scale(0, &[base]);
            Numeric::finite(power_whole(base, whole, scale)?, scale)
        }
        None if zero => Numeric::finite(BigInt::from(0), MIN_SIGNIFICANT),
        None => power_real(base, power),
    }
}

/// `base^power` as `e^(power * ln(base))`; the sign of `base` counts if `power` is odd.
fn power_real(base: &BigDecimal, power: &BigDecimal) -> SqlResult<Numeric> {
    let negative = base.sign() == bigdecimal::num_bigint::Sign::Minus && Numeric::Finite(power.clone()).is_odd();
    let base = &base.abs();
    let weight = ln_weight(base);
    let exponent_to = |scale: i64| rounded(&(number(ln(base, scale), scale) * power), scale);
    let estimate = approximate(&exponent_to((8 - weight).max(0)));
    if estimate.abs() > MAX_EXP * 1.003_333 {
        return if estimate > 0.0 { Err(overflow()) } else { Numeric::finite(BigInt::from(0), MAX_DISPLAY_SCALE) };
    }
    let result_weight = (estimate * LOG10_E) as i64;
    let scale = result_scale(result_weight, &[base, power]);
    let digits = (scale + result_weight).max(0);
    let result = exp(&exponent_to((digits - weight + 8).max(0)), scale)?;
    Numeric::finite(if negative { -result } else { result }, scale)
}

/// `base^power` to `scale` digits, by repeated squaring with as many digits as the result needs.
fn power_whole(base: &BigDecimal, power: i32, scale: i64) -> SqlResult<BigInt> {
    let (integer, own) = parts(base);
    match power {
        0 => return Ok(ten(scale)),
        1 => return Ok(rescale(&integer, own, scale)),
        2 => return Ok(rescale(&(&integer * &integer), 2 * own, scale)),
        _ if length(&integer) == 0 => return Ok(BigInt::from(0)),
        _ => {}
    }
    let digits = length(&integer);
    let first = approximate(&number(BigInt::from(integer.magnitude().clone()), digits - 1));
    let weight = f64::from(power) * (first.log10() + (digits - 1 - own) as f64);
    if weight > 3.0 * MAX_WEIGHT as f64 {
        return Err(overflow());
    }
    if weight + 1.0 < -(scale as f64) {
        return Ok(BigInt::from(0));
    }
    let significant = (1 + scale + weight as i64).max(1) + f64::from(power).abs().ln() as i64 + GUARD;
    let result = Float { integer, scale: own }.power(power.unsigned_abs(), significant);
    if length(&result.integer) - result.scale > 2 * MAX_WEIGHT {
        return if power > 0 { Err(overflow()) } else { Ok(BigInt::from(0)) };
    }
    Ok(match (power > 0, scale + result.scale) {
        (true, _) => rescale(&result.integer, result.scale, scale),
        (false, shift) if shift >= 0 => super::decimal::divide_rounded(&ten(shift), &result.integer),
        (false, _) => BigInt::from(0),
    })
}

/// A number with a bounded count of significant digits; its scale may be negative.
struct Float {
    integer: BigInt,
    scale: i64,
}

impl Float {
    fn multiply(&self, other: &Self, significant: i64) -> Self {
        let integer = &self.integer * &other.integer;
        let scale = self.scale + other.scale;
        let excess = length(&integer) - significant;
        if excess <= 0 {
            return Self { integer, scale };
        }
        Self { integer: rescale(&integer, scale, scale - excess), scale: scale - excess }
    }

    fn power(self, mut power: u32, significant: i64) -> Self {
        let mut square = self;
        let mut result = Self { integer: BigInt::from(1), scale: 0 };
        while power > 0 {
            if power & 1 == 1 {
                result = result.multiply(&square, significant);
            }
            power >>= 1;
            if power > 0 {
                square = square.multiply(&square, significant);
            }
        }
        result
    }
}
