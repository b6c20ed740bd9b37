//! Numbers in the protocol's binary format: groups of four decimal digits.

use bigdecimal::num_bigint::BigInt;

use super::decimal::{GROUP, parts, rescale, ten};
use super::{MAX_SCALE, Numeric};
use crate::SqlResult;
use crate::value::errors::invalid_binary;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

impl Numeric {
    /// Appends its binary form.
    pub fn encode_binary(&self, out: &mut Vec<u8>) {
        let (sign, number) = match self {
            Self::NaN => (NAN, None),
            Self::Infinity => (INFINITY, None),
            Self::NegativeInfinity => (NEGATIVE_INFINITY, None),
            Self::Finite(number) => (if self.signum() < 0 { NEGATIVE } else { POSITIVE }, Some(number)),
        };
        // The bit that tells infinities from NaN in PostgreSQL's storage shows here.
        let special_scale = if self.is_nan() { 0 } else { 0x20 };
        let (groups, weight, scale) = number.map_or_else(
            || (Vec::new(), 0, special_scale),
            |number| {
                let (integer, scale) = parts(number);
                let (groups, weight) = groups(&integer, scale);
                (groups, weight, scale)
            },
        );
        out.extend_from_slice(&(groups.len() as u16).to_be_bytes());
        out.extend_from_slice(&(weight as i16).to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&(scale as u16).to_be_bytes());
        for group in groups {
            out.extend_from_slice(&group.to_be_bytes());
        }
    }

    /// A number from its binary form.
    ///
    /// # Errors
    ///
    /// `22P03` if it has none, `22003` if it cannot be stored.
    pub fn decode_binary(bytes: &[u8]) -> SqlResult<Self> {
        let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let [count, weight, sign, scale, groups @ ..] = words.as_slice() else {
            return Err(invalid_binary("insufficient data left in message"));
        };
        if groups.len() != usize::from(*count) || !bytes.len().is_multiple_of(2) {
            return Err(invalid_binary("invalid length in external \"numeric\" value"));
        }
        match *sign {
            NAN => return Ok(Self::NaN),
            INFINITY => return Ok(Self::Infinity),
            NEGATIVE_INFINITY => return Ok(Self::NegativeInfinity),
            POSITIVE | NEGATIVE => {}
            _ => return Err(invalid_binary("invalid sign in external \"numeric\" value")),
        }
        let scale = i64::from(*scale);
        if scale > MAX_SCALE {
            return Err(invalid_binary("invalid scale in external \"numeric\" value"));
        }
        if groups.iter().any(|group| *group > 9999) {
            return Err(invalid_binary("invalid digit in external \"numeric\" value"));
        }
        let digits: String = groups.iter().map(|group| format!("{group:04}")).collect();
        let integer = BigInt::parse_bytes(digits.as_bytes(), 10).unwrap_or_default();
        let own = (groups.len() as i64 - 1 - i64::from(*weight as i16)) * GROUP;
        // Digits behind the scale are dropped.
        let kept = if own > scale { integer / ten(own - scale) } else { rescale(&integer, own, scale) };
        let number = Self::finite(kept, scale)?;
        Ok(if *sign == NEGATIVE { number.neg() } else { number })
    }
}

/// The groups of a number without zeros at the ends, and the power of 10000 of the first one.
fn groups(integer: &BigInt, scale: i64) -> (Vec<u16>, i64) {
    let padded = (scale + GROUP - 1).div_euclid(GROUP) * GROUP;
    let digits = rescale(integer, scale, padded).magnitude().to_string();
    let digits = "0".repeat(digits.len().next_multiple_of(4) - digits.len()) + &digits;
    let mut groups: Vec<u16> = digits.as_bytes().chunks(4).map(group).collect();
    let weight = groups.len() as i64 - 1 - padded / GROUP;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = if groups.is_empty() { 0 } else { weight - zeros as i64 };
    (groups, weight)
}

fn group(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0'))
}
