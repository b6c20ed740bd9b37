//! The first message of a connection, which has no kind.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use bytes::{Buf, Bytes, BytesMut};

use super::fields::Fields;

/// The newest minor version of protocol 3 that is spoken.
pub const NEWEST_MINOR: u16 = 2;
/// The longest first message.
const LONGEST: usize = 10_000;

/// A first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// It asks for encryption, by TLS or by GSSAPI.
    Encrypt,
    /// It asks that another connection's statement is cancelled.
    Cancel {
        /// The connection's number.
        id: i32,
        /// What only its client knows.
        secret: Bytes,
    },
    /// It introduces its client.
    Startup {
        /// The minor version that is to be spoken.
        minor: u16,
        /// Parameters by name.
        parameters: Vec<(String, String)>,
    },
}

/// Takes the first message off the input; `None`: it is not complete.
///
/// # Errors
/// It is not one, or of a version that is not spoken.
pub fn take(input: &mut BytesMut) -> SqlResult<Option<First>> {
    let Some(length) = input.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if !(8..=LONGEST).contains(&length) {
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid length of startup packet"));
    }
    if input.len() < length {
        return Ok(None);
    }
    let mut body = input.split_to(length).freeze();
    body.advance(4);
    understand(body).map(Some)
}

fn understand(body: Bytes) -> SqlResult<First> {
    let mut fields = Fields::new(body);
    let code = fields.int()?.cast_unsigned();
    match (code >> 16, code & 0xffff) {
        (1234, 5679 | 5680) => Ok(First::Encrypt),
        (1234, 5678) => Ok(First::Cancel { id: fields.int()?, secret: fields.rest() }),
        (3, minor) => Ok(First::Startup { minor: minor as u16, parameters: parameters(fields)? }),
        (major, minor) => {
            let what =
                format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}");
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, what))
        }
    }
}

fn parameters(mut fields: Fields) -> SqlResult<Vec<(String, String)>> {
    let mut all = Vec::new();
    loop {
        let name = fields.text()?;
        if name.is_empty() {
            fields.end()?;
            return Ok(all);
        }
        all.push((name, fields.text()?));
    }
}

/// The settings in a startup message's `options`, which are written like a command line: `-c name=value` and
/// `--name=value`, a backslash before a space or backslash that is meant.
///
/// # Errors
/// Another option.
pub fn options(text: &str) -> SqlResult<Vec<(String, String)>> {
    let mut words = words(text).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match (word.strip_prefix("-c"), word.strip_prefix("--")) {
            (Some(""), _) => words.next(),
            (Some(rest), _) | (None, Some(rest)) => Some(rest.to_owned()),
            (None, None) => None,
        };
        let Some((name, value)) = assignment.as_deref().and_then(|assignment| assignment.split_once('=')) else {
            let what = format!("invalid command-line argument for server process: {word}");
            let hint = "Only settings can be given: -c name=value or --name=value.";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, what).hint(hint));
        };
        settings.push((name.trim().replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_whitespace() {
            words.extend(word.take());
        } else {
            let letter = if letter == '\\' { letters.next() } else { Some(letter) };
            word.get_or_insert_default().extend(letter);
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use annulus_base::rng::Rng;

    use super::*;

    fn first(body: &[u8]) -> SqlResult<Option<First>> {
        let mut input = BytesMut::from(&(body.len() as u32 + 4).to_be_bytes()[..]);
        input.extend_from_slice(body);
        take(&mut input)
    }

    #[test]
    fn first_messages_are_understood() {
        let parameters = vec![("user".to_owned(), "u".to_owned())];
        assert_eq!(first(b"\0\x03\0\x02user\0u\0\0"), Ok(Some(First::Startup { minor: 2, parameters })));
        assert_eq!(first(b"\x04\xd2\x16\x2f"), Ok(Some(First::Encrypt)));
        assert_eq!(first(b"\x04\xd2\x16\x30"), Ok(Some(First::Encrypt)));
        let secret = Bytes::from_static(b"abcd");
        assert_eq!(first(b"\x04\xd2\x16\x2e\0\0\0\x07abcd"), Ok(Some(First::Cancel { id: 7, secret })));
        let error = first(b"\0\x02\0\0").unwrap_err();
        assert_eq!(error.to_string(), "unsupported frontend protocol 2.0: server supports 3.0 to 3.2");
        for wrong in [&b"\0\x03\0\0user\0u"[..], b"\0\x03\0\0user\0u\0", b"\0\x03\0\0user\0u\0\0x", b"GET / HTTP/1.1"] {
            assert!(first(wrong).is_err(), "{wrong:?}");
        }
        assert!(take(&mut BytesMut::from(&b"\xff\xff\xff\xff"[..])).is_err());
        assert_eq!(take(&mut BytesMut::from(&b"\0\0\0\x09\0\x03"[..])), Ok(None));
    }

    #[test]
    fn options_are_settings() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            options(r"-c statement_timeout=5s  --search-path=a\ b -cx=\\1").unwrap(),
            [pair("statement_timeout", "5s"), pair("search_path", "a b"), pair("x", r"\1")]
        );
        assert!(options("-d 5").is_err());
        assert!(options("-c").is_err());
        assert!(options("-c x").is_err());
    }

    #[test]
    fn no_bytes_panic() {
        for seed in 0..20_000 {
            let mut rng = Rng::new(seed);
            let mut body = [&b"\0\x03\0\0"[..], b"\x04\xd2\x16\x2e", b""][rng.between(0, 2) as usize].to_vec();
            body.extend((0..rng.between(0, 30)).map(|_| if rng.between(0, 2) == 0 { rng.bits() as u8 } else { 0 }));
            let _ = first(&body);
            let _ = options(&String::from_utf8_lossy(&body));
        }
    }
}
