//! What clients write as SQL.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::sql_text(bytes));
