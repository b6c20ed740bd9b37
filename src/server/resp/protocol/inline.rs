//! Splitting an inline command into words, with the quoting rules of Redis (`sdssplitargs`).

/// The words of a line; `None` if quotes are unbalanced.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let (word, behind) = word(rest)?;
        words.push(word);
        rest = behind;
    }
}

/// The word at the front of a non-empty line, and what follows it.
fn word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = line;
    while let [byte, behind @ ..] = rest {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
            b'"' | b'\'' => {
                rest = quoted(*byte, behind, &mut word)?;
                // A closing quote must end the word.
                return rest.first().is_none_or(u8::is_ascii_whitespace).then_some((word, rest));
            }
            _ => {
                word.push(*byte);
                rest = behind;
            }
        }
    }
    // A zero byte ends a word like a blank, and is not part of the next one.
    Some((word, rest.strip_prefix(b"\0").unwrap_or(rest)))
}

/// Appends what stands before the closing `quote`; returns what stands behind it.
fn quoted<'a>(quote: u8, line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = line;
    loop {
        match rest {
            [byte, behind @ ..] if *byte == quote => return Some(behind),
            [b'\\', b'x', high, low, behind @ ..] if quote == b'"' && hex(*high).is_some() && hex(*low).is_some() => {
                word.push(hex(*high)? * 16 + hex(*low)?);
                rest = behind;
            }
            [b'\\', escaped, behind @ ..] if quote == b'"' => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = behind;
            }
            [b'\\', b'\'', behind @ ..] if quote == b'\'' => {
                word.push(b'\'');
                rest = behind;
            }
            [byte, behind @ ..] => {
                word.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
