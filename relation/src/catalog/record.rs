//! The catalog's records as bytes: a version, a checksum, and the descriptor in bincode's format.

use annulus_base::Key;
use bytes::Bytes;
use wincode::config::DefaultConfig;
use wincode::{SchemaRead, SchemaWrite};

use crate::error::{SqlError, SqlResult, SqlState};

/// The version of the format that is written.
const VERSION: u8 = 1;
const HEADER: usize = 5;

/// The bytes of a record.
pub(super) fn encode<T>(record: &T) -> Bytes
where
    T: SchemaWrite<DefaultConfig, Src = T>,
{
    let content = wincode::serialize(record).expect("a Vec grows as needed, and no list is longer than a u64 can say");
    let mut out = Vec::with_capacity(HEADER + content.len());
    out.push(VERSION);
    out.extend(crc32c::crc32c(&content).to_be_bytes());
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
    let damaged = |what: &str| {
        let message = format!("the record of the catalog at {key} is damaged: {what}");
        SqlError::new(SqlState::DATA_CORRUPTED, message).hint("Restore the database from a backup.")
    };
    let (header, content) = bytes.split_first_chunk::<HEADER>().ok_or_else(|| damaged("it is cut short"))?;
    let [version, sum @ ..] = *header;
    if version != VERSION {
        return Err(damaged("its format is not known to this version of the program"));
    }
    if u32::from_be_bytes(sum) != crc32c::crc32c(content) {
        return Err(damaged("its checksum is wrong"));
    }
    wincode::deserialize_exact(content).map_err(|error| damaged(&error.to_string()))
}
