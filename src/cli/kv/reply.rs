//! Replies of the Redis protocol, versions 2 and 3, read within bounds.

use std::io::{self, BufRead, Read as _};

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short text, such as `OK`.
    Simple(String),
    /// What went wrong.
    Error(String),
    /// A whole number.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing.
    Nil,
    /// A number or truth value of protocol 3, as it was written.
    Scalar(String),
    /// Several replies; pairs of a map stand one after the other.
    Array(Vec<Self>),
    /// Sent without being asked for.
    Push(Vec<Self>),
}

/// Longest line that announces something, bytes.
const MAX_LINE: u64 = 64 * 1024;
/// Largest bulk reply, bytes.
const MAX_BULK: u64 = 512 * 1024 * 1024;
/// Deepest nesting of arrays.
const MAX_DEPTH: usize = 32;

/// Reads one reply.
///
/// # Errors
/// If the connection breaks or something else than the protocol arrives.
pub fn read(input: &mut impl BufRead) -> io::Result<Reply> {
    read_nested(input, MAX_DEPTH)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not the Redis protocol: {what}"))
}

fn read_nested(input: &mut impl BufRead, depth: usize) -> io::Result<Reply> {
    let line = read_line(input)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| wrong("an empty or garbled line"))?;
    let text = || rest.to_owned();
    Ok(match kind {
        "+" => Reply::Simple(text()),
        "-" => Reply::Error(text()),
        ":" => Reply::Integer(rest.parse().map_err(|_| wrong("a number expected"))?),
        "_" => Reply::Nil,
        "," | "(" => Reply::Scalar(text()),
        "#" => Reply::Scalar(if rest == "t" { "true" } else { "false" }.to_owned()),
        "$" | "=" | "!" if rest == "-1" => Reply::Nil,
        "$" => Reply::Bulk(read_bulk(input, rest)?),
        // A verbatim text begins with its three-letter form and a colon.
        "=" => Reply::Bulk(read_bulk(input, rest)?.into_iter().skip(4).collect()),
        "!" => Reply::Error(String::from_utf8_lossy(&read_bulk(input, rest)?).into_owned()),
        "*" if rest == "-1" => Reply::Nil,
        "*" | "~" => Reply::Array(read_items(input, rest, 1, depth)?),
        "%" => Reply::Array(read_items(input, rest, 2, depth)?),
        ">" => Reply::Push(read_items(input, rest, 1, depth)?),
        _ => return Err(wrong("an unknown kind of reply")),
    })
}

fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node closed the connection"));
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| wrong("a line without its end"))?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn read_bulk(input: &mut impl BufRead, length: &str) -> io::Result<Vec<u8>> {
    let length: u64 = length.parse().ok().filter(|length| *length <= MAX_BULK).ok_or_else(|| wrong("a length"))?;
    // Grows as bytes arrive, so a false length costs nothing.
    let mut bytes = Vec::new();
    input.take(length + 2).read_to_end(&mut bytes)?;
    let ended = bytes.len() as u64 == length + 2 && bytes.ends_with(b"\r\n");
    if !ended {
        return Err(wrong("a bulk reply without its end"));
    }
    bytes.truncate(bytes.len() - 2);
    Ok(bytes)
}

fn read_items(input: &mut impl BufRead, count: &str, each: u64, depth: usize) -> io::Result<Vec<Reply>> {
    let depth = depth.checked_sub(1).ok_or_else(|| wrong("arrays too deeply nested"))?;
    let count: u32 = count.parse().map_err(|_| wrong("a count"))?;
    (0..u64::from(count) * each).map(|_| read_nested(input, depth)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> io::Result<Reply> {
        read(&mut &bytes[..])
    }

    #[test]
    fn replies_of_both_versions() {
        let bulk = |text: &str| Reply::Bulk(text.as_bytes().to_vec());
        let cases: [(&[u8], Reply); 12] = [
            (b"+OK\r\n", Reply::Simple("OK".to_owned())),
            (b"-ERR no\r\n", Reply::Error("ERR no".to_owned())),
            (b":-5\r\n", Reply::Integer(-5)),
            (b"$3\r\na\r\n\r\n", bulk("a\r\n")),
            (b"$-1\r\n", Reply::Nil),
            (b"*-1\r\n", Reply::Nil),
            (b"_\r\n", Reply::Nil),
            (b"#t\r\n", Reply::Scalar("true".to_owned())),
            (b",1.5\r\n", Reply::Scalar("1.5".to_owned())),
            (b"=6\r\ntxt:hi\r\n", bulk("hi")),
            (b"*2\r\n:1\r\n*0\r\n", Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![])])),
            (b"%1\r\n+a\r\n:1\r\n", Reply::Array(vec![Reply::Simple("a".to_owned()), Reply::Integer(1)])),
        ];
        for (bytes, expected) in cases {
            assert_eq!(parse(bytes).unwrap(), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn broken_replies_are_errors_and_cost_nothing() {
        let nested = b"*1\r\n".repeat(100);
        let cases: [&[u8]; 10] = [
            b"",
            b"\r\n",
            b"HTTP/1.1 400\r\n",
            b":x\r\n",
            b"$5\r\nab\r\n",
            b"$999999999999\r\n",
            b"*4294967295\r\n",
            b"*99999999999\r\n",
            b"+no end",
            &nested,
        ];
        for bytes in cases {
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
