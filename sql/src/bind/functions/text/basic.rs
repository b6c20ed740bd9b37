//! The common functions of strings. Positions count characters, from 1.

use annulus_relation::value;
use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{check_length, count, int4, integer, invalid, string, text};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("length(text) int4", length),
    entry("length(bpchar) int4", length_of_char),
    entry("char_length(text) int4", length),
    entry("char_length(bpchar) int4", length_of_char),
    entry("character_length(text) int4", length),
    entry("character_length(bpchar) int4", length_of_char),
    entry("octet_length(text) int4", octets),
    entry("octet_length(bpchar) int4", octets),
    entry("bit_length(text) int4", bits),
    entry("lower(text) text", lower),
    entry("upper(text) text", upper),
    entry("initcap(text) text", initcap),
    entry("substring(text,int4) text", substring),
    entry("substring(text,int4,int4) text", substring),
    entry("substr(text,int4) text", substring),
    entry("substr(text,int4,int4) text", substring),
    entry("left(text,int4) text", left),
    entry("right(text,int4) text", right),
    entry("position(text,text) int4", find),
    entry("strpos(text,text) int4", find),
    entry("overlay(text,text,int4) text", overlay),
    entry("overlay(text,text,int4,int4) text", overlay),
    entry("replace(text,text,text) text", replace),
    entry("translate(text,text,text) text", translate),
    entry("reverse(text) text", reverse),
    entry("repeat(text,int4) text", repeat),
    entry("split_part(text,text,int4) text", split_part),
    entry("starts_with(text,text) bool", starts_with),
    entry("^@(text,text) bool", starts_with),
    entry("chr(int4) text", chr),
    entry("ascii(text) int4", ascii),
    entry("to_hex(int4) text", to_hex),
    entry("to_hex(int8) text", to_hex),
    entry("quote_ident(text) text", super::quote::quote_ident),
    entry("quote_literal(text) text", super::quote::quote_literal),
    entry("quote_literal(anyelement) text", super::quote::quote_literal).stable(),
    entry("quote_nullable(text) text", super::quote::quote_nullable).lenient(),
    entry("quote_nullable(anyelement) text", super::quote::quote_nullable).stable().lenient(),
    entry("hashtext(text) int4", hash),
];

fn length(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    count(text(args, 0)?.chars().count())
}

fn length_of_char(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    count(value::trim_char(text(args, 0)?).chars().count())
}

fn octets(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    count(text(args, 0)?.len())
}

fn bits(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    count(text(args, 0)?.len().saturating_mul(8))
}

