//! What clients are told of requests that did not succeed.

use crate::common::Common;
use crate::interface::TxnError;
use crate::member::{Reply, Request};

/// Counts how a request ended.
pub(crate) fn count(reply: &Reply, common: &mut Common) {
    let error = match reply {
        Reply::Read(Err(error)) | Reply::Scan(Err(error)) | Reply::Standing(Err(error)) => error,
        Reply::Lock(Err(error)) | Reply::Unsettled(Err(error)) => error,
        Reply::Commit(Err(error)) | Reply::Outcome(Err(error)) => error,
        _ => return,
    };
    match error {
        TxnError::Conflict(_) => common.counters.conflicts += 1,
        TxnError::Unavailable { .. } => common.counters.unavailable += 1,
        TxnError::Unknown(_) => common.counters.unknown += 1,
        _ => {}
    }
}

/// The reply that tells a request's client of an error.
pub(crate) fn failure(request: &Request, error: TxnError) -> Reply {
    match request {
        Request::Read(..) => Reply::Read(Err(error)),
        Request::Scan(..) => Reply::Scan(Err(error)),
        Request::Standing(..) => Reply::Standing(Err(error)),
        Request::Unsettled(..) => Reply::Unsettled(Err(error)),
        Request::Lock { .. } => Reply::Lock(Err(error)),
        Request::Commit { .. } => Reply::Commit(Err(error)),
        Request::Outcome(_) => Reply::Outcome(Err(error)),
    }
}

/// The reply to a request that asks for nothing: nobody could be asked, so nobody would answer.
pub(crate) fn of_nothing(request: &Request) -> Option<Reply> {
    match request {
        Request::Read(keys, _) if keys.is_empty() => Some(Reply::Read(Ok(Vec::new()))),
        Request::Scan(ranges, _) if ranges.is_empty() => Some(Reply::Scan(Ok(Vec::new()))),
        Request::Standing(ranges, _) if ranges.is_empty() => Some(Reply::Standing(Ok(Vec::new()))),
        Request::Unsettled(ranges, ..) if ranges.is_empty() => Some(Reply::Unsettled(Ok(Some(Vec::new())))),
        _ => None,
    }
}
