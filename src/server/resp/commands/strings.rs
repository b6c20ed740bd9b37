//! Strings: `GET`, `SET` and their kin.

use bytes::{Bytes, BytesMut};

use super::arguments::{at, integer};
use super::expiry::{End, MILLIS, SECONDS, end_of};
use super::{ALL_KEYS, Command, KEYS_WITH_VALUES, ONE_KEY, Reads, arguments, data, row};
use crate::server::resp::errors::{Answer, Failure, SYNTAX};
use crate::server::resp::protocol::Reply;
use crate::server::resp::value::Value;
use crate::server::resp::view::{View, check_length};

const READ: (&str, &str) = ("readonly fast", "read string fast");
const SLOW_READ: (&str, &str) = ("readonly", "read string slow");
const WRITE: (&str, &str) = ("write denyoom", "write string slow");
const FAST_WRITE: (&str, &str) = ("write denyoom fast", "write string fast");
const FAST_DELETE: (&str, &str) = ("write fast", "write string fast");

pub const COMMANDS: &[Command] = &[
    row("get", 2, READ, ONE_KEY, data(get, Reads::Named), "1.0.0", "Get the value of a key"),
    row("set", -3, WRITE, ONE_KEY, data(set, Reads::If(set_reads)), "1.0.0", "Set the value of a key"),
    row("mget", -2, READ, ALL_KEYS, data(mget, Reads::Named), "1.0.0", "Get the values of several keys"),
    row("mset", -3, WRITE, KEYS_WITH_VALUES, data(mset, Reads::Nothing), "1.0.1", "Set several keys, atomically"),
    row("msetnx", -3, WRITE, KEYS_WITH_VALUES, data(msetnx, Reads::Named), "1.0.1", "Set several keys if none exists"),
    row("getdel", 2, FAST_DELETE, ONE_KEY, data(getdel, Reads::Named), "6.2.0", "Get the value of a key and delete it"),
    row("getex", -2, FAST_DELETE, ONE_KEY, data(getex, Reads::Named), "6.2.0", "Get a value and set its expiration"),
    row("getset", 3, FAST_WRITE, ONE_KEY, data(getset, Reads::Named), "1.0.0", "Set a value and return the old one"),
    row("setnx", 3, FAST_WRITE, ONE_KEY, data(setnx, Reads::Named), "1.0.0", "Set a key if it does not exist"),
    row("setex", 4, WRITE, ONE_KEY, data(setex, Reads::Nothing), "2.0.0", "Set a value that expires after seconds"),
    row(
        "psetex",
        4,
        WRITE,
        ONE_KEY,
        data(psetex, Reads::Nothing),
        "2.6.0",
        "Set a value that expires after milliseconds",
    ),
    row("append", 3, FAST_WRITE, ONE_KEY, data(append, Reads::Named), "2.0.0", "Append to the value of a key"),
    row("strlen", 2, READ, ONE_KEY, data(strlen, Reads::Named), "2.2.0", "Get the length of a value"),
    row("setrange", 4, WRITE, ONE_KEY, data(setrange, Reads::Named), "2.2.0", "Overwrite a part of a value"),
    row("getrange", 4, SLOW_READ, ONE_KEY, data(getrange, Reads::Named), "2.4.0", "Get a part of a value"),
];

fn get(view: &mut View, args: &[Bytes]) -> Answer {
    Ok(Reply::maybe(payload(view, at(args, 1))))
}

fn payload(view: &mut View, key: &Bytes) -> Option<Bytes> {
    view.get(key).map(|value| value.payload.clone())
}

fn mget(view: &mut View, args: &[Bytes]) -> Answer {
    Ok(Reply::Array(args[1..].iter().map(|key| Reply::maybe(payload(view, key))).collect()))
}

fn strlen(view: &mut View, args: &[Bytes]) -> Answer {
    Ok(Reply::count(payload(view, at(args, 1)).map_or(0, |value| value.len())))
}

