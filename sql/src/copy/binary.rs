//! The binary format of `COPY`: a header, then each row as a count of fields and the fields, each in the protocol's binary
//! form with its length before it, then a trailer.
//!
//! Source: PostgreSQL 15, the file format described with `COPY`.

use annulus_relation::error::SqlState;
use annulus_relation::value::encode_field;
use annulus_relation::{SqlError, SqlResult, Value};
use bytes::{Buf, Bytes, BytesMut};

use super::decode::{Fields, Record};
use crate::session::answer::Column;

/// How data begins.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, flags, and the length of what follows the header.
const HEADER: usize = SIGNATURE.len() + 8;
/// Flags that a reader has to understand: none is known.
const CRITICAL: u32 = 0xffff_0000;
/// A row had object ids once.
const HAS_OIDS: u32 = 1 << 16;
/// In place of a row's count of fields: there are no more.
const TRAILER: i16 = -1;
/// The longest row, in bytes.
const MAX_ROW: usize = 64 << 20;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    /// So many bytes that mean nothing.
    Extension(usize),
    Rows,
    /// Nothing.
    End,
}

/// Cuts data into rows, wherever it was cut by the client.
pub(crate) struct Tuples {
    /// How many fields each row must have.
    width: usize,
    pending: BytesMut,
    next: Part,
    row: u64,
}

fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message.into())
}

impl Tuples {
    pub fn new(width: usize) -> Self {
        Self { width, pending: BytesMut::new(), next: Part::Header, row: 0 }
    }

    /// Takes data in, and gives the rows that are complete, up to one that is wrong.
    pub fn feed(&mut self, data: &[u8]) -> Vec<Result<Record, (u64, SqlError)>> {
        self.pending.extend_from_slice(data);
        let mut rows = Vec::new();
        loop {
            match self.advance() {
                Ok(Some(row)) => rows.push(Ok(row)),
                Ok(None) => return rows,
                Err(error) => {
                    rows.push(Err((self.row, error)));
                    return rows;
                }
            }
        }
    }

    /// `22P04` if the data ended within a row.
    pub fn finish(&self) -> Option<(u64, SqlError)> {
        match self.next {
            Part::Header => Some((0, bad("COPY file signature not recognized"))),
            Part::Rows | Part::Extension(_) if !self.pending.is_empty() => {
                Some((self.row + 1, bad("unexpected EOF in COPY data")))
            }
            _ => None,
        }
    }

    /// The next row; `None`: more data is needed.
    fn advance(&mut self) -> SqlResult<Option<Record>> {
        loop {
            match self.next {
                Part::Header if self.pending.len() < HEADER => return Ok(None),
                Part::Header => self.next = Part::Extension(self.header()?),
                Part::Extension(length) => {
                    let there = length.min(self.pending.len());
                    self.pending.advance(there);
                    self.next = if there == length { Part::Rows } else { Part::Extension(length - there) };
                    if there < length {
                        return Ok(None);
                    }
                }
                Part::Rows => return self.tuple(),
                Part::End if self.pending.is_empty() => return Ok(None),
                Part::End => return Err(bad("received copy data after EOF marker")),
            }
        }
    }

    /// Reads the header; returns how long the part after it is.
    fn header(&mut self) -> SqlResult<usize> {
        let mut header = self.pending.split_to(HEADER);
        if !header.starts_with(SIGNATURE) {
            return Err(bad("COPY file signature not recognized"));
        }
        header.advance(SIGNATURE.len());
        let flags = header.get_u32();
        if flags & HAS_OIDS != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        if flags & CRITICAL != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        usize::try_from(header.get_i32()).map_err(|_| bad("invalid COPY file header (missing length)"))
    }

    fn tuple(&mut self) -> SqlResult<Option<Record>> {
        let Some(mut count) = self.pending.get(..2) else { return Ok(None) };
        let count = count.get_i16();
        if count == TRAILER {
            self.pending.advance(2);
            self.next = Part::End;
            return self.advance();
        }
        let Some(length) = self.row_length(count).inspect_err(|_| self.row += 1)? else { return Ok(None) };
        let mut row = self.pending.split_to(length).freeze();
        row.advance(2);
        let field = |_| usize::try_from(row.get_i32()).ok().map(|length| row.split_to(length));
        let fields = (0..self.width).map(field).collect();
        self.row += 1;
        Ok(Some(Record { line: self.row, fields: Fields::Binary(fields) }))
    }

