//! Integers of variable length: seven bits a byte, the lowest first; signed ones zigzag.

use bytes::{BufMut, BytesMut};

/// Appends an unsigned integer.
pub(crate) fn put(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a signed integer: small magnitudes are short.
pub(crate) fn put_signed(out: &mut BytesMut, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads an unsigned integer off the front of the input; `None` if there is none.
pub(crate) fn take(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a signed integer off the front of the input.
pub(crate) fn take_signed(input: &mut &[u8]) -> Option<i64> {
    let value = take(input)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back() {
        for value in [0, 1, -1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN] {
            let mut out = BytesMut::new();
            put_signed(&mut out, value);
            let mut input = &out[..];
            assert_eq!(take_signed(&mut input), Some(value));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_or_too_short_is_refused() {
        for bytes in
            [&[][..], &[0x80], &[0xff; 9], &[0xff; 11], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]]
        {
            assert_eq!(take(&mut &bytes[..]), None, "{bytes:?}");
        }
    }
}
