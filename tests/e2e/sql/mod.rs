//! SQL: real clusters, PostgreSQL's drivers and tools.

mod client;
mod keys;
mod shell;
mod statements;
mod tools;
mod transactions;
