//! The commands that took long: a bounded list, newest first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::clients::Client;
use super::protocol::Reply;

/// Most arguments kept of a command, and most bytes of an argument; as in Redis.
const MAX_ARGUMENTS: usize = 32;
const MAX_ARGUMENT_LEN: usize = 128;

/// A command that took long.
#[derive(Debug)]
struct SlowCommand {
    id: i64,
    /// Seconds since the Unix epoch.
    at: u64,
    time: Duration,
    arguments: Vec<Bytes>,
    client: String,
    name: String,
}

/// The commands that took long.
#[derive(Debug)]
pub struct SlowLog {
    threshold: Duration,
    length: usize,
    next_id: Cell<i64>,
    commands: RefCell<VecDeque<SlowCommand>>,
}

impl SlowLog {
    /// A log of at most `length` commands that took at least `threshold`.
    #[must_use]
    pub fn new(threshold: Duration, length: usize) -> Self {
        Self { threshold, length, next_id: Cell::new(0), commands: RefCell::default() }
    }

    /// Keeps a command if it took long.
    pub fn offer(&self, at: u64, time: Duration, arguments: &[Bytes], client: &Client) {
        if time < self.threshold || self.length == 0 {
            return;
        }
        let id = self.next_id.replace(self.next_id.get() + 1);
        let arguments = shorten(arguments);
        let (client, name) = (client.peer.to_string(), client.name.borrow().clone());
        let mut commands = self.commands.borrow_mut();
        commands.truncate(self.length - 1);
        commands.push_front(SlowCommand { id, at, time, arguments, client, name });
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.borrow().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.commands.borrow_mut().clear();
    }

    /// The newest of them, as `SLOWLOG GET` answers.
    #[must_use]
    pub fn newest(&self, count: usize) -> Reply {
        let entry = |command: &SlowCommand| {
            Reply::Array(vec![
                Reply::Integer(command.id),
                Reply::Integer(command.at as i64),
                Reply::Integer(command.time.as_micros() as i64),
                Reply::Array(command.arguments.iter().cloned().map(Reply::Bulk).collect()),
                Reply::Bulk(command.client.clone().into()),
                Reply::Bulk(command.name.clone().into()),
            ])
        };
        Reply::Array(self.commands.borrow().iter().take(count).map(entry).collect())
    }
}

/// The arguments without what is too much; says how much was left out, as Redis does.
fn shorten(arguments: &[Bytes]) -> Vec<Bytes> {
    let cut = |argument: &Bytes| match argument.len().checked_sub(MAX_ARGUMENT_LEN) {
        None | Some(0) => Bytes::copy_from_slice(argument),
        Some(more) => [&argument[..MAX_ARGUMENT_LEN], format!("... ({more} more bytes)").as_bytes()].concat().into(),
    };
    if arguments.len() <= MAX_ARGUMENTS {
        return arguments.iter().map(cut).collect();
    }
    let kept = MAX_ARGUMENTS - 1;
    let more = format!("... ({} more arguments)", arguments.len() - kept);
    arguments[..kept].iter().map(cut).chain([more.into()]).collect()
}
