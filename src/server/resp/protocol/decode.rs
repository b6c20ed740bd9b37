//! The incremental decoder of requests: arrays of bulk strings, and inline commands.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::inline;

/// Longest line that announces a length, and longest inline command.
const MAX_LINE: usize = 64 * 1024;
/// Redis refuses to read longer bulk strings and arrays than these; so do we.
const MAX_ANNOUNCED_BULK: u64 = 512 * 1024 * 1024;
const MAX_ANNOUNCED_ARGUMENTS: i64 = 1024 * 1024;
const LINE_END: usize = 2;

/// How large one request may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most arguments, the command's name included.
    pub arguments: usize,
    /// Longest argument, bytes.
    pub argument: usize,
    /// All arguments together, bytes.
    pub request: usize,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// The command's name and its arguments; never empty. They share the memory of the read buffer.
    Command(Vec<Bytes>),
    /// A request that exceeded a limit and was skipped, with what to answer.
    TooLarge(String),
}

/// Bytes that are not the protocol: the connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub struct ProtocolError(pub String);

/// Where the decoder is in the request at hand.
#[derive(Debug)]
enum State {
    /// Before its first byte.
    Start,
    /// So many arguments are missing; the next one's length comes first.
    Length { missing: u64 },
    /// So many arguments are missing; the next one has so many bytes.
    Payload { missing: u64, length: usize },
    /// So many arguments are missing; so many bytes of the next one are still to be thrown away.
    Skip { missing: u64, left: usize },
}

/// Decodes a stream of requests; remembers how far it came in an incomplete one.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    /// Parsed so far of the request at the front of the buffer.
    position: usize,
    arguments: Vec<Range<usize>>,
    /// Why the request at hand is being skipped.
    skipping: Option<String>,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Start, position: 0, arguments: Vec::new(), skipping: None }
    }

    /// Whether a request has begun and is not complete.
    #[must_use]
    pub const fn is_inside_request(&self) -> bool {
        !matches!(self.state, State::Start)
    }

    /// Bytes that it holds beside the buffer for an incomplete request.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.arguments.len() * size_of::<Range<usize>>()
    }

    /// Takes the next complete request from the front of `buffer`; `None`: more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not the protocol.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, ProtocolError> {
        loop {
            match self.state {
                State::Start => {
                    let Some(&first) = buffer.first() else { return Ok(None) };
                    if first == b'*' {
                        if !self.begin(buffer)? {
                            return Ok(None);
                        }
                    } else {
                        match take_inline(buffer)? {
                            Some(words) if words.is_empty() => {}
                            found => return Ok(found.map(Request::Command)),
                        }
                    }
                }
                State::Length { missing: 0 } => return Ok(Some(self.finish(buffer))),
                State::Length { missing } => {
                    let Some(length) = self.bulk_length(buffer)? else { return Ok(None) };
                    self.state = match self.skipping {
                        Some(_) => State::Skip { missing, left: length + LINE_END },
                        None => State::Payload { missing, length },
                    };
                }
                State::Payload { missing, length } => {
                    let end = self.position + length;
                    if buffer.len() < end + LINE_END {
                        return Ok(None);
                    }
                    self.arguments.push(self.position..end);
                    self.position = end + LINE_END;
                    self.state = State::Length { missing: missing - 1 };
                }
                State::Skip { missing, left } => {
                    let here = left.min(buffer.len());
                    buffer.advance(here);
                    if here < left {
                        self.state = State::Skip { missing, left: left - here };
                        return Ok(None);
                    }
                    self.state = State::Length { missing: missing - 1 };
                }
            }
        }
    }

    /// Reads `*count`; false if it is incomplete.
    fn begin(&mut self, buffer: &mut BytesMut) -> Result<bool, ProtocolError> {
        let Some((line, next)) = line_at(buffer, 0, "too big mbulk count string")? else { return Ok(false) };
        let count = number(&buffer[line.start + 1..line.end]).filter(|count| *count <= MAX_ANNOUNCED_ARGUMENTS);
        let count = count.ok_or_else(|| ProtocolError("invalid multibulk length".to_owned()))?;
        if count <= 0 {
            buffer.advance(next);
            return Ok(true);
        }
        self.position = next;
        self.state = State::Length { missing: count as u64 };
        if count as usize > self.limits.arguments {
            let most = self.limits.arguments;
            self.skip(format!("LIMIT a command may have {most} arguments at most, this one has {count}"));
        }
        Ok(true)
    }

    /// Reads `$length`; `None` if it is incomplete.
    fn bulk_length(&mut self, buffer: &mut BytesMut) -> Result<Option<usize>, ProtocolError> {
        let Some((line, next)) = line_at(buffer, self.position, "too big bulk count string")? else { return Ok(None) };
        let text = &buffer[line];
        if text.first() != Some(&b'$') {
            let found = text.first().copied().unwrap_or(b'\r');
            return Err(ProtocolError(format!("expected '$', got '{}'", char::from(found).escape_default())));
        }
        let length = number(&text[1..]).and_then(|length| u64::try_from(length).ok());
        let length = length.filter(|length| *length <= MAX_ANNOUNCED_BULK);
        let length = length.ok_or_else(|| ProtocolError("invalid bulk length".to_owned()))? as usize;
        self.position = next;
        let Limits { argument, request, .. } = self.limits;
        if length > argument {
            self.skip(format!("LIMIT an argument may have {argument} bytes at most, this one has {length}"));
        } else if self.position + length > request {
            self.skip(format!("LIMIT a command may have {request} bytes at most"));
        }
        if self.skipping.is_some() {
            buffer.advance(self.position);
            self.position = 0;
        }
        Ok(Some(length))
    }

    /// From here on the request's arguments are thrown away.
    fn skip(&mut self, why: String) {
        self.skipping.get_or_insert(why);
        self.arguments = Vec::new();
    }

    /// Takes the complete request off the buffer.
    fn finish(&mut self, buffer: &mut BytesMut) -> Request {
        self.state = State::Start;
        let whole = buffer.split_to(std::mem::take(&mut self.position));
        if let Some(why) = self.skipping.take() {
            return Request::TooLarge(why);
        }
        let whole = whole.freeze();
        Request::Command(self.arguments.drain(..).map(|range| whole.slice(range)).collect())
    }
}

/// The line that begins at `from`, and where the next one begins; `None` if its end has not arrived.
fn line_at(buffer: &[u8], from: usize, too_long: &str) -> Result<Option<(Range<usize>, usize)>, ProtocolError> {
    let rest = &buffer[from..];
    let end = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\r');
    match end {
        Some(length) if rest.len() >= length + LINE_END => Ok(Some((from..from + length, from + length + LINE_END))),
        None if rest.len() >= MAX_LINE => Err(ProtocolError(too_long.to_owned())),
        _ => Ok(None),
    }
}

/// An inline command off the front of the buffer; `None` if its line is incomplete.
fn take_inline(buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    let Some(end) = buffer.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        let too_long = buffer.len() >= MAX_LINE;
        return if too_long { Err(ProtocolError("too big inline request".to_owned())) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1);
    let text = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
    let words = inline::split(text).ok_or_else(|| ProtocolError("unbalanced quotes in request".to_owned()))?;
    Ok(Some(words.into_iter().map(Bytes::from).collect()))
}

/// A decimal integer as Redis writes them: an optional minus, no leading zeros or blanks.
#[must_use]
pub fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    // Only digits can follow: a sign would fail to parse behind a first digit.
    if canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}
