//! Networks without the bytes that their mask leaves out.
//!
//! Source: PostgreSQL 15, `pg_inet_cidr_ntop`.

use std::net::IpAddr;

use super::Inet;

impl Inet {
    /// The text of a `cidr` with no more of its address than the mask covers: `10.1/16`.
    #[must_use]
    pub fn abbreviated(&self) -> String {
        let network = match self.network().address {
            IpAddr::V4(address) => ipv4(&address.octets(), self.bits),
            IpAddr::V6(_) if self.bits == 0 => "::".to_owned(),
            IpAddr::V6(address) => ipv6(&address.segments(), self.bits),
        };
        format!("{network}/{}", self.bits)
    }
}

fn ipv4(octets: &[u8; 4], bits: u8) -> String {
    let shown = usize::from(bits.div_ceil(8)).max(1);
    octets.iter().take(shown).map(u8::to_string).collect::<Vec<_>>().join(".")
}

fn ipv6(segments: &[u16; 8], bits: u8) -> String {
    let shown = &segments[..usize::from(bits.div_ceil(16)).max(2)];
    let (start, length) = zeros(shown);
    let is_ipv4 = start == 0
        && length != shown.len()
        && match (length, segments) {
            (5, [.., mapped, _, _]) => *mapped == 0xffff,
            (6, _) => true,
            (7, [.., last]) => last >> 8 != 0 && last & 0xff != 1,
            _ => false,
        };
    let mut text = String::new();
    for (place, segment) in shown.iter().enumerate() {
        if (start..start + length).contains(&place) {
            text.push_str(if place == start { ":" } else { "" });
            text.push_str(if place + 1 == shown.len() { ":" } else { "" });
            continue;
        }
        let [high, low] = segment.to_be_bytes();
        text.push_str(match place {
            0 => "",
            7 if is_ipv4 => ".",
            _ => ":",
        });
        text.push_str(&match (is_ipv4, place) {
            (true, 7) if bits <= 120 => high.to_string(),
            (true, 6 | 7) => format!("{high}.{low}"),
            _ => format!("{segment:x}"),
        });
    }
    text
}

/// Where most zeros stand next to each other, and how many. As in PostgreSQL, a row of zeros that is no longer than the
/// longest before it counts with the next one.
fn zeros(segments: &[u16]) -> (usize, usize) {
    let (mut longest, mut current) = ((0, 0), (0, 0));
    for (place, segment) in segments.iter().enumerate() {
        if *segment == 0 {
            current = if current.1 == 0 { (place, 1) } else { (current.0, current.1 + 1) };
        } else if current.1 > longest.1 {
            longest = current;
            current.1 = 0;
        }
    }
    if current.1 > longest.1 { current } else { longest }
}
