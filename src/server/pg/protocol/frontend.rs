//! Messages of clients that have introduced themselves.
//!
//! Taking a message off the input and understanding it are two steps: bytes whose framing is wrong end the
//! connection, since nobody knows where the next message begins; a message that is wrong inside is an error like
//! any other.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use bytes::{Buf, Bytes, BytesMut};

use super::Format;
use super::fields::Fields;

/// The bytes before a message's body: its kind and its length.
const HEADER: usize = 5;

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The byte that says what it is.
    pub kind: u8,
    /// Its fields.
    pub body: Bytes,
}

/// What a portal or statement is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The prepared statement of that name.
    Statement(String),
    /// The portal of that name.
    Portal(String),
}

/// Values for the parameters of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The portal's name.
    pub portal: String,
    /// The statement's name.
    pub statement: String,
    /// The formats of parameters: none, one for all, or one for each.
    pub formats: Vec<Format>,
    /// The parameters; `None` is NULL.
    pub parameters: Vec<Option<Bytes>>,
    /// The formats of columns: none, one for all, or one for each.
    pub results: Vec<Format>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Statements to be executed.
    Query(String),
    /// A statement to be prepared.
    Parse {
        /// Its name.
        name: String,
        /// Its text.
        sql: String,
        /// The object numbers of its parameters' types.
        types: Vec<u32>,
    },
    /// A portal to be made.
    Bind(Bind),
    /// Something to be described.
    Describe(Target),
    /// A portal to be run.
    Execute {
        /// Its name.
        portal: String,
        /// At most so many rows; 0: all.
        most: usize,
    },
    /// Something to be forgotten.
    Close(Target),
    /// Answers are to be sent.
    Flush,
    /// The end of what belongs together.
    Sync,
    /// Data to be copied in.
    CopyData(Bytes),
    /// All data to be copied in has come.
    CopyDone,
    /// Data to be copied in will not come, and why.
    CopyFail(String),
    /// A function to be called, a way that is not supported.
    FunctionCall,
    /// The end.
    Terminate,
}

/// Takes the next message off the input; `None`: it is not complete.
///
/// # Errors
/// Its framing is wrong, or it has more than `most` bytes: the connection has to end.
pub fn take(input: &mut BytesMut, most: usize) -> SqlResult<Option<Frame>> {
    let Some(length) = length(input, most)? else { return Ok(None) };
    if input.len() < length {
        return Ok(None);
    }
    let mut frame = input.split_to(length).freeze();
    let kind = frame[0];
    frame.advance(HEADER);
    Ok(Some(Frame { kind, body: frame }))
}

/// The length of the first message, its header included.
fn length(input: &[u8], most: usize) -> SqlResult<Option<usize>> {
    let Some((kind, rest)) = input.split_first() else { return Ok(None) };
    if !b"QPBDECHSdcfFX".contains(kind) {
        return Err(violation(format!("invalid frontend message type {kind}")));
    }
    let Some(length) = rest.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length < 4 {
        return Err(violation("invalid message length"));
    }
    if length > most {
        let what = format!("a message of {length} bytes is too long");
        let hint = format!("A message may have {most} bytes at most; send less at once, or use COPY.");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, what).hint(hint));
    }
    Ok(Some(length + 1))
}

/// Whether a Sync follows, before which nothing more is executed.
#[must_use]
pub fn sync_follows(mut input: &[u8]) -> bool {
    loop {
        match input {
            [b'S', ..] => return true,
            [b'C' | b'H', a, b, c, d, ..] => {
                let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                match input.get(length.saturating_add(1)..) {
                    Some(rest) => input = rest,
                    None => return false,
                }
            }
            _ => return false,
        }
    }
}

/// Understands a message.
///
/// # Errors
/// It is wrong.
pub fn understand(frame: Frame) -> SqlResult<Message> {
    let mut fields = Fields::new(frame.body);
    let message = match frame.kind {
        b'Q' => Message::Query(fields.text()?),
        b'P' => {
            let (name, sql) = (fields.text()?, fields.text()?);
            Message::Parse { name, sql, types: fields.list(4, |fields| Ok(fields.int()?.cast_unsigned()))? }
        }
        b'B' => Message::Bind(Bind {
            portal: fields.text()?,
            statement: fields.text()?,
            formats: fields.formats()?,
            parameters: fields.list(4, Fields::value)?,
            results: fields.formats()?,
        }),
        b'D' => Message::Describe(target(&mut fields)?),
        b'E' => {
            let portal = fields.text()?;
            // Zero and less mean all.
            Message::Execute { portal, most: usize::try_from(fields.int()?).unwrap_or(0) }
        }
        b'C' => Message::Close(target(&mut fields)?),
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'd' => return Ok(Message::CopyData(fields.rest())),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(fields.text()?),
        b'F' => return Ok(Message::FunctionCall),
        b'X' => Message::Terminate,
        kind => return Err(violation(format!("unexpected message type 0x{kind:02X}"))),
    };
    fields.end()?;
    Ok(message)
}

