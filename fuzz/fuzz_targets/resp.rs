//! What clients send, and what nodes answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::resp(bytes));
