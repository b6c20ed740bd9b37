//! The fields of a message, taken one after the other.

use annulus_relation::error::SqlState;
use annulus_relation::{SqlError, SqlResult};
use bytes::{Buf, Bytes};

use super::Format;

/// What is left of a message.
pub struct Fields(Bytes);

impl Fields {
    /// All of a message's body.
    #[must_use]
    pub const fn new(body: Bytes) -> Self {
        Self(body)
    }

    /// The next byte.
    ///
    /// # Errors
    /// There is none.
    pub fn byte(&mut self) -> SqlResult<u8> {
        self.0.try_get_u8().map_err(|_| short())
    }

    /// The next two bytes: a count.
    ///
    /// # Errors
    /// There are fewer.
    pub fn count(&mut self) -> SqlResult<usize> {
        self.0.try_get_u16().map(usize::from).map_err(|_| short())
    }

    /// The next four bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn int(&mut self) -> SqlResult<i32> {
        self.0.try_get_i32().map_err(|_| short())
    }

    /// The bytes up to the next zero, as text.
    ///
    /// # Errors
    /// There is no zero, or it is not UTF-8.
    pub fn text(&mut self) -> SqlResult<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        utf8(&text).map(str::to_owned)
    }

    /// A value after its length; `None` is NULL.
    ///
    /// # Errors
    /// There are fewer bytes.
    pub fn value(&mut self) -> SqlResult<Option<Bytes>> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| malformed("a value has a negative length"))?;
                if length > self.0.len() {
                    return Err(short());
                }
                Ok(Some(self.0.split_to(length)))
            }
        }
    }

    /// A list after its count, each item at least so many bytes long.
    ///
    /// # Errors
    /// There are fewer items, or one is wrong.
    pub fn list<T>(&mut self, size: usize, item: impl Fn(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let count = self.count()?;
        if count * size > self.0.len() {
            return Err(short());
        }
        (0..count).map(|_| item(self)).collect()
    }

    /// The formats of values.
    ///
    /// # Errors
    /// There is another one.
    pub fn formats(&mut self) -> SqlResult<Vec<Format>> {
        self.list(2, |fields| match fields.count()? {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            code => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {code}"))),
        })
    }

    /// All that is left.
    #[must_use]
    pub fn rest(self) -> Bytes {
        self.0
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(self) -> SqlResult<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("there are bytes behind its last field")) }
    }
}

/// Bytes as text.
///
/// # Errors
/// They are not UTF-8.
pub fn utf8(bytes: &[u8]) -> SqlResult<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let end = error.error_len().map_or(bytes.len(), |length| at + length).min(at + 4);
        let wrong: Vec<String> = bytes[at..end].iter().map(|byte| format!("0x{byte:02x}")).collect();
        let what = format!("invalid byte sequence for encoding \"UTF8\": {}", wrong.join(" "));
        SqlError::new(SqlState("22021"), what)
    })
}

fn malformed(why: &str) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid message format")
        .detail(format!("The message is wrong: {why}."))
}

fn short() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}