fn target(fields: &mut Fields) -> SqlResult<Target> {
    match fields.byte()? {
        b'S' => Ok(Target::Statement(fields.text()?)),
        b'P' => Ok(Target::Portal(fields.text()?)),
        kind => Err(violation(format!("neither a statement nor a portal: {kind}"))),
    }
}

fn violation(what: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, what)
}

#[cfg(test)]
mod tests {
    use annulus_base::rng::Rng;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::from(&[kind][..]);
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn read(kind: u8, body: &[u8]) -> SqlResult<Message> {
        let mut input = message(kind, body);
        let frame = take(&mut input, 1_000_000).unwrap().expect("complete");
        assert!(input.is_empty());
        understand(frame)
    }

    #[test]
    fn messages_are_understood() {
        assert_eq!(read(b'Q', b"SELECT 1\0"), Ok(Message::Query("SELECT 1".to_owned())));
        let parse = Message::Parse { name: "s".to_owned(), sql: "SELECT $1".to_owned(), types: vec![23] };
        assert_eq!(read(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"), Ok(parse));
        let bind = Bind {
            portal: String::new(),
            statement: "s".to_owned(),
            formats: vec![Format::Binary],
            parameters: vec![Some(Bytes::from_static(b"ab")), None],
            results: vec![Format::Text, Format::Binary],
        };
        let body = b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x02\0\0\0\x01";
        assert_eq!(read(b'B', body), Ok(Message::Bind(bind)));
        assert_eq!(read(b'E', b"p\0\0\0\0\x05"), Ok(Message::Execute { portal: "p".to_owned(), most: 5 }));
        assert_eq!(read(b'C', b"Pp\0"), Ok(Message::Close(Target::Portal("p".to_owned()))));
        assert_eq!(read(b'S', b""), Ok(Message::Sync));
    }

    #[test]
    fn what_is_wrong_inside_is_an_error_and_what_is_wrong_outside_an_end() {
        for (kind, body) in [
            (b'Q', &b"no zero"[..]),
            (b'Q', b"\xff\0"),
            (b'Q', b"a\0b"),
            (b'P', b"s\0SELECT\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
            (b'B', b"\0\0\0\x01\0\x02"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            (b'D', b"Xp\0"),
        ] {
            assert!(read(kind, body).is_err(), "{} {body:?}", char::from(kind));
        }
        for framing in [&b"Q\0\0\0\x03"[..], b"!", b"p", b"Q\x7f\xff\xff\xff"] {
            assert!(take(&mut BytesMut::from(framing), 1_000_000).is_err(), "{framing:?}");
        }
        for part in [&b""[..], b"Q", b"Q\0\0\0", b"Q\0\0\0\x06a"] {
            assert_eq!(take(&mut BytesMut::from(part), 1_000_000), Ok(None));
        }
    }

    #[test]
    fn a_sync_is_seen_behind_what_executes_nothing() {
        let close = message(b'C', b"Pp\0");
        let sync = message(b'S', b"");
        let execute = message(b'E', b"\0\0\0\0\0");
        assert!(sync_follows(&sync));
        assert!(sync_follows(&[&close[..], &close, &sync].concat()));
        assert!(!sync_follows(&[&execute[..], &sync].concat()));
        assert!(!sync_follows(&close));
        assert!(!sync_follows(b"C\xff\xff\xff\xffS"));
        assert!(!sync_follows(b""));
    }

    #[test]
    fn no_bytes_panic() {
        for seed in 0..20_000 {
            let mut rng = Rng::new(seed);
            let kind = b"QPBDECHSdcfFX"[rng.between(0, 12) as usize];
            let body: Vec<u8> =
                (0..rng.between(0, 40)).map(|_| if rng.between(0, 2) == 0 { rng.bits() as u8 } else { 0 }).collect();
            let _ = read(kind, &body);
            let _ = sync_follows(&body);
        }
    }
}
