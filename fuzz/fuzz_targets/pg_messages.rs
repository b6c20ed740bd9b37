//! What PostgreSQL's clients send.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::pg_messages(bytes));
