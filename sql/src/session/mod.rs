//! Sessions.
pub mod settings;
