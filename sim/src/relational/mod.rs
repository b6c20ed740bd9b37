//! Clients whose transactions are run by the code of `relation/`, as a server runs them: as futures on the
//! node that they talk to.
//!
//! - [`mod@line`] is the database that this code is given: it asks the world, which asks the node.
//! - [`work`] is what clients do: statements on the rows of [`tables`], changes of the schema meanwhile, and
//!   transactions below the level of rows.
//! - `audit` looks whether all that is stored belongs together, at any instant.
//!
//! Everything that is read and written goes into the history as for any other client, so the verdicts of the
//! simulator apply. On top, what a transaction that wrote nothing saw in several reads must have held at one
//! instant between its begin and its end ([`crate::history::Call::Together`]).

mod audit;
pub mod line;
mod loads;
mod schema;
mod statements;
mod steps;
pub mod tables;
mod watch;
pub mod work;

use std::future::Future;
use std::pin::Pin;

use annulus_relation::catalog::Home;
use annulus_ring::DynamicNamespace;
use annulus_txn::interface::{Fate, TxnError};

/// How a client's transaction ended.
#[derive(Debug)]
pub enum End {
    /// It wrote nothing; what it read was so at one instant since it began.
    Saw,
    /// Its reads are not to be judged as one: it committed (so its commit is), it read the past, or it was
    /// several transactions.
    Apart,
    /// Something must not be so.
    Broken(String),
    /// It had no effect, or that is unknown.
    Failed(TxnError),
    /// What became of an earlier one.
    Told(Result<Fate, TxnError>),
}

/// A transaction under way.
pub type Running = Pin<Box<dyn Future<Output = End>>>;

/// The database of all simulated sessions: `BY NAME` with one slot, `BY KEY` with more.
///
/// # Panics
/// If these are not possible.
#[must_use]
pub fn home(slots: u16, replicas: u8) -> Home {
    Home::new(DynamicNamespace::new(1_000, slots, replicas).expect("options are valid"))
}
