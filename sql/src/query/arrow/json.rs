//! Keys of `jsonb`: objects sort behind arrays, those behind booleans, numbers, strings and null; among objects and
//! among arrays the number of members counts first.

use super::key::{write_bytes, write_number};

const NULL: u8 = 1;
const STRING: u8 = 2;
const NUMBER: u8 = 3;
const BOOL: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

/// Appends the key of a text in `jsonb`'s normal form.
pub(super) fn write(text: &str, out: &mut Vec<u8>) {
    Reader { rest: text.as_bytes() }.value(out);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn skip(&mut self, bytes: &[u8]) {
        while let Some((first, rest)) = self.rest.split_first() {
            if !bytes.contains(first) {
                return;
            }
            self.rest = rest;
        }
    }

    fn value(&mut self, out: &mut Vec<u8>) {
        self.skip(b" ");
        match self.rest.first() {
            Some(b'{') => self.members(OBJECT, b'}', out),
            Some(b'[') => self.members(ARRAY, b']', out),
            Some(b'"') => {
                out.push(STRING);
                self.string(out);
            }
            Some(b'n') | None => {
                self.skip(b"nul");
                out.push(NULL);
            }
            Some(letter @ (b't' | b'f')) => {
                out.extend_from_slice(&[BOOL, u8::from(*letter == b't')]);
                self.skip(b"truefals");
            }
            Some(_) => self.number(out),
        }
    }

    fn members(&mut self, rank: u8, end: u8, out: &mut Vec<u8>) {
        out.push(rank);
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.rest = &self.rest[1..];
        let mut count = 0u32;
        loop {
            self.skip(b" ,");
            match self.rest.split_first() {
                Some((first, rest)) if *first == end => {
                    self.rest = rest;
                    break;
                }
                None => break,
                Some(_) => {}
            }
            count += 1;
            if rank == OBJECT {
                self.string(out);
                self.skip(b": ");
            }
            let left = self.rest.len();
            self.value(out);
            if self.rest.len() == left {
                break;
            }
        }
        out[start..start + 4].copy_from_slice(&count.to_be_bytes());
    }

    fn string(&mut self, out: &mut Vec<u8>) {
        let text = self.rest.get(1..).unwrap_or_default();
        let mut end = 0;
        while end < text.len() && text[end] != b'"' {
            end += if text[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(text.len());
        write_bytes(&unescape(&text[..end]), out);
        self.rest = text.get(end + 1..).unwrap_or_default();
    }

    fn number(&mut self, out: &mut Vec<u8>) {
        let end = self.rest.iter().position(|b| !b"+-.eE0123456789".contains(b)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let text = String::from_utf8_lossy(text);
        let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let scale = i64::try_from(fraction.len()).unwrap_or(0) - exponent.parse::<i64>().unwrap_or(0);
        out.push(NUMBER);
        write_number(&format!("{whole}{fraction}"), scale, out);
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, if byte == b'\\' { bytes.next() } else { None }) {
            (_, Some(b'n')) => plain.push(b'\n'),
            (_, Some(b't')) => plain.push(b'\t'),
            (_, Some(b'r')) => plain.push(b'\r'),
            (_, Some(b'b')) => plain.push(8),
            (_, Some(b'f')) => plain.push(12),
            (_, Some(b'u')) => {
                let digits: Vec<u8> = bytes.by_ref().take(4).collect();
                let code = std::str::from_utf8(&digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let letter = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            (_, Some(other)) => plain.push(other),
            (byte, None) => plain.push(byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    fn key(text: &str) -> Vec<u8> {
        let mut key = Vec::new();
        super::write(text, &mut key);
        key
    }

    #[test]
    fn keys_sort_as_jsonb_does() {
        let texts = [
            "null",
            "\"\"",
            "\"a\"",
            "\"b\\n\"",
            "-1",
            "0",
            "1.5",
            "10",
            "false",
            "true",
            "[]",
            "[2]",
            "[1, 2]",
            "[1, {}]",
            "{}",
            "{\"b\": 1}",
            "{\"a\": 1, \"b\": [2, 3]}",
            "{\"a\": 2, \"b\": 1}",
        ];
        for pair in texts.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        assert_eq!(key("[1.0, \"a\\\"\"]"), key("[1, \"a\\\"\"]"));
    }

    #[test]
    fn damaged_text_ends() {
        for text in ["[", "{\"a", "[1, x", "{\"a\" \"b\"", "\"\\"] {
            assert!(!key(text).is_empty());
        }
    }
}
