//! Clients whose transactions are run by the code of `relation/`, as a server runs them: as futures on the
//! node that they talk to.
//!
//! - [`line`] is the database that this code is given: it asks the world, which asks the node.
//! - [`work`] is what clients do.
//!
//! Everything that is read and written goes into the history as for any other client, so the verdicts of the
//! simulator apply. On top, what a transaction that wrote nothing saw in several reads must have held at one
//! instant between its begin and its end ([`crate::history::Call::Together`]).

pub mod line;
pub mod work;

use std::future::Future;
use std::pin::Pin;

use annulus_txn::interface::{Fate, TxnError};

/// How a client's transaction ended.
#[derive(Debug)]
pub enum End {
    /// It wrote nothing; what it read was so at one instant.
    ReadOnly,
    /// It read the past.
    Past,
    /// It committed.
    Committed,
    /// It had no effect, or that is unknown.
    Failed(TxnError),
    /// What became of an earlier one.
    Told(Result<Fate, TxnError>),
}

/// A transaction under way.
pub type Running = Pin<Box<dyn Future<Output = End>>>;
