//! The order of addresses, and bytes that sort by it.

use std::cmp::Ordering;

use super::Inet;

/// Families as they are ordered; stored.
const IPV4: u8 = 4;
const IPV6: u8 = 6;

impl Ord for Inet {
    /// The family, the bits that both networks have, the shorter mask first, the whole address: where one network is
    /// within the other, the zeros behind the shorter one's bits put it first or leave it to the mask.
    fn cmp(&self, other: &Self) -> Ordering {
        let sorted = |inet: &Self| (inet.network().address, inet.bits, inet.address);
        sorted(self).cmp(&sorted(other))
    }
}

impl PartialOrd for Inet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Inet {
    /// Appends bytes that sort as addresses do and tell their own end: family, network, mask, and of the address what the
    /// network lacks. They are stored.
    pub fn put_ordered(&self, out: &mut impl Extend<u8>) {
        let family = if self.address.is_ipv4() { IPV4 } else { IPV6 };
        out.extend([family]);
        out.extend(self.network().octets());
        out.extend([self.bits]);
        out.extend(self.octets().skip(shared(self.bits)));
    }

    /// Takes what [`put_ordered`](Self::put_ordered) appended off the front; `None` if it is malformed.
    #[must_use]
    pub fn take_ordered(input: &[u8]) -> Option<(Self, &[u8])> {
        let (family, rest) = input.split_first()?;
        let size = match *family {
            IPV4 => 4,
            IPV6 => 16,
            _ => return None,
        };
        let (network, rest) = rest.split_at_checked(size)?;
        let (bits, rest) = rest.split_first()?;
        let (own, rest) = rest.split_at_checked(size.checked_sub(shared(*bits))?)?;
        let mut octets = [0; 16];
        let octets = octets.get_mut(..size)?;
        octets.copy_from_slice(network);
        octets.get_mut(shared(*bits)..)?.copy_from_slice(own);
        Some((Self::of_octets(octets, *bits)?, rest))
    }
}

/// How many bytes an address has in common with its network.
fn shared(bits: u8) -> usize {
    usize::from(bits / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_stand_before_what_is_within_them() {
        let texts = [
            "0.0.0.0/0",
            "1.2.3.4/0",
            "10.0.0.0/8",
            "10.200.0.1/8",
            "10.0.0.0/9",
            "10.0.0.1/9",
            "10.0.0.0",
            "10.1.0.0/16",
            "10.128.0.0/9",
            "11.0.0.0/8",
            "::/0",
            "::1",
            "2001:db8::/32",
            "2001:db8::1/32",
            "2001:db8::/48",
        ];
        let inets = texts.map(|text| Inet::parse(text).unwrap());
        assert!(inets.is_sorted_by(|a, b| a < b));
        let bytes = |inet: &Inet| {
            let mut out = Vec::new();
            inet.put_ordered(&mut out);
            out
        };
        assert!(inets.is_sorted_by(|a, b| bytes(a) < bytes(b)));
        for inet in inets {
            assert_eq!(Inet::take_ordered(&bytes(&inet)), Some((inet, &[][..])));
        }
    }

    #[test]
    fn damaged_bytes_are_no_address() {
        for bytes in [&[][..], &[5], &[4, 1, 2, 3, 4], &[4, 1, 2, 3, 4, 33], &[4, 1, 2, 3, 4, 24], &[6, 0, 0, 0, 0, 32]]
        {
            assert_eq!(Inet::take_ordered(bytes), None, "{bytes:?}");
        }
    }
}
