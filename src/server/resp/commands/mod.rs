//! The commands: what they are called, what they take, and how they run.
//!
//! Every command is a row of a table. Those that touch data are pure functions over a [`View`], so that a
//! single command and a whole `MULTI` run the same code, as often as the transaction is tried.

mod arguments;
mod client;
pub mod connection;
mod databases;
mod docs;
mod expiry;
mod keys;
mod longdouble;
mod numbers;
mod own;
mod scan;
mod server;
mod strings;
mod transactions;
mod unsupported;

use std::collections::HashMap;

use bytes::Bytes;

pub use scan::{ScanOptions, matches};

use super::errors::{Answer, Failure};
use super::session::Session;
use super::shared::Shared;
use super::view::View;
use crate::metrics::Family;

/// A command that touches data.
pub type DataFn = fn(&mut View, &[Bytes]) -> Answer;
/// A command about the connection or the node.
pub type LocalFn = fn(&mut Session, &Shared, &[Bytes]) -> Answer;

/// Which keys a command reads. A hint: what it reads besides costs a round trip.
#[derive(Clone, Copy, Debug)]
pub enum Reads {
    /// All that its arguments name.
    Named,
    /// None: it writes whatever was there before.
    Nothing,
    /// All that its arguments name, if the arguments say so.
    If(fn(&[Bytes]) -> bool),
}

impl Reads {
    /// Whether the named keys are read.
    #[must_use]
    pub fn holds_for(self, arguments: &[Bytes]) -> bool {
        match self {
            Self::Named => true,
            Self::Nothing => false,
            Self::If(condition) => condition(arguments),
        }
    }
}

/// A command that is more than a function: see [`super::connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// `MULTI`
    Multi,
    /// `EXEC`
    Exec,
    /// `DISCARD`
    Discard,
    /// `WATCH`
    Watch,
    /// `UNWATCH`
    Unwatch,
    /// `RESET`
    Reset,
    /// `QUIT`
    Quit,
    /// `KEYS`
    Keys,
    /// `SCAN`
    Scan,
    /// `DBSIZE`
    Dbsize,
    /// `RANDOMKEY`
    Randomkey,
    /// `INFO`
    Info,
    /// `ANNULUS.TOKEN`
    Token,
    /// `ANNULUS.OUTCOME`
    Outcome,
}

impl Flow {
    /// Whether it looks at a range of keys.
    const fn walks(self) -> bool {
        matches!(self, Self::Keys | Self::Scan | Self::Dbsize | Self::Randomkey)
    }
}

/// How a command runs.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Over named keys.
    Data {
        /// The command.
        run: DataFn,
        /// What to fetch for it.
        reads: Reads,
    },
    /// Over a whole database: as part of a transaction inside of `MULTI`, page by page outside.
    Whole {
        /// Inside of `MULTI`.
        run: DataFn,
        /// Outside.
        outside: Flow,
    },
    /// `SELECT`: changes the database in which later commands work.
    Select,
    /// About the connection or the node.
    Local(LocalFn),
    /// Steers the connection. Never queued by `MULTI`.
    Flow(Flow),
    /// About the node, with something to wait for when outside of `MULTI`.
    LocalFlow(LocalFn, Flow),
    /// Chosen by the first argument.
    Container(&'static [Command]),
    /// A command of Redis that is not supported yet.
    Unsupported,
}

/// A row of the command table.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name in small letters; of a subcommand `name|subcommand`.
    pub name: &'static str,
    /// How many arguments, the name included; negative: at least so many.
    pub arity: i32,
    /// Flags as `COMMAND INFO` tells them, separated by blanks.
    pub flags: &'static str,
    /// ACL categories as `COMMAND INFO` tells them, separated by blanks.
    pub categories: &'static str,
    /// Which arguments are keys: first, last (negative: from the end), step. All 0: none.
    pub keys: (i32, i32, i32),
    /// How it runs.
    pub run: Run,
    /// The version of Redis that brought it.
    pub since: &'static str,
    /// What it does.
    pub summary: &'static str,
}

impl Command {
    /// Whether a number of arguments will do.
    #[must_use]
    pub const fn accepts(&self, arguments: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { arguments >= least } else { arguments == least }
    }

    /// Whether it may write.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.flags.starts_with("write")
    }

    /// The commands whose cost is like its own, for the metrics.
    #[must_use]
    pub fn family(&self) -> Family {
        let (first, last, _) = self.keys;
        match (self.run, self.is_write()) {
            (Run::Flow(Flow::Exec), _) => Family::Transaction,
            (Run::Flow(flow) | Run::Whole { outside: flow, .. }, _) if flow.walks() => Family::Scan,
            (_, false) if first == 0 => Family::Other,
            (_, true) if first == 0 || first != last => Family::MultiWrite,
            (_, true) => Family::Write,
            (_, false) if first != last => Family::MultiRead,
            (_, false) => Family::Read,
        }
    }

    /// The keys among its arguments.
    pub fn keys_of<'a>(&self, arguments: &'a [Bytes]) -> impl Iterator<Item = &'a Bytes> + use<'a> {
        let (first, last, step) = self.keys;
        let last = if last < 0 { arguments.len() as i32 + last } else { last };
        let last = usize::try_from(last).unwrap_or(0).min(arguments.len().saturating_sub(1));
        let first = usize::try_from(first).unwrap_or(0);
        let range = if first == 0 || first > last { &[][..] } else { &arguments[first..=last] };
        range.iter().step_by(usize::try_from(step).unwrap_or(1).max(1))
    }
}

