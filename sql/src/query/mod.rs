//! The query engine: everything that is more than reading or writing rows by their keys.
//!
//! A query is translated here from the parser's tree into DataFusion's logical plan, optimised and executed by
//! DataFusion on threads of its own, and reads tables through its session.
//!
//! Promises and invariants:
//! - Results are PostgreSQL's: names, types, NULLs, coercions, overflow. What DataFusion would compute differently it
//!   does not compute (`scalar`, `aggregate`). What is not supported is refused, never answered wrongly.
//! - Results stream, and everything between storage and the client is bounded. What a query keeps in memory is accounted
//!   for in one pool; over its limit it spills to disk, or fails alone with `53200`.
//! - A query that nobody waits for any longer stops: [`Running`] dropped cancels it.
//! - Nothing here reads storage: scans ask the session, one stretch of rows at a time ([`ScanRequest`]).
//!
//! How it works, and what is known to be missing, is written down in `docs/internals/queries.md`.

mod aggregate;
mod arrow;
mod columns;
mod engine;
mod error;
mod exec;
mod explain;
mod explained;
mod given;
mod guard;
mod json;
mod memory;
mod optimizer;
mod plan;
mod request;
mod rows;
mod scalar;
mod scope;
mod statistics;
mod window;

#[cfg(test)]
mod tests;

pub use columns::{Busy, Collecting, ColumnCache, Kept, Standings};
pub use engine::{Planned, QueryEngine, Running, Statement};
pub(crate) use explained::{Explained, Number, Part};
pub use given::Given;
pub(crate) use memory::{MemoryShare, row_size};
pub(crate) use plan::{ROW_ID_COLUMN, title};
pub use request::{KeyRange, Resume, ScanRequest, ScanSpec, Stretch};
pub use scope::{Catalog, Live, Relation, Scope, SystemSource};
pub use statistics::{ColumnStatistics, NoStatistics, Statistics};
