//! Keys inside a partition, and ranges of them.
//!
//! A key is `generation, object, index` (fixed-width, big-endian) and then one or more user fields in
//! an order-preserving, self-delimiting encoding. Self-delimiting means that no key is a prefix of
//! another one, so a storage layer may append a version to it without disturbing the order.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use wincode::{SchemaRead, SchemaWrite};

/// An encoded key. Compares bytewise, which is the order of its parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct Key(pub Bytes);

/// Length of the fixed part: generation, object, index, four bytes each.
pub const PREFIX_LEN: usize = 12;

/// Sorts after every key: no field begins with two bytes of 0xff after an all-ones prefix and means it.
const BEHIND_ALL: [u8; 2 * PREFIX_LEN] = [0xff; 2 * PREFIX_LEN];

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const TERMINATOR: u8 = 0x01;

impl Key {
    /// The key of one bytes field: `generation, object, index, field`.
    #[must_use]
    pub fn new(generation: u32, object: u32, index: u32, field: &[u8]) -> Self {
        let mut out = BytesMut::with_capacity(PREFIX_LEN + field.len() + 2);
        out.put_u32(generation);
        out.put_u32(object);
        out.put_u32(index);
        put_field(&mut out, field);
        Self(out.freeze())
    }

    /// Whether it is long enough to be a key, and not only the end of a range. What is not whole is a prefix of
    /// keys: nothing is ever stored under it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() > PREFIX_LEN
    }

    /// The number of the data generation it belongs to, if the key is whole.
    #[must_use]
    pub fn generation(&self) -> Option<u32> {
        let head: [u8; 4] = self.0.get(..4)?.try_into().ok()?;
        Some(u32::from_be_bytes(head))
    }

    /// The first user field, decoded; `None` if the bytes are not a key of this form.
    #[must_use]
    pub fn field(&self) -> Option<Vec<u8>> {
        let (field, _) = take_field(self.0.get(PREFIX_LEN..)?)?;
        Some(field)
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The smallest possible key after this one.
    #[must_use]
    pub fn successor(&self) -> Self {
        let mut out = BytesMut::with_capacity(self.0.len() + 1);
        out.put_slice(&self.0);
        out.put_u8(0);
        Self(out.freeze())
    }
}

/// Appends a field so that encoded order equals bytewise order and the end is unmistakable:
/// 0x00 becomes 0x00 0xff, the end is 0x00 0x01.
pub fn put_field(out: &mut BytesMut, field: &[u8]) {
    for &byte in field {
        out.put_u8(byte);
        if byte == ESCAPE {
            out.put_u8(ESCAPED_ZERO);
        }
    }
    out.put_u8(ESCAPE);
    out.put_u8(TERMINATOR);
}

/// Reads one field back; returns it with the rest of the input, `None` if it is malformed.
#[must_use]
pub fn take_field(input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut field = Vec::with_capacity(input.len());
    let mut at = 0;
    loop {
        match (*input.get(at)?, input.get(at + 1)) {
            (ESCAPE, Some(&TERMINATOR)) => return Some((field, &input[at + 2..])),
            (ESCAPE, Some(&ESCAPED_ZERO)) => {
                field.push(0);
                at += 2;
            }
            (ESCAPE, _) => return None,
            (byte, _) => {
                field.push(byte);
                at += 1;
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field() {
            Some(field) => write!(f, "'{}'", field.escape_ascii()),
            None => write!(f, "0x{}", self.0.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// All keys `start <= key < end` of one partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct KeyRange {
    /// First key inside.
    pub start: Key,
    /// First key behind.
    pub end: Key,
}

impl KeyRange {
    /// Every key of a partition.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Key(Bytes::new()), end: Key(Bytes::from_static(&BEHIND_ALL)) }
    }

    /// Every key of `generation, object, index`.
    #[must_use]
    pub fn of_index(generation: u32, object: u32, index: u32) -> Self {
        let prefix = |index: u32| {
            let mut out = BytesMut::with_capacity(PREFIX_LEN);
            out.put_u32(generation);
            out.put_u32(object);
            out.put_u32(index);
            Key(out.freeze())
        };
        let end = match index.checked_add(1) {
            Some(next) => prefix(next),
            None => {
                let mut out = BytesMut::from(prefix(index).as_bytes());
                out.put_bytes(0xff, 2);
                Key(out.freeze())
            }
        };
        Self { start: prefix(index), end }
    }

    /// Whether `key` lies inside.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.start <= *key && *key < self.end
    }

    /// Whether just one key can lie inside: its start.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let (start, end) = (self.start.as_bytes(), self.end.as_bytes());
        end.len() == start.len() + 1 && end.ends_with(&[0]) && end.starts_with(start)
    }

    /// Whether the two have a key in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_keys_is_order_of_fields() {
        let fields: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\0\x01", b"\x01", b"a", b"a\0", b"ab"];
        for pair in fields.windows(2) {
            assert!(Key::new(0, 0, 0, pair[0]) < Key::new(0, 0, 0, pair[1]), "{pair:?}");
        }
        for field in fields {
            assert_eq!(Key::new(1, 2, 3, field).field().as_deref(), Some(field));
        }
        assert!(Key::new(1, 9, 9, b"z") < Key::new(2, 0, 0, b"a"));
    }

    #[test]
    fn no_key_is_a_prefix_of_another() {
        let short = Key::new(0, 0, 0, b"a");
        let long = Key::new(0, 0, 0, b"a\0");
        assert!(!long.0.starts_with(&short.0));
        assert!(short.is_whole() && Key::new(0, 0, 0, b"").is_whole());
        assert!(!KeyRange::all().start.is_whole() && !KeyRange::of_index(0, 0, 0).start.is_whole());
    }

    #[test]
    fn a_single_key_is_told_from_other_ranges() {
        let key = Key::new(0, 0, 0, b"a");
        let single = KeyRange { start: key.clone(), end: key.successor() };
        assert!(single.is_single() && single.contains(&key));
        assert!(!KeyRange { start: key.clone(), end: key.successor().successor() }.is_single());
        assert!(!KeyRange { start: key.clone(), end: Key::new(0, 0, 0, b"b") }.is_single());
        assert!(!KeyRange { start: key.clone(), end: key }.is_single());
    }

    #[test]
    fn an_index_range_holds_its_keys_only() {
        let range = KeyRange::of_index(1, 2, 3);
        assert!(range.contains(&Key::new(1, 2, 3, b"\xff\xff")));
        assert!(range.contains(&Key::new(1, 2, 3, b"")));
        assert!(!range.contains(&Key::new(1, 2, 4, b"")));
        assert!(!range.contains(&Key::new(0, 2, 3, b"x")));
        assert!(KeyRange::of_index(1, 2, u32::MAX).contains(&Key::new(1, 2, u32::MAX, b"x")));
        assert!(KeyRange::all().contains(&Key::new(0, 0, 0, b"")));
        assert!(KeyRange::all().contains(&Key::new(9, 9, 9, b"\xff\xff")));
    }

    #[test]
    fn malformed_fields_are_refused() {
        for bytes in [&b"abc"[..], b"a\0", b"a\0\x07"] {
            assert!(take_field(bytes).is_none());
        }
    }
}
