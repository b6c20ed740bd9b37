//! Numerics of any precision as bytes: for keys in their order, for rows with their display scale.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, BigUint, Sign};
use bytes::{BufMut, BytesMut};

use super::varint;
use crate::value::Numeric;

/// What kind of number a key begins with; ordered.
mod class {
    pub(super) const NEGATIVE_INFINITY: u8 = 1;
    pub(super) const NEGATIVE: u8 = 2;
    pub(super) const ZERO: u8 = 3;
    pub(super) const POSITIVE: u8 = 4;
    pub(super) const INFINITY: u8 = 5;
    pub(super) const NAN: u8 = 6;
}

/// What kind of number a row's value is.
mod kind {
    pub(super) const FINITE: u8 = 0;
    pub(super) const NAN: u8 = 1;
    pub(super) const INFINITY: u8 = 2;
    pub(super) const NEGATIVE_INFINITY: u8 = 3;
}

/// Ends the digits of a key; below every pair of digits.
const END: u8 = 0;

/// Appends a number so that bytes sort as numbers do, and equal numbers have equal bytes: its class, then the
/// decimal exponent and the significant digits in pairs, all complemented in negative numbers.
///
/// `None` for an exponent that no `numeric` has.
pub(super) fn put_key(out: &mut BytesMut, number: &Numeric) -> Option<()> {
    let class = class_of(number);
    out.put_u8(class);
    let finite = match number {
        Numeric::Finite(finite) if class != class::ZERO => finite,
        _ => return Some(()),
    };
    let (digits, scale) = finite.as_bigint_and_exponent();
    let negative = class == class::NEGATIVE;
    let begin = out.len();
    let digits = digits.magnitude().to_str_radix(10);
    let exponent = i32::try_from(i64::try_from(digits.len()).ok()?.checked_sub(scale)?).ok()?;
    out.put_u32(exponent as u32 ^ 1 << 31);
    for pair in digits.trim_end_matches('0').as_bytes().chunks(2) {
        let low = pair.get(1).map_or(0, |digit| digit - b'0');
        out.put_u8((pair[0] - b'0') * 10 + low + 1);
    }
    out.put_u8(END);
    if negative {
        out[begin..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    Some(())
}

fn class_of(number: &Numeric) -> u8 {
    match number {
        Numeric::NegativeInfinity => class::NEGATIVE_INFINITY,
        Numeric::Finite(finite) => match finite.sign() {
            Sign::Minus => class::NEGATIVE,
            Sign::NoSign => class::ZERO,
            Sign::Plus => class::POSITIVE,
        },
        Numeric::Infinity => class::INFINITY,
        Numeric::NaN => class::NAN,
    }
}

/// Reads a number back, with the fewest digits that show it; the rest of the input with it.
pub(super) fn take_key(input: &[u8]) -> Option<(Numeric, &[u8])> {
    let (class, rest) = input.split_first()?;
    let flip = match *class {
        class::NEGATIVE_INFINITY => return Some((Numeric::NegativeInfinity, rest)),
        class::ZERO => return Some((Numeric::Finite(BigDecimal::from(0)), rest)),
        class::INFINITY => return Some((Numeric::Infinity, rest)),
        class::NAN => return Some((Numeric::NaN, rest)),
        class::NEGATIVE => 0xff,
        class::POSITIVE => 0,
        _ => return None,
    };
    let (exponent, rest) = rest.split_first_chunk::<4>()?;
    let exponent = (u32::from_be_bytes(exponent.map(|byte| byte ^ flip)) ^ 1 << 31) as i32;
    let end = rest.iter().position(|byte| byte ^ flip == END)?;
    let pairs: Vec<u8> = rest[..end].iter().map(|byte| (byte ^ flip) - 1).collect();
    let digits: Vec<u8> = pairs.iter().flat_map(|pair| [pair / 10, pair % 10]).collect();
    let magnitude = BigUint::from_radix_be(&digits, 10)?;
    let sign = if flip == 0 { Sign::Plus } else { Sign::Minus };
    let scale = i64::try_from(digits.len()).ok()? - i64::from(exponent);
    let mut number = BigDecimal::new(BigInt::from_biguint(sign, magnitude), scale).normalized();
    if number.fractional_digit_count() < 0 {
        number = number.with_scale(0);
    }
    Some((Numeric::Finite(number), &rest[end + 1..]))
}

/// Appends a number with its display scale, for a row.
pub(super) fn put_row(out: &mut BytesMut, number: &Numeric) {
    match number {
        Numeric::Finite(number) => {
            let (digits, scale) = number.as_bigint_and_exponent();
            let digits = digits.to_signed_bytes_be();
            out.put_u8(kind::FINITE);
            varint::put_signed(out, scale);
            varint::put(out, digits.len() as u64);
            out.put_slice(&digits);
        }
        Numeric::NaN => out.put_u8(kind::NAN),
        Numeric::Infinity => out.put_u8(kind::INFINITY),
        Numeric::NegativeInfinity => out.put_u8(kind::NEGATIVE_INFINITY),
    }
}

/// Reads a row's number off the front of the input.
pub(super) fn take_row(input: &mut &[u8]) -> Option<Numeric> {
    let (kind, rest) = input.split_first()?;
    *input = rest;
    Some(match *kind {
        kind::FINITE => {
            let scale = varint::take_signed(input)?;
            let length = usize::try_from(varint::take(input)?).ok()?;
            let (digits, rest) = input.split_at_checked(length)?;
            *input = rest;
            Numeric::Finite(BigDecimal::new(BigInt::from_signed_bytes_be(digits), scale))
        }
        kind::NAN => Numeric::NaN,
        kind::INFINITY => Numeric::Infinity,
        kind::NEGATIVE_INFINITY => Numeric::NegativeInfinity,
        _ => return None,
    })
}
