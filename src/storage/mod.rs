//! The vote log and the storage engines.