/// The options of `SET`.
#[derive(Default)]
struct SetOptions {
    if_absent: bool,
    if_present: bool,
    keep_end: bool,
    get: bool,
    end: Option<(End, Bytes)>,
}

impl SetOptions {
    fn parse(args: &[Bytes]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut rest = args.get(3..).unwrap_or_default();
        while let [option, behind @ ..] = rest {
            rest = behind;
            let free = options.end.is_none() && !options.keep_end;
            match (option.to_ascii_lowercase().as_slice(), behind) {
                (b"nx", _) if !options.if_present => options.if_absent = true,
                (b"xx", _) if !options.if_absent => options.if_present = true,
                (b"get", _) => options.get = true,
                (b"keepttl", _) if options.end.is_none() => options.keep_end = true,
                (word, [time, behind @ ..]) if free => {
                    options.end = Some((End::of_option(word).ok_or(SYNTAX)?, time.clone()));
                    rest = behind;
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }

    const fn reads(&self) -> bool {
        self.if_absent || self.if_present || self.keep_end || self.get
    }
}

fn set_reads(args: &[Bytes]) -> bool {
    // The most frequent form has no options; wrong ones are refused before anything is read.
    args.len() > 3 && SetOptions::parse(args).is_ok_and(|options| options.reads())
}

fn set(view: &mut View, args: &[Bytes]) -> Answer {
    let options = SetOptions::parse(args)?;
    let expires = options.end.as_ref().map(|(end, time)| end_of(view.now, *end, time, "set")).transpose()?;
    let key = at(args, 1);
    let old = if options.reads() { view.get(key).cloned() } else { None };
    let wanted = if old.is_some() { !options.if_absent } else { !options.if_present };
    if wanted {
        let kept = old.as_ref().and_then(|old| old.expires).filter(|_| options.keep_end);
        view.put(key, Value { payload: at(args, 2).clone(), expires: expires.or(kept) })?;
    }
    Ok(match (options.get, wanted) {
        (true, _) => Reply::maybe(old.map(|old| old.payload)),
        (false, true) => Reply::OK,
        (false, false) => Reply::Null,
    })
}

fn setex(view: &mut View, args: &[Bytes]) -> Answer {
    set_with_end(view, args, SECONDS, "setex")
}

fn psetex(view: &mut View, args: &[Bytes]) -> Answer {
    set_with_end(view, args, MILLIS, "psetex")
}

fn set_with_end(view: &mut View, args: &[Bytes], unit: End, command: &str) -> Answer {
    let expires = Some(end_of(view.now, unit, at(args, 2), command)?);
    view.put(at(args, 1), Value { payload: at(args, 3).clone(), expires })?;
    Ok(Reply::OK)
}

fn setnx(view: &mut View, args: &[Bytes]) -> Answer {
    let absent = view.get(at(args, 1)).is_none();
    if absent {
        view.put(at(args, 1), Value::lasting(at(args, 2).clone()))?;
    }
    Ok(Reply::flag(absent))
}

fn getset(view: &mut View, args: &[Bytes]) -> Answer {
    let old = payload(view, at(args, 1));
    view.put(at(args, 1), Value::lasting(at(args, 2).clone()))?;
    Ok(Reply::maybe(old))
}

fn getdel(view: &mut View, args: &[Bytes]) -> Answer {
    let old = payload(view, at(args, 1));
    view.delete(at(args, 1));
    Ok(Reply::maybe(old))
}

fn getex(view: &mut View, args: &[Bytes]) -> Answer {
    let key = at(args, 1);
    let change = match &args[2..] {
        [] => None,
        [option] if arguments::is(option, "persist") => Some(None),
        [option, time] => {
            let unit = End::of_option(&option.to_ascii_lowercase()).ok_or(SYNTAX)?;
            // As in Redis, a wrong time is no error where there is no key.
            if view.get(key).is_none() { None } else { Some(Some(end_of(view.now, unit, time, "getex")?)) }
        }
        _ => return Err(SYNTAX),
    };
    let Some(value) = view.get(key).cloned() else { return Ok(Reply::Null) };
    let payload = value.payload.clone();
    match change {
        Some(Some(end)) if end <= view.now => drop(view.delete(key)),
        Some(Some(end)) => view.put(key, Value { expires: Some(end), ..value })?,
        Some(None) if value.expires.is_some() => view.put(key, Value { expires: None, ..value })?,
        _ => {}
    }
    Ok(Reply::Bulk(payload))
}

/// Keys with values behind the command's name.
fn pairs<'a>(args: &'a [Bytes], command: &str) -> Result<impl Iterator<Item = (&'a Bytes, &'a Bytes)>, Failure> {
    if args.len().is_multiple_of(2) {
        return Err(Failure::arity(command));
    }
    Ok(args[1..].chunks_exact(2).map(|pair| (&pair[0], &pair[1])))
}

fn mset(view: &mut View, args: &[Bytes]) -> Answer {
    for (key, value) in pairs(args, "mset")? {
        view.put(key, Value::lasting(value.clone()))?;
    }
    Ok(Reply::OK)
}

fn msetnx(view: &mut View, args: &[Bytes]) -> Answer {
    let mut present = 0;
    for (key, _) in pairs(args, "msetnx")? {
        present += usize::from(view.get(key).is_some());
    }
    if present == 0 {
        mset(view, args)?;
    }
    Ok(Reply::flag(present == 0))
}

fn append(view: &mut View, args: &[Bytes]) -> Answer {
    let (key, more) = (at(args, 1), at(args, 2));
    let Some(old) = view.get(key).cloned() else {
        view.put(key, Value::lasting(more.clone()))?;
        return Ok(Reply::count(more.len()));
    };
    let length = old.payload.len() + more.len();
    if !more.is_empty() {
        check_length(length)?;
        let payload = Bytes::from([&old.payload[..], more].concat());
        view.put(key, Value { payload, ..old })?;
    }
    Ok(Reply::count(length))
}

fn setrange(view: &mut View, args: &[Bytes]) -> Answer {
    let (key, part) = (at(args, 1), at(args, 3));
    let offset = integer(at(args, 2))?;
    let offset = usize::try_from(offset).map_err(|_| Failure::fixed("ERR offset is out of range"))?;
    let old = view.get(key).cloned();
    let length = old.as_ref().map_or(0, |old| old.payload.len());
    if part.is_empty() {
        return Ok(Reply::count(length));
    }
    let end = offset.saturating_add(part.len());
    check_length(end)?;
    let old = old.unwrap_or(Value::lasting(Bytes::new()));
    let mut payload = BytesMut::with_capacity(end.max(length));
    payload.extend_from_slice(&old.payload);
    payload.resize(end.max(length), 0);
    payload[offset..end].copy_from_slice(part);
    let length = payload.len();
    view.put(key, Value { payload: payload.freeze(), ..old })?;
    Ok(Reply::count(length))
}

fn getrange(view: &mut View, args: &[Bytes]) -> Answer {
    let (start, end) = (integer(at(args, 2))?, integer(at(args, 3))?);
    let value = payload(view, at(args, 1)).unwrap_or_default();
    Ok(Reply::Bulk(slice(&value, start, end)))
}

/// The bytes from `start` to `end` (both inside), counted from the end where negative.
fn slice(value: &Bytes, start: i64, end: i64) -> Bytes {
    let length = value.len() as i64;
    if start < 0 && end < 0 && start > end {
        return Bytes::new();
    }
    let absolute = |index: i64| if index < 0 { index.saturating_add(length).max(0) } else { index };
    let (start, end) = (absolute(start), absolute(end).min(length - 1));
    if start > end || length == 0 {
        return Bytes::new();
    }
    value.slice(start as usize..=end as usize)
}
