//! How values become bytes: keys that sort as their values do, and rows.
//!
//! The formats are stored data: golden tests pin every byte, and docs/internals/relations.md describes them.

pub mod key;
mod numeric;
mod payload;
pub mod row;
#[cfg(test)]
pub(crate) mod samples;
mod varint;

pub use key::{KeyOrder, check_type, is_exact, is_keyable};
pub use row::{Layout, decode_value, encode_value};
