//! Functions of numbers.

pub(super) mod degrees;
pub(super) mod exact;
pub(super) mod float;
