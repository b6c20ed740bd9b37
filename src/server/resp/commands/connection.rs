//! The connection itself: `PING`, `SELECT`, `HELLO` and their kin.

use bytes::Bytes;

use super::arguments::{at, is, text};
use super::{Command, Flow, NO_KEYS, Run, client, row};
use crate::server::resp::errors::{Answer, Failure, NOT_AN_INTEGER, SYNTAX};
use crate::server::resp::keyspace::Keyspace;
use crate::server::resp::protocol::{Reply, Version, number};
use crate::server::resp::session::Session;
use crate::server::resp::shared::Shared;

/// The version of Redis whose behaviour this is; drivers ask for it.
pub const REDIS_VERSION: &str = "7.0.15";

const FAST: (&str, &str) = ("loading stale fast", "fast connection");
const PING: (&str, &str) = ("fast", "fast connection");
const OPEN: (&str, &str) = ("noscript loading stale fast no_auth allow_busy", "fast connection");

/// About the connection itself.
pub const COMMANDS: &[Command] = &[
    row("select", 2, FAST, NO_KEYS, Run::Select, "1.0.0", "Change the database of this connection"),
    row("ping", -1, PING, NO_KEYS, Run::Local(ping), "1.0.0", "Answer PONG, or the argument"),
    row("echo", 2, FAST, NO_KEYS, Run::Local(echo), "1.0.0", "Answer the argument"),
    row("hello", -1, OPEN, NO_KEYS, Run::Local(hello), "6.0.0", "Agree on the version of the protocol"),
    row("auth", -2, OPEN, NO_KEYS, Run::Local(auth), "1.0.0", "Refused: there are no passwords yet"),
    row("reset", 1, OPEN, NO_KEYS, Run::Flow(Flow::Reset), "6.2.0", "Let the connection begin anew"),
    row("quit", -1, OPEN, NO_KEYS, Run::Flow(Flow::Quit), "1.0.0", "Close the connection"),
];

/// The cluster has no database of that number.
pub const NO_SUCH_DATABASE: Failure = Failure::fixed("ERR DB index is out of range");

/// The database that `SELECT` asks for.
///
/// # Errors
/// There is no such one.
pub fn selected(keyspace: &Keyspace, args: &[Bytes]) -> Result<u8, Failure> {
    let index = number(at(args, 1)).ok_or(NOT_AN_INTEGER)?;
    if i32::try_from(index).is_err() {
        let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
        return Err(Failure::fixed(text));
    }
    u8::try_from(index).ok().filter(|db| keyspace.database(*db).is_some()).ok_or(NO_SUCH_DATABASE)
}

fn ping(_: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    match &args[1..] {
        [] => Ok(Reply::Status("PONG".into())),
        [message] => Ok(Reply::Bulk(message.clone())),
        _ => Err(Failure::arity("ping")),
    }
}

fn echo(_: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    Ok(Reply::Bulk(at(args, 1).clone()))
}

/// Passwords are not checked anywhere, so none is accepted: a client must not believe itself protected.
fn auth(_: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    match args.len() {
        2 => Err(Failure::fixed(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        )),
        3 => Err(NO_PASSWORDS),
        _ => Err(SYNTAX),
    }
}

const NO_PASSWORDS: Failure = Failure::fixed("WRONGPASS there are no users and passwords yet; connect without AUTH");

fn hello(session: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    let version = match args.get(1).map(|version| number(version)) {
        None => session.version(),
        Some(Some(2)) => Version::Resp2,
        Some(Some(3)) => Version::Resp3,
        Some(Some(_)) => return Err(Failure::fixed("NOPROTO unsupported protocol version")),
        Some(None) => return Err(Failure::fixed("ERR Protocol version is not an integer or out of range")),
    };
    let mut name = None;
    let mut rest = args.get(2..).unwrap_or_default();
    while let [option, behind @ ..] = rest {
        rest = match behind {
            [_, _, ..] if is(option, "auth") => return Err(NO_PASSWORDS),
            [given, behind @ ..] if is(option, "setname") => {
                client::check_name(given)?;
                name = Some(text(given));
                behind
            }
            _ => return Err(Failure::new(format!("ERR Syntax error in HELLO option '{}'", super::shown(option)))),
        };
    }
    if let Some(name) = name {
        session.client.name.replace(name);
    }
    session.set_version(version);
    let number = if version == Version::Resp3 { 3 } else { 2 };
    Ok(Reply::Map(vec![
        (Reply::text("server"), Reply::text("redis")),
        (Reply::text("version"), Reply::text(REDIS_VERSION)),
        (Reply::text("proto"), Reply::Integer(number)),
        (Reply::text("id"), Reply::Integer(session.client.id as i64)),
        (Reply::text("mode"), Reply::text("standalone")),
        (Reply::text("role"), Reply::text("master")),
        (Reply::text("modules"), Reply::Array(Vec::new())),
    ]))
}
