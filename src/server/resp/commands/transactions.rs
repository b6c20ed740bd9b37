//! `MULTI`, `EXEC` and their kin: they steer the connection, see [`super::super::session`].

use bytes::Bytes;

use super::{ALL_KEYS, Command, Flow, NO_KEYS, Run, row};
use crate::server::resp::errors::Answer;
use crate::server::resp::protocol::Reply;
use crate::server::resp::session::Session;
use crate::server::resp::shared::Shared;

const FAST: (&str, &str) = ("noscript loading stale fast allow_busy", "fast transaction");
const EXEC: (&str, &str) = ("noscript loading stale skip_slowlog", "slow transaction");

pub const COMMANDS: &[Command] = &[
    row("multi", 1, FAST, NO_KEYS, Run::Flow(Flow::Multi), "1.2.0", "Begin to queue commands for one transaction"),
    row("exec", 1, EXEC, NO_KEYS, Run::Flow(Flow::Exec), "1.2.0", "Execute the queued commands as one transaction"),
    row("discard", 1, FAST, NO_KEYS, Run::Flow(Flow::Discard), "2.0.0", "Forget the queued commands"),
    row("watch", -2, FAST, ALL_KEYS, Run::Flow(Flow::Watch), "2.2.0", "Let EXEC fail if these keys change before"),
    row("unwatch", 1, FAST, NO_KEYS, Run::LocalFlow(unwatch, Flow::Unwatch), "2.2.0", "Forget the watched keys"),
];

/// Queued by `MULTI`: `EXEC` has let go of the watched keys already.
fn unwatch(_: &mut Session, _: &Shared, _: &[Bytes]) -> Answer {
    Ok(Reply::OK)
}
