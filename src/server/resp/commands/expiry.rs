//! Expiry: `EXPIRE`, `TTL` and their kin.

use bytes::Bytes;

use super::arguments::{at, integer};
use super::{Command, ONE_KEY, Reads, data, row};
use crate::server::resp::errors::{Answer, Failure};
use crate::server::resp::protocol::Reply;
use crate::server::resp::value::{UnixMillis, Value};
use crate::server::resp::view::View;

const READ: (&str, &str) = ("readonly fast", "keyspace read fast");
const WRITE: (&str, &str) = ("write fast", "keyspace write fast");

pub const COMMANDS: &[Command] = &[
    row("expire", -3, WRITE, ONE_KEY, data(expire, Reads::Named), "1.0.0", "Let a key expire after seconds"),
    row("pexpire", -3, WRITE, ONE_KEY, data(pexpire, Reads::Named), "2.6.0", "Let a key expire after milliseconds"),
    row("expireat", -3, WRITE, ONE_KEY, data(expireat, Reads::Named), "1.2.0", "Let a key expire at a Unix time"),
    row("pexpireat", -3, WRITE, ONE_KEY, data(pexpireat, Reads::Named), "2.6.0", "The same in milliseconds"),
    row(
        "expiretime",
        2,
        READ,
        ONE_KEY,
        data(expiretime, Reads::Named),
        "7.0.0",
        "Get the Unix time when a key expires",
    ),
    row("pexpiretime", 2, READ, ONE_KEY, data(pexpiretime, Reads::Named), "7.0.0", "The same in milliseconds"),
    row("ttl", 2, READ, ONE_KEY, data(ttl, Reads::Named), "1.0.0", "Get the seconds that a key has left"),
    row("pttl", 2, READ, ONE_KEY, data(pttl, Reads::Named), "2.6.0", "Get the milliseconds that a key has left"),
    row("persist", 2, WRITE, ONE_KEY, data(persist, Reads::Named), "2.2.0", "Let a key not expire any more"),
];

/// How the end of a key is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Milliseconds of the unit.
    unit: i64,
    /// From the Unix epoch, not from now.
    absolute: bool,
}

/// Seconds from now.
pub const SECONDS: End = End { unit: 1_000, absolute: false };
/// Milliseconds from now.
pub const MILLIS: End = End { unit: 1, absolute: false };
const UNIX_SECONDS: End = End { unit: 1_000, absolute: true };
const UNIX_MILLIS: End = End { unit: 1, absolute: true };

impl End {
    /// What an option of `SET` or `GETEX`, in small letters, stands for.
    pub fn of_option(option: &[u8]) -> Option<Self> {
        match option {
            b"ex" => Some(SECONDS),
            b"px" => Some(MILLIS),
            b"exat" => Some(UNIX_SECONDS),
            b"pxat" => Some(UNIX_MILLIS),
            _ => None,
        }
    }

    /// The end in milliseconds since the Unix epoch; `None` if it is out of range.
    fn resolve(self, now: UnixMillis, time: i64) -> Option<i64> {
        let time = time.checked_mul(self.unit)?;
        if self.absolute { Some(time) } else { time.checked_add(i64::try_from(now).ok()?) }
    }
}

/// The end that `SET` and its kin ask for: it must be a positive number.
///
/// # Errors
/// It is not.
pub fn end_of(now: UnixMillis, end: End, time: &[u8], command: &str) -> Result<UnixMillis, Failure> {
    let time = integer(time)?;
    let resolved = if time > 0 { end.resolve(now, time) } else { None };
    resolved.and_then(|end| u64::try_from(end).ok()).ok_or_else(|| invalid(command))
}

fn invalid(command: &str) -> Failure {
    Failure::new(format!("ERR invalid expire time in '{command}' command"))
}

fn expire(view: &mut View, args: &[Bytes]) -> Answer {
    set_end(view, args, SECONDS, "expire")
}

