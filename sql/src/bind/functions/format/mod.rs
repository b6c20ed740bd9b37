//! `to_char` and its inverses: values by templates.

pub(super) mod from_number;
pub(super) mod number;
pub(super) mod number_template;
