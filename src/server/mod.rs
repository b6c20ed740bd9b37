//! What clients talk to.

mod accept;
pub mod http;
pub mod pg;
pub mod resp;
