//! The functions and operators, by family, and what they share.

mod args;
mod arithmetic;
pub(super) mod compare;
mod text;

pub(super) use text::quote::{identifier as quote_identifier, literal as quote_string};

use super::registry::Entry;

/// All families.
pub(super) const fn families() -> &'static [&'static [Entry]] {
    &[
        arithmetic::BINARY,
        arithmetic::TABLE,
        compare::TABLE,
        text::array::TABLE,
        text::basic::TABLE,
        text::bytes::TABLE,
        text::concat::TABLE,
        text::format::TABLE,
        text::pad::TABLE,
        text::pattern::TABLE,
        text::regex::TABLE,
    ]
}
