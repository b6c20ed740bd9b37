//! Strings: functions, concatenation, patterns, regular expressions, bytes.

pub(super) mod array;
pub(super) mod basic;
pub(super) mod bits;
pub(super) mod bytes;
pub(super) mod concat;
pub(super) mod digests;
pub(super) mod format;
pub(super) mod pad;
pub(super) mod pattern;
pub(super) mod quote;
pub(super) mod regex;
pub(super) mod regex_syntax;
pub(super) mod unistr;
