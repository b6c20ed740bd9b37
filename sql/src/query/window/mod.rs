//! Window functions of our own: where DataFusion's take constants only, and frames with `EXCLUDE`, which it does not know.

mod framed;
mod whole;

pub(super) use framed::{Exclusion, Framed, Taken};
pub(super) use whole::{Way, Whole};
