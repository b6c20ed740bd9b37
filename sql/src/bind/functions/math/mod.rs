//! Functions of numbers.

pub(super) mod exact;
pub(super) mod float;
