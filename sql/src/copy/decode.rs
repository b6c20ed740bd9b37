//! From lines of `COPY` data to fields.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use bytes::Bytes;

use crate::parse::{CopyOptions, Format, Header};

/// The longest line, in bytes.
const MAX_LINE: usize = 64 << 20;

/// Cuts data into records, wherever it was cut by the client.
pub(crate) struct Lines {
    options: CopyOptions,
    /// Data that was not looked at yet.
    pending: Vec<u8>,
    /// The columns' names.
    names: Vec<String>,
    /// The first line, if it has yet to come.
    header: Header,
    /// How many lines there were.
    line: u64,
    ended: bool,
}

/// The fields of a record; `None` is NULL.
pub(crate) enum Fields {
    Text(Vec<Option<String>>),
    Binary(Vec<Option<Bytes>>),
}

impl Fields {
    /// How many bytes they have.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(fields) => fields.iter().flatten().map(String::len).sum(),
            Self::Binary(fields) => fields.iter().flatten().map(Bytes::len).sum(),
        }
    }
}

/// A record, and the line that it ends at; in binary data, which row it is.
pub(crate) struct Record {
    pub line: u64,
    pub fields: Fields,
}

impl Lines {
    pub fn new(options: &CopyOptions, names: Vec<String>) -> Self {
        let header = options.header;
        Self { options: options.clone(), pending: Vec::new(), names, header, line: 0, ended: false }
    }

