//! The vote log, the storage engines, and the versions kept in them.
//!
//! What must survive a power loss goes through [`log`]: votes, promises, accepts and decisions, one
//! `fdatasync` per group. Decided versions go to an [`engine`] unsynced ([`versions`]); a checkpoint
//! syncs the engine and then trims the log, so a restart replays only the log's tail.
//!
//! Invariants:
//! - One process owns a data directory ([`data_dir`]).
//! - Nothing stored is served without its checksum having been verified.
//! - An engine that holds less than the last checkpoint had is refused, never silently used
//!   ([`checkpoint`]).
//! - All durable formats carry a version; their bytes are pinned by tests.

pub mod checkpoint;
pub mod data_dir;
pub mod disk;
pub mod engine;
pub mod files;
pub mod log;
pub mod meta;
pub mod records;
pub mod versions;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
