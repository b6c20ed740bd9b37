//! `CLIENT`: who is connected, and what they are called.

use std::rc::Rc;

use bytes::Bytes;

use super::arguments::{at, integer, is, text};
use super::{Command, LocalFn, NO_KEYS, Run, row};
use crate::server::resp::clients::Client;
use crate::server::resp::errors::{Answer, Failure, SYNTAX};
use crate::server::resp::protocol::Reply;
use crate::server::resp::session::{Replies, Session};
use crate::server::resp::shared::Shared;

const ANYBODY: (&str, &str) = ("noscript loading stale", "slow connection");
const ADMIN: (&str, &str) = ("admin noscript loading stale", "admin slow dangerous connection");
const HELP: (&str, &str) = ("loading stale", "slow connection");

pub const COMMANDS: &[Command] =
    &[row("client", -2, ("", "slow"), NO_KEYS, Run::Container(SUBCOMMANDS), "2.4.0", "About connections")];

const fn sub(name: &'static str, arity: i32, kind: (&'static str, &'static str), run: LocalFn) -> Command {
    row(name, arity, kind, NO_KEYS, Run::Local(run), "2.4.0", "About connections")
}

const SUBCOMMANDS: &[Command] = &[
    sub("client|getname", 2, ANYBODY, getname),
    sub("client|getredir", 2, ANYBODY, getredir),
    sub("client|help", 2, HELP, help),
    sub("client|id", 2, ANYBODY, id),
    sub("client|info", 2, ANYBODY, info),
    sub("client|kill", -3, ADMIN, kill),
    sub("client|list", -2, ADMIN, list),
    sub("client|no-evict", 3, ADMIN, no_evict),
    sub("client|reply", 3, ANYBODY, reply),
    sub("client|setinfo", 4, ANYBODY, setinfo),
    sub("client|setname", 3, ANYBODY, setname),
];

const TEXT: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME",
    "    Return the name of the current connection.",
    "GETREDIR",
    "    Return -1: there is no client side caching.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are ID, ADDR, LADDR, TYPE, USER, SKIPME (YES|NO).",
    "LIST [TYPE NORMAL | ID <id> [<id> ...]]",
    "    Return information about client connections.",
    "NO-EVICT (ON|OFF)",
    "    Accepted; clients are never evicted.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Set the name or version of the client library.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "HELP",
    "    Prints this help.",
];

/// Lines of help, as Redis answers them.
pub fn help_text(lines: &'static [&'static str]) -> Reply {
    Reply::Array(lines.iter().map(|line| Reply::Status((*line).into())).collect())
}

fn help(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(help_text(TEXT))
}

fn getname(session: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    let name = session.client.name.borrow().clone();
    Ok(if name.is_empty() { Reply::Null } else { Reply::Bulk(name.into()) })
}

fn getredir(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::Integer(-1))
}

fn id(session: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::Integer(session.client.id as i64))
}

fn info(session: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::Verbatim(session.client.describe() + "\n"))
}

fn no_evict(_: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    let option = at(args, 2);
    if is(option, "on") || is(option, "off") { Ok(Reply::OK) } else { Err(SYNTAX) }
}

fn reply(session: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    let option = at(args, 2);
    session.replies = if is(option, "on") {
        Replies::On
    } else if is(option, "off") {
        Replies::Off
    } else if is(option, "skip") && session.replies == Replies::On {
        // This command is not answered, and neither is the next.
        Replies::Skip { left: 2 }
    } else if is(option, "skip") {
        session.replies
    } else {
        return Err(SYNTAX);
    };
    Ok(Reply::OK)
}

/// Refuses names that would spoil the lines of `CLIENT LIST`.
///
/// # Errors
/// It would.
pub fn check_name(name: &[u8]) -> Result<(), Failure> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Failure::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
}

fn setname(session: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    check_name(at(args, 2))?;
    session.client.name.replace(text(at(args, 2)));
    Ok(Reply::OK)
}

