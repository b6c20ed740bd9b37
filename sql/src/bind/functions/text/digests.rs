//! Digests by the name of their algorithm, and random bytes, as PostgreSQL's extension `pgcrypto` has them.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};
use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{int4, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("digest(text,text) bytea", digest),
    entry("digest(bytea,text) bytea", digest),
    entry("hmac(text,text,text) bytea", hmac),
    entry("hmac(bytea,bytea,text) bytea", hmac),
    entry("gen_random_bytes(int4) bytea", random_bytes).volatile(),
];

/// Most random bytes at a time, as in PostgreSQL.
const MOST: i32 = 1_024;

fn bytes(args: &[Value], index: usize) -> SqlResult<&[u8]> {
    match args.get(index) {
        Some(Value::Bytea(bytes)) => Ok(bytes),
        _ => text(args, index).map(str::as_bytes),
    }
}

/// Does the same with one of the algorithms.
macro_rules! by_name {
    ($name:expr, $function:ident($($arg:expr),*)) => {
        match $name.to_ascii_lowercase().as_str() {
            "md5" => $function::<Md5>($($arg),*),
            "sha1" => $function::<Sha1>($($arg),*),
            "sha224" => $function::<Sha224>($($arg),*),
            "sha256" => $function::<Sha256>($($arg),*),
            "sha384" => $function::<Sha384>($($arg),*),
            "sha512" => $function::<Sha512>($($arg),*),
            _ => {
                let message = format!("Cannot use \"{}\": No such hash algorithm", $name);
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        }
    };
}

fn digest(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    fn of<D: Digest>(data: &[u8]) -> Vec<u8> {
        D::digest(data).to_vec()
    }
    let data = bytes(args, 0)?;
    Ok(Value::Bytea(by_name!(text(args, 1)?, of(data)).into()))
}

fn hmac(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    fn of<D: EagerHash>(data: &[u8], key: &[u8]) -> SqlResult<Vec<u8>> {
        let wrong = |_| SqlError::new(SqlState::INTERNAL_ERROR, "a key of no length");
        let mac = Hmac::<D>::new_from_slice(key).map_err(wrong)?;
        Ok(mac.chain_update(data).finalize().into_bytes().to_vec())
    }
    let (data, key) = (bytes(args, 0)?, bytes(args, 1)?);
    Ok(Value::Bytea(by_name!(text(args, 2)?, of(data, key))?.into()))
}

fn random_bytes(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match int4(args, 0)? {
        count @ 1..=MOST => {
            let mut bytes = vec![0; count as usize];
            site.cx.session.random(&mut bytes);
            Ok(Value::Bytea(bytes.into()))
        }
        _ => Err(SqlError::new(SqlState::EXTERNAL_ROUTINE, "Length not in range")),
    }
}
