//! SQL: parsing, binding, planning, execution and sessions, over `relation/`.

pub mod bind;
pub mod parse;
mod session;
