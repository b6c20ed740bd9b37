//! Text as addresses: each form, and its looseness, is that of PostgreSQL's readers.
//!
//! Source: PostgreSQL 15, `network_in` and inet_net_pton.c.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Inet;
use crate::value::errors::invalid_syntax;
use crate::{SqlError, SqlResult, error::SqlState};

/// The first bits of an address that say its class, which networks without a mask have their size by.
const CLASSES: [(u8, u8); 4] = [(240, 32), (224, 8), (192, 24), (128, 16)];
const CLASS_A: u8 = 8;
const CLASS_D: u8 = 224;

impl Inet {
    /// An `inet` from text.
    ///
    /// # Errors
    ///
    /// `22P02` for other text.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let read = if text.contains(':') { ipv6(text) } else { ipv4(text) };
        read.ok_or_else(|| invalid_syntax("inet", text))
    }

    /// A `cidr` from text.
    ///
    /// # Errors
    ///
    /// `22P02` for other text, and for an address with bits to the right of its mask.
    pub fn parse_cidr(text: &str) -> SqlResult<Self> {
        let read = if text.contains(':') { ipv6(text) } else { ipv4_network(text) };
        let inet = read.ok_or_else(|| invalid_syntax("cidr", text))?;
        if inet == inet.network() {
            return Ok(inet);
        }
        let message = format!("invalid cidr value: \"{text}\"");
        Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
            .detail("Value has bits set to right of mask."))
    }
}

/// Up to four numbers between points; fewer need a mask that they cover.
fn ipv4(text: &str) -> Option<Inet> {
    let (address, mask) = split(text);
    // The last point may have nothing behind it.
    let numbers = address.strip_suffix('.').unwrap_or(address);
    let octets = numbers.split('.').map(octet).collect::<Option<Vec<_>>>()?;
    let bits = match mask {
        Some(mask) => ipv4_bits(mask)?,
        None if octets.len() == 4 => 32,
        None => return None,
    };
    if usize::from(bits / 8) > octets.len() {
        return None;
    }
    ipv4_of(&octets, bits)
}

/// Up to four numbers between points, or hexadecimal digits; without a mask they and the class of the address say it.
fn ipv4_network(text: &str) -> Option<Inet> {
    let (address, mask) = split(text);
    let octets = match address.strip_prefix("0x").or_else(|| address.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits)?,
        None => address.split('.').map(octet).collect::<Option<Vec<_>>>()?,
    };
    let bits = match mask {
        Some(mask) => ipv4_bits(mask)?,
        None => implied_bits(&octets),
    };
    ipv4_of(&octets, bits)
}

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)))
}

fn ipv4_of(octets: &[u8], bits: u8) -> Option<Inet> {
    let mut all = [0; 4];
    all.get_mut(..octets.len())?.copy_from_slice(octets);
    Inet::new(IpAddr::V4(Ipv4Addr::from(all)), bits)
}

/// A decimal number of any length whose value fits.
fn octet(digits: &str) -> Option<u8> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn ipv4_bits(mask: &str) -> Option<u8> {
    octet(mask).filter(|bits| *bits <= 32)
}

/// A byte for every two digits; an odd one at the end is the upper half of its byte.
fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    let byte = |pair: &[u32]| ((pair[0] << 4) | pair.get(1).unwrap_or(&0)) as u8;
    (!digits.is_empty()).then(|| digits.chunks(2).map(byte).collect())
}

fn implied_bits(octets: &[u8]) -> u8 {
    let first = octets.first().copied().unwrap_or(0);
    let of_class = CLASSES.iter().find(|(least, _)| first >= *least).map_or(CLASS_A, |(_, bits)| *bits);
    let given = u8::try_from(8 * octets.len()).unwrap_or(u8::MAX);
    match of_class.max(given) {
        8 if first == CLASS_D => 4,
        bits => bits,
    }
}

