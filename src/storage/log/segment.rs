//! Segment files: their names and their headers.
//!
//! ```text
//! header  magic 8 bytes | version u32 | crc32c of the rest u32 | number u64 | first sequence u64 | salt u64
//! ```
//! All integers little-endian. Groups begin at [`DATA_START`], zeros lie between.

use std::path::PathBuf;

use bytes::Buf;

use super::error::LogError;
use crate::storage::files::{Directory, File};

/// Where the first group of a segment begins: the header has its page for itself.
pub const DATA_START: u64 = 4096;

const MAGIC: &[u8; 8] = b"AnnulVL\n";
const VERSION: u32 = 1;
const HEADER: usize = 40;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Its number.
    pub number: u64,
    /// Sequence number of its first group.
    pub first_sequence: u64,
    /// Random; part of the checksum of its groups' headers.
    pub salt: u64,
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[32..].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&out[16..]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a segment's header.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] if it is damaged or of another segment, [`LogError::Version`], [`LogError::Io`].
    pub fn read(file: &dyn File, number: u64, path: PathBuf) -> Result<Self, LogError> {
        let mut data = [0; HEADER];
        let len = file.length().map_err(LogError::io("read", path.clone()))?;
        if len >= HEADER as u64 {
            file.read_exact_at(&mut data, 0).map_err(LogError::io("read", path.clone()))?;
        }
        let mut fields = &data[8..];
        let (version, crc) = (fields.get_u32_le(), fields.get_u32_le());
        let header =
            Self { number: fields.get_u64_le(), first_sequence: fields.get_u64_le(), salt: fields.get_u64_le() };
        let intact = data.starts_with(MAGIC) && (version != VERSION || crc == crc32c::crc32c(&data[16..]));
        if !intact {
            return Err(LogError::Corrupt { file: path, offset: 0, reason: "the segment's header is damaged" });
        }
        if version != VERSION {
            return Err(LogError::Version { file: path, version });
        }
        if header.number != number {
            return Err(LogError::Corrupt { file: path, offset: 0, reason: "the file is another segment's" });
        }
        Ok(header)
    }
}

/// What a file in the log's directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A segment that counts if no later base exists.
    Log(u64),
    /// The oldest segment that counts.
    Base(u64),
    /// A file prepared to become a segment.
    Spare(u64),
    /// A spare in preparation.
    Unfinished(u64),
}

impl Name {
    /// What a file is by its name; `None` if it is not of the log.
    pub fn parse(name: &str) -> Option<Self> {
        let (number, kind) = name.split_once('.')?;
        let number = number.parse().ok()?;
        let parsed = match kind {
            "log" => Self::Log(number),
            "base" => Self::Base(number),
            "spare" => Self::Spare(number),
            "new" => Self::Unfinished(number),
            _ => return None,
        };
        (parsed.to_string() == name).then_some(parsed)
    }

    /// The number in it.
    pub const fn number(self) -> u64 {
        match self {
            Self::Log(number) | Self::Base(number) | Self::Spare(number) | Self::Unfinished(number) => number,
        }
    }

    /// Where it is in `directory`.
    pub fn path(self, directory: &dyn Directory) -> PathBuf {
        directory.path(&self.to_string())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Log(_) => "log",
            Self::Base(_) => "base",
            Self::Spare(_) => "spare",
            Self::Unfinished(_) => "new",
        };
        write!(f, "{:012}.{kind}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_ignored() {
        for name in [Name::Log(1), Name::Base(u64::MAX), Name::Spare(0), Name::Unfinished(77)] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        for other in ["", "LOCK", "1.log", "000000000001.txt", "00000000000x.log", "000000000001.log.bak"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn bytes_of_format_version_1() {
        let header = SegmentHeader { number: 3, first_sequence: 17, salt: 0x0123_4567_89ab_cdef };
        let hex: String = header.encode().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "416e6e756c564c0a010000006592754203000000000000001100000000000000efcdab8967452301");
    }
}
