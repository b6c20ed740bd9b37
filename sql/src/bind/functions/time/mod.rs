//! Dates, times and intervals.

pub(super) mod fields;
pub(super) mod make;
pub(super) mod now;
pub(super) mod operators;
