//! Keys, whatever they hold: `DEL`, `EXISTS`, `RENAME` and their kin.

use bytes::Bytes;

use super::arguments::at;
use super::{ALL_KEYS, Command, ONE_KEY, Reads, data, row};
use crate::server::resp::errors::{Answer, Failure};
use crate::server::resp::protocol::Reply;
use crate::server::resp::view::View;

const READ: (&str, &str) = ("readonly fast", "keyspace read fast");
const WRITE: (&str, &str) = ("write", "keyspace write slow");
const FAST_WRITE: (&str, &str) = ("write fast", "keyspace write fast");

pub const COMMANDS: &[Command] = &[
    row("exists", -2, READ, ALL_KEYS, data(exists, Reads::Named), "1.0.0", "Count which of the keys exist"),
    row("del", -2, WRITE, ALL_KEYS, data(del, Reads::Named), "1.0.0", "Delete keys"),
    row("unlink", -2, FAST_WRITE, ALL_KEYS, data(del, Reads::Named), "4.0.0", "Delete keys"),
    row("touch", -2, READ, ALL_KEYS, data(exists, Reads::Named), "3.2.1", "Count which of the keys exist"),
    row("rename", 3, WRITE, (1, 2, 1), data(rename, Reads::Named), "1.0.0", "Rename a key"),
    row("type", 2, READ, ONE_KEY, data(kind, Reads::Named), "1.0.0", "Get the type of a value"),
];

fn exists(view: &mut View, args: &[Bytes]) -> Answer {
    let present = args[1..].iter().filter(|key| view.get(key).is_some());
    Ok(Reply::count(present.count()))
}

fn del(view: &mut View, args: &[Bytes]) -> Answer {
    let deleted = args[1..].iter().filter(|key| view.delete(key));
    Ok(Reply::count(deleted.count()))
}

fn rename(view: &mut View, args: &[Bytes]) -> Answer {
    let (old, new) = (at(args, 1), at(args, 2));
    let value = view.get(old).cloned().ok_or(Failure::fixed("ERR no such key"))?;
    if old != new {
        view.put(new, value)?;
        view.delete(old);
    }
    Ok(Reply::OK)
}

fn kind(view: &mut View, args: &[Bytes]) -> Answer {
    let word = if view.get(at(args, 1)).is_some() { "string" } else { "none" };
    Ok(Reply::Status(word.into()))
}