/// Cases change character by character: what would become several stays.
fn upper_of(character: char) -> char {
    let mut changed = character.to_uppercase();
    match (changed.next(), changed.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn lower_of(character: char) -> char {
    let mut changed = character.to_lowercase();
    match (changed.next(), changed.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn lower(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(text(args, 0)?.chars().map(lower_of).collect::<String>())
}

fn upper(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(text(args, 0)?.chars().map(upper_of).collect::<String>())
}

fn initcap(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let mut inside = false;
    let change = |character: char| {
        let changed = if inside { lower_of(character) } else { upper_of(character) };
        inside = character.is_alphanumeric();
        changed
    };
    string(text(args, 0)?.chars().map(change).collect::<String>())
}

/// The part of a text that begins at a character, counted from 1, which may lie before the text.
fn part(text: &str, start: i32, length: Option<i32>) -> SqlResult<&str> {
    let start = i64::from(start);
    let end = match length {
        Some(..0) => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => start + i64::from(length),
        None => i64::MAX,
    };
    let skip = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let take = usize::try_from(end.saturating_sub(start.max(1)).max(0)).unwrap_or(usize::MAX);
    let rest = from_character(text, skip);
    Ok(&rest[..rest.len() - from_character(rest, take).len()])
}

/// What is left of a text without its first characters.
pub(super) fn from_character(text: &str, skip: usize) -> &str {
    text.char_indices().nth(skip).map_or("", |(at, _)| &text[at..])
}

fn substring(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let length = if args.len() > 2 { Some(int4(args, 2)?) } else { None };
    string(part(text(args, 0)?, int4(args, 1)?, length)?)
}

/// How many characters a count means that may be negative: all but so many.
fn characters(text: &str, wanted: i32) -> usize {
    match usize::try_from(wanted) {
        Ok(wanted) => wanted,
        Err(_) => text.chars().count().saturating_sub(usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

fn left(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let text = text(args, 0)?;
    let rest = from_character(text, characters(text, int4(args, 1)?));
    string(&text[..text.len() - rest.len()])
}

fn right(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let text = text(args, 0)?;
    let keep = characters(text, int4(args, 1)?);
    string(from_character(text, text.chars().count().saturating_sub(keep)))
}

fn find(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (text, wanted) = (text(args, 0)?, text(args, 1)?);
    count(text.find(wanted).map_or(0, |at| text[..at].chars().count() + 1))
}

fn overlay(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (base, new, from) = (text(args, 0)?, text(args, 1)?, int4(args, 2)?);
    if from <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let length = if args.len() > 3 { int4(args, 3)? } else { i32::try_from(new.chars().count()).unwrap_or(i32::MAX) };
    let next = from.checked_add(length).ok_or_else(|| super::super::args::out_of_range("integer"))?;
    let (before, after) = (part(base, 1, Some(from - 1))?, part(base, next, None)?);
    check_length(before.len() + new.len() + after.len())?;
    string(format!("{before}{new}{after}"))
}

fn replace(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (base, old, new) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
    if old.is_empty() {
        return string(base);
    }
    if new.len() > old.len() {
        check_length(base.len().saturating_add((base.len() / old.len()).saturating_mul(new.len())))?;
    }
    string(base.replace(old, new))
}

fn translate(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let from: Vec<char> = text(args, 1)?.chars().collect();
    let to: Vec<char> = text(args, 2)?.chars().collect();
    let change = |character: char| match from.iter().position(|c| *c == character) {
        Some(at) => to.get(at).copied(),
        None => Some(character),
    };
    string(text(args, 0)?.chars().filter_map(change).collect::<String>())
}

fn reverse(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    string(text(args, 0)?.chars().rev().collect::<String>())
}

fn repeat(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (text, times) = (text(args, 0)?, usize::try_from(int4(args, 1)?).unwrap_or(0));
    check_length(text.len().saturating_mul(times))?;
    string(text.repeat(times))
}

fn split_part(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (text, separator, wanted) = (text(args, 0)?, text(args, 1)?, int4(args, 2)?);
    if wanted == 0 {
        return Err(invalid("field position must not be zero"));
    }
    let nth = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    if separator.is_empty() {
        return string(if nth == 0 { text } else { "" });
    }
    let found = if wanted > 0 { text.split(separator).nth(nth) } else { text.rsplit(separator).nth(nth) };
    string(found.unwrap_or(""))
}

fn starts_with(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    Ok(Value::Bool(text(args, 0)?.starts_with(text(args, 1)?)))
}

fn chr(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let limit = |message: String| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    let number = int4(args, 0)?;
    let code = u32::try_from(number).map_err(|_| invalid("character number must be positive"))?;
    match (code, char::from_u32(code)) {
        (0, _) => Err(limit("null character not permitted".into())),
        (_, Some(character)) => string(character.to_string()),
        (0x11_0000.., _) => Err(limit(format!("requested character too large for encoding: {code}"))),
        _ => Err(limit(format!("requested character not valid for encoding: {code}"))),
    }
}

fn ascii(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let first = text(args, 0)?.chars().next().map_or(0, u32::from);
    Ok(Value::Int4(first.cast_signed()))
}

fn to_hex(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    match args[0] {
        Value::Int4(number) => string(format!("{number:x}")),
        _ => string(format!("{:x}", integer(args, 0)?)),
    }
}

/// A hash that stays the same, for spreading work and locks; not PostgreSQL's numbers, which it does not promise.
fn hash(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    Ok(Value::Int4(text(args, 0)?.as_bytes().iter().fold(0x811c_9dc5, fnv).cast_signed()))
}
