//! The catalog's records as bytes: a version, a checksum, and the descriptor in bincode's format.
//!
//! A table with remarks about its constraints has a version of its own, in which they follow the descriptor; so has a view
//! that knows what it reads up to some columns.

use annulus_base::Key;
use bytes::Bytes;
use wincode::config::DefaultConfig;
use wincode::{SchemaRead, SchemaWrite};

use super::{Table, View};
use crate::error::{SqlError, SqlResult, SqlState};

/// The version of the format that is written of all but the following.
const VERSION: u8 = 1;
/// That of a table with remarks.
const REMARKED: u8 = 2;
/// That of a view that knows columns.
const KNOWING: u8 = 3;
const HEADER: usize = 5;

/// The bytes of a record.
pub(super) fn encode<T>(record: &T) -> Bytes
where
    T: SchemaWrite<DefaultConfig, Src = T>,
{
    sealed(VERSION, &serialized(record))
}

/// The bytes of a table's record.
pub(super) fn encode_table(table: &Table) -> Bytes {
    if table.remarks.is_empty() {
        return encode(table);
    }
    sealed(REMARKED, &[serialized(table), serialized(&table.remarks)].concat())
}

/// The bytes of a view's record.
pub(super) fn encode_view(view: &View) -> Bytes {
    if view.knows.is_empty() {
        return encode(view);
    }
    sealed(KNOWING, &[serialized(view), serialized(&view.knows)].concat())
}

fn serialized<T>(record: &T) -> Vec<u8>
where
    T: SchemaWrite<DefaultConfig, Src = T>,
{
    wincode::serialize(record).expect("a Vec grows as needed, and no list is longer than a u64 can say")
}

fn sealed(version: u8, content: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER + content.len());
    out.push(version);
    out.extend(crc32c::crc32c(content).to_be_bytes());
    out.extend(content);
    Bytes::from(out)
}

/// The record of some bytes.
///
/// # Errors
/// `XX001` if they are damaged.
pub(super) fn decode<'a, T>(key: &Key, bytes: &'a [u8]) -> SqlResult<T>
where
    T: SchemaRead<'a, DefaultConfig, Dst = T>,
{
    match opened(key, bytes)? {
        (VERSION, content) => deserialized(key, content),
        _ => Err(unknown(key)),
    }
}

/// The table of some bytes.
///
/// # Errors
/// `XX001` if they are damaged.
pub(super) fn decode_table(key: &Key, bytes: &[u8]) -> SqlResult<Table> {
    match opened(key, bytes)? {
        (VERSION, content) => deserialized(key, content),
        (REMARKED, content) => {
            let (table, remarks) = deserialized(key, content)?;
            Ok(Table { remarks, ..table })
        }
        _ => Err(unknown(key)),
    }
}

/// The view of some bytes.
///
/// # Errors
/// `XX001` if they are damaged.
pub(super) fn decode_view(key: &Key, bytes: &[u8]) -> SqlResult<View> {
    match opened(key, bytes)? {
        (VERSION, content) => deserialized(key, content),
        (KNOWING, content) => {
            let (view, knows) = deserialized(key, content)?;
            Ok(View { knows, ..view })
        }
        _ => Err(unknown(key)),
    }
}

fn deserialized<'a, T>(key: &Key, content: &'a [u8]) -> SqlResult<T>
where
    T: SchemaRead<'a, DefaultConfig, Dst = T>,
{
    wincode::deserialize_exact(content).map_err(|error| damaged(key, &error.to_string()))
}

/// The version and the content, whose checksum is right.
fn opened<'a>(key: &Key, bytes: &'a [u8]) -> SqlResult<(u8, &'a [u8])> {
    let (header, content) = bytes.split_first_chunk::<HEADER>().ok_or_else(|| damaged(key, "it is cut short"))?;
    let [version, sum @ ..] = *header;
    match u32::from_be_bytes(sum) == crc32c::crc32c(content) {
        true => Ok((version, content)),
        false => Err(damaged(key, "its checksum is wrong")),
    }
}

fn unknown(key: &Key) -> SqlError {
    damaged(key, "its format is not known to this version of the program")
}

fn damaged(key: &Key, what: &str) -> SqlError {
    let message = format!("the record of the catalog at {key} is damaged: {what}");
    SqlError::new(SqlState::DATA_CORRUPTED, message).hint("Restore the database from a backup.")
}
