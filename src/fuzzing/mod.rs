//! Whatever bytes arrive or are found on a disk, nothing panics, hangs or takes memory out of proportion, and what is
//! understood means the same when it is written and read again.
//!
//! Each target is a function of bytes. `fuzz/` hands them to libFuzzer, and the tests here run them on mutated seeds
//! from fixed random numbers: both drive the same code. Compiled for those two only.

mod disk;
mod sql;
mod wire;

#[cfg(test)]
mod tests;

pub use disk::{config_files, stored_records, topology_records};
pub use sql::sql_text;
pub use wire::{peer_frames, pg_messages, resp};

/// A target by its name: that of its file in `fuzz/fuzz_targets`.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// Panics if something is wrong.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "peer_frames", run: peer_frames },
    Target { name: "resp", run: resp },
    Target { name: "pg_messages", run: pg_messages },
    Target { name: "sql_text", run: sql_text },
    Target { name: "stored_records", run: stored_records },
    Target { name: "config_files", run: config_files },
    Target { name: "topology_records", run: topology_records },
];
