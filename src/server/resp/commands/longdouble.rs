//! The arithmetic of `INCRBYFLOAT`: Redis computes with 80-bit floating point numbers and writes them with
//! at most 17 digits behind the point. Computed in software, so that every machine answers the same.

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status};

/// Longest text of a number that Redis reads.
const MAX_TEXT: usize = 5 * 1024 - 1;
/// Digits behind the point.
const DIGITS: u32 = 17;
const EXPONENT_BIAS: i32 = 16_383;
const MANTISSA_BITS: i32 = 64;

/// An 80-bit floating point number that is not NaN.
#[derive(Clone, Copy, Debug)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    pub const ZERO: Self = Self(X87DoubleExtended::ZERO);

    /// Reads what C's `strtold` reads, without blanks.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT)?;
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let number = if ["inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
            X87DoubleExtended::INFINITY
        } else {
            parse_finite(unsigned)?
        };
        Some(Self(if negative { -number } else { number }))
    }

    /// The sum, if it is a finite number.
    pub fn plus(self, other: Self) -> Option<Self> {
        let sum = (self.0 + other.0).value;
        sum.is_finite().then_some(Self(sum))
    }

    /// As `%.17Lf` writes it, without zeros at the end.
    pub fn to_text(self) -> String {
        let bits = self.0.to_bits();
        let mantissa = bits as u64;
        let exponent = ((bits >> MANTISSA_BITS) & 0x7fff) as i32 - EXPONENT_BIAS - (MANTISSA_BITS - 1);
        let (whole, fraction) = decimal(mantissa, exponent);
        let text = match fraction.trim_end_matches('0') {
            "" => whole,
            fraction => format!("{whole}.{fraction}"),
        };
        if self.0.is_negative() && text != "0" { format!("-{text}") } else { text }
    }
}

fn parse_finite(text: &str) -> Option<X87DoubleExtended> {
    // What the library reads beyond C's notation: signs (one was taken off already), names, blanks.
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let legal = |byte: u8| {
        let of_base =
            if hexadecimal { byte.is_ascii_hexdigit() || b"xXpP".contains(&byte) } else { b"eE".contains(&byte) };
        byte.is_ascii_digit() || b".+-".contains(&byte) || of_base
    };
    let exponent = if hexadecimal { ['p', 'P'] } else { ['e', 'E'] };
    let cut_short = text.contains(exponent) && !text.ends_with(|last: char| last.is_ascii_digit());
    if !text.bytes().all(legal) || text.starts_with(['+', '-']) || cut_short {
        return None;
    }
    let with_exponent;
    let text = if hexadecimal && !text.contains(['p', 'P']) {
        // C reads a hexadecimal number without an exponent, the library does not.
        with_exponent = format!("{text}p0");
        &with_exponent
    } else {
        text
    };
    let parsed = X87DoubleExtended::from_str_r(text, Round::NearestTiesToEven).ok()?;
    let vanished = parsed.status.contains(Status::UNDERFLOW) && parsed.value.is_zero();
    (parsed.value.is_finite() && !vanished).then_some(parsed.value)
}

/// The digits of `mantissa * 2^exponent` before and behind the point, rounded half to even.
fn decimal(mantissa: u64, exponent: i32) -> (String, String) {
    if exponent >= 0 {
        return (shifted_left(mantissa, exponent), String::new());
    }
    let shift = exponent.unsigned_abs();
    // Beyond this, the number is smaller than half of the last digit.
    if shift > 123 {
        return ("0".to_owned(), "0".repeat(DIGITS as usize));
    }
    let mantissa = u128::from(mantissa);
    let mut whole = mantissa >> shift;
    let mut rest = mantissa & ((1 << shift) - 1);
    let mut fraction: u128 = 0;
    for _ in 0..DIGITS {
        rest *= 10;
        fraction = fraction * 10 + (rest >> shift);
        rest &= (1 << shift) - 1;
    }
    let half = 1 << (shift - 1);
    if rest > half || (rest == half && fraction % 2 == 1) {
        fraction += 1;
    }
    if fraction == 10_u128.pow(DIGITS) {
        whole += 1;
        fraction = 0;
    }
    (whole.to_string(), format!("{fraction:017}"))
}

/// The digits of `mantissa * 2^exponent`, by doubling in groups of nine digits.
fn shifted_left(mantissa: u64, exponent: i32) -> String {
    const GROUP: u64 = 1_000_000_000;
    let mut groups = vec![mantissa % GROUP, mantissa / GROUP % GROUP, mantissa / GROUP / GROUP];
    for _ in 0..exponent {
        let mut carry = 0;
        for group in &mut groups {
            let doubled = *group * 2 + carry;
            *group = doubled % GROUP;
            carry = doubled / GROUP;
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    let digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(left: &str, right: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        parse(left).plus(parse(right)).map_or("infinite".to_owned(), LongDouble::to_text)
    }

    /// The answers of Redis 7.0 on x86-64.
    #[test]
    fn sums_have_the_digits_of_redis() {
        for (left, right, expected) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "200", "5200"),
            ("1", "-1", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("3.0", "1.000000000000000005", "4.00000000000000001"),
            ("1e18", "0.1", "1000000000000000000.125"),
            ("1e22", "1", "10000000000000000000000"),
            ("1e22", "1000", "10000000000000000001024"),
            ("0x10", "0.5", "16.5"),
            ("1e-30", "0", "0"),
            ("0.99999999999999999999", "0", "1"),
        ] {
            assert_eq!(sum(left, right), expected, "{left} + {right}");
        }
        assert_eq!(sum("1e4932", "0").len(), 4_933);
        assert_eq!(sum("1e4932", "1e4932"), "infinite");
        assert_eq!(sum("inf", "1"), "infinite");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", " 1", "1 ", "abc", "1e", "--1", "+-1", "nan", "1.2.3", "0x", "1e5x", "1e5000", "-1e5000", "1e-5000",
            "0x1g", "\u{e9}",
        ] {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(LongDouble::parse(&[b'1'; MAX_TEXT + 1]).is_none());
    }
}
