//! Byte strings: `encode`, `decode`, hashes, parts.

use annulus_relation::value;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use bytes::Bytes;
use md5::{Digest, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{bytea, check_length, count, int4, invalid, string, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("length(bytea) int4", length),
    entry("octet_length(bytea) int4", length),
    entry("||(bytea,bytea) bytea", join),
    entry("substring(bytea,int4) bytea", part),
    entry("substring(bytea,int4,int4) bytea", part),
    entry("substr(bytea,int4) bytea", part),
    entry("substr(bytea,int4,int4) bytea", part),
    entry("position(bytea,bytea) int4", find),
    entry("get_byte(bytea,int4) int4", get_byte),
    entry("set_byte(bytea,int4,int4) bytea", set_byte),
    entry("encode(bytea,text) text", encode),
    entry("decode(text,text) bytea", decode),
    entry("md5(text) text", md5_text),
    entry("md5(bytea) text", md5_bytes),
    entry("sha224(bytea) bytea", hash::<Sha224>),
    entry("sha256(bytea) bytea", hash::<Sha256>),
    entry("sha384(bytea) bytea", hash::<Sha384>),
    entry("sha512(bytea) bytea", hash::<Sha512>),
    entry("convert_from(bytea,name) text", convert_from),
    entry("convert_to(text,name) bytea", convert_to),
];

fn made(bytes: impl Into<Bytes>) -> SqlResult<Value> {
    Ok(Value::Bytea(bytes.into()))
}

fn length(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    count(bytea(args, 0)?.len())
}

fn join(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (left, right) = (bytea(args, 0)?, bytea(args, 1)?);
    check_length(left.len() + right.len())?;
    made([left.as_ref(), right].concat())
}

fn part(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (bytes, start) = (bytea(args, 0)?, i64::from(int4(args, 1)?));
    let end = match args.get(2) {
        None => i64::MAX,
        Some(Value::Int4(..0)) => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(_) => start + i64::from(int4(args, 2)?),
    };
    let place = |at: i64| usize::try_from(at.max(1) - 1).unwrap_or(usize::MAX).min(bytes.len());
    made(bytes.slice(place(start)..place(end).max(place(start))))
}

fn find(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (bytes, wanted) = (bytea(args, 0)?, bytea(args, 1)?);
    if wanted.is_empty() {
        return count(1);
    }
    count(bytes.windows(wanted.len()).position(|window| window == wanted).map_or(0, |at| at + 1))
}

fn index(args: &[Value]) -> SqlResult<usize> {
    let (length, index) = (bytea(args, 0)?.len(), int4(args, 1)?);
    usize::try_from(index).ok().filter(|index| *index < length).ok_or_else(|| {
        let message = format!("index {index} out of valid range, 0..{}", i64::try_from(length).unwrap_or(0) - 1);
        SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
    })
}

fn get_byte(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Int4(i32::from(bytea(args, 0)?[index(args)?])))
}

fn set_byte(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let at = index(args)?;
    let mut bytes = bytea(args, 0)?.to_vec();
    bytes[at] = int4(args, 2)?.to_le_bytes()[0];
    made(bytes)
}

fn hash<D: Digest>(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    made(D::digest(bytea(args, 0)?).to_vec())
}

fn md5_text(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(hex(&Md5::digest(text(args, 0)?)))
}

fn md5_bytes(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(hex(&Md5::digest(bytea(args, 0)?)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unrecognized(format: &str) -> SqlError {
    invalid(format!("unrecognized encoding: \"{format}\""))
}

fn encode(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (bytes, format) = (bytea(args, 0)?, text(args, 1)?);
    check_length(bytes.len().saturating_mul(4))?;
    match format.to_ascii_lowercase().as_str() {
        "hex" => string(hex(bytes)),
        "base64" => string(base64(bytes)),
        "escape" => string(escape(bytes)),
        _ => Err(unrecognized(format)),
    }
}

fn decode(site: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (data, format) = (text(args, 0)?, text(args, 1)?);
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            let plain: String = data.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')).collect();
            value::parse(&format!("\\x{plain}"), &SqlType::Bytea, site.cx.env)
        }
        "base64" => made(unbase64(data)?),
        "escape" if data.starts_with("\\x") => {
            Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea"))
        }
        "escape" => value::parse(data, &SqlType::Bytea, site.cx.env),
        _ => Err(unrecognized(format)),
    }
}

/// Bytes that are no ASCII, zero, and the backslash are escaped.
fn escape(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        0 | 0x80.. => format!("\\{byte:03o}"),
        b'\\' => "\\\\".into(),
        plain => char::from(*plain).to_string(),
    };
    bytes.iter().map(one).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 in lines of 76 characters.
fn base64(bytes: &[u8]) -> String {
    let mut result = String::with_capacity(bytes.len() * 3 / 2);
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            result.push('\n');
        }
        let bits = chunk.iter().fold(0usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = ALPHABET[bits >> (18 - 6 * place) & 63];
            result.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    result
}

fn unbase64(data: &str) -> SqlResult<Vec<u8>> {
    let (mut result, mut bits, mut held, mut padding) = (Vec::new(), 0u32, 0, 0);
    for character in data.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        let digit = match character {
            '=' if padding > 0 || held >= 2 => {
                padding += 1;
                0
            }
            '=' => return Err(invalid("unexpected \"=\" while decoding base64 sequence")),
            other => ALPHABET
                .iter()
                .position(|letter| padding == 0 && char::from(*letter) == other)
                .and_then(|digit| u32::try_from(digit).ok())
                .ok_or_else(|| invalid(format!("invalid symbol \"{other}\" found while decoding base64 sequence")))?,
        };
        bits = bits << 6 | digit;
        held += 1;
        if held == 4 {
            let [_, bytes @ ..] = bits.to_be_bytes();
            result.extend_from_slice(&bytes[..3 - padding.min(3)]);
            (bits, held) = (0, 0);
        }
    }
    if held != 0 {
        let hint = "Input data is missing padding, is truncated, or is otherwise corrupted.";
        return Err(invalid("invalid base64 end sequence").hint(hint));
    }
    Ok(result)
}

/// Only UTF-8 is known.
fn check_encoding(name: &str) -> SqlResult<()> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    if matches!(plain.to_ascii_lowercase().as_str(), "utf8" | "unicode") {
        return Ok(());
    }
    Err(SqlError::unsupported(format_args!("encoding \"{name}\"")).hint("Text is UTF8."))
}

fn convert_from(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    check_encoding(text(args, 1)?)?;
    let bytes = bytea(args, 0)?;
    let bad = |byte: Option<&u8>| {
        let byte = byte.map_or_else(String::new, |byte| format!(": 0x{byte:02x}"));
        SqlError::new(SqlState("22021"), format!("invalid byte sequence for encoding \"UTF8\"{byte}"))
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(bad(Some(&0))),
        Ok(text) => string(text),
        Err(error) => Err(bad(bytes.get(error.valid_up_to()))),
    }
}

fn convert_to(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    check_encoding(text(args, 1)?)?;
    made(text(args, 0)?.as_bytes().to_vec())
}