/// A row; the columns in the order of [`Command`].
const fn row(
    name: &'static str,
    arity: i32,
    (flags, categories): (&'static str, &'static str),
    keys: (i32, i32, i32),
    run: Run,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, arity, flags, categories, keys, run, since, summary }
}

const fn data(run: DataFn, reads: Reads) -> Run {
    Run::Data { run, reads }
}

const NO_KEYS: (i32, i32, i32) = (0, 0, 0);
const ONE_KEY: (i32, i32, i32) = (1, 1, 1);
const ALL_KEYS: (i32, i32, i32) = (1, -1, 1);
const KEYS_WITH_VALUES: (i32, i32, i32) = (1, -1, 2);

const FAMILIES: [(&str, &[Command]); 10] = [
    ("string", strings::COMMANDS),
    ("string", numbers::COMMANDS),
    ("generic", expiry::COMMANDS),
    ("generic", keys::COMMANDS),
    ("generic", databases::COMMANDS),
    ("connection", connection::COMMANDS),
    ("connection", client::COMMANDS),
    ("server", server::COMMANDS),
    ("transactions", transactions::COMMANDS),
    ("annulus", own::COMMANDS),
];

/// Every supported command, with its group.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Command)> {
    FAMILIES.iter().flat_map(|(group, commands)| commands.iter().map(move |command| (*group, command)))
}

/// The longest name of a command.
const MAX_NAME_LEN: usize = 32;

/// Finds commands by name.
#[derive(Debug)]
pub struct Table(HashMap<&'static [u8], &'static Command>);

impl Default for Table {
    fn default() -> Self {
        let supported = all().map(|(_, command)| command);
        let commands = supported.chain(unsupported::COMMANDS);
        Self(commands.map(|command| (command.name.as_bytes(), command)).collect())
    }
}

impl Table {
    /// The command of a name, in large or small letters; supported or not.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let mut small = [0; MAX_NAME_LEN];
        let small = small.get_mut(..name.len())?;
        small.copy_from_slice(name);
        small.make_ascii_lowercase();
        self.0.get(&*small).copied()
    }

    /// The command that a request asks for, subcommands resolved, its number of arguments checked.
    ///
    /// # Errors
    /// There is no such command, or it takes another number of arguments.
    pub fn resolve(&self, arguments: &[Bytes]) -> Result<&'static Command, Failure> {
        let name = arguments.first().map_or(&[][..], |name| name);
        let command = self.find(name).ok_or_else(|| unknown(arguments))?;
        if let Run::Unsupported = command.run {
            return Err(unsupported::failure(command.name));
        }
        if !command.accepts(arguments.len()) {
            return Err(Failure::arity(command.name));
        }
        let Run::Container(commands) = command.run else { return Ok(command) };
        // Only COMMAND may stand alone: it is its first subcommand, COMMAND INFO.
        let Some(asked) = arguments.get(1) else { return commands.first().ok_or_else(|| unknown(arguments)) };
        let found = subcommand(commands, asked).ok_or_else(|| unknown_subcommand(command.name, asked))?;
        if found.accepts(arguments.len()) { Ok(found) } else { Err(Failure::arity(found.name)) }
    }
}

/// The subcommand of a name.
fn subcommand(commands: &'static [Command], name: &[u8]) -> Option<&'static Command> {
    let short = |command: &Command| command.name.split('|').nth(1).unwrap_or_default().as_bytes();
    commands.iter().find(|command| short(command).eq_ignore_ascii_case(name))
}

/// Text of a client for an error message: as it came, but at most 128 bytes.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(128)]).into_owned()
}

fn unknown(arguments: &[Bytes]) -> Failure {
    let mut with = String::new();
    for argument in arguments.iter().skip(1) {
        if with.len() >= 128 {
            break;
        }
        with.push_str(&format!("'{}' ", shown(argument)));
    }
    let name = arguments.first().map_or_else(String::new, |name| shown(name));
    Failure::new(format!("ERR unknown command '{name}', with args beginning with: {with}"))
}

fn unknown_subcommand(command: &str, asked: &[u8]) -> Failure {
    let (asked, command) = (shown(asked), command.to_ascii_uppercase());
    Failure::new(format!("ERR unknown subcommand '{asked}'. Try {command} HELP."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_family_of_their_cost() {
        let table = Table::default();
        let of = |names: &[&str]| {
            let family = |name: &&str| table.find(name.as_bytes()).map(Command::family);
            names.iter().map(family).collect::<Option<Vec<_>>>().unwrap()
        };
        assert_eq!(of(&["get", "strlen", "ttl"]), [Family::Read; 3]);
        assert_eq!(of(&["set", "incr", "expire"]), [Family::Write; 3]);
        assert_eq!(of(&["mget", "exists"]), [Family::MultiRead; 2]);
        assert_eq!(of(&["mset", "del", "flushdb"]), [Family::MultiWrite; 3]);
        assert_eq!(of(&["scan", "keys", "dbsize", "randomkey"]), [Family::Scan; 4]);
        assert_eq!(of(&["exec", "ping", "watch"]), [Family::Transaction, Family::Other, Family::MultiRead]);
    }
}
