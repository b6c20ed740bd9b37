//! Numbers kept as text: `INCR` and its kin.

use bytes::Bytes;

use super::arguments::{at, integer};
use super::longdouble::LongDouble;
use super::{Command, ONE_KEY, Reads, data, row};
use crate::server::resp::errors::{Answer, Failure, NOT_A_FLOAT, NOT_AN_INTEGER};
use crate::server::resp::protocol::Reply;
use crate::server::resp::value::Value;
use crate::server::resp::view::View;

const WRITE: (&str, &str) = ("write denyoom fast", "write string fast");

pub const COMMANDS: &[Command] = &[
    row("incr", 2, WRITE, ONE_KEY, data(incr, Reads::Named), "1.0.0", "Add one to a number"),
    row("incrby", 3, WRITE, ONE_KEY, data(incrby, Reads::Named), "1.0.0", "Add to a number"),
    row("incrbyfloat", 3, WRITE, ONE_KEY, data(incrbyfloat, Reads::Named), "2.6.0", "Add to a fractional number"),
    row("decr", 2, WRITE, ONE_KEY, data(decr, Reads::Named), "1.0.0", "Subtract one from a number"),
    row("decrby", 3, WRITE, ONE_KEY, data(decrby, Reads::Named), "1.0.0", "Subtract from a number"),
];

const OVERFLOW: Failure = Failure::fixed("ERR increment or decrement would overflow");

fn incr(view: &mut View, args: &[Bytes]) -> Answer {
    add(view, at(args, 1), 1)
}

fn decr(view: &mut View, args: &[Bytes]) -> Answer {
    add(view, at(args, 1), -1)
}

fn incrby(view: &mut View, args: &[Bytes]) -> Answer {
    add(view, at(args, 1), integer(at(args, 2))?)
}

fn decrby(view: &mut View, args: &[Bytes]) -> Answer {
    let amount = integer(at(args, 2))?;
    let amount = amount.checked_neg().ok_or(Failure::fixed("ERR decrement would overflow"))?;
    add(view, at(args, 1), amount)
}

fn add(view: &mut View, key: &Bytes, amount: i64) -> Answer {
    let old = view.get(key).cloned();
    let number = old.as_ref().map_or(Ok(0), |old| integer(&old.payload)).map_err(|_| NOT_AN_INTEGER)?;
    let sum = number.checked_add(amount).ok_or(OVERFLOW)?;
    replace(view, key, old, Bytes::copy_from_slice(itoa::Buffer::new().format(sum).as_bytes()))?;
    Ok(Reply::Integer(sum))
}

fn incrbyfloat(view: &mut View, args: &[Bytes]) -> Answer {
    let key = at(args, 1);
    let old = view.get(key).cloned();
    let number = old.as_ref().map_or(Some(LongDouble::ZERO), |old| LongDouble::parse(&old.payload));
    let number = number.ok_or(NOT_A_FLOAT)?;
    let amount = LongDouble::parse(at(args, 2)).ok_or(NOT_A_FLOAT)?;
    let sum = number.plus(amount).ok_or(Failure::fixed("ERR increment would produce NaN or Infinity"))?;
    let text = Bytes::from(sum.to_text());
    replace(view, key, old, text.clone())?;
    Ok(Reply::Bulk(text))
}

/// Changes the payload; an end stays.
fn replace(view: &mut View, key: &Bytes, old: Option<Value>, payload: Bytes) -> Result<(), Failure> {
    view.put(key, Value { payload, expires: old.and_then(|old| old.expires) })
}
