//! Byte strings: their bits, and what texts can do as well.

use annulus_relation::{SqlError, SqlResult, SqlState, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::{bytea, check_length, int4, int8, invalid, out_of_range};

pub(in super::super) const TABLE: &[Entry] = &[
    entry("bit_count(bytea) int8", |_, a| {
        Ok(Value::Int8(bytea(a, 0)?.iter().map(|byte| i64::from(byte.count_ones())).sum()))
    }),
    entry("get_bit(bytea,int8) int4", get_bit),
    entry("set_bit(bytea,int8,int4) bytea", set_bit),
    entry("btrim(bytea,bytea) bytea", |_, a| trimmed(a, true, true)),
    entry("ltrim(bytea,bytea) bytea", |_, a| trimmed(a, true, false)),
    entry("rtrim(bytea,bytea) bytea", |_, a| trimmed(a, false, true)),
    entry("overlay(bytea,bytea,int4) bytea", overlay),
    entry("overlay(bytea,bytea,int4,int4) bytea", overlay),
    entry("~~(bytea,bytea) bool", |_, a| like(bytea(a, 0)?, bytea(a, 1)?).map(Value::Bool)),
    entry("!~~(bytea,bytea) bool", |_, a| like(bytea(a, 0)?, bytea(a, 1)?).map(|found| Value::Bool(!found))),
];

/// The byte of a bit, and the bit in it.
fn place(args: &[Value]) -> SqlResult<(usize, u8)> {
    let (bytes, bit) = (bytea(args, 0)?, int8(args, 1)?);
    let at = usize::try_from(bit.div_euclid(8)).ok().filter(|at| *at < bytes.len());
    let at = at.ok_or_else(|| {
        let last = i64::try_from(bytes.len()).unwrap_or(i64::MAX).saturating_mul(8) - 1;
        SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, format!("index {bit} out of valid range, 0..{last}"))
    })?;
    Ok((at, 1 << bit.rem_euclid(8)))
}

fn get_bit(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (at, bit) = place(args)?;
    Ok(Value::Int4(i32::from(bytea(args, 0)?[at] & bit != 0)))
}

fn set_bit(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (at, bit) = place(args)?;
    let mut bytes = bytea(args, 0)?.to_vec();
    match int4(args, 2)? {
        0 => bytes[at] &= !bit,
        1 => bytes[at] |= bit,
        _ => return Err(invalid("new bit must be 0 or 1")),
    }
    Ok(Value::Bytea(bytes.into()))
}

/// The bytes without those of a set at their ends.
fn trimmed(args: &[Value], left: bool, right: bool) -> SqlResult<Value> {
    let (bytes, set) = (bytea(args, 0)?, bytea(args, 1)?);
    let mut set_has = [false; 256];
    set.iter().for_each(|byte| set_has[usize::from(*byte)] = true);
    let kept = |byte: &u8| !set_has[usize::from(*byte)];
    let start = if left { bytes.iter().position(kept).unwrap_or(bytes.len()) } else { 0 };
    let end = if right { bytes.iter().rposition(kept).map_or(start, |last| last + 1) } else { bytes.len() };
    Ok(Value::Bytea(bytes.slice(start..end.max(start))))
}

fn overlay(_: &Site<'_>, args: &[Value]) -> SqlResult<Value> {
    let (bytes, new, from) = (bytea(args, 0)?, bytea(args, 1)?, int4(args, 2)?);
    let length = match args.get(3) {
        Some(_) => int4(args, 3)?,
        None => i32::try_from(new.len()).map_err(|_| out_of_range("integer"))?,
    };
    if from <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let behind = from.checked_add(length).ok_or_else(|| out_of_range("integer"))?;
    let at = |place: i32| usize::try_from(place.max(1) - 1).unwrap_or(0).min(bytes.len());
    check_length(bytes.len().saturating_mul(2).saturating_add(new.len()))?;
    Ok(Value::Bytea([&bytes[..at(from)], new, &bytes[at(behind)..]].concat().into()))
}

/// Whether bytes are like a pattern: as of texts, of which each character is a byte. Only the last `%` is tried at later
/// places, so the time is at most the product of the lengths.
fn like(bytes: &[u8], pattern: &[u8]) -> SqlResult<bool> {
    let (mut at, mut wanted) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(wanted), bytes.get(at)) {
            (Some(b'%'), _) => {
                retry = Some((at, wanted + 1));
                wanted += 1;
                continue;
            }
            (None, None) => return Ok(true),
            (None, Some(_)) | (Some(_), None) => None,
            (Some(b'_'), Some(_)) => Some(1),
            (Some(b'\\'), Some(byte)) => {
                let literal = pattern.get(wanted + 1).ok_or_else(|| {
                    let message = "LIKE pattern must not end with escape character";
                    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, message)
                })?;
                (literal == byte).then_some(2)
            }
            (Some(literal), Some(byte)) => (literal == byte).then_some(1),
        };
        match (step, &mut retry) {
            (Some(length), _) => (at, wanted) = (at + 1, wanted + length),
            (None, Some((from, behind))) if *from < bytes.len() => {
                *from += 1;
                (at, wanted) = (*from, *behind);
            }
            (None, _) => return Ok(false),
        }
    }
}
