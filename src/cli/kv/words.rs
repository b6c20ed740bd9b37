//! A line of the shell cut into words, as `redis-cli` does.
//!
//! Words are separated by white space. `"..."` understands `\n \r \t \b \a \\ \"` and `\xHH`; `'...'`
//! understands only `\'`. A closing quote ends the word.

/// Why a line is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote is not closed.
    #[error("a quote is not closed")]
    Open,
    /// Something follows a closing quote.
    #[error("a space must follow a closing quote")]
    Glued,
}

/// Cuts a line.
///
/// # Errors
/// If its quotes do not match.
pub fn split(line: &str) -> Result<Vec<Vec<u8>>, WordError> {
    let mut rest = line.as_bytes().trim_ascii_start();
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

fn word(rest: &[u8]) -> Result<(Vec<u8>, &[u8]), WordError> {
    let mut out = Vec::new();
    let mut rest = rest;
    while let Some((&first, after)) = rest.split_first() {
        match first {
            b'"' | b'\'' => {
                let after = quoted(first, after, &mut out)?;
                let glued = after.first().is_some_and(|byte| !byte.is_ascii_whitespace());
                return if glued { Err(WordError::Glued) } else { Ok((out, after)) };
            }
            byte if byte.is_ascii_whitespace() => break,
            byte => out.push(byte),
        }
        rest = after;
    }
    Ok((out, rest))
}

/// Appends what stands before the closing quote, and returns what stands behind it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], WordError> {
    loop {
        rest = match rest {
            [] => return Err(WordError::Open),
            [byte, after @ ..] if *byte == quote => return Ok(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => push(out, b'\'', after),
            [b'\\', b'x', high, low, after @ ..] if quote == b'"' && hex(*high, *low).is_some() => {
                push(out, hex(*high, *low).unwrap_or_default(), after)
            }
            [b'\\', byte, after @ ..] if quote == b'"' => push(out, escaped(*byte), after),
            [byte, after @ ..] => push(out, *byte, after),
        };
    }
}

fn push<'a>(out: &mut Vec<u8>, byte: u8, after: &'a [u8]) -> &'a [u8] {
    out.push(byte);
    after
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

const fn escaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::print;
    use super::*;

    #[test]
    fn words_and_quotes() {
        let words = |line| split(line).unwrap().into_iter().map(|w| String::from_utf8(w).unwrap()).collect::<Vec<_>>();
        assert_eq!(words("  SET  a\tb "), ["SET", "a", "b"]);
        assert_eq!(words(r#"SET "a b" 'c "d"' """#), ["SET", "a b", "c \"d\"", ""]);
        assert_eq!(words(r#""a\n\"\\\x41\q" 'it\'s \n'"#), ["a\n\"\\Aq", "it's \\n"]);
        assert!(split("   ").unwrap().is_empty());
        assert_eq!(split("SET 'a"), Err(WordError::Open));
        assert_eq!(split(r#"SET "a\"#), Err(WordError::Open));
        assert_eq!(split(r#"SET "a"b"#), Err(WordError::Glued));
    }

    #[test]
    fn what_is_printed_can_be_typed_again() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(&print::quoted(&all)), Ok(vec![all]));
    }
}
