//! What networks have, how they lie to each other, and arithmetic with addresses.
//!
//! Source: PostgreSQL 15, network.c.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Inet;
use crate::{SqlError, SqlResult, error::SqlState};

impl Inet {
    /// The address of the same family whose number is this, without the bits that it has no room for.
    fn at(&self, number: u128, bits: u8) -> Self {
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        };
        Self { address, bits }
    }

    /// The bits of addresses that are no network's of so many bits.
    fn right_of(&self, bits: u8) -> u128 {
        ones(self.width() - bits)
    }

    /// Its network, a `cidr`.
    #[must_use]
    pub fn network(&self) -> Self {
        self.at(self.number() & !self.right_of(self.bits), self.bits)
    }

    /// The last address of its network.
    #[must_use]
    pub fn broadcast(&self) -> Self {
        self.at(self.number() | self.right_of(self.bits), self.bits)
    }

    /// The bits of its network, as an address.
    #[must_use]
    pub fn netmask(&self) -> Self {
        self.at(!self.right_of(self.bits), self.width())
    }

    /// The bits that are not its network's, as an address.
    #[must_use]
    pub fn hostmask(&self) -> Self {
        self.at(self.right_of(self.bits), self.width())
    }

    /// 4 or 6.
    #[must_use]
    pub const fn family(&self) -> i32 {
        if self.address.is_ipv4() { 4 } else { 6 }
    }

    /// Whether both are of one family.
    #[must_use]
    pub const fn is_same_family(&self, other: &Self) -> bool {
        self.width() == other.width()
    }

    /// The address with another mask, or with one of all bits for -1.
    ///
    /// # Errors
    ///
    /// `22023` if the address has fewer bits.
    pub fn with_bits(&self, bits: i32) -> SqlResult<Self> {
        let checked = if bits == -1 { Some(self.width()) } else { u8::try_from(bits).ok() };
        checked
            .and_then(|bits| Self::new(self.address, bits))
            .ok_or_else(|| invalid(format!("invalid mask length: {bits}")))
    }

    /// The smallest network that both are in, a `cidr`.
    ///
    /// # Errors
    ///
    /// `22023` for two families.
    pub fn merge(&self, other: &Self) -> SqlResult<Self> {
        if !self.is_same_family(other) {
            return Err(invalid("cannot merge addresses from different families"));
        }
        let bits = self.common(other).min(self.bits).min(other.bits);
        Ok(Self { address: self.address, bits }.network())
    }

    /// How many leading bits two addresses of one family have in common.
    fn common(&self, other: &Self) -> u8 {
        let different = 128 - (self.number() ^ other.number()).leading_zeros();
        self.width() - different as u8
    }

    /// Whether an address is within the network.
    fn has(&self, other: &Self) -> bool {
        self.is_same_family(other) && self.common(other) >= self.bits
    }

    /// Whether the other's network is this one or within it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.has(other) && self.bits <= other.bits
    }

    /// Whether the other's network is within this one, and smaller.
    #[must_use]
    pub fn contains_smaller(&self, other: &Self) -> bool {
        self.has(other) && self.bits < other.bits
    }

    /// Whether one of the networks is within the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// `~`
    #[must_use]
    pub fn complement(&self) -> Self {
        self.at(!self.number(), self.bits)
    }

    /// `&`
    ///
    /// # Errors
    ///
    /// `22023` for two families.
    pub fn and(&self, other: &Self) -> SqlResult<Self> {
        self.combined(other, "AND", self.number() & other.number())
    }

    /// `|`
    ///
    /// # Errors
    ///
    /// `22023` for two families.
    pub fn or(&self, other: &Self) -> SqlResult<Self> {
        self.combined(other, "OR", self.number() | other.number())
    }

    fn combined(&self, other: &Self, name: &str, number: u128) -> SqlResult<Self> {
        if self.is_same_family(other) {
            return Ok(self.at(number, self.bits.max(other.bits)));
        }
        Err(invalid(format!("cannot {name} inet values of different sizes")))
    }

    /// The address that many behind this one.
    ///
    /// # Errors
    ///
    /// `22003` if there is none.
    pub fn plus(&self, distance: i128) -> SqlResult<Self> {
        match self.number().checked_add_signed(distance) {
            Some(number) if number <= ones(self.width()) => Ok(self.at(number, self.bits)),
            _ => Err(out_of_range()),
        }
    }

    /// How many addresses this one is behind the other.
    ///
    /// # Errors
    ///
    /// `22023` for two families, `22003` if they are too far from each other.
    pub fn minus(&self, other: &Self) -> SqlResult<i64> {
        if !self.is_same_family(other) {
            return Err(invalid("cannot subtract inet values of different sizes"));
        }
        let distance = self.number().checked_signed_diff(other.number());
        distance.and_then(|distance| i64::try_from(distance).ok()).ok_or_else(out_of_range)
    }
}

/// So many bits.
fn ones(count: u8) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(count)).unwrap_or(0)
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> Inet {
        Inet::parse(text).unwrap()
    }

    #[test]
    fn masks_of_none_and_of_all_bits_are_no_exception() {
        for (text, network, broadcast, netmask, hostmask) in [
            ("1.2.3.4/0", "0.0.0.0/0", "255.255.255.255/0", "0.0.0.0", "255.255.255.255"),
            ("1.2.3.4/32", "1.2.3.4", "1.2.3.4", "255.255.255.255", "0.0.0.0"),
            (
                "::1/0",
                "::/0",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0",
                "::",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
            ("1::1/127", "1::/127", "1::1/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "::1"),
        ] {
            let inet = inet(text);
            let printed = [inet.network(), inet.broadcast(), inet.netmask(), inet.hostmask()].map(|inet| inet.print());
            assert_eq!(printed, [network, broadcast, netmask, hostmask]);
        }
    }

    #[test]
    fn arithmetic_stays_within_its_family() {
        assert_eq!(inet("0.0.0.0").plus(0xffff_ffff).unwrap(), inet("255.255.255.255"));
        let last = inet("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        for (from, distance) in [(inet("255.255.255.255"), 1), (inet("0.0.0.0"), -1), (last, 1), (inet("::"), -1)] {
            assert_eq!(from.plus(distance).unwrap_err().state().0, "22003");
        }
        assert_eq!(inet("::1").plus(-1).unwrap(), inet("::"));
        assert_eq!(inet("::8000:0:0:0").minus(&inet("::")).unwrap_err().state().0, "22003");
        assert_eq!(inet("::").minus(&inet("::8000:0:0:0")).unwrap(), i64::MIN);
        assert_eq!(last.minus(&inet("::")).unwrap_err().state().0, "22003");
        assert_eq!(inet("::").minus(&inet("0.0.0.0")).unwrap_err().state().0, "22023");
    }

    #[test]
    fn the_smallest_common_network_is_found() {
        assert_eq!(inet("10.1.2.3").merge(&inet("10.1.3.3")).unwrap(), inet("10.1.2.0/23"));
        assert_eq!(inet("10.1.2.3/8").merge(&inet("10.1.2.3")).unwrap(), inet("10.0.0.0/8"));
        assert_eq!(inet("::1").merge(&inet("8000::")).unwrap(), inet("::/0"));
        assert_eq!(inet("::1").merge(&inet("::1")).unwrap(), inet("::1"));
    }
}
