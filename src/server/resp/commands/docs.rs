//! `COMMAND`: the table of commands, as drivers and shells ask for it.

use bytes::Bytes;

use super::arguments::{at, is};
use super::client::help_text;
use super::{Command, Run, Table, all, scan, subcommand};
use crate::server::resp::errors::{Answer, Failure, SYNTAX};
use crate::server::resp::protocol::Reply;
use crate::server::resp::session::Session;
use crate::server::resp::shared::Shared;

/// The rows for which names are given; all without names. Unknown names have no row.
fn rows(table: &Table, names: &[Bytes]) -> Vec<Option<(&'static str, &'static Command)>> {
    if names.is_empty() {
        return all().map(Some).collect();
    }
    let find = |name: &Bytes| {
        let (parent, child) = name
            .iter()
            .position(|byte| *byte == b'|')
            .map_or((&name[..], None), |cut| (&name[..cut], Some(&name[cut + 1..])));
        let parent = table.find(parent)?;
        let (group, parent) = all().find(|(_, command)| command.name == parent.name)?;
        match (child, parent.run) {
            (None, _) => Some((group, parent)),
            (Some(child), Run::Container(commands)) => subcommand(commands, child).map(|command| (group, command)),
            (Some(_), _) => None,
        }
    };
    names.iter().map(find).collect()
}

fn subcommands(command: &Command) -> &'static [Command] {
    if let Run::Container(commands) = command.run { commands } else { &[] }
}

fn words(text: &'static str, prefix: &str) -> Reply {
    let word = |word: &str| Reply::Status(format!("{prefix}{word}").into());
    Reply::Set(text.split(' ').filter(|word| !word.is_empty()).map(word).collect())
}

fn describe(command: &Command) -> Reply {
    let (first, last, step) = command.keys;
    let number = |number: i32| Reply::Integer(i64::from(number));
    Reply::Array(vec![
        Reply::text(command.name),
        number(command.arity),
        words(command.flags, ""),
        number(first),
        number(last),
        number(step),
        words(command.categories, "@"),
        Reply::Set(Vec::new()),
        key_specs(command),
        Reply::Set(subcommands(command).iter().map(describe).collect()),
    ])
}

/// Where the keys are, in the notation of Redis 7.
fn key_specs(command: &Command) -> Reply {
    let (first, last, step) = command.keys;
    if first == 0 {
        return Reply::Set(Vec::new());
    }
    let map = |pairs: Vec<(&'static str, Reply)>| {
        Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::text(name), value)).collect())
    };
    let number = |number: i32| Reply::Integer(i64::from(number));
    // Counted from the first key; from the end if negative.
    let last = if last < 0 { last } else { last - first };
    let range = map(vec![("lastkey", number(last)), ("keystep", number(step)), ("limit", number(0))]);
    let spec = map(vec![
        ("flags", key_flags(command)),
        ("begin_search", map(vec![("type", Reply::text("index")), ("spec", map(vec![("index", number(first))]))])),
        ("find_keys", map(vec![("type", Reply::text("range")), ("spec", range)])),
    ]);
    Reply::Set(vec![spec])
}

fn key_flags(command: &Command) -> Reply {
    words(if command.is_write() { "RW access update" } else { "RO access" }, "")
}

pub fn info(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let rows = rows(&shared.commands, args.get(2..).unwrap_or_default());
    let entry = |row: Option<(&str, &'static Command)>| row.map_or(Reply::Null, |(_, command)| describe(command));
    Ok(Reply::Array(rows.into_iter().map(entry).collect()))
}

pub fn count(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::count(all().count()))
}

pub fn docs(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let rows = rows(&shared.commands, &args[2..]).into_iter().flatten();
    Ok(Reply::Map(rows.map(|(group, command)| document(group, command)).collect()))
}

fn document(group: &'static str, command: &Command) -> (Reply, Reply) {
    let mut pairs = vec![
        (Reply::text("summary"), Reply::text(command.summary)),
        (Reply::text("since"), Reply::text(command.since)),
        (Reply::text("group"), Reply::text(group)),
    ];
    let subcommands = subcommands(command);
    if !subcommands.is_empty() {
        let documents = subcommands.iter().map(|command| document(group, command)).collect();
        pairs.push((Reply::text("subcommands"), Reply::Map(documents)));
    }
    (Reply::text(command.name), Reply::Map(pairs))
}

pub fn list(_: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    let pattern = match &args[2..] {
        [] => None,
        [filter, by, pattern] if is(filter, "filterby") && is(by, "pattern") => Some(pattern),
        [filter, by, category] if is(filter, "filterby") && is(by, "aclcat") => {
            let found = all().filter(|(_, command)| command.categories.split(' ').any(|name| is(category, name)));
            return Ok(Reply::Array(found.map(|(_, command)| Reply::text(command.name)).collect()));
        }
        [filter, by, _] if is(filter, "filterby") && is(by, "module") => return Ok(Reply::Array(Vec::new())),
        _ => return Err(SYNTAX),
    };
    let names = all().flat_map(|(_, command)| std::iter::once(command).chain(subcommands(command)));
    let found = names.filter(|command| pattern.is_none_or(|pattern| scan::matches(pattern, command.name.as_bytes())));
    Ok(Reply::Array(found.map(|command| Reply::text(command.name)).collect()))
}

/// The command that follows, and its keys.
fn keys<'a>(shared: &Shared, args: &'a [Bytes]) -> Result<(&'static Command, Vec<&'a Bytes>), Failure> {
    let asked = &args[2..];
    let found = shared.commands.find(at(asked, 0));
    let command = found.ok_or(Failure::fixed("ERR Invalid command specified"))?;
    if !command.accepts(asked.len()) {
        return Err(Failure::fixed("ERR Invalid number of arguments specified for command"));
    }
    let keys: Vec<&Bytes> = command.keys_of(asked).collect();
    if keys.is_empty() {
        return Err(Failure::fixed("ERR The command has no key arguments"));
    }
    Ok((command, keys))
}

pub fn getkeys(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let (_, keys) = keys(shared, args)?;
    Ok(Reply::Array(keys.into_iter().cloned().map(Reply::Bulk).collect()))
}

pub fn getkeysandflags(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let (command, keys) = keys(shared, args)?;
    let entry = |key: &Bytes| Reply::Array(vec![Reply::Bulk(key.clone()), key_flags(command)]);
    Ok(Reply::Array(keys.into_iter().map(entry).collect()))
}

pub fn help(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(help_text(&[
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Return details about all commands.",
        "COUNT",
        "    Return the total number of commands in this server.",
        "LIST [FILTERBY (ACLCAT|PATTERN|MODULE) <value>]",
        "    Return a list of all commands in this server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple commands.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple commands.",
        "GETKEYS <full-command>",
        "    Return the keys from a full command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full command.",
        "HELP",
        "    Prints this help.",
    ]))
}
