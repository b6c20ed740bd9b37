//! Ids that need no coordination.

use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::string;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("gen_random_uuid() uuid", gen_random_uuid).volatile(),
    entry("uuidv4() uuid", gen_random_uuid).volatile(),
    entry("uuidv7() uuid", uuidv7).volatile(),
    entry("ulid() text", ulid).volatile(),
    entry("snowflake_id() int8", |s, _| Ok(Value::Int8(s.cx.session.snowflake()))).volatile(),
];

/// Milliseconds from 1970 to 2000.
const UNIX_MILLIS: i64 = 946_684_800_000;

pub(super) fn gen_random_uuid(site: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    let mut bytes = [0; 16];
    site.cx.session.random(&mut bytes);
    Ok(Value::Uuid(with_version(bytes, 4)))
}

/// The version and variant of RFC 9562.
pub(super) const fn with_version(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// Random bytes behind the present time in milliseconds since 1970, in 48 bits: later ids are greater.
fn timed(site: &Site<'_>) -> [u8; 16] {
    let mut bytes = [0; 16];
    site.cx.session.random(&mut bytes);
    let millis = site.cx.session.clock().div_euclid(1000) + UNIX_MILLIS;
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes
}

fn uuidv7(site: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    Ok(Value::Uuid(with_version(timed(site), 7)))
}

/// 128 bits in Crockford's base 32: 26 letters.
fn ulid(site: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = u128::from_be_bytes(timed(site));
    let letter = |place: u32| {
        let [digit, ..] = (bits >> (5 * place)).to_le_bytes();
        char::from(ALPHABET[usize::from(digit & 31)])
    };
    string((0..26).rev().map(letter).collect::<String>())
}
