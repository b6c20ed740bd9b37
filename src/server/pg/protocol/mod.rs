//! Version 3 of PostgreSQL's protocol as bytes: messages taken apart ([`frontend`], [`startup`]) and written
//! ([`backend`]). Source: PostgreSQL 18's documentation, chapter "Frontend/Backend Protocol".
//!
//! Why not `pgwire`: its handlers have to be `Send`, and a session lives on the node's thread; its decoders trust
//! the lengths and counts that a client sends, and panic where those are wrong. Here every byte is checked, what
//! is counted is bounded by what has arrived, and no memory is taken for what is only announced.

pub mod backend;
pub mod fields;
pub mod frontend;
pub mod startup;

/// How a value looks on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As text.
    #[default]
    Text,
    /// In the type's binary form.
    Binary,
}
