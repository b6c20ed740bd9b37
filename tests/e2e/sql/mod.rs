//! SQL: real clusters, PostgreSQL's drivers and tools.

pub mod client;
mod described;
mod differential;
mod keys;
mod queues;
mod shell;
mod statements;
mod tools;
mod tour;
mod transactions;
