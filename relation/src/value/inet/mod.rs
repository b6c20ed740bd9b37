//! Addresses of IPv4 and IPv6 and the networks that they are in: the values of `inet` and `cidr`.

mod abbrev;
mod input;
mod network;
mod ordered;
mod output;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address, and how many of its leading bits are the network's. The other bits of a `cidr` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inet {
    address: IpAddr,
    bits: u8,
}

impl Inet {
    /// An address in a network of so many bits; `None` if the address has fewer.
    #[must_use]
    pub const fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let inet = Self { address, bits };
        if bits <= inet.width() { Some(inet) } else { None }
    }

    /// How many bits the network has.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// How many bits the address has.
    const fn width(&self) -> u8 {
        match self.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
    }

    /// The address as a number.
    fn number(&self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u32::from(address).into(),
            IpAddr::V6(address) => address.into(),
        }
    }

    /// The bytes of the address.
    fn octets(&self) -> impl Iterator<Item = u8> {
        let aligned = self.number() << (128 - u32::from(self.width()));
        aligned.to_be_bytes().into_iter().take(usize::from(self.width() / 8))
    }

    /// An address of so many bytes; `None` if no family has addresses of that length, or fewer bits.
    fn of_octets(octets: &[u8], bits: u8) -> Option<Self> {
        let ipv4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
        let address = ipv4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into()));
        Self::new(address.ok()?, bits)
    }
}
