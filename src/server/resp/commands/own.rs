//! Commands that Redis does not have: the outcome of writes whose answers were lost.

use bytes::Bytes;

use super::{Command, Flow, NO_KEYS, Run, row};
use crate::server::resp::errors::Answer;
use crate::server::resp::protocol::Reply;
use crate::server::resp::session::Session;
use crate::server::resp::shared::Shared;

const FAST: (&str, &str) = ("noscript fast", "fast connection");
const SLOW: (&str, &str) = ("noscript", "slow connection");

pub const COMMANDS: &[Command] = &[
    row("annulus.token", 2, FAST, NO_KEYS, Run::Flow(Flow::Token), "1.0.0", "Execute the next write at most once"),
    row(
        "annulus.outcome",
        2,
        SLOW,
        NO_KEYS,
        Run::Flow(Flow::Outcome),
        "1.0.0",
        "What became of a token or transaction",
    ),
    row("annulus.last", 1, FAST, NO_KEYS, Run::Local(last), "1.0.0", "The id of this connection's last transaction"),
];

/// The id of the last transaction that this connection committed, or whose outcome it did not learn.
fn last(session: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::maybe(session.last.map(|txn| txn.to_string().into())))
}