    /// How long the next row is; `None`: more data is needed.
    fn row_length(&self, count: i16) -> SqlResult<Option<usize>> {
        if usize::try_from(count) != Ok(self.width) {
            return Err(bad(format!("row field count is {count}, expected {}", self.width)));
        }
        let mut at = 2;
        for _ in 0..self.width {
            let Some(mut length) = self.pending.get(at..at + 4) else { return Ok(None) };
            at += 4;
            match length.get_i32() {
                -1 => {}
                length => at += usize::try_from(length).map_err(|_| bad("invalid field size"))?,
            }
            if at > MAX_ROW {
                return Err(too_long());
            }
        }
        Ok((at <= self.pending.len()).then_some(at))
    }
}

fn too_long() -> SqlError {
    let message = format!("a row of COPY data is longer than {MAX_ROW} bytes");
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

/// What stands before the first row.
pub(super) fn header() -> Bytes {
    let mut header = SIGNATURE.to_vec();
    header.extend([0; 8]);
    header.into()
}

/// What stands behind the last row.
pub(super) fn trailer() -> Bytes {
    TRAILER.to_be_bytes().to_vec().into()
}

/// A row.
///
/// # Errors
/// A value has no binary form.
pub(super) fn tuple(row: &[Value], columns: &[Column]) -> SqlResult<Bytes> {
    let mut out = u16::try_from(row.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    for (value, column) in row.iter().zip(columns) {
        encode_field(value, &column.ty, &mut out)?;
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(width: usize, data: &[u8], piece: usize) -> String {
        let mut tuples = Tuples::new(width);
        let mut told = Vec::new();
        for piece in data.chunks(piece.max(1)) {
            for row in tuples.feed(piece) {
                told.push(match row {
                    Ok(Record { line, fields: Fields::Binary(fields) }) => format!("{line}:{fields:?}"),
                    Ok(_) => "text".to_owned(),
                    Err((line, error)) => return format!("{} {line} {}", told.join(" "), error.report().message),
                });
            }
        }
        if let Some((line, error)) = tuples.finish() {
            told.push(format!("{line} {}", error.report().message));
        }
        told.join(" ")
    }

    fn data(parts: &[&[u8]]) -> Vec<u8> {
        header().iter().copied().chain(parts.concat()).collect()
    }

    #[test]
    fn rows_are_found_wherever_they_are_cut() {
        let row: &[u8] = b"\0\x02\0\0\0\x03abc\xff\xff\xff\xff";
        let whole = data(&[row, row, &trailer()]);
        for piece in 1..whole.len() {
            assert_eq!(told(2, &whole, piece), "1:[Some(b\"abc\"), None] 2:[Some(b\"abc\"), None]");
        }
        // The trailer may be missing, and the header may be longer.
        assert_eq!(told(2, &data(&[row]), 7), "1:[Some(b\"abc\"), None]");
        let mut longer = header().to_vec();
        longer[HEADER - 1] = 3;
        assert_eq!(told(2, &[&longer[..], b"xyz", row].concat(), 2), "1:[Some(b\"abc\"), None]");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let row: &[u8] = b"\0\x01\0\0\0\x01a";
        assert_eq!(told(1, b"PGCOPY", 9), "0 COPY file signature not recognized");
        assert_eq!(told(1, b"1\t2\n3\t4\n5\t6\n7\t8\n9\t0\n", 9), " 0 COPY file signature not recognized");
        let mut flags = data(&[row]);
        flags[SIGNATURE.len() + 1] = 1;
        assert_eq!(told(1, &flags, 99), " 0 invalid COPY file header (WITH OIDS)");
        flags[SIGNATURE.len() + 1] = 2;
        assert_eq!(told(1, &flags, 99), " 0 unrecognized critical flags in COPY file header");
        assert_eq!(told(2, &data(&[row]), 99), " 1 row field count is 1, expected 2");
        assert_eq!(told(1, &data(&[row, &row[..6]]), 99), "1:[Some(b\"a\")] 2 unexpected EOF in COPY data");
        assert_eq!(told(1, &data(&[b"\0\x01\xff\xff\xff\xfe"]), 99), " 1 invalid field size");
        assert_eq!(
            told(1, &data(&[row, &trailer(), b"x"]), 99),
            "1:[Some(b\"a\")] 1 received copy data after EOF marker"
        );
        assert!(told(1, &data(&[b"\0\x01\x7f\xff\xff\xff"]), 99).contains("is longer than"));
    }

    #[test]
    fn whatever_comes_is_rows_or_an_error() {
        let mut rng = annulus_base::rng::Rng::new(7);
        let row: &[u8] = b"\0\x02\0\0\0\x03abc\xff\xff\xff\xff";
        let whole = data(&[row, row, row, &trailer()]);
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..rng.between(1, 3) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(3) {
                    0 => bytes[at] = rng.bits() as u8,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, rng.bits() as u8),
                }
            }
            let (whole, pieces) = (told(2, &bytes, bytes.len()), told(2, &bytes, rng.between(1, 9) as usize));
            assert_eq!(whole, pieces, "wherever {bytes:?} is cut");
        }
    }
}