    /// Takes data in, and gives the records that are complete, up to one that is wrong.
    pub fn feed(&mut self, data: &[u8]) -> Vec<Result<Record, (u64, SqlError)>> {
        self.pending.extend_from_slice(data);
        let mut records = Vec::new();
        let mut at = 0;
        while let Some(length) = self.record_end(at) {
            let record = self.pending[at..at + length].to_vec();
            at += length + 1;
            records.extend(self.record(&record).transpose());
        }
        self.pending.drain(..at);
        if self.pending.len() > MAX_LINE {
            let message = format!("a line of COPY data is longer than {MAX_LINE} bytes");
            records.push(Err((self.line + 1, SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))));
        }
        records
    }

    /// The last record, if the data does not end with a line's end.
    pub fn finish(&mut self) -> Option<Result<Record, (u64, SqlError)>> {
        if self.options.format == Format::Csv && self.is_quoted(&self.pending) {
            return Some(Err((self.line + 1, bad("unterminated CSV quoted field"))));
        }
        let record = std::mem::take(&mut self.pending);
        if record.is_empty() { None } else { self.record(&record).transpose() }
    }

    /// How long the record at a place is, without its line's end.
    fn record_end(&self, from: usize) -> Option<usize> {
        let rest = &self.pending[from..];
        if self.options.format == Format::Text {
            // A backslash before a line's end makes it part of the data.
            let mut escaped = false;
            return rest.iter().position(|byte| {
                let end = *byte == b'\n' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                end
            });
        }
        let (quote, escape) = (self.options.quote, self.options.escape);
        let (mut quoted, mut skip) = (false, false);
        rest.iter().enumerate().position(|(at, byte)| {
            if std::mem::take(&mut skip) {
                return false;
            }
            if quoted && *byte == escape && rest.get(at + 1) == Some(&quote) {
                skip = true;
            } else if *byte == quote {
                quoted = !quoted;
            }
            *byte == b'\n' && !quoted
        })
    }

    fn is_quoted(&self, data: &[u8]) -> bool {
        data.iter().filter(|byte| **byte == self.options.quote).count() % 2 == 1
    }

    fn record(&mut self, record: &[u8]) -> Result<Option<Record>, (u64, SqlError)> {
        self.line += 1 + record.iter().filter(|byte| **byte == b'\n').count() as u64;
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        let header = std::mem::take(&mut self.header);
        if header == Header::Names || self.ended {
            return Ok(None);
        }
        if record == b"\\." && header == Header::None {
            self.ended = true;
            return Ok(None);
        }
        let line = self.line;
        let fields = self.fields(record).map_err(|error| (line, error))?;
        if header == Header::Match {
            self.check_header(&fields).map_err(|error| (line, error))?;
            return Ok(None);
        }
        Ok(Some(Record { line, fields: Fields::Text(fields) }))
    }

    fn fields(&self, record: &[u8]) -> SqlResult<Vec<Option<String>>> {
        if self.options.format == Format::Csv { self.csv(record) } else { self.text(record) }
    }

    /// `22P04` if a header has other names than the columns.
    fn check_header(&self, fields: &[Option<String>]) -> SqlResult<()> {
        let (got, expected) = (fields.len(), self.names.len());
        if got != expected {
            return Err(bad(&format!("wrong number of fields in header line: got {got}, expected {expected}")));
        }
        let mut pairs = fields.iter().zip(&self.names).enumerate();
        let Some((place, (field, name))) = pairs.find(|(_, (field, name))| field.as_ref() != Some(*name)) else {
            return Ok(());
        };
        let got = match field {
            Some(field) => format!("\"{field}\""),
            None => format!("null value (\"{}\")", self.options.null),
        };
        let number = place + 1;
        Err(bad(&format!("column name mismatch in header line field {number}: got {got}, expected \"{name}\"")))
    }

    fn text(&self, record: &[u8]) -> SqlResult<Vec<Option<String>>> {
        let mut fields = Vec::new();
        let mut start = 0;
        let mut at = 0;
        loop {
            match record.get(at) {
                Some(b'\\') => at += 2,
                Some(byte) if *byte != self.options.delimiter => at += 1,
                end => {
                    let raw = &record[start..at.min(record.len())];
                    let null = raw == self.options.null.as_bytes();
                    fields.push(if null { None } else { Some(utf8(unescape(raw))?) });
                    if end.is_none() {
                        return Ok(fields);
                    }
                    at += 1;
                    start = at;
                }
            }
        }
    }

    fn csv(&self, record: &[u8]) -> SqlResult<Vec<Option<String>>> {
        let (quote, escape) = (self.options.quote, self.options.escape);
        let mut fields = Vec::new();
        let (mut value, mut was_quoted, mut quoted) = (Vec::new(), false, false);
        let mut bytes = record.iter().copied().peekable();
        loop {
            match bytes.next() {
                Some(byte) if quoted && byte == escape && bytes.peek() == Some(&quote) => {
                    value.push(quote);
                    bytes.next();
                }
                Some(byte) if byte == quote => {
                    quoted = !quoted;
                    was_quoted = true;
                }
                Some(byte) if quoted || byte != self.options.delimiter => value.push(byte),
                end => {
                    let null = !was_quoted && value == self.options.null.as_bytes();
                    let value = std::mem::take(&mut value);
                    fields.push(if null { None } else { Some(utf8(value)?) });
                    was_quoted = false;
                    if end.is_none() {
                        return Ok(fields);
                    }
                }
            }
        }
    }
}

fn utf8(bytes: Vec<u8>) -> SqlResult<String> {
    String::from_utf8(bytes)
        .map_err(|_| SqlError::new(SqlState("22021"), "invalid byte sequence for encoding \"UTF8\""))
}

fn bad(message: &str) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// The bytes that backslashes stand for.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((code, more)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = more;
        match code {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let digits = rest.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let number = rest[..digits]
                    .iter()
                    .fold(u32::from(code - b'0'), |number, digit| number * 8 + u32::from(digit - b'0'));
                out.push((number & 0xff) as u8);
                rest = &rest[digits..];
            }
            b'x' => {
                let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                match std::str::from_utf8(&rest[..digits]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(number) => out.push(number),
                    None => out.push(b'x'),
                }
                rest = &rest[digits..];
            }
            other => out.push(*other),
        }
    }
    out
}