/// Groups of hexadecimal digits between colons, `::` for zeros once, the last two perhaps as an address of IPv4. What is
/// in front of a mask may end with a colon.
fn ipv6(text: &str) -> Option<Inet> {
    let (address, mask) = split(text);
    let bits = mask.map_or(Some(128), ipv6_bits)?;
    let mut rest = match address.strip_prefix(':') {
        Some(rest) if rest.starts_with(':') => rest,
        Some(_) => return None,
        None => address,
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(16);
    let mut zeros = None;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        rest = match after.strip_prefix(':') {
            Some(after) if digits.is_empty() => {
                if zeros.replace(bytes.len()).is_some() {
                    return None;
                }
                after
            }
            Some("") if mask.is_none() => return None,
            None if after.starts_with('.') => {
                bytes.extend(ipv4_in_ipv6(rest, mask.is_some())?);
                ""
            }
            None if !after.is_empty() => return None,
            next => {
                bytes.extend(group(digits)?);
                next.unwrap_or_default()
            }
        };
    }
    Inet::new(IpAddr::V6(Ipv6Addr::from(filled(bytes, zeros)?)), bits)
}

fn group(digits: &str) -> Option<[u8; 2]> {
    if digits.len() > 4 { None } else { u16::from_str_radix(digits, 16).ok().map(u16::to_be_bytes) }
}

/// The bytes with zeros at a place, where there must be some.
fn filled(mut bytes: Vec<u8>, zeros: Option<usize>) -> Option<[u8; 16]> {
    if let Some(place) = zeros {
        let missing = 16_usize.checked_sub(bytes.len()).filter(|missing| *missing > 0)?;
        bytes.splice(place..place, vec![0; missing]);
    }
    bytes.try_into().ok()
}

/// The end of an address as one of IPv4 whose numbers have no zeros in front. Numbers that are not there are zero, but not
/// the last one where no mask follows.
fn ipv4_in_ipv6(text: &str, has_mask: bool) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut places = octets.iter_mut();
    for number in text.split('.') {
        *places.next()? = if number.is_empty() { 0 } else { unpadded(number)? };
    }
    if text.ends_with('.') && !has_mask { None } else { Some(octets) }
}

fn unpadded(digits: &str) -> Option<u8> {
    if digits.len() > 1 && digits.starts_with('0') { None } else { octet(digits) }
}

fn ipv6_bits(mask: &str) -> Option<u8> {
    unpadded(mask).filter(|bits| *bits <= 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> String {
        Inet::parse_cidr(text).map_or_else(|error| error.state().to_string(), |cidr| cidr.print_cidr())
    }

    fn inet(text: &str) -> String {
        Inet::parse(text).map_or_else(|error| error.state().to_string(), |inet| inet.print())
    }

    #[test]
    fn short_forms_are_networks() {
        for (text, address, network) in [
            ("10/8", "10.0.0.0/8", "10.0.0.0/8"),
            ("10", "22P02", "10.0.0.0/8"),
            ("192.168.1", "22P02", "192.168.1.0/24"),
            ("128.1", "22P02", "128.1.0.0/16"),
            ("224", "22P02", "224.0.0.0/4"),
            ("0xabc", "22P02", "171.192.0.0/16"),
            ("1.2./8", "1.2.0.0/8", "22P02"),
            ("1/16", "22P02", "1.0.0.0/16"),
            ("10.1.2.3/8", "10.1.2.3/8", "22P02"),
            ("::1", "::1", "::1/128"),
        ] {
            assert_eq!((&*inet(text), &*cidr(text)), (address, network), "{text}");
        }
    }

    #[test]
    fn ipv6_is_read_with_its_zeros_left_out() {
        for (text, address) in [
            ("::", "::"),
            ("ABCD::", "abcd::"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("::ffff:1.2.3/96", "::ffff:1.2.3.0/96"),
            ("1::2::3", "22P02"),
            ("1:2:3:4:5:6:7:8::", "22P02"),
            ("::01.2.3.4", "22P02"),
            ("::00001", "22P02"),
            ("::/0128", "22P02"),
            ("::é", "22P02"),
            (":::", "22P02"),
        ] {
            assert_eq!(inet(text), address, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_network_is_told() {
        let error = Inet::parse_cidr("10.1/8").unwrap_err();
        assert_eq!(error.to_string(), "invalid cidr value: \"10.1/8\"");
        assert_eq!(error.report().detail.as_deref(), Some("Value has bits set to right of mask."));
        assert_eq!(Inet::parse("a").unwrap_err().to_string(), "invalid input syntax for type inet: \"a\"");
    }
}
