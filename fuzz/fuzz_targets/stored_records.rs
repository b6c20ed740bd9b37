//! What is found in a data directory.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::stored_records(bytes));
