//! Replies, and how RESP2 and RESP3 write them.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What a connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// What is answered to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A short word, such as `OK`.
    Status(Cow<'static, str>),
    /// An error: its code in capitals, then the text.
    Error(Cow<'static, str>),
    /// A number.
    Integer(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// Text for people, marked as such in RESP3.
    Verbatim(String),
    /// Nothing, where there would be a string.
    Null,
    /// Nothing, where there would be an array.
    NullArray,
    /// A list.
    Array(Vec<Reply>),
    /// Keys with their values; a flat list in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// Distinct items; a list in RESP2.
    Set(Vec<Reply>),
}

impl Reply {
    /// `+OK`
    pub const OK: Self = Self::Status(Cow::Borrowed("OK"));

    /// A fixed text as a string of bytes.
    #[must_use]
    pub const fn text(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// A string of bytes, or nothing.
    #[must_use]
    pub fn maybe(value: Option<Bytes>) -> Self {
        value.map_or(Self::Null, Self::Bulk)
    }

    /// A count.
    #[must_use]
    pub const fn count(number: usize) -> Self {
        Self::Integer(number as i64)
    }

    /// 1 or 0.
    #[must_use]
    pub const fn flag(flag: bool) -> Self {
        Self::Integer(flag as i64)
    }

    /// Whether it is an error.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Bytes that it takes in either version of the protocol, at most.
    #[must_use]
    pub fn size(&self) -> usize {
        /// A kind, a length of twenty digits, two line ends and the mark of a verbatim text.
        const AROUND: usize = 32;
        AROUND
            + match self {
                Self::Status(text) | Self::Error(text) => text.len(),
                Self::Bulk(bytes) => bytes.len(),
                Self::Verbatim(text) => text.len(),
                Self::Integer(_) | Self::Null | Self::NullArray => 0,
                Self::Array(items) | Self::Set(items) => items.iter().map(Self::size).sum(),
                Self::Map(pairs) => pairs.iter().map(|(key, value)| key.size() + value.size()).sum(),
            }
    }

    /// Appends it as bytes of the protocol.
    pub fn write(&self, version: Version, out: &mut BytesMut) {
        let resp3 = version == Version::Resp3;
        match self {
            Self::Status(text) => line(b'+', text, out),
            Self::Error(text) => line(b'-', text, out),
            Self::Integer(number) => header(b':', *number, out),
            Self::Bulk(bytes) => bulk(bytes, out),
            Self::Verbatim(text) if resp3 => {
                header(b'=', text.len() as i64 + 4, out);
                out.put_slice(b"txt:");
                out.put_slice(text.as_bytes());
                out.put_slice(b"\r\n");
            }
            Self::Verbatim(text) => bulk(text.as_bytes(), out),
            Self::Null | Self::NullArray if resp3 => out.put_slice(b"_\r\n"),
            Self::Null => out.put_slice(b"$-1\r\n"),
            Self::NullArray => out.put_slice(b"*-1\r\n"),
            Self::Array(items) => sequence(b'*', items, version, out),
            Self::Set(items) => sequence(if resp3 { b'~' } else { b'*' }, items, version, out),
            Self::Map(pairs) => {
                let (kind, count) = if resp3 { (b'%', pairs.len()) } else { (b'*', pairs.len() * 2) };
                header(kind, count as i64, out);
                for (key, value) in pairs {
                    key.write(version, out);
                    value.write(version, out);
                }
            }
        }
    }
}

fn header(kind: u8, number: i64, out: &mut BytesMut) {
    out.put_u8(kind);
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
    out.put_slice(b"\r\n");
}

fn bulk(bytes: &[u8], out: &mut BytesMut) {
    header(b'$', bytes.len() as i64, out);
    out.reserve(bytes.len() + 2);
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

fn sequence(kind: u8, items: &[Reply], version: Version, out: &mut BytesMut) {
    header(kind, items.len() as i64, out);
    for item in items {
        item.write(version, out);
    }
}

/// One line. A line end inside the text (an echoed name, say) would be taken for the end of the reply.
fn line(kind: u8, text: &str, out: &mut BytesMut) {
    out.put_u8(kind);
    if text.bytes().any(|byte| byte == b'\r' || byte == b'\n') {
        out.put_slice(text.replace(['\r', '\n'], " ").as_bytes());
    } else {
        out.put_slice(text.as_bytes());
    }
    out.put_slice(b"\r\n");
}