fn pexpire(view: &mut View, args: &[Bytes]) -> Answer {
    set_end(view, args, MILLIS, "pexpire")
}

fn expireat(view: &mut View, args: &[Bytes]) -> Answer {
    set_end(view, args, UNIX_SECONDS, "expireat")
}

fn pexpireat(view: &mut View, args: &[Bytes]) -> Answer {
    set_end(view, args, UNIX_MILLIS, "pexpireat")
}

/// On which old ends the new one is set.
#[derive(Default)]
struct Conditions {
    if_lasting: bool,
    if_ending: bool,
    if_later: bool,
    if_earlier: bool,
}

impl Conditions {
    fn parse(options: &[Bytes]) -> Result<Self, Failure> {
        let mut found = Self::default();
        for option in options {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => found.if_lasting = true,
                b"xx" => found.if_ending = true,
                b"gt" => found.if_later = true,
                b"lt" => found.if_earlier = true,
                _ => return Err(Failure::new(format!("ERR Unsupported option {}", super::shown(option)))),
            }
        }
        if found.if_lasting && (found.if_ending || found.if_later || found.if_earlier) {
            return Err(Failure::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if found.if_later && found.if_earlier {
            return Err(Failure::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(found)
    }

    /// A key without an end counts as one that ends last of all.
    fn hold(&self, old: Option<UnixMillis>, new: i64) -> bool {
        let old_end = old.map_or(i64::MAX, |end| i64::try_from(end).unwrap_or(i64::MAX));
        !(self.if_lasting && old.is_some()
            || self.if_ending && old.is_none()
            || self.if_later && (old.is_none() || new <= old_end)
            || self.if_earlier && old.is_some() && new >= old_end)
    }
}

fn set_end(view: &mut View, args: &[Bytes], end: End, command: &str) -> Answer {
    let conditions = Conditions::parse(&args[3..])?;
    let end = end.resolve(view.now, integer(at(args, 2))?).ok_or_else(|| invalid(command))?;
    let key = at(args, 1);
    let Some(value) = view.get(key).cloned() else { return Ok(Reply::Integer(0)) };
    if !conditions.hold(value.expires, end) {
        return Ok(Reply::Integer(0));
    }
    match u64::try_from(end).ok().filter(|end| *end > view.now) {
        Some(end) => view.put(key, Value { expires: Some(end), ..value })?,
        None => drop(view.delete(key)),
    }
    Ok(Reply::Integer(1))
}

fn persist(view: &mut View, args: &[Bytes]) -> Answer {
    let key = at(args, 1);
    let Some(value) = view.get(key).cloned().filter(|value| value.expires.is_some()) else {
        return Ok(Reply::Integer(0));
    };
    view.put(key, Value { expires: None, ..value })?;
    Ok(Reply::Integer(1))
}

fn ttl(view: &mut View, args: &[Bytes]) -> Answer {
    let now = view.now;
    // Rounded to the nearest second, as in Redis.
    tell_end(view, args, |end| (end.saturating_sub(now) + 500) / 1_000)
}

fn pttl(view: &mut View, args: &[Bytes]) -> Answer {
    let now = view.now;
    tell_end(view, args, |end| end.saturating_sub(now))
}

fn expiretime(view: &mut View, args: &[Bytes]) -> Answer {
    tell_end(view, args, |end| end.saturating_add(500) / 1_000)
}

fn pexpiretime(view: &mut View, args: &[Bytes]) -> Answer {
    tell_end(view, args, |end| end)
}

fn tell_end(view: &mut View, args: &[Bytes], tell: impl FnOnce(u64) -> u64) -> Answer {
    Ok(Reply::Integer(match view.get(at(args, 1)) {
        None => -2,
        Some(Value { expires: None, .. }) => -1,
        Some(Value { expires: Some(end), .. }) => tell(*end) as i64,
    }))
}
