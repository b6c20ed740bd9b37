//! The shortest digits of floating-point numbers.
//!
//! As in PostgreSQL, they are strictly between the middles to both neighbours: digits that are exactly in the middle read
//! back as the same number too, but they are one digit shorter only by the rule for ties.

/// A binary floating-point number, taken apart: `mantissa * 2^exponent`.
struct Binary {
    mantissa: u64,
    exponent: i32,
    /// The lower neighbour is half as far away as the upper one.
    narrow_below: bool,
}

/// `d.ddde±x` of a `double precision`.
#[must_use]
pub fn shortest_f64(value: f64) -> String {
    let bits = value.abs().to_bits();
    let binary = take_apart(bits, 52, -1074);
    let is_same = |text: &str| text.parse() == Ok(value);
    search(format!("{value:e}"), |digits| format!("{value:.digits$e}"), is_same, &binary, 17)
}

/// `d.ddde±x` of a `real`.
#[must_use]
pub fn shortest_f32(value: f32) -> String {
    let bits = u64::from(value.abs().to_bits());
    let binary = take_apart(bits, 23, -149);
    let is_same = |text: &str| text.parse() == Ok(value);
    search(format!("{value:e}"), |digits| format!("{value:.digits$e}"), is_same, &binary, 9)
}

fn take_apart(bits: u64, fraction_bits: u32, first_exponent: i32) -> Binary {
    let fraction = bits & ((1 << fraction_bits) - 1);
    let exponent = i32::try_from(bits >> fraction_bits).unwrap_or(0);
    if exponent == 0 {
        return Binary { mantissa: fraction, exponent: first_exponent, narrow_below: false };
    }
    let mantissa = fraction | (1 << fraction_bits);
    Binary { mantissa, exponent: first_exponent + exponent - 1, narrow_below: fraction == 0 && exponent > 1 }
}

/// The first of the roundings to more and more digits that is the same number and not in a middle.
fn search(
    shortest: String,
    rounded: impl Fn(usize) -> String,
    is_same: impl Fn(&str) -> bool,
    binary: &Binary,
    max_digits: usize,
) -> String {
    let mantissa = match shortest.split_once('e') {
        Some((mantissa, _)) if binary.mantissa != 0 => mantissa,
        // Zero, and what is no number, has no neighbours to be told from.
        _ => return shortest,
    };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    for digits in digits..max_digits {
        // Where the lower neighbour is nearer, the nearest digits may be beyond its middle, and those above not.
        let candidates = [rounded(digits - 1), shortest.clone()];
        let found = candidates.iter().find(|candidate| is_same(candidate) && !binary.is_middle(candidate));
        if let Some(found) = found {
            return without_zeros(found);
        }
    }
    without_zeros(&rounded(max_digits - 1))
}

/// Without zeros at the end of the digits.
fn without_zeros(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}e{exponent}")
}

impl Binary {
    /// Whether decimal digits are exactly in the middle between this number and one of its neighbours.
    fn is_middle(&self, text: &str) -> bool {
        let Some((digits, power)) = parse(text) else { return false };
        let doubled = 2 * u128::from(self.mantissa);
        let below =
            if self.narrow_below { (2 * doubled - 1, self.exponent - 2) } else { (doubled - 1, self.exponent - 1) };
        equals(digits, power, below) || equals(digits, power, (doubled + 1, self.exponent - 1))
    }
}

/// The digits of `d.ddde±x` as an integer, and the power of ten that it is multiplied with.
fn parse(text: &str) -> Option<(u128, i32)> {
    let (mantissa, exponent) = text.trim_start_matches('-').split_once('e')?;
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits: u128 = mantissa.replace('.', "").parse().ok()?;
    let mut power = exponent.parse::<i32>().ok()? - i32::try_from(fraction).ok()?;
    let mut digits = digits;
    while digits > 0 && digits.is_multiple_of(10) {
        (digits, power) = (digits / 10, power + 1);
    }
    Some((digits, power))
}

/// Whether `digits * 10^power == odd * 2^exponent`, where `odd` is odd.
fn equals(digits: u128, power: i32, (odd, exponent): (u128, i32)) -> bool {
    // 5^27 is the last power of five below 2^63, and neither side has more than 57 bits without it.
    if power.abs() > 27 {
        return false;
    }
    let fives = 5u128.pow(power.unsigned_abs());
    let (decimal, binary) = if power >= 0 { (digits * fives, odd) } else { (digits, odd * fives) };
    // What is left of the powers of two must be in the decimal digits, since the other side is odd.
    let twos = exponent - power;
    (0..64).contains(&twos) && decimal >> twos == binary && decimal.trailing_zeros() >= twos.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_are_avoided_and_ties_go_to_the_even_digit() {
        for (value, text) in [
            (912_686_054_474_985.2, "9.126860544749852e14"),
            (2.034_077_721_198_393e16, "2.0340777211983928e16"),
            (9_007_199_254_740_993.0, "9.007199254740992e15"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (-0.1, "-1e-1"),
            (0.0, "0e0"),
        ] {
            assert_eq!(shortest_f64(value), text);
        }
        assert_eq!(shortest_f32(33_797_968.0), "3.3797968e7");
        assert_eq!(shortest_f32(1.0 / 4096.0), "2.4414062e-4");
    }
}
