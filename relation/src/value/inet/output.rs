//! The text of addresses.
//!
//! Source: PostgreSQL 15, inet_net_ntop.c and inet_cidr_ntop.c.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Inet;

impl Inet {
    /// The text of an `inet`: the mask is left out where it covers all bits.
    #[must_use]
    pub fn print(&self) -> String {
        if self.bits == self.width() { self.host() } else { self.print_cidr() }
    }

    /// The text of a `cidr`, which has its mask.
    #[must_use]
    pub fn print_cidr(&self) -> String {
        format!("{}/{}", self.host(), self.bits)
    }

    /// The address alone.
    #[must_use]
    pub fn host(&self) -> String {
        match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => print_ipv6(address),
        }
    }
}

/// In the form of RFC 5952, but addresses of IPv4 within `::/96` are written as those.
fn print_ipv6(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = address.octets();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_written_short() {
        for (given, text) in [
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("1:2:0:0:5:0:0:8", "1:2::5:0:0:8"),
            ("1:0:0:4:0:0:0:8", "1:0:0:4::8"),
            ("::1:2", "::0.1.0.2"),
            ("::5", "::5"),
            ("::ffff:0:0", "::ffff:0.0.0.0"),
            ("::fffe:1:2", "::fffe:1:2"),
            ("1::/16", "1::/16"),
        ] {
            assert_eq!(Inet::parse(given).unwrap().print(), text);
        }
    }
}
