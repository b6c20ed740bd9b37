//! The binary form of addresses: family, mask, whether it is a `cidr`, length, bytes.
//!
//! Source: PostgreSQL 15, `network_send` and `network_recv`.

use std::net::IpAddr;

use super::Inet;
use crate::SqlResult;
use crate::value::binary::fixed;
use crate::value::errors::invalid_binary;

const IPV4: u8 = 2;
const IPV6: u8 = 3;

impl Inet {
    /// Appends the binary form.
    pub fn encode_binary(&self, is_cidr: bool, out: &mut Vec<u8>) {
        let family = if self.address.is_ipv4() { IPV4 } else { IPV6 };
        out.extend([family, self.bits, u8::from(is_cidr), self.width() / 8]);
        out.extend(self.octets());
    }

    /// An address from its binary form.
    ///
    /// # Errors
    ///
    /// `22P03` for other bytes, and for a `cidr` with bits to the right of its mask.
    pub fn decode_binary(bytes: &[u8], is_cidr: bool) -> SqlResult<Self> {
        let ty = if is_cidr { "cidr" } else { "inet" };
        let invalid = |what: &str| invalid_binary(format_args!("{what} in external \"{ty}\" value"));
        let Some(([family, bits, _, length], octets)) = bytes.split_first_chunk() else {
            return Err(invalid_binary("no data left in message"));
        };
        let width = match *family {
            IPV4 => 32,
            IPV6 => 128,
            _ => return Err(invalid("invalid address family")),
        };
        if *bits > width {
            return Err(invalid("invalid bits"));
        }
        if *length != width / 8 {
            return Err(invalid("invalid length"));
        }
        let address =
            if *family == IPV4 { IpAddr::from(fixed::<4>(octets)?) } else { IpAddr::from(fixed::<16>(octets)?) };
        let inet = Self { address, bits: *bits };
        if is_cidr && inet != inet.network() {
            let error = invalid_binary("invalid external \"cidr\" value");
            return Err(error.detail("Value has bits set to right of mask."));
        }
        Ok(inet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_bytes_of_postgresql() {
        let bytes = |text: &str, is_cidr| {
            let mut out = Vec::new();
            Inet::parse(text).unwrap().encode_binary(is_cidr, &mut out);
            assert_eq!(Inet::decode_binary(&out, is_cidr).unwrap(), Inet::parse(text).unwrap());
            out
        };
        assert_eq!(bytes("10.1.2.3/8", false), [2, 8, 0, 4, 10, 1, 2, 3]);
        assert_eq!(bytes("10.0.0.0/8", true), [2, 8, 1, 4, 10, 0, 0, 0]);
        assert_eq!(bytes("::1", false), [3, 128, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn wrong_bytes_are_refused() {
        for (bytes, message) in [
            (&[2, 8, 0][..], "no data left in message"),
            (&[4, 8, 0, 4, 10, 1, 2, 3], "invalid address family in external \"cidr\" value"),
            (&[2, 33, 0, 4, 10, 1, 2, 3], "invalid bits in external \"cidr\" value"),
            (&[2, 8, 0, 5, 10, 1, 2, 3], "invalid length in external \"cidr\" value"),
            (&[2, 8, 0, 4, 10, 1, 2], "insufficient data left in message"),
            (&[2, 8, 0, 4, 10, 1, 2, 3, 4], "incorrect binary data format"),
            (&[2, 8, 0, 4, 10, 1, 2, 3], "invalid external \"cidr\" value"),
        ] {
            let error = Inet::decode_binary(bytes, true).unwrap_err();
            assert_eq!((error.to_string(), error.state().0), (message.to_owned(), "22P03"));
        }
    }
}
