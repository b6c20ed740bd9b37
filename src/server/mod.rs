//! What clients talk to.

pub mod http;
pub mod pg;
pub mod resp;
