//! The system's tables: `pg_catalog` and `information_schema`, made from the catalog whenever they are read.
//!
//! Promises and invariants:
//! - Every table and view of PostgreSQL 15's catalog that its tools look at exists with its columns (`columns`); those
//!   about things that this database has not are empty.
//! - A table shows the catalog as of the query's start: one consistent state.
//! - Numbers of objects are those of their descriptors; constraints, defaults and other parts without a number of
//!   their own get one that follows from their name (`part_oid`) and has its highest bit set.

mod columns;
mod constraints;
mod definitions;
mod dependencies;
mod functions;
mod information;
mod live;
mod progress;
mod relations;
mod shown;
mod statics;
mod tables;
mod types;
mod views;

use annulus_relation::catalog::ObjectId;

pub(crate) use constraints::constraint_oids;
pub use functions::SystemCatalog;
pub(crate) use shown::with_names;
pub(crate) use statics::EXTENSIONS;
pub(crate) use tables::{Table, table};
pub(crate) use types::type_name;

/// The schema `pg_catalog`.
pub(crate) const PG_CATALOG: u32 = 11;
/// The schema `information_schema`.
pub(crate) const INFORMATION_SCHEMA: u32 = 13_377;
/// Who owns the schema `public`: whoever owns the database.
pub(crate) const DATABASE_OWNER: u32 = 6171;
/// The role that owns everything else.
pub(crate) const OWNER: u32 = 10;

/// The number of a part of an object (a constraint, a default) that has none of its own.
pub(crate) fn part_oid(object: ObjectId, part: &str) -> u32 {
    // FNV-1a
    let bytes = object.to_be_bytes().into_iter().chain(part.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash | 0x8000_0000
}
