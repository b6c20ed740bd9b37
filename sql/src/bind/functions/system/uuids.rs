//! The functions of PostgreSQL's extension `uuid-ossp`.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};
use md5::{Digest, Md5};
use sha1::Sha1;

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::text;
use super::ids::{gen_random_uuid, with_version};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("uuid_generate_v1() uuid", by_time).volatile(),
    entry("uuid_generate_v1mc() uuid", by_time).volatile(),
    entry("uuid_generate_v3(uuid,text) uuid", by_name::<Md5, 3>),
    entry("uuid_generate_v4() uuid", gen_random_uuid).volatile(),
    entry("uuid_generate_v5(uuid,text) uuid", by_name::<Sha1, 5>),
    entry("uuid_nil() uuid", |_, _| Ok(Value::Uuid([0; 16]))),
    entry("uuid_ns_dns() uuid", |_, _| Ok(namespace(0x10))),
    entry("uuid_ns_url() uuid", |_, _| Ok(namespace(0x11))),
    entry("uuid_ns_oid() uuid", |_, _| Ok(namespace(0x12))),
    entry("uuid_ns_x500() uuid", |_, _| Ok(namespace(0x14))),
];

/// Tenths of microseconds from the beginning of the Gregorian calendar, 1582-10-15, to 2000.
const GREGORIAN: i64 = 131_659_776_000_000_000;

/// A namespace of RFC 9562, by the byte in which they differ.
const fn namespace(byte: u8) -> Value {
    Value::Uuid([0x6b, 0xa7, 0xb8, byte, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8])
}

/// By the present time; the place is random, and marked as none of a network card.
fn by_time(site: &Site<'_>, _: &[Value]) -> SqlResult<Value> {
    let mut bytes = [0; 16];
    site.cx.session.random(&mut bytes);
    let [high @ .., a, b, c, d, e, f] = site.cx.session.clock().wrapping_mul(10).wrapping_add(GREGORIAN).to_be_bytes();
    bytes[..8].copy_from_slice(&[c, d, e, f, a, b, high[0], high[1]]);
    bytes[10] |= 1;
    Ok(Value::Uuid(with_version(bytes, 1)))
}

/// A digest of a namespace and a name.
fn by_name<D: Digest, const VERSION: u8>(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let Some(Value::Uuid(namespace)) = args.first() else {
        return Err(SqlError::new(SqlState::INTERNAL_ERROR, "a namespace that is no uuid"));
    };
    let digest = D::new().chain_update(namespace).chain_update(text(args, 1)?).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Ok(Value::Uuid(with_version(bytes, VERSION)))
}
