//! How a value of the key-value interface is stored: version, type, flags, expiry, payload.
//!
//! Layout: byte 0 is the version of the layout (1), byte 1 the type (1: string), byte 2 flags (bit 0: an
//! expiry follows), then, if flagged, the expiry as milliseconds since the Unix epoch (u64, big-endian),
//! then the payload. Never change it: add a version.
//!
//! An expired value is not an absent key: it becomes absent when a tombstone is committed that is
//! conditional on exactly this version. So no two nodes disagree, whatever their clocks say.

use bytes::{BufMut, Bytes, BytesMut};

const LAYOUT: u8 = 1;
const STRING: u8 = 1;
const HAS_EXPIRY: u8 = 1;
const HEADER: usize = 3;

/// What the encoding adds to a payload at most, bytes.
pub const OVERHEAD: usize = HEADER + 8;

/// Milliseconds since the Unix epoch.
pub type UnixMillis = u64;

/// A string, perhaps with an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The bytes that the client stored.
    pub payload: Bytes,
    /// From when on the key is to be deleted.
    pub expires: Option<UnixMillis>,
}

/// A stored value that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored value has a form that this version does not know ({0}); it was written by a newer version")]
pub struct UnknownForm(String);

impl Value {
    /// A value without an end.
    #[must_use]
    pub const fn lasting(payload: Bytes) -> Self {
        Self { payload, expires: None }
    }

    /// Whether its end has come by this clock.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// As it is stored.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(OVERHEAD + self.payload.len());
        out.put_slice(&[LAYOUT, STRING, if self.expires.is_some() { HAS_EXPIRY } else { 0 }]);
        if let Some(end) = self.expires {
            out.put_u64(end);
        }
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Reads it back; the payload shares the memory of `stored`.
    ///
    /// # Errors
    /// It is of a later layout, or nothing that was ever written here.
    pub fn decode(stored: &Bytes) -> Result<Self, UnknownForm> {
        let head = &stored[..stored.len().min(HEADER)];
        let unknown = || UnknownForm(head.escape_ascii().to_string());
        match head {
            [LAYOUT, STRING, 0] => Ok(Self::lasting(stored.slice(HEADER..))),
            [LAYOUT, STRING, HAS_EXPIRY] => {
                let end: [u8; 8] =
                    stored.get(HEADER..OVERHEAD).and_then(|end| end.try_into().ok()).ok_or_else(unknown)?;
                Ok(Self { payload: stored.slice(OVERHEAD..), expires: Some(u64::from_be_bytes(end)) })
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_stored_form() {
        for payload in ["", "x", "a longer one"] {
            for expires in [None, Some(0), Some(u64::MAX)] {
                let value = Value { payload: Bytes::from(payload), expires };
                assert_eq!(Value::decode(&value.encode()), Ok(value));
            }
        }
    }

    /// What was stored once must stay readable.
    #[test]
    fn the_stored_form_never_changes() {
        let lasting = Value::lasting(Bytes::from_static(b"v"));
        assert_eq!(&lasting.encode()[..], b"\x01\x01\x00v");
        let ending = Value { expires: Some(258), ..lasting };
        assert_eq!(&ending.encode()[..], b"\x01\x01\x01\0\0\0\0\0\0\x01\x02v");
    }

    #[test]
    fn unknown_forms_are_refused() {
        for stored in
            [&b""[..], b"\x01", b"\x01\x01", b"\x02\x01\x00v", b"\x01\x02\x00v", b"\x01\x01\x02", b"\x01\x01\x01abc"]
        {
            assert!(Value::decode(&Bytes::copy_from_slice(stored)).is_err(), "{stored:?}");
        }
    }
}
