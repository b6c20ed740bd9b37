//! SQL: parsing, binding, planning, execution and sessions, over `relation/`.

pub mod bind;
pub mod query;
pub mod system;
