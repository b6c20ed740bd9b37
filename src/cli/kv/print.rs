//! Replies as text, in the manner of `redis-cli`: explained for people, bare for programs.

use std::io::{self, Write};

use super::reply::Reply;

/// Writes a reply so that a person sees what it is.
pub fn explained(reply: &Reply, out: &mut impl Write) -> io::Result<()> {
    write_indented(reply, 0, out)
}

fn write_indented(reply: &Reply, indent: usize, out: &mut impl Write) -> io::Result<()> {
    match reply {
        Reply::Simple(text) | Reply::Scalar(text) => writeln!(out, "{text}"),
        Reply::Error(text) => writeln!(out, "(error) {text}"),
        Reply::Integer(number) => writeln!(out, "(integer) {number}"),
        Reply::Bulk(bytes) => writeln!(out, "{}", quoted(bytes)),
        Reply::Nil => writeln!(out, "(nil)"),
        Reply::Array(items) | Reply::Push(items) if items.is_empty() => writeln!(out, "(empty array)"),
        Reply::Array(items) | Reply::Push(items) => {
            let digits = items.len().to_string().len();
            for (n, item) in items.iter().enumerate() {
                // The first line stands behind what has been written already.
                let before = if n == 0 { 0 } else { indent };
                write!(out, "{:before$}{:>digits$}) ", "", n + 1)?;
                write_indented(item, indent + digits + 2, out)?;
            }
            Ok(())
        }
    }
}

/// Bytes between quotes, what is not printable escaped; `words::split` reads it again.
pub fn quoted(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'"' => "\\\"".to_owned(),
        b'\'' => "'".to_owned(),
        byte => byte.escape_ascii().to_string(),
    };
    format!("\"{}\"", bytes.iter().map(escape).collect::<String>())
}

/// Writes a reply's bytes and nothing else, one item per line.
pub fn bare(reply: &Reply, out: &mut impl Write) -> io::Result<()> {
    match reply {
        Reply::Simple(text) | Reply::Scalar(text) | Reply::Error(text) => writeln!(out, "{text}"),
        Reply::Integer(number) => writeln!(out, "{number}"),
        Reply::Nil => writeln!(out),
        Reply::Bulk(bytes) => {
            out.write_all(bytes)?;
            writeln!(out)
        }
        Reply::Array(items) | Reply::Push(items) => items.iter().try_for_each(|item| bare(item, out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    #[test]
    fn people_see_what_a_reply_is() {
        let inner = Reply::Array(vec![bulk("a\"b'\n"), Reply::Nil]);
        let reply =
            Reply::Array(vec![inner, Reply::Integer(7), Reply::Array(vec![]), Reply::Error("ERR x".to_owned())]);
        let mut out = Vec::new();
        explained(&reply, &mut out).unwrap();
        let expected = "1) 1) \"a\\\"b'\\n\"\n   2) (nil)\n2) (integer) 7\n3) (empty array)\n4) (error) ERR x\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn programs_get_the_bytes() {
        let mut out = Vec::new();
        bare(&Reply::Array(vec![bulk("a\"b"), Reply::Nil, Reply::Integer(7)]), &mut out).unwrap();
        assert_eq!(out, b"a\"b\n\n7\n");
    }
}
