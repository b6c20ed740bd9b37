//! The event loop that drives the pure crates.
