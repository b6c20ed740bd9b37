//! Frames and their encoding: the one place that turns messages into bytes and back.
//!
//! A frame is a big-endian `u32` length and that many bytes of an [`Envelope`] in the bincode format
//! (fixed-width little-endian integers), written by wincode.
//!
//! Promises:
//! - No frame is larger than [`MAX_FRAME_LEN`], neither sent nor accepted.
//! - Whatever the bytes, decoding answers a message or a [`CodecError`]. It takes memory in proportion
//!   to the frame: no list is allocated for more than a few times the frame's size class.

use std::io;

use annulus_base::ErrorClass;
use annulus_base::limits::MAX_FRAME_LEN;
use bytes::BytesMut;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use wincode::config::Configuration;
use wincode::{ReadError, SchemaRead, SchemaWrite, WriteError};

use super::wire::Envelope;

/// Length of the length prefix, bytes.
pub const PREFIX_LEN: usize = 4;

/// A list element takes at most this many times its shortest encoding in memory (held by a test). So a
/// list that would take more than this many times the frame's length cannot be in the frame, whatever
/// its length field claims.
const DENSITY: usize = 8;

/// Frames fall into size classes, because wincode takes its bound at compile time.
const SMALL: usize = 4 * 1024;
const MEDIUM: usize = 256 * 1024;

/// Why bytes are not a message, or a message does not become bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// More than a frame may hold. Nothing was sent.
    #[error("a message of {len} bytes does not fit a frame of {MAX_FRAME_LEN} bytes; make the request smaller")]
    TooLarge {
        /// Its encoded length; where encoding stopped early, a lower bound.
        len: usize,
    },
    /// The peer announced a frame above the limit.
    #[error("the peer announced a frame of {len} bytes, the limit is {max}; it speaks another protocol or is faulty")]
    FrameTooLarge {
        /// What it announced.
        len: usize,
        /// What is allowed on this connection now.
        max: usize,
    },
    /// Not a message.
    #[error("a frame of {len} bytes is not a valid message ({source}); the peer is faulty")]
    Malformed {
        /// The frame's length.
        len: usize,
        /// What is wrong with it.
        source: ReadError,
    },
    /// A value that has no encoding.
    #[error("a message cannot be encoded: {0}")]
    Unencodable(WriteError),
}

impl CodecError {
    /// What to do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::TooLarge { .. } | Self::FrameTooLarge { .. } => ErrorClass::Limit,
            Self::Malformed { .. } | Self::Unencodable(_) => ErrorClass::Invalid,
        }
    }
}

type Config<const LIMIT: usize> = Configuration<true, LIMIT>;
/// The configuration that everything is encoded with.
pub type Wire = Config<{ DENSITY * MAX_FRAME_LEN }>;

const fn config<const LIMIT: usize>() -> Config<LIMIT> {
    Configuration::default().with_preallocation_size_limit::<LIMIT>()
}

/// Appends `value` to `out` as one frame. On error `out` is as it was.
///
/// # Errors
/// [`CodecError::TooLarge`], [`CodecError::Unencodable`].
pub fn encode<T>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>
where
    T: SchemaWrite<Wire, Src = T>,
{
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    let written = wincode::config::serialize_into(&mut *out, value, config::<{ DENSITY * MAX_FRAME_LEN }>());
    let len = out.len() - start - PREFIX_LEN;
    let error = match written {
        Ok(()) if len <= MAX_FRAME_LEN => {
            out[start..start + PREFIX_LEN].copy_from_slice(&(len as u32).to_be_bytes());
            return Ok(());
        }
        Ok(()) => CodecError::TooLarge { len },
        Err(WriteError::PreallocationSizeLimit { needed, .. }) => CodecError::TooLarge { len: needed },
        Err(error) => CodecError::Unencodable(error),
    };
    out.truncate(start);
    Err(error)
}

/// The message of a frame's bytes (without the length prefix).
///
/// # Errors
/// [`CodecError::Malformed`] unless the bytes are exactly one message; [`CodecError::FrameTooLarge`].
pub fn decode(frame: &[u8]) -> Result<Envelope, CodecError> {
    let result = match frame.len() {
        len if len <= SMALL => read::<Envelope, { DENSITY * SMALL }>(frame),
        len if len <= MEDIUM => read::<Envelope, { DENSITY * MEDIUM }>(frame),
        len if len <= MAX_FRAME_LEN => read::<Envelope, { DENSITY * MAX_FRAME_LEN }>(frame),
        len => return Err(CodecError::FrameTooLarge { len, max: MAX_FRAME_LEN }),
    };
    result.map_err(|source| CodecError::Malformed { len: frame.len(), source })
}

/// The value of a short frame's bytes: at most 4 KiB, as in handshakes.
///
/// # Errors
/// [`CodecError::Malformed`], [`CodecError::FrameTooLarge`].
pub fn decode_short<T>(frame: &[u8]) -> Result<T, CodecError>
where
    T: for<'a> SchemaRead<'a, Config<{ DENSITY * SMALL }>, Dst = T>,
{
    if frame.len() > SMALL {
        return Err(CodecError::FrameTooLarge { len: frame.len(), max: SMALL });
    }
    read::<T, { DENSITY * SMALL }>(frame).map_err(|source| CodecError::Malformed { len: frame.len(), source })
}

fn read<T, const LIMIT: usize>(frame: &[u8]) -> Result<T, ReadError>
where
    T: for<'a> SchemaRead<'a, Config<LIMIT>, Dst = T>,
{
    wincode::config::deserialize_exact(frame, config::<LIMIT>())
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct Frames(LengthDelimitedCodec);

impl Frames {
    /// Frames of a handshake: 4 KiB at most.
    #[must_use]
    pub fn short() -> Self {
        let mut codec = LengthDelimitedCodec::new();
        codec.set_max_frame_length(SMALL);
        Self(codec)
    }

    /// From now on accepts frames up to [`MAX_FRAME_LEN`].
    pub fn allow_large(&mut self) {
        self.0.set_max_frame_length(MAX_FRAME_LEN);
    }

    /// Takes the next whole frame off the front of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`CodecError::FrameTooLarge`]; the stream cannot be read any further.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<BytesMut>, CodecError> {
        self.0.decode(buffer).map_err(|_: io::Error| {
            let prefix = buffer.first_chunk().copied().unwrap_or_default();
            CodecError::FrameTooLarge { len: u32::from_be_bytes(prefix) as usize, max: self.0.max_frame_length() }
        })
    }
}

#[cfg(test)]
mod tests;
