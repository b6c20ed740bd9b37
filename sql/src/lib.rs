//! SQL: parsing, binding, planning, execution and sessions, over `relation/`.

pub mod bind;
mod conditions;
mod copy;
mod ddl;
mod dml;
mod names;
pub mod parse;
pub mod query;
mod sequence;
pub mod server;
pub mod session;
mod statement;
pub mod system;
#[cfg(test)]
pub(crate) mod testing;
