//! Tables as keys: SQL's values, the catalog, codecs, constraints and row operations, as steps of the
//! ring's transactions.
//!
//! Promises and invariants:
//! - Pure: time, randomness and the database are arguments, so the simulator runs all of it.
//! - Values compare, cast and round as PostgreSQL's do ([`value`]).
//! - Nothing here knows SQL's syntax; expressions stored in the catalog are text that `sql/` evaluates.
//! - A statement leaves every constraint kept, whatever others do at the same time ([`ops`]).
//! - What is stored is described in docs/internals/relations.md, and its bytes never change.

pub mod catalog;
pub mod codec;
pub mod error;
pub mod failure;
pub mod ops;
pub mod transaction;
pub mod value;

pub use error::{SqlError, SqlResult, SqlState};
pub use failure::{Failure, Outcome};
pub use value::{Row, SqlType, Value};
