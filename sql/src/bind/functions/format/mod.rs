//! `to_char` and its inverses: values by templates.

pub(super) mod date_read;
mod date_template;
pub(super) mod from_number;
pub(super) mod number;
pub(super) mod number_template;
pub(super) mod read_date;
pub(super) mod write_date;