fn setinfo(session: &mut Session, _: &Shared, args: &[Bytes]) -> Answer {
    let (attribute, value) = (at(args, 2), at(args, 3));
    if !value.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        let attribute = super::shown(attribute).to_ascii_lowercase();
        return Err(Failure::new(format!("ERR {attribute} cannot contain spaces, newlines or special characters.")));
    }
    let mut library = session.client.library.borrow_mut();
    if is(attribute, "lib-name") {
        library.0 = text(value);
    } else if is(attribute, "lib-ver") {
        library.1 = text(value);
    } else {
        return Err(Failure::new(format!("ERR Unrecognized option '{}'", super::shown(attribute))));
    }
    Ok(Reply::OK)
}

fn list(_: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let all = shared.clients.all();
    let wanted: Vec<Rc<Client>> = match &args[2..] {
        [] => all,
        [option, kind] if is(option, "type") => {
            let normal = is_normal(kind)?;
            all.into_iter().filter(|_| normal).collect()
        }
        [option, ids @ ..] if is(option, "id") && !ids.is_empty() => {
            let ids = ids.iter().map(|id| parse_id(id, "ERR Invalid client ID")).collect::<Result<Vec<u64>, _>>()?;
            all.into_iter().filter(|client| ids.contains(&client.id)).collect()
        }
        _ => return Err(SYNTAX),
    };
    Ok(Reply::Verbatim(wanted.iter().map(|client| client.describe() + "\n").collect()))
}

/// Whether a type of client is the one that all connections have here.
fn is_normal(kind: &[u8]) -> Result<bool, Failure> {
    if is(kind, "normal") {
        return Ok(true);
    }
    if ["master", "replica", "slave", "pubsub"].iter().any(|known| is(kind, known)) {
        return Ok(false);
    }
    Err(Failure::new(format!("ERR Unknown client type '{}'", super::shown(kind))))
}

fn parse_id(id: &[u8], otherwise: &'static str) -> Result<u64, Failure> {
    integer(id).ok().and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0).ok_or(Failure::fixed(otherwise))
}

/// Which connections `CLIENT KILL` closes.
struct Victims {
    id: Option<u64>,
    peer: Option<String>,
    local: Option<String>,
    normal: bool,
    skip_me: bool,
}

impl Victims {
    fn parse(options: &[Bytes]) -> Result<Self, Failure> {
        let mut found = Self { id: None, peer: None, local: None, normal: true, skip_me: true };
        for option in options.chunks(2) {
            let [name, value] = option else { return Err(SYNTAX) };
            match name.to_ascii_lowercase().as_slice() {
                b"id" => found.id = Some(parse_id(value, "ERR client-id should be greater than 0")?),
                b"addr" => found.peer = Some(text(value)),
                b"laddr" => found.local = Some(text(value)),
                b"type" => found.normal = is_normal(value)?,
                b"user" if is(value, "default") => {}
                b"user" => return Err(Failure::new(format!("ERR No such user '{}'", super::shown(value)))),
                b"skipme" if is(value, "yes") => found.skip_me = true,
                b"skipme" if is(value, "no") => found.skip_me = false,
                _ => return Err(SYNTAX),
            }
        }
        Ok(found)
    }

    fn include(&self, client: &Client, own: u64) -> bool {
        self.normal
            && self.id.is_none_or(|id| id == client.id)
            && self.peer.as_ref().is_none_or(|peer| *peer == client.peer.to_string())
            && self.local.as_ref().is_none_or(|local| *local == client.local.to_string())
            && !(self.skip_me && client.id == own)
    }
}

fn kill(session: &mut Session, shared: &Shared, args: &[Bytes]) -> Answer {
    let own = session.client.id;
    if let [address] = &args[2..] {
        let address = text(address);
        let found = shared.clients.all().into_iter().find(|client| client.peer.to_string() == address);
        found.ok_or(Failure::fixed("ERR No such client"))?.kill();
        return Ok(Reply::OK);
    }
    let victims = Victims::parse(&args[2..])?;
    let mut killed = 0;
    for client in shared.clients.all().iter().filter(|client| victims.include(client, own)) {
        client.kill();
        killed += 1;
    }
    Ok(Reply::Integer(killed))
}
