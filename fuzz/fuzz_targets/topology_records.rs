//! What a cluster has decided about itself.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::topology_records(bytes));
