//! The node: `INFO`, `CONFIG`, `SLOWLOG`, `WAIT`, `TIME`, `COMMAND`.

use bytes::Bytes;

use super::arguments::{at, integer};
use super::client::help_text;
use super::{Command, Flow, LocalFn, NO_KEYS, Run, docs, row, scan};
use crate::server::resp::errors::{Answer, Failure};
use crate::server::resp::info::info;
use crate::server::resp::keyspace::DATABASES;
use crate::server::resp::protocol::Reply;
use crate::server::resp::session::Session;
use crate::server::resp::shared::Shared;

const ADMIN: (&str, &str) = ("admin noscript loading stale", "admin slow dangerous");
const LOG: (&str, &str) = ("admin loading stale", "admin slow dangerous");
const HELP: (&str, &str) = ("loading stale", "slow");
const DOCS: (&str, &str) = ("loading stale", "slow connection");

pub const COMMANDS: &[Command] = &[
    row(
        "info",
        -1,
        ("loading stale", "slow dangerous"),
        NO_KEYS,
        Run::LocalFlow(show_info, Flow::Info),
        "1.0.0",
        "Get information about the node",
    ),
    row("config", -2, ("", "slow"), NO_KEYS, Run::Container(CONFIG), "2.0.0", "About the configuration"),
    row("slowlog", -2, ("", "slow"), NO_KEYS, Run::Container(SLOWLOG), "2.2.12", "About commands that took long"),
    row("wait", 3, ("noscript", "slow connection"), NO_KEYS, Run::Local(wait), "3.0.0", "How many copies are durable"),
    row("time", 1, ("loading stale fast", "fast"), NO_KEYS, Run::Local(time), "2.6.0", "Get the node's time"),
    row("command", -1, DOCS, NO_KEYS, Run::Container(COMMAND), "2.8.13", "About commands"),
];

const fn sub(name: &'static str, arity: i32, kind: (&'static str, &'static str), run: LocalFn) -> Command {
    row(name, arity, kind, NO_KEYS, Run::Local(run), "2.0.0", "About the node")
}

const CONFIG: &[Command] = &[
    sub("config|get", -3, ADMIN, config_get),
    sub("config|help", 2, HELP, config_help),
    sub("config|resetstat", 2, ADMIN, config_resetstat),
    sub("config|rewrite", 2, ADMIN, config_rewrite),
    sub("config|set", -4, ADMIN, config_set),
];

const SLOWLOG: &[Command] = &[
    sub("slowlog|get", -2, LOG, slowlog_get),
    sub("slowlog|help", 2, HELP, slowlog_help),
    sub("slowlog|len", 2, LOG, slowlog_len),
    sub("slowlog|reset", 2, LOG, slowlog_reset),
];

const COMMAND: &[Command] = &[
    // COMMAND alone is COMMAND INFO of all: the resolver takes the first where no subcommand is named.
    sub("command|info", -2, DOCS, docs::info),
    sub("command|count", 2, DOCS, docs::count),
    sub("command|docs", -2, DOCS, docs::docs),
    sub("command|getkeys", -4, DOCS, docs::getkeys),
    sub("command|getkeysandflags", -4, DOCS, docs::getkeysandflags),
    sub("command|help", 2, DOCS, docs::help),
    sub("command|list", -2, DOCS, docs::list),
];

/// `INFO` inside of `MULTI`: without counting keys.
fn show_info(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    Ok(Reply::Verbatim(info(shared, &args[1..], &[])))
}

/// Every acknowledged write is durable on a majority already, so there is nothing to wait for.
fn wait(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    integer(at(args, 1))?;
    let timeout = integer(at(args, 2)).map_err(|_| Failure::fixed("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(Failure::fixed("ERR timeout is negative"));
    }
    Ok(Reply::Integer(shared.durable_copies))
}

fn time(_: &mut Session, shared: &Shared, _: &[Bytes]) -> Answer {
    let now = shared.wall();
    let part = |number: u64| Reply::Bulk(number.to_string().into());
    Ok(Reply::Array(vec![part(now / 1_000_000), part(now % 1_000_000)]))
}

/// What drivers and tools ask for, under the names of Redis.
fn settings(shared: &Shared) -> Vec<(&'static str, String)> {
    let config = &shared.config;
    let text = |value: &str| value.to_owned();
    vec![
        ("appendfsync", text("always")),
        ("appendonly", text("yes")),
        ("databases", DATABASES.to_string()),
        ("maxclients", config.max_clients.to_string()),
        ("maxmemory", text("0")),
        ("maxmemory-policy", text("noeviction")),
        ("notify-keyspace-events", text("")),
        ("proto-max-bulk-len", config.request_limits().argument.to_string()),
        ("save", text("")),
        ("slowlog-log-slower-than", config.slow_log_threshold.as_micros().to_string()),
        ("slowlog-max-len", config.slow_log_length.to_string()),
        ("timeout", config.idle_timeout.map_or(0, |time| time.as_secs()).to_string()),
    ]
}

fn config_get(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let mut found: Vec<(Bytes, String)> = Vec::new();
    for (name, value) in settings(shared) {
        let asked = args[2..].iter().find(|pattern| scan::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
        let Some(pattern) = asked else { continue };
        // A name that is spelled out is answered as it was spelled.
        let spelled = pattern.eq_ignore_ascii_case(name.as_bytes());
        found.push((if spelled { pattern.clone() } else { Bytes::from_static(name.as_bytes()) }, value));
    }
    Ok(Reply::Map(found.into_iter().map(|(name, value)| (Reply::Bulk(name), Reply::Bulk(value.into()))).collect()))
}

fn config_set(_: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    if !args.len().is_multiple_of(2) {
        return Err(Failure::arity("config|set"));
    }
    let name = super::shown(at(args, 2));
    Err(Failure::new(format!("ERR CONFIG SET of '{name}' is not supported; use the node's configuration file")))
}

fn config_rewrite(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Err(Failure::fixed("ERR CONFIG REWRITE is not supported; edit the node's configuration file"))
}

fn config_resetstat(_: &mut Session, shared: &Shared, _: &[Bytes]) -> Answer {
    shared.stats.reset();
    Ok(Reply::OK)
}

fn config_help(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(help_text(&[
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "HELP",
        "    Prints this help.",
    ]))
}

fn slowlog_get(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    const WRONG: Failure = Failure::fixed("ERR count should be greater than or equal to -1");
    let count = match &args[2..] {
        [] => 10,
        [count] => integer(count).map_err(|_| WRONG)?,
        _ => {
            let text = "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.";
            return Err(Failure::fixed(text));
        }
    };
    match count {
        -1 => Ok(shared.slow_log.newest(usize::MAX)),
        count => Ok(shared.slow_log.newest(usize::try_from(count).map_err(|_| WRONG)?)),
    }
}

fn slowlog_len(_: &mut Session, shared: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::count(shared.slow_log.len()))
}

fn slowlog_reset(_: &mut Session, shared: &Shared, _: &[Bytes]) -> Answer {
    shared.slow_log.clear();
    Ok(Reply::OK)
}

fn slowlog_help(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(help_text(&[
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 means all).",
        "    Entries are made of: id, timestamp, time in microseconds, arguments array, client IP and port, client name.",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        "HELP",
        "    Prints this help.",
    ]))
}
