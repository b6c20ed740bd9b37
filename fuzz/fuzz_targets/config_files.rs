//! What users write into configuration files.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::config_files(bytes));
