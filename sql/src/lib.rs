//! SQL: parsing, binding, planning, execution and sessions, over `relation/`.

pub mod parse;
