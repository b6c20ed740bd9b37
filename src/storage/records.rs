//! The vote log's records as bytes: the bincode format, with the record's kind beside it.

use annulus_replica::record::Record;
use wincode::config::Configuration;

/// Version of the encoding. Older ones stay readable.
pub const VERSION: u8 = 1;

/// A record never holds more than one transaction's frame; this bounds what a damaged length may reserve.
const MAX_PREALLOCATION: usize = 64 << 20;

type Config = Configuration<true, MAX_PREALLOCATION>;

const CONFIG: Config = Configuration::default().with_preallocation_size_limit::<MAX_PREALLOCATION>();

/// A record that cannot be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be encoded.
    #[error("a log record cannot be encoded: {0}; this is a bug, report it")]
    Encode(#[from] wincode::WriteError),
    /// It passes its checksum but cannot be understood.
    #[error("a log record cannot be decoded: {0}; it was written by another version, or the log is damaged")]
    Decode(#[from] wincode::ReadError),
    /// It is of a later version.
    #[error("a log record has version {0}, this program reads up to {VERSION}; start the newer program")]
    Version(u8),
}

/// Appends the encoded record to `out`; returns its kind, for whoever looks at a log.
///
/// # Errors
/// [`RecordError::Encode`].
pub fn encode(record: &Record, out: &mut Vec<u8>) -> Result<u8, RecordError> {
    wincode::config::serialize_into(&mut *out, record, CONFIG)?;
    Ok(match record {
        Record::Vote(_) => 1,
        Record::Promise { .. } => 2,
        Record::Accept { .. } => 3,
        Record::Decision { .. } => 4,
        Record::Repaired(_) => 5,
        Record::Fence(_) => 6,
        Record::Marks { .. } => 7,
        Record::Floor(_) => 8,
        Record::Purged { .. } => 9,
    })
}

/// Reads a record back.
///
/// # Errors
/// [`RecordError`].
pub fn decode(version: u8, bytes: &[u8]) -> Result<Record, RecordError> {
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    Ok(wincode::config::deserialize_exact(bytes, CONFIG)?)
}
