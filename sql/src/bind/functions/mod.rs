//! The functions and operators, by family, and what they share.

mod args;
mod arithmetic;
mod array;
pub(super) mod compare;
mod enums;
mod format;
mod json;
mod math;
mod network;
mod recent;
mod system;
mod text;
mod time;
mod variadic;

pub(super) use json::path;
pub(super) use text::quote::{identifier as quote_identifier, literal as quote_string};
pub(crate) use text::regex::all_matches;
pub(super) use variadic::PREFIX as VARIADIC;

use super::registry::Entry;

/// All families.
pub(super) const fn families() -> &'static [&'static [Entry]] {
    &[
        arithmetic::BINARY,
        arithmetic::TABLE,
        array::TABLE,
        compare::TABLE,
        format::from_number::TABLE,
        format::number::TABLE,
        format::read_date::TABLE,
        format::write_date::TABLE,
        json::access::TABLE,
        json::build::TABLE,
        json::change::TABLE,
        json::path::TABLE,
        math::degrees::TABLE,
        math::exact::TABLE,
        enums::TABLE,
        math::float::TABLE,
        network::TABLE,
        system::catalog::TABLE,
        system::ids::TABLE,
        system::uuids::TABLE,
        system::session::TABLE,
        text::array::TABLE,
        text::basic::TABLE,
        text::bits::TABLE,
        text::bytes::TABLE,
        text::digests::TABLE,
        text::concat::TABLE,
        text::format::TABLE,
        text::pad::TABLE,
        text::pattern::TABLE,
        text::regex::TABLE,
        text::unistr::TABLE,
        time::fields::TABLE,
        time::make::TABLE,
        time::now::TABLE,
        time::operators::TABLE,
        variadic::TABLE,
    ]
}
